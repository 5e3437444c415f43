"""AtmoRep in Keras 3: probabilistic transformers of atmospheric dynamics.

Importing this package is all that `keras.saving.load_model` needs to open a saved model: as soon
as Keras is imported (before or after), every component is registered with it. Until then nothing
heavy is loaded, so that the command line answers at once.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import wrapt

from atmorep_k._version import __version__
from atmorep_k.backend.installed import default_backend, quieten_tensorflow

if TYPE_CHECKING:
    from atmorep_k.reporting.report import report
    from atmorep_k.saved.loading import load_model
    from atmorep_k.tasks.functions import (
        attention,
        correct,
        counterfactual,
        evaluate,
        features,
        forecast,
        infill,
        interpolate,
        point,
        reconstruct,
        rollout,
    )
    from atmorep_k.tasks.notebook import Windows, predict, rollout_steps

__all__ = [
    "Windows",
    "__version__",
    "attention",
    "correct",
    "counterfactual",
    "evaluate",
    "features",
    "forecast",
    "infill",
    "interpolate",
    "load_model",
    "point",
    "predict",
    "reconstruct",
    "report",
    "rollout",
    "rollout_steps",
]

# In a checkout `components/` and `gin/` lie beside this folder; installed, they lie in it. Both
# are found, so that Python works in the root of a clone, installed or not.
_CHECKOUT = Path(__file__).resolve().parents[1]
if (_CHECKOUT / "components" / "__init__.py").is_file():
    __path__.append(str(_CHECKOUT))

if "keras" not in sys.modules:
    os.environ.setdefault("KERAS_BACKEND", default_backend())
    if os.environ["KERAS_BACKEND"] == "tensorflow":
        quieten_tensorflow()


def __getattr__(name: str):
    # These import NumPy and more, so they are imported when they are first used.
    if name == "load_model":
        from atmorep_k.saved.loading import load_model

        return load_model
    if name == "report":
        from atmorep_k.reporting.report import report

        return report
    if name in ("Windows", "predict", "rollout_steps"):
        from atmorep_k.tasks import notebook

        return getattr(notebook, name)
    if name in __all__:
        from atmorep_k.tasks import functions

        return getattr(functions, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _register_components(_keras):
    from atmorep_k import registry
    from atmorep_k.backend.internals.keras import leave_tensorflow_out

    leave_tensorflow_out()
    registry.discover()


wrapt.register_post_import_hook(_register_components, "keras")
