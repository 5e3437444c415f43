"""Blocks of values summed up: as numpy sums up the whole of them."""

import numpy as np
import pytest

from atmorep_k.data.checking import value_reader
from atmorep_k.data.checking.patches import Patch, merge
from atmorep_k.data.checking.value_reader import ValueReader
from atmorep_k.data.checking.values import survey_values
from atmorep_k.data.opening import open_store
from atmorep_k.data.stores.statistics import area_weights

import damaged_stores as stores


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return stores.write(tmp_path_factory.mktemp("survey") / "a.zarr", stores.usual_values())


@pytest.mark.parametrize("block_bytes", [1, 2**25])
@pytest.mark.parametrize("name", ["geopotential", "specific_humidity", "total_precipitation"])
def test_moments_are_those_of_all_values(path, name, block_bytes, monkeypatch):
    monkeypatch.setattr(value_reader, "BLOCK_BYTES", block_bytes)
    store = open_store(path)
    survey = survey_values(store, name, set(), threads=2)
    values = stores.usual_values()[name].astype(np.float64)
    weights = area_weights(stores.LATITUDE)[:, None] / 20
    for month in (0, 1):
        of = values[stores.HOURS.astype("datetime64[M]").astype(int) % 12 == month]
        mean = (of * weights).sum(axis=(2, 3)).mean(axis=0)
        std = np.sqrt((np.square(of - mean[:, None, None]) * weights).sum(axis=(2, 3)).mean(axis=0))
        got = survey.calendar(month)
        np.testing.assert_allclose(got[0], mean, rtol=1e-5)
        np.testing.assert_allclose(got[1], std, rtol=1e-3)
        assert np.isnan(survey.calendar(5)[0]).all()
    size = (np.abs(of) * weights).sum(axis=(2, 3)).mean(axis=0)
    np.testing.assert_allclose(survey.mean_absolute(12 * 50 + 1), size, rtol=1e-5)
    np.testing.assert_array_equal(survey.low, values.min(axis=(0, 2, 3)))
    np.testing.assert_array_equal(survey.high, values.max(axis=(0, 2, 3)))
    assert survey.bad is survey.frozen is survey.uniform is None


def test_blocks_cover_every_value_once_within_tiles(path, monkeypatch):
    monkeypatch.setattr(value_reader, "BLOCK_BYTES", 1)
    reader = ValueReader(open_store(path), "temperature")
    counts = np.zeros((84, 12, 20), int)
    for row in reader.rows():
        assert len({block.start[0] for block in row}) == 1
        for block in row:
            where = tuple(map(slice, block.start, block.stop))
            counts[where] += 1
            assert all(np.array(block.start) // reader.tile == block.tile)
    assert (counts == 1).all()
    assert reader.num_bytes == 84 * 2 * 12 * 20 * 4


def test_a_block_holds_no_more_than_asked_or_one_chunk():
    reader = object.__new__(ValueReader)
    reader.tile, reader.chunk = (48, 240, 480), (12, 30, 60)
    for levels in (1, 5, 37, 137):
        reader.levels = levels
        size = reader._block_size()
        assert all(n % c == 0 for n, c in zip(size, reader.chunk, strict=True))
        smallest = 4 * levels * 48 * 30 * 60
        assert 4 * levels * np.prod(size) <= max(2**25, smallest)


def test_patches_are_those_of_the_whole_mask():
    mask = np.random.default_rng(0).random((6, 3, 8, 10)) < 0.02
    whole = Patch.of(mask, (0, 0, 0, 0))
    halves = [Patch.of(mask[t : t + 3, :, y : y + 4], (t, 0, y, 0)) for y in (4, 0) for t in (3, 0)]
    assert merge([None, *halves]) == whole
    points = np.argwhere(mask)
    assert whole.count == len(points) and whole.first == tuple(points[0])
    assert whole.low == tuple(points.min(0)) and whole.high == tuple(points.max(0))
    assert merge([None]) is None
