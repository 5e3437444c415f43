"""Stores are read and written without any backend of Keras."""

import os
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
    # From other backends tests hide TensorFlow, so that a process could not load it.
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    call = [sys.executable, "-c", _CODE]
    done = subprocess.run(call, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"
