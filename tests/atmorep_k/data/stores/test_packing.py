"""Values as 16-bit integers."""

import numpy as np
import pytest

from atmorep_k.data.stores.packing import MISSING, Packing
from atmorep_k.errors import UserError


@pytest.fixture
def values():
    """Values (time, level, lat, lon) whose levels differ by five orders of magnitude."""
    spread = np.array([1e-6, 0.01, 30.0])[:, None, None]
    return (spread * (np.random.default_rng(0).random((5, 3, 4, 6)) + 1)).astype(np.float32)


def packing_of(values):
    return Packing.of_range(values.min(axis=(0, 2, 3)), values.max(axis=(0, 2, 3)))


def test_no_value_is_more_than_half_a_step_off(values):
    packing = packing_of(values)
    error = np.abs(packing.unpack(packing.pack(values)) - values).max(axis=(0, 2, 3))
    ranges = np.ptp(values, axis=(0, 2, 3))
    assert np.all(error <= packing.scale / 2 + 1e-7 * values.max(axis=(0, 2, 3)))
    assert np.all(error < ranges * 1.5 / 65000)


def test_unpacked_values_are_packed_to_the_same_integers(values):
    packing = packing_of(values)
    stored = packing.pack(values)
    np.testing.assert_array_equal(packing.pack(packing.unpack(stored)), stored)


def test_zero_is_exact_where_it_lies_inside():
    values = np.zeros((2, 1, 3, 3), np.float32)
    values[0, 0, 1] = 0.0371
    packing = packing_of(values)
    assert packing.unpack(packing.pack(values))[1].max() == 0.0


def test_a_level_that_never_changes_is_exact():
    values = np.full((2, 1, 3, 3), 273.15, np.float32)
    np.testing.assert_array_equal(
        packing_of(values).unpack(packing_of(values).pack(values)), values
    )


def test_room_is_left_for_months_to_come_and_not_without_end(values):
    packing = packing_of(values)
    middle = values.mean(axis=(0, 2, 3), keepdims=True)
    packing.pack((values - middle) * np.float32(1.2) + middle)
    with pytest.raises(UserError, match="do not fit the 16 bits"):
        packing.pack((values - middle) * np.float32(3.0) + middle)


def test_attributes_round_trip_and_tell_cf_where_there_is_one_level(values):
    packing = packing_of(values)
    again = Packing.of(packing.attributes())
    np.testing.assert_array_equal(again.scale, packing.scale)
    np.testing.assert_array_equal(again.offset, packing.offset)
    assert "scale_factor" not in packing.attributes()
    assert Packing([0.5], [3.0]).attributes()["scale_factor"] == 0.5
    assert Packing.of({"units": "K"}) is None


def test_missing_values_are_not_numbers():
    packing = Packing([0.5], [3.0])
    stored = np.full((1, 1, 1, 2), 4, np.int16)
    stored[..., 0] = MISSING
    np.testing.assert_array_equal(packing.unpack(stored).ravel(), [np.nan, 5.0])
