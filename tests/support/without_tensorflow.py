"""Leaves TensorFlow out of a process that computes with another backend.

Keras looks for TensorFlow on each of its backends, and importing it takes a third of the start of
a process. tests/conftest.py imports this module, and sitecustomize.py does in the processes that
tests start.
"""

import os
import sys

if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
    sys.modules.setdefault("tensorflow", None)
