"""Stores at addresses, read through HTTP from this machine."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from atmorep_k.components.datasets import WindowDataset
from atmorep_k.components.maskings import RandomTokens
from atmorep_k.data.opening import open_store
from atmorep_k.data.stores.address import Address, location
from atmorep_k.data.stores.layout import Layout, StoreDescription
from atmorep_k.data.stores.packing import Packing
from atmorep_k.data.writing.write_store import write_store
from atmorep_k.earth.variables import VariableInfo
from atmorep_k.errors import UserError
from atmorep_k.fields import FieldSpec, Position, Window

pytest.importorskip("aiohttp")
sys.path.insert(0, str(Path(__file__).parents[4] / "tools"))
from latency_server import serving

FIELDS = [
    FieldSpec("temperature", [850, 500], (3, 3, 3), Window((12, 6, 12))),
    FieldSpec("surface", [0], (6, 2, 4), Window((12, 6, 12)), normalization="grid_point"),
]


@pytest.fixture(scope="module", params=["float32", "int16"])
def served(request, tmp_path_factory):
    """The path and the address of the same store."""
    folder = tmp_path_factory.mktemp("served")
    description = StoreDescription(
        np.datetime64("2020-01-28T00", "h") + np.arange(120),
        np.array([500.0, 850.0]),
        np.linspace(90, -90, 46),
        np.arange(90) * 4.0,
        {n: VariableInfo("K", "", "", n != "surface") for n in ("temperature", "surface")},
        {"title": "test"},
        Layout(packing=request.param),
    )
    rng = np.random.default_rng(0)
    levels = {"temperature": 2, "surface": 1}
    values = {n: rng.integers(-999, 999, (120, k, 46, 90)) / 4.0 for n, k in levels.items()}
    packings = {n: Packing([0.25] * k, [0.0] * k) for n, k in levels.items()}
    packings = packings if request.param == "int16" else {}
    path = write_store(folder / "data.zarr", description, [values], packings=packings)
    (folder / "other").mkdir()
    with serving(folder) as address:
        yield str(path), f"{address}/data.zarr"


def test_a_store_is_the_same_at_an_address(served):
    here, there = map(open_store, served)
    assert isinstance(there.path, Address) and str(there.path) == served[1]
    assert there.fingerprint == here.fingerprint
    assert there.variables == here.variables
    for name in ("time", "level", "latitude", "longitude"):
        np.testing.assert_array_equal(getattr(there, name), getattr(here, name))
    for scope in ("global", "grid_point"):
        for ours, theirs in zip(
            *(s.statistics("temperature").read(scope) for s in (here, there)), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)
    for name in ("temperature", "surface"):
        ours, theirs = (s.dataset()[name][5].values for s in (here, there))
        np.testing.assert_array_equal(ours, theirs)


def test_batches_are_the_same_through_the_network(served):
    batches = []
    for store in (*served, served[1] + "/"):
        dataset = WindowDataset(store)
        dataset.open(FIELDS)
        assert dataset.provenance()["store"].rstrip("/") == store.rstrip("/")
        made = dataset.batches("train", 20, RandomTokens(), 0, num_steps=2)
        batches.append([[a.tobytes() for part in b for a in part.values()] for b in made])
    assert batches[0] == batches[1] == batches[2]


def test_what_is_not_there_is_said(served):
    address = served[1]
    with pytest.raises(UserError, match="no Zarr group at http"):
        open_store(address.replace("data", "date"))
    with pytest.raises(UserError, match=r"unknown kind of address 'htps'.*did you mean 'https'"):
        open_store("htps://example.org/store.zarr")


def test_only_reading_goes_through_the_network(served):
    store = open_store(served[1])
    for use in (Path, os.fspath, os.listdir):
        with pytest.raises(UserError, match=r"data\.zarr is not on disk"):
            use(store.path)


def test_damage_is_said_with_its_place_through_the_network(served):
    here, there = served
    dataset = WindowDataset(there)
    dataset.open(FIELDS[:1])
    shard = next(Path(here).glob("temperature/c/1/0/0/0"))
    data = shard.read_bytes()
    try:
        shard.write_bytes(data[: len(data) // 2])
        with pytest.raises(UserError, match=r"cannot read 'temperature' of http.* at 2020-01-30"):
            dataset.windows.cube("temperature", Position(50, 3, 5))
    finally:
        shard.write_bytes(data)


@pytest.mark.parametrize(
    ("url", "spec"),
    [
        ("https://a.org/b/c", {"driver": "http", "base_url": "https://a.org/b/c/"}),
        ("gs://bucket/c/d", {"driver": "gcs", "bucket": "bucket", "path": "c/d/"}),
        ("s3://bucket/c", {"driver": "s3", "aws_credentials": {"type": "anonymous"}}),
    ],
)
def test_what_tensorstore_is_told(url, spec):
    import tensorstore

    address = location(url)
    assert spec.items() <= address.kvstore().items()
    tensorstore.KvStore.Spec(address.kvstore())
    assert str(address / "x") == f"{url}/x" and (address / "x").parent == address
    assert (address / "x").name == "x"


def test_credentials_are_left_to_the_machine_where_they_are_needed():
    assert "aws_credentials" not in Address("s3://b/c", anonymous=False).kvstore()


def test_a_path_stays_a_path(tmp_path):
    assert location(str(tmp_path)) == location(tmp_path) == tmp_path
