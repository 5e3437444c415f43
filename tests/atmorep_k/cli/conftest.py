"""Commands are thin: what they call is tested on every backend beside them."""

import os
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items):
    """Tests of commands run once, with JAX."""
    if os.environ.get("KERAS_BACKEND", "jax") == "jax":
        return
    skip = pytest.mark.skip(reason="commands know no backend: tested once, with JAX")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(skip)
