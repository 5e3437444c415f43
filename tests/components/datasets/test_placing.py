"""Windows of one axis found in another, by closed forms."""

import numpy as np
import pytest

from atmorep_k.windows.placing import NOWHERE, Places, Times

HOUR = np.timedelta64(1, "h")
START = np.datetime64("2020-01-01T00", "ns")


def _times(hours, number, stride=1):
    return Times(START + np.asarray(hours) * HOUR, number, stride)


def test_windows_end_together():
    hourly, three_hourly = _times(range(48), 12), _times(range(0, 48, 3), 4)
    found = three_hourly.first_of(hourly)
    assert len(found) == 48
    for start, first in enumerate(found.tolist()):
        end = start + 11
        fits = end % 3 == 0 and end < 48
        assert first == (end // 3 - 3 if fits else NOWHERE)
    back = hourly.first_of(three_hourly).tolist()
    # The window of 0, 3, 6, 9 h would begin before the hourly record does.
    assert back == [NOWHERE, *range(1, 37, 3), *[NOWHERE] * 3]


def test_a_gap_of_either_store_is_not_spanned():
    whole, gap = _times(range(20), 4), _times([*range(8), *range(10, 20)], 4)
    of_gap = gap.first_of(whole)
    there = [*range(5), *range(10, 17)]
    assert np.flatnonzero(of_gap != NOWHERE).tolist() == there
    assert of_gap[10] == 8
    of_whole = whole.first_of(gap)
    assert of_whole[of_whole != NOWHERE].tolist() == there


@pytest.mark.parametrize("closed", [False, True])
def test_an_axis_is_found_in_itself(closed):
    axis = Places(np.arange(36) * 10.0, 5, closed)
    expected = [*range(32), *(range(32, 36) if closed else [NOWHERE] * 4)]
    assert axis.corners_of(axis, period=360.0).tolist() == expected


def test_gaussian_latitudes_are_found_in_themselves():
    latitude = np.degrees(np.arcsin(np.polynomial.legendre.leggauss(64)[0]))
    axis = Places(latitude, 8)
    assert axis.corners_of(axis).tolist() == [*range(57), *[NOWHERE] * 7]


@pytest.mark.parametrize(("fine", "coarse"), [(24, 6), (18, 6), (8, 2)])
def test_middles_differ_by_half_a_spacing_of_the_coarser_grid_at_most(fine, coarse):
    spacing = 4.0 * coarse / fine
    pair = [
        Places(np.arange(360 / spacing) * spacing, fine, True),
        Places(np.arange(90) * 4.0, coarse, True),
    ]
    for own, other in (pair, pair[::-1]):
        corners = own.corners_of(other, period=360.0)
        assert NOWHERE not in corners.tolist()
        off = own.degrees[corners] + (own.size - 1) / 2 * own.spacing
        off -= other.degrees + (other.size - 1) / 2 * other.spacing
        off = (off + 180) % 360 - 180
        # As near as the grid allows, and of two equally near the western one.
        assert off.min() >= -own.spacing / 2 - 1e-6 and off.max() < own.spacing / 2 - 1e-6


def test_at_the_pole_the_first_row_stands_for_one_that_is_not_there():
    fine, coarse = Places(np.linspace(-90, 90, 721), 24), Places(np.linspace(-90, 90, 181), 6)
    corners = fine.corners_of(coarse)
    assert corners[:3].tolist() == [0, 2, 6]
    assert corners[175] == 697 and set(corners[176:]) == {NOWHERE}


def test_a_region_is_found_across_the_meridian():
    region, globe = Places(np.arange(-10.0, 11.0), 4), Places(np.arange(360.0), 4, True)
    corners = region.corners_of(globe, period=360.0)
    assert {int(globe.degrees[i]): int(c) for i, c in enumerate(corners) if c != NOWHERE} == {
        lon % 360: lon + 10 for lon in range(-10, 8)
    }
    back = globe.corners_of(region, period=360.0)
    assert back[:18].tolist() == [lon % 360 for lon in range(-10, 8)]


@pytest.mark.parametrize(("size", "points", "expected"), [(6, 90, 24), (7, 90, 28), (6, 20, None)])
def test_the_nearest_size_that_fits(size, points, expected):
    other = Places(np.arange(90) * 4.0, size)
    assert Places(np.arange(points) * 1.0, 1).fitting(other) == expected
