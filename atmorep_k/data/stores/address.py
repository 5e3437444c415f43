"""Where a store lies: a path, a web server or a bucket."""

import dataclasses
from pathlib import Path
from typing import Any

from atmorep_k.errors import UserError, missing_extra, unknown

_BUCKETS = {"gs": "gcs", "gcs": "gcs", "s3": "s3"}


@dataclasses.dataclass(frozen=True)
class Address:
    """The address of a store or of a part of it; takes the place of a `Path` for reading.

    Args:
        url: `https://`, `http://`, `gs://` or `s3://`, without a slash at the end.
        anonymous: whether credentials are left out, where there could be some.
    """

    url: str
    anonymous: bool = True

    def __truediv__(self, name: str) -> "Address":
        return dataclasses.replace(self, url=f"{self.url}/{name}")

    def __str__(self) -> str:
        return self.url

    def __fspath__(self) -> str:
        raise UserError(f"{self.url} is not on disk: remote data can only be read.")

    @property
    def name(self) -> str:
        """The last part."""
        return self.url.rsplit("/", 1)[-1]

    @property
    def parent(self) -> "Address":
        """All but the last part."""
        return dataclasses.replace(self, url=self.url.rsplit("/", 1)[0])

    def kvstore(self) -> dict[str, Any]:
        """Returns what tensorstore needs to read what lies there."""
        kind, location = self.url.split("://", 1)
        if kind not in _BUCKETS:
            return {"driver": "http", "base_url": f"{self.url}/"}
        bucket, _, path = location.partition("/")
        spec: dict[str, Any] = {"driver": _BUCKETS[kind], "bucket": bucket, "path": f"{path}/"}
        if kind == "s3" and self.anonymous:
            spec["aws_credentials"] = {"type": "anonymous"}
        return spec


Location = Path | Address


def location(text: "str | Location") -> Location:
    """Returns the address or path that a text stands for."""
    if isinstance(text, Address) or "://" not in str(text):
        return text if isinstance(text, Address) else Path(text)
    return Address(str(text).rstrip("/"))


def kvstore(at: Location) -> dict[str, Any]:
    """Returns what tensorstore needs to read what lies at a place."""
    if isinstance(at, Address):
        return at.kvstore()
    return {"driver": "file", "path": f"{at.absolute()}/"}


def open_array(at: Location):
    """Opens a Zarr array to read it."""
    import zarr

    if isinstance(at, Address):
        return open_remote_group(str(at.parent))[at.name]
    return zarr.open_array(at, mode="r")


def open_group_at(at: Location):
    """Opens a Zarr group to read it."""
    import zarr

    if isinstance(at, Address):
        return open_remote_group(str(at))
    return zarr.open_group(at, mode="r")


# Options for each file system to read without credentials.
_ANONYMOUS: dict[str, dict[str, Any]] = {
    "gs": {"token": "anon"},
    "gcs": {"token": "anon"},
    "s3": {"anon": True},
    "http": {},
    "https": {},
}


_REFUSED = ("401", "403", "forbidden", "anonymous", "access denied", "unauthorized")


def open_remote_group(address: str) -> Any:
    """Opens a Zarr group at an address; with credentials only if access without them is refused.

    Args:
        address: `gs://`, `s3://` or `https://`.

    Returns:
        A `zarr.Group`, read-only; it can be pickled.

    Raises:
        UserError: if the kind of address is unknown, its driver is not installed, nothing is
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
        return UserError(f"no Zarr group at {address}.")
    words = " ".join(str(error).split())[:200] or type(error).__name__
    return UserError(f"{address} cannot be opened as Zarr: {words}.")
