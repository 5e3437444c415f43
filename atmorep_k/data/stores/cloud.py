"""Zarr at an address: buckets without credentials first, and web servers."""

from typing import Any

from atmorep_k.errors import UserError, missing_extra, unknown

# How each file system is told to ask without credentials.
_ANONYMOUS = {
    "gs": {"token": "anon"},
    "gcs": {"token": "anon"},
    "s3": {"anon": True},
    "http": {},
    "https": {},
}
_REFUSED = ("401", "403", "forbidden", "anonymous", "access denied", "unauthorized")


def open_group(address: str) -> Any:
    """Opens a Zarr group at an address; with credentials only where it is refused without.

    Args:
        address: `gs://`, `s3://` or `https://`.

    Returns:
        A `zarr.Group`, read-only; it can be pickled.

    Raises:
        UserError: where the kind of address is unknown, its driver is not installed, nothing is
            there, or access is refused.
    """
    kind = address.split("://", 1)[0]
    if kind not in _ANONYMOUS:
        raise unknown("kind of address", kind, _ANONYMOUS)
    _check_driver(kind)
    try:
        return _open(address, _ANONYMOUS[kind])
    except Exception as error:
        if not _ANONYMOUS[kind] or not _is_refusal(error):
            raise _cannot(address, error) from error
    try:
        return _open(address, {})
    except Exception as error:
        raise _cannot(address, error) from error


def _check_driver(kind: str) -> None:
    try:
        import fsspec

        fsspec.get_filesystem_class(kind)
    except ImportError as error:
        raise missing_extra(f"the driver of {kind}:// addresses", "cloud") from error


def _open(address: str, options: dict[str, Any]) -> Any:
    import zarr

    store = zarr.storage.FsspecStore.from_url(address, storage_options=options, read_only=True)
    return zarr.open_group(store, mode="r")


def _is_refusal(error: BaseException) -> bool:
    return isinstance(error, PermissionError) or any(w in str(error).lower() for w in _REFUSED)


def _cannot(address: str, error: BaseException) -> UserError:
    if isinstance(error, FileNotFoundError):
        return UserError(f"there is no Zarr group at {address}.")
    words = " ".join(str(error).split())[:200] or type(error).__name__
    return UserError(f"{address} cannot be opened as Zarr: {words}.")
