"""A part of the record: whole days and months, over files and within them."""

import pickle

import numpy as np
import pytest

from atmorep_k.data.opening import open_store
from atmorep_k.data.sources.cutting import cut_to_period
from atmorep_k.data.sources.finding import open_sources
from atmorep_k.data.writing.preparing import prepare
from atmorep_k.errors import UserError


@pytest.mark.parametrize(
    ("period", "steps"),
    [
        (("2020-01-31", "2020-01-31"), slice(0, 6)),
        (("2020-02", "2020-12"), slice(6, 12)),
        (("2019", "2021"), slice(0, 12)),
        (("2020-01-31T20", "2020-02-01T01:00"), slice(2, 8)),
    ],
)
def test_first_and_last_are_included(raw, known, tmp_path, period, steps):
    raw.isel(time=slice(0, 7)).to_netcdf(tmp_path / "a.nc")
    raw.isel(time=slice(7, 12)).to_netcdf(tmp_path / "b.nc")
    sources = [str(tmp_path / f"{name}.nc") for name in "ab"]
    store = open_store(prepare(sources, tmp_path / "out.zarr", period=period))
    np.testing.assert_array_equal(store.time, raw["time"].values[steps])
    np.testing.assert_array_equal(store.dataset()["temperature"], known()[steps])


def test_pieces_are_pickled(raw, known, tmp_path):
    raw.to_netcdf(tmp_path / "a.nc")
    pieces = cut_to_period(open_sources([str(tmp_path / "a.nc")])[0], ("2020-02", "2020-02"))
    piece = next(p for p in pickle.loads(pickle.dumps(pieces)) if p.level.size)
    np.testing.assert_array_equal(piece.read(1, 3, np.arange(2)), known()[7:9])


def test_mistakes(raw, tmp_path):
    raw.to_netcdf(tmp_path / "a.nc")
    pieces, _ = open_sources([str(tmp_path / "a.nc")])
    with pytest.raises(UserError, match="no times from 1999 to 2000; its record covers 2020-01"):
        cut_to_period(pieces, ("1999", "2000"))
    for period in (("2020-02", "2020-01"), ("yesterday", "2020"), ("2020-13", "2021"), ("", "")):
        with pytest.raises(UserError, match="a period needs its first and last day"):
            cut_to_period(pieces, period)
