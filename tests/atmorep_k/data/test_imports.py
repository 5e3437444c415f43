"""Stores are read and written without any backend of Keras."""

import subprocess
import sys

_CODE = """
import importlib, pkgutil, sys
import atmorep_k.data as data
for module in pkgutil.walk_packages(data.__path__, "atmorep_k.data."):
    importlib.import_module(module.name)
print([name for name in ("keras", "jax", "tensorflow", "torch") if name in sys.modules])
"""


def test_data_knows_no_backend():
    done = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
