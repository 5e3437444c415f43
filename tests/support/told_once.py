"""Tests that no backend has a part in."""

import os
from pathlib import Path

import pytest


def skip_on_other_backends(items, conftest: str, reason: str) -> None:
    """Leaves the tests below the folder of a conftest to JAX."""
    if os.environ.get("KERAS_BACKEND", "jax") == "jax":
        return
    skip = pytest.mark.skip(reason=f"{reason}: tested once, with JAX")
    for item in items:
        if Path(conftest).parent in item.path.parents:
            item.add_marker(skip)
