import numpy as np

from atmorep_k.data.stores.statistics import StoredStatistics, fill_constant, usable


def _stored(asked):
    values = np.arange(24.0).reshape(12, 2)

    def load(scope, first, stop):
        asked.append((scope, first, stop))
        return values[first:stop], values[first:stop] + 100

    return StoredStatistics("a", [500, 850], np.array([1, 4, 7]), 2000, ("global",), load)


def test_only_the_range_of_the_slots_is_loaded():
    asked = []
    mean, std = _stored(asked).read("global", [4, 7])
    assert asked == [("global", 4, 8)]
    assert mean.tolist() == [[8, 9], [14, 15]]
    assert std.tolist() == [[108, 109], [114, 115]]
    assert mean.dtype == std.dtype == np.float32


def test_all_slots_with_data_are_read_unless_some_are_named():
    assert _stored([]).read("global")[0].tolist() == [[2, 3], [8, 9], [14, 15]]
    assert _stored([]).read("global", [])[0].shape == (0, 2)


def test_what_can_be_used():
    mean = np.array([[280, 280, 280, np.nan, np.inf, 0, 0]])
    std = np.array([[2, 0, 1e-5, 2, 2, 0, 1e-9]])
    assert usable(mean, std).tolist() == [[True, False, False, False, False, False, True]]


def test_some_points_of_a_level_may_be_constant_but_none_unknown():
    mean, std = np.zeros((1, 3, 2, 2)), np.ones((1, 3, 2, 2))
    std[0, 0, 0, 0] = 0
    std[0, 1] = 0
    std[0, 2, 0, 0] = np.nan
    assert usable(mean, std).tolist() == [[True, False, False]]


def test_a_constant_point_is_scaled_by_its_level():
    mean, std = np.full((2, 3, 4), 280.0), np.full((2, 3, 4), 5.0)
    std[:, 1, 2] = [0, 1e-9]
    filled = fill_constant(mean, std, np.array([3.0, 4.0]))
    assert filled[:, 1, 2].tolist() == [3, 4]
    std[:, 1, 2] = [3, 4]
    np.testing.assert_array_equal(filled, std)
