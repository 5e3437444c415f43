"""Python as README leaves its reader: in the root of a clone, installed or not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# What README's section "Use a trained model" begins with.
README = """
import atmorep_k
import keras
"""
KERAS_FIRST = """
import keras
import atmorep_k
"""
# Nothing is installed: no metadata tell of entry points.
NOT_INSTALLED = """
import importlib.metadata
importlib.metadata.entry_points = lambda **selected: ()
"""
CHECK = """
from atmorep_k import components, registry
print(atmorep_k.__file__, components.__file__, sep="\\n")
assert keras.saving.get_registered_object("atmorep_k>AtmoRep") is atmorep_k.model.AtmoRep
assert registry.lookup("Pretraining", "task").__name__ == "Pretraining"
import gin
assert gin.parse_config  # the library, not the folder of configurations
"""


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """The files of a clone that Python needs."""
    folder = tmp_path_factory.mktemp("clone")
    for name in ("atmorep_k", "components", "gin"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("before", ["", NOT_INSTALLED], ids=["installed", "not installed"])
@pytest.mark.parametrize("first", [README, KERAS_FIRST], ids=["ours first", "keras first"])
def test_python_works_in_the_root_of_a_clone(clone, first, before):
    code = before + first + CHECK
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    if "keras" in first.split()[1]:
        environment["KERAS_BACKEND"] = os.environ["KERAS_BACKEND"]
    call = [sys.executable, "-c", code]
    run = subprocess.run(call, cwd=clone, capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr
    assert all(Path(line).is_relative_to(clone) for line in run.stdout.split())
