import numpy as np
import pytest
from scipy import stats

from atmorep_k.errors import UserError
from atmorep_k.windows.positions import Positions, allowed_corners, row_weights

LATITUDE = np.linspace(90, -90, 181)
LONGITUDE = np.arange(360.0)


def _positions(uniform=True, size=(10, 20), num_starts=50):
    rows, columns = allowed_corners(LATITUDE, LONGITUDE, True, size, None)
    weights = row_weights(LATITUDE, rows, size[0], uniform)
    return Positions(
        "train", np.arange(num_starts) + 100, rows, weights, columns, samples_per_epoch=64
    )


@pytest.fixture(scope="module")
def drawn():
    positions = _positions()
    return [positions(seed=3, epoch=0, index=i) for i in range(5000)]


def test_centres_are_uniform_in_the_sine_of_latitude(drawn):
    centre = LATITUDE[[p.row for p in drawn]] - 4.5
    limit = np.sin(np.deg2rad(86.0))
    # Spread over their cell, so that the test sees a continuous distribution.
    jitter = np.random.default_rng(0).uniform(-0.5, 0.5, len(drawn))
    sine = np.sin(np.deg2rad(centre + jitter))
    test = stats.kstest(sine, stats.uniform(-limit, 2 * limit).cdf)
    assert test.pvalue > 1e-3
    # The test can fail: rows as likely as each other are far from uniform in area.
    uneven = _positions(uniform=False)
    rows = [uneven(3, 0, i).row for i in range(5000)]
    sine = np.sin(np.deg2rad(LATITUDE[rows] - 4.5 + jitter))
    assert stats.kstest(sine, stats.uniform(-limit, 2 * limit).cdf).pvalue < 1e-6
    assert stats.chisquare(np.bincount(rows, minlength=172)).pvalue > 1e-3


def test_columns_are_uniform(drawn):
    counts = np.bincount([p.column for p in drawn], minlength=360)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_windows_reach_both_poles_and_no_further(drawn):
    rows = [p.row for p in drawn]
    assert min(rows) >= 0
    assert max(rows) + 10 <= len(LATITUDE)
    corners, _ = allowed_corners(LATITUDE, LONGITUDE, True, (10, 20), None)
    assert LATITUDE[corners[0]] == 90
    assert LATITUDE[corners[-1] + 9] == -90


def test_each_start_occurs_once_before_any_occurs_again():
    positions = _positions()
    times = [positions(0, *divmod(i, 64)).time for i in range(200)]
    for turn in range(4):
        assert sorted(times[50 * turn : 50 * turn + 50]) == list(range(100, 150))
    assert times[:50] != times[50:100]


def test_position_is_a_pure_function():
    first, second = _positions(), _positions()
    order = np.random.default_rng(0).permutation(100)
    forward = [first(7, 2, i) for i in range(100)]
    shuffled = {int(i): second(7, 2, int(i)) for i in order}
    assert forward == [shuffled[i] for i in range(100)]


def test_seeds_epochs_and_splits_differ():
    positions = _positions()
    other = Positions(**{**vars(positions), "split": "validation"})
    drawn = [positions(0, 0, 5), positions(1, 0, 5), positions(0, 1, 5), other(0, 0, 5)]
    assert len({p.time for p in drawn}) > 1
    assert len({(p.row, p.column) for p in drawn}) == 4


def test_a_region_holds_all_of_a_window():
    region = (30, 60, -20, 25)
    rows, columns = allowed_corners(LATITUDE, LONGITUDE, True, (10, 20), region)
    north, south = LATITUDE[rows], LATITUDE[rows + 9]
    assert (north.max(), south.min()) == (60, 30)
    west = (LONGITUDE[columns] + 180) % 360 - 180
    assert (west.min(), west.max() + 19) == (-20, 25)


@pytest.mark.parametrize("region", [(-90, 90, 0, 360), (-90, 90, -180, 180)])
def test_a_region_of_the_whole_globe_leaves_nothing_out(region):
    rows, columns = allowed_corners(LATITUDE, LONGITUDE, True, (10, 20), region)
    assert (len(rows), len(columns)) == (172, 360)


def test_a_regional_grid_does_not_wrap():
    rows, columns = allowed_corners(LATITUDE[:30], np.arange(-10.0, 20), False, (10, 20), None)
    assert rows.tolist() == list(range(21))
    assert columns.tolist() == list(range(11))


def test_a_window_may_be_as_wide_as_the_globe():
    _, columns = allowed_corners(LATITUDE, LONGITUDE, True, (10, 360), None)
    assert len(columns) == 360


@pytest.mark.parametrize(
    ("size", "region", "message"),
    [
        ((182, 20), None, "182 x 20 points .* does not fit the store's grid of 181 x 360"),
        ((10, 361), None, "grid of 181 x 360"),
        ((10, 20), (50, 55, 0, 90), "holds 6 x 91 points"),
        ((10, 20), (50, 40, 0, 90), "south < north"),
        ((10, 20), (40, 50, 0), "needs"),
    ],
)
def test_mistakes(size, region, message):
    with pytest.raises(UserError, match=message):
        allowed_corners(LATITUDE, LONGITUDE, True, size, region)
