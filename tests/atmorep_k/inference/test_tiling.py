import json

import numpy as np
import pytest

from atmorep_k.errors import UserError
from atmorep_k.fields import Position
from atmorep_k.inference.tiling import tile

LATITUDE, LONGITUDE = np.linspace(90, -90, 46), np.arange(90) * 4.0


def cut(size=(6, 12), overlap=(0, 0), region=None, is_global=True, rows=46, columns=90):
    latitude, longitude = np.linspace(90, -90, rows), np.arange(columns) * 360 / columns
    return tile(latitude, longitude, is_global, size, overlap, region)


def _window(centre, size, resolution, axis):
    """Returns the points of the original's window: see the README beside its file."""
    half = size * resolution / 2
    return np.flatnonzero((axis > centre - half - resolution / 2) & (axis < centre + half))


@pytest.mark.parametrize("key", ["[0, 0]", "[1, 0]", "[0, 1]", "[1, 1]"])
def test_tiles_are_those_of_the_original(shared_sampler, key):
    positions = json.loads((shared_sampler / "global.json").read_text())
    assert key in positions and len(positions) == 4
    theirs = set()
    unwrapped = np.arange(-90, 180) * 4.0
    for *_, lat, lon in positions[key]:
        rows = _window(90 - lat, 6, 4.0, 90 - LATITUDE)
        columns = _window(lon, 12, 4.0, unwrapped) % 90
        assert (len(rows), len(columns)) == (6, 12)
        theirs.add((int(rows[0]), int(columns[0])))
    overlap = tuple(3 * tokens for tokens in json.loads(key))
    tiling = tile(LATITUDE, LONGITUDE, True, (6, 12), overlap)
    ours = [(t.row, t.column) for t in tiling.tiles(5)]
    assert set(ours) == theirs
    assert len(ours) == len(theirs) == len(tiling)


def test_the_default_of_the_original_at_a_quarter_of_a_degree():
    tiling = cut((54, 108), rows=721, columns=1440)
    assert (len(tiling.rows.starts), len(tiling.columns.starts)) == (14, 14)


def test_tiles_go_row_by_row_from_the_north():
    tiling = cut((23, 45))
    corners = [(0, 0), (0, 45), (23, 0), (23, 45)]
    assert tiling.tiles(7) == [Position(7, *corner) for corner in corners]


CASES = [
    {},
    {"overlap": (3, 3)},
    {"overlap": (1, 5)},
    {"size": (7, 13), "overlap": (0, 0)},
    {"size": (7, 13), "overlap": (3, 6)},
    {"size": (46, 90)},
    {"size": (46, 90), "overlap": (0, 45)},
    {"size": (44, 88), "overlap": (0, 1)},
    {"region": (-10, 50, 340, 40), "overlap": (2, 2)},
    {"region": (-10, 50, -20, 340), "overlap": (2, 2)},
    {"is_global": False, "overlap": (3, 4)},
    {"is_global": False, "rows": 9, "columns": 12},
]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("blend", [True, False])
def test_weights_sum_to_one_at_every_point(case, blend):
    tiling = cut(**case)
    total, most = np.zeros(tiling.shape), np.zeros(tiling.shape)
    for number in range(len(tiling)):
        where = np.ix_(*tiling.place(number))
        total[where] += tiling.weight(number, blend)
        most[where] = np.maximum(most[where], tiling.weight(number, blend))
    np.testing.assert_allclose(total, 1, rtol=1e-12)
    if not blend:
        np.testing.assert_array_equal(most, 1)  # each point belongs to one tile


@pytest.mark.parametrize("case", CASES, ids=str)
def test_places_are_where_the_store_has_the_points(case):
    tiling, columns = cut(**case), case.get("columns", 90)
    for number, corner in enumerate(tiling.tiles(0)):
        rows, across = tiling.place(number)
        np.testing.assert_array_equal(
            tiling.rows.points[rows], corner.row + np.arange(tiling.rows.size)
        )
        expected = (corner.column + np.arange(tiling.columns.size)) % columns
        np.testing.assert_array_equal(tiling.columns.points[across], expected)


def test_blending_is_a_raised_cosine():
    tiling = cut((8, 12), (4, 0), is_global=False, rows=12)
    rise = np.sin(np.pi * np.array([1, 3, 5, 7]) / 16) ** 2
    expected = np.concatenate([np.ones(4), rise[::-1]])
    np.testing.assert_allclose(tiling.rows.blend, [expected, expected[::-1]], rtol=1e-12)
    # No overlap: each window counts alone.
    np.testing.assert_array_equal(cut((23, 12)).rows.blend, 1)


def test_weights_are_smooth_across_the_date_line_and_first_meridian():
    columns = cut(overlap=(0, 6)).columns
    first, last = columns.blend[0], columns.blend[-1]
    np.testing.assert_allclose(first, first[::-1], rtol=1e-12)
    np.testing.assert_allclose(first, last, rtol=1e-12)
    np.testing.assert_allclose(first[:6] + first[6:], 1, rtol=1e-12)


def test_a_region_keeps_its_order_across_the_meridian():
    tiling = cut((6, 12), region=(-10, 50, 340, 40))
    np.testing.assert_array_equal(tiling.columns.points, [*range(85, 90), *range(11)])
    np.testing.assert_array_equal(LATITUDE[tiling.rows.points[[0, -1]]], [50, -10])
    assert {(t.row, t.column) for t in tiling.tiles(0)} == {
        (row, column) for row in (10, 16, 20) for column in (85, 89)
    }


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        ({"overlap": (4, 0)}, "the overlap in lat must be 0 to 3 points, half a window, not 4."),
        ({"overlap": (0, -1)}, "the overlap in lon must be 0 to 6 points, half a window, not -1."),
        (
            {"region": (0, 10, 0, 100)},
            "a window of 6 x 12 points (lat, lon) does not fit the region (0, 10, 0, 100) (south, "
            "north, west, east), which holds 3 x 26 points of the store.",
        ),
        (
            {"size": (47, 12)},
            "a window of 47 x 12 points (lat, lon) does not fit the store's grid of 46 x 90.",
        ),
        (
            {"region": (10, 0, 0, 100)},
            "a region needs (south, north, west, east) in degrees with -90 <= south < north <= 90 "
            "and west different from east, not (10, 0, 0, 100).",
        ),
        (
            {"region": (-90, 90, 300, 200), "is_global": False},
            "the region (-90, 90, 300, 200) (south, north, west, east) reaches beyond the store, "
            "whose longitudes are 0 to 356.",
        ),
    ],
)
def test_what_does_not_fit_is_said(case, sentence):
    with pytest.raises(UserError) as error:
        cut(**case)
    assert str(error.value) == sentence
