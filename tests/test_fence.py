"""Private names of other libraries are used in `atmorep_k/backend/internals` alone."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FENCED = ROOT / "atmorep_k" / "backend" / "internals"
FOLDERS = ("atmorep_k", "components", "benchmarks", "examples", "tools")
# Modules without an underscore in their names which are private all the same.
PRIVATE_MODULES = ("keras.src", "tensorflow.python", "xarray.core", "zarr.core")
# `_fields` of a named tuple and `os._exit` are documented.
DOCUMENTED = {"_fields", "_replace", "_asdict", "_make", "_exit"}


def private_uses(source: str, ours: set[str]) -> Iterator[tuple[int, str]]:
    """Yields line and text of what reaches into another library.

    Args:
        source: of a file.
        ours: private names that this project defines anywhere.
    """
    tree = ast.parse(source)
    aliases = _modules_imported(tree)
    defined = {name for node in ast.walk(tree) for name in _private_names(node)}
    for node in ast.walk(tree):
        for module in _imports(node):
            if _is_private(module):
                yield node.lineno, module
        if not isinstance(node, ast.Attribute):
            continue
        path = _dotted(node, aliases)
        if path and _is_private(path):
            yield node.lineno, path
        elif node.attr.startswith("_") and not node.attr.startswith("__"):
            hook = node.attr in defined and _is_own(node.value)
            if not hook and node.attr not in DOCUMENTED and node.attr not in ours:
                yield node.lineno, ast.unparse(node)


def _modules_imported(tree) -> dict[str, str]:
    """Returns the modules that names of a file stand for."""
    return {
        alias.asname or alias.name.partition(".")[0]: alias.name
        if alias.asname
        else alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    }


def _imports(node) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def _is_private(path: str) -> bool:
    if path.partition(".")[0] in ("atmorep_k", "__future__"):
        return False
    private = [part for part in path.split(".") if part.startswith("_") and part[:2] != "__"]
    is_listed = any(f"{path}.".startswith(f"{module}.") for module in PRIVATE_MODULES)
    return is_listed or any(part not in DOCUMENTED for part in private)


def _dotted(node, aliases) -> str | None:
    """Returns the path of an attribute of an imported module, None for that of anything else."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name) and node.id in aliases:
        return ".".join([aliases[node.id], *reversed(parts)])
    return None


def _is_own(node) -> bool:
    """Returns whether an attribute is that of `self`, `cls` or `super()`."""
    if isinstance(node, ast.Call):
        node = node.func
    return isinstance(node, ast.Name) and node.id in ("self", "cls", "super")


def _private_names(node) -> list[str]:
    """Returns the private names that a statement defines."""
    names = []
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        names = [node.name]
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        names = [node.attr] if _is_own(node.value) else []
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        names = [node.id]
    return [name for name in names if name.startswith("_")]


def sources() -> list[Path]:
    """Returns the files that may not reach into other libraries."""
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    return [path for path in files if FENCED not in path.parents]


def fenced_names() -> set[str]:
    """Returns the private names that the fence holds, of whatever object."""
    trees = [ast.parse(path.read_text()) for path in FENCED.glob("*.py")]
    return {
        node.attr
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr.startswith("_")
    }


@functools.cache
def our_names() -> set[str]:
    """Returns the private names that this project defines, without those that the fence holds."""
    trees = [ast.parse(path.read_text()) for path in sources()]
    names = {name for tree in trees for node in ast.walk(tree) for name in _private_names(node)}
    return names - fenced_names()


def test_private_names_stay_behind_the_fence():
    ours = our_names()
    found = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in sources()
        for line, text in private_uses(path.read_text(), ours)
    ]
    assert not found, (
        "private names of other libraries belong in atmorep_k/backend/internals, each in a "
        "function with a test in tests/atmorep_k/backend/test_internals.py:\n" + "\n".join(found)
    )


@pytest.mark.parametrize(
    "line",
    [
        "import keras.src",
        "from keras.src.backend import common",
        "from jax._src import core",
        "import torch._dynamo",
        "from torch.utils._pytree import tree_map",
        "from tensorflow.python.ops import while_v2",
        "from xarray.core import indexing",
        "from keras.layers import _private",
        "import keras\nkeras.src.backend.common.global_state",
        "import torch as t\nt.ops.aten._scaled_dot_product_flash_attention_for_cpu",
        "weight._value = 0",
        "layer._flatten_layers()",
        "class A:\n    def f(self):\n        return self._trainable_variables",
        "anything._never_heard_of",
    ],
)
def test_a_use_outside_is_found(line):
    assert list(private_uses(line, our_names()))


@pytest.mark.parametrize(
    "line",
    [
        "import os\nos._exit(1)",
        "from atmorep_k.cli import _private",
        "from jax.extend import core",
        # A hook that Keras calls has its own name in the subclass, and calls that of Keras.
        "class A(B):\n    def _clip_gradients(self, g):\n        return super()._clip_gradients(g)",
        "class A:\n    def __init__(self):\n        self._value = 0",
    ],
)
def test_what_is_ours_or_public_passes(line):
    assert not list(private_uses(line, our_names()))


def test_no_name_is_ours_and_theirs_on_one_object():
    """`x._value` of an object of ours would hide that of a variable of Keras."""
    assert "_value" not in our_names() and "_layers" not in our_names()
