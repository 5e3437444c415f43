"""Whole records opened for a test, as a task opens them for a model."""

from atmorep_k.components.normalizers import MonthlyNormalizer
from atmorep_k.windows.opened import StoreWindows


def windows_of(store, fields, normalizers=None, **options) -> StoreWindows:
    """Returns the windows of a store; its statistics normalise, unless normalisers are given."""
    normalizers = normalizers or {f.name: MonthlyNormalizer() for f in fields}
    stores = options.pop("stores", None)
    return StoreWindows.of_record(str(store), stores, fields, normalizers, **options)
