"""The store of training data: what it is (`StoreDescription`), writing it, opening it."""

import dataclasses
from pathlib import Path
from typing import Literal

from atmorep_k.data.linked.store import LinkedStore
from atmorep_k.data.stores.address import Address, Location, location, open_remote_group
from atmorep_k.data.stores.base import Store
from atmorep_k.data.stores.original import OriginalStore
from atmorep_k.data.stores.own import OwnStore
from atmorep_k.errors import UserError, nearest


def open_store(path: str | Location) -> Store:
    """Opens a store: one of ours, or one of the original AtmoRep as it is.

    Args:
        path: where it is; one of ours may also be at an address (`https://`, `gs://`, `s3://`).

    Raises:
        UserError: if there is no store; the message says what is there, or the nearest name.
    """
    path = location(path)
    if isinstance(path, Address):
        return _open_address(path)
    group = open_group(path)
    for kind in (LinkedStore, OwnStore, OriginalStore):
        if kind.recognises(group):
            return kind.open(path, group)
    raise UserError(
        f"{path} is a Zarr directory, but not a store of atmorep_k or of the original AtmoRep; "
        f"make one with 'atmorep-k data prepare {path} --output STORE'."
    )


def _open_address(address: Address) -> Store:
    group = open_remote_group(str(address))
    if OwnStore.recognises(group) and "links" not in group.attrs:
        anonymous = getattr(group.store.fs, "anon", True)
        return OwnStore.open(dataclasses.replace(address, anonymous=anonymous), group)
    raise UserError(
        f"{address} is not a store of 'atmorep-k data prepare', the only kind that can be read "
        f"over the network; make one with 'atmorep-k data prepare {address} --output STORE'."
    )


def open_group(path: Path):
    """Opens the Zarr group of a store, whatever is in it, to read.

    Raises:
        UserError: if there is no store; the message says what is there, or the nearest name.
    """
    import zarr

    if not path.exists():
        parent = path.absolute().parent
        names = [str(p.name) for p in parent.iterdir()] if parent.is_dir() else []
        raise UserError(f"no store at {path}{nearest(path.name, names)}")
    prepare = f"make a store from it with 'atmorep-k data prepare {path} --output STORE'"
    if not path.is_dir():
        raise UserError(f"{path} is a file, not a store; {prepare}.")
    formats: dict[str, Literal[2, 3]] = {"zarr.json": 3, ".zgroup": 2}
    found = [number for name, number in formats.items() if (path / name).is_file()]
    if not found:
        raise UserError(f"{path} is a directory, not a store; {prepare} if it holds data.")
    try:
        return zarr.open_group(path, mode="r", zarr_format=found[0])
    except (ValueError, KeyError, OSError) as error:
        raise UserError(
            f"{path} cannot be read as a Zarr group ({error}); {prepare} if it holds data."
        ) from error
