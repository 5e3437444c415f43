"""A model and the stores that it is used on, opened and compared."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from atmorep_k.data.named import store_path
from atmorep_k.data.opening import open_store
from atmorep_k.data.stores.base import Store
from atmorep_k.earth.units import cf_units
from atmorep_k.errors import UserError
from atmorep_k.protocols import Model, Normalizer
from atmorep_k.registry import clone
from atmorep_k.saved.file import SavedFile
from atmorep_k.saved.loading import load_model
from atmorep_k.windows.opened import StoreWindows

# Part of it by which a grid spacing may differ; Gaussian latitudes are not quite even.
_SAME_SPACING = 0.05


def opened_model(
    model: Model | str | Path, store: str, stores: Mapping[str, str] | None
) -> tuple[Model, str]:
    """Returns a model, which may be given by its path, and its name.

    Args:
        model: a model, or the path of a saved one or of its run.
        store: the store that it is to be used on, see `open_dataset`.
        stores: those of single fields.

    Raises:
        UserError: if the model or a store does not exist; stores are checked before the
            model is loaded.
    """
    paths = [store_path(path) for path in (store, *(stores or {}).values())]
    saved = str(SavedFile(Path(model)).path) if isinstance(model, str | Path) else ""
    for place in paths:
        open_store(place)
    if isinstance(model, str | Path):
        return load_model(saved), saved
    return model, model.name


def open_dataset(
    store: str,
    stores: Mapping[str, str] | None,
    model: Model,
    reference: str,
    windows_after: int = 1,
    *,
    own_statistics: bool = False,
) -> StoreWindows:
    """Returns the windows of stores as a model sees them, see `StoreWindows.of_record`.

    They are normalised by the statistics of the model, or by those of the stores.

    Raises:
        UserError: if a store lacks what the model sees, or has it in other units or on another
            grid spacing than the model was trained on.
    """
    normalizers = dict(model.normalizers)
    if own_statistics:
        normalizers = {name: clone(of) for name, of in normalizers.items()}
    of_fields = None if stores is None else dict(stores)
    windows = StoreWindows.of_record(
        store, of_fields, model.fields, normalizers, reference, windows_after
    )
    for field in model.fields:
        _check_units(windows.store_of(field.name), field.name, model)
        _check_spacing(windows.store_of(field.name), field.name, model.normalizers[field.name])
    return windows


def _check_units(store: Store, field: str, model: Model) -> None:
    trained = getattr(model, "provenance", {}).get("units", {}).get(field, "")
    given, wanted = cf_units(store.variables[field].units), cf_units(trained)
    if given and wanted and given != wanted:
        raise UserError(
            f"{field!r} is in {given} in {store.path}, but the model was trained on it in "
            f"{wanted}; make a store with 'atmorep-k data prepare', which converts units."
        )


def _check_spacing(store: Store, field: str, normalizer: Normalizer) -> None:
    """Compares the grids that a store and the statistics of a model are of, where it has them."""
    latitude, longitude = normalizer.latitude, normalizer.longitude
    if latitude is None or longitude is None or len(latitude) < 2:
        return
    trained = _spacing(latitude, longitude)
    given = _spacing(store.latitude, store.longitude)
    if not np.allclose(given, trained, rtol=_SAME_SPACING):
        sizes = (" x ".join(f"{degrees:.3g}" for degrees in of) for of in (given, trained))
        raise UserError(
            "the grid of {0} has {2} degrees (lat x lon), but the model was trained on {1!r} with "
            "{3} and cannot use another spacing.".format(store.path, field, *sizes)
        )


def _spacing(latitude: np.ndarray, longitude: np.ndarray) -> list[float]:
    return [float(np.median(np.abs(np.diff(axis)))) for axis in (latitude, longitude)]
