"""Places that stores are read from through the network: web servers and buckets."""

import dataclasses
from pathlib import Path
from typing import Any

from atmorep_k.errors import UserError

_BUCKETS = {"gs": "gcs", "gcs": "gcs", "s3": "s3"}


@dataclasses.dataclass(frozen=True)
class Address:
    """The address of a store or of a part of it; stands for a `Path` where something is read.

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
        raise UserError(f"{self.url} is not on the disk: from there, data can only be read.")

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
        kind, place = self.url.split("://", 1)
        if kind not in _BUCKETS:
            return {"driver": "http", "base_url": f"{self.url}/"}
        bucket, _, path = place.partition("/")
        spec = {"driver": _BUCKETS[kind], "bucket": bucket, "path": f"{path}/"}
        if kind == "s3" and self.anonymous:
            spec["aws_credentials"] = {"type": "anonymous"}
        return spec


Place = Path | Address


def place(text: "str | Place") -> Place:
    """Returns the address or path that a text stands for."""
    if isinstance(text, Address) or "://" not in str(text):
        return text if isinstance(text, Address) else Path(text)
    return Address(str(text).rstrip("/"))


def kvstore(at: Place) -> dict[str, Any]:
    """Returns what tensorstore needs to read what lies at a place."""
    if isinstance(at, Address):
        return at.kvstore()
    return {"driver": "file", "path": f"{at.absolute()}/"}


def open_array(at: Place):
    """Opens a Zarr array to read it."""
    import zarr

    if isinstance(at, Address):
        from atmorep_k.data.stores.cloud import open_group

        return open_group(str(at.parent))[at.name]
    return zarr.open_array(at, mode="r")


def open_group_at(at: Place):
    """Opens a Zarr group to read it."""
    import zarr

    if isinstance(at, Address):
        from atmorep_k.data.stores.cloud import open_group

        return open_group(str(at))
    return zarr.open_group(at, mode="r")
