"""What a prediction is made of, so that only the same one is resumed."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from atmorep_k.errors import UserError
from atmorep_k.inference.plan import Prepared
from atmorep_k.inference.request import Output
from atmorep_k.inference.resuming import PartialPrediction
from atmorep_k.protocols import Model


def partial_of(plan: Prepared, output: Output, **settings) -> PartialPrediction | None:
    """Returns what is already there of the prediction of a plan; None where it cannot be resumed.

    Args:
        plan: the prediction.
        output: where it goes; only a directory `.zarr` grows time by time.
        **settings: what else it depends on.

    Raises:
        UserError: as `PartialPrediction`, and where `resume` asks for what cannot be resumed.
    """
    if output.path is not None and Path(output.path).suffix == ".zarr":
        return PartialPrediction(Path(output.path), ingredients(plan, **settings), output.resume)
    if output.resume:
        raise UserError(
            f"only an output that ends in .zarr can be resumed, not {output.path}: leave out "
            f"--resume."
        )
    return None


def ingredients(plan: Prepared, **settings) -> dict[str, Any]:
    """Returns what makes a prediction: each entry changes its values.

    Args:
        plan: the prediction.
        **settings: what else it depends on, as text and numbers.
    """
    frame = plan.frame
    latitude, longitude = frame.grid()
    grid = (latitude, longitude, frame.leads.astype(np.int64))
    return {
        "model": _digest(_values(plan.model)),
        "backend": keras.backend.backend(),
        "masking": repr([masking.get_config() for masking in plan.maskings]),
        "task or store": frame.attributes,
        "time": [str(frame.named(int(start))) for start in plan.starts],
        "field": [field.name for field in frame.fields],
        "grid": _digest(grid),
        "setting": {name: repr(value) for name, value in settings.items()},
    }


def _values(model: Model) -> Iterator[np.ndarray]:
    """Yields weights and statistics."""
    for weight in getattr(model, "weights", ()):
        yield keras.ops.convert_to_numpy(weight)
    for normalizer in model.normalizers.values():
        yield from normalizer.state().values()


def _digest(arrays) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
