"""AtmoRep in Keras 3: probabilistic transformers of atmospheric dynamics.

Importing this package is all that `keras.saving.load_model` needs to open a saved model: as soon
as Keras is imported (before or after), every component is registered with it. Until then nothing
heavy is loaded, so that the command line answers at once.
"""

import importlib
import os
import sys
from pathlib import Path

import wrapt

from atmorep_k._version import __version__
from atmorep_k.backend.choice import default_backend

# In a checkout `components/` and `gin/` lie beside this folder; installed, they lie in it. Both
# are found, so that Python works in the root of a clone, installed or not.
_CHECKOUT = Path(__file__).resolve().parents[1]
if (_CHECKOUT / "components" / "__init__.py").is_file():
    __path__.append(str(_CHECKOUT))

if "keras" not in sys.modules:
    os.environ.setdefault("KERAS_BACKEND", default_backend())

# Functions that open a model, ask it, score or show its answers, and their modules.
_TASKS = {
    "load_model": "saved.loading",
    "Windows": "tasks.notebook",
    "predict": "tasks.notebook",
    "rollout_steps": "tasks.notebook",
    "forecast": "tasks.forecast",
    "interpolate": "tasks.interpolate",
    "reconstruct": "tasks.reconstruct",
    "rollout": "tasks.rollout",
    "point": "tasks.point",
    "infill": "tasks.infill",
    "counterfactual": "tasks.counterfactual",
    "correct": "tasks.correct",
    "attention": "tasks.attention",
    "features": "tasks.features",
    "evaluate": "evaluation.predictions.evaluate",
    "report": "reporting.report",
}

__all__ = ["__version__", *_TASKS]


def __getattr__(name):
    if name not in _TASKS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_TASKS[name]}"), name)


def _register_components(_keras):
    from atmorep_k import registry

    registry.discover()


wrapt.register_post_import_hook(_register_components, "keras")
