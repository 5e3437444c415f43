import math

import numpy as np
import pytest
from keras import ops

from atmorep_k.components.positions import HarmonicPosition
from atmorep_k.components.positions.harmonic_position import harmonic_code

pytestmark = pytest.mark.backend

SHAPE = (3, 4, 3, 5, 40)  # level, time, lat, lon, channel


def formula(level, time, lat, lon, channel, channels):
    angle = 2 * math.pi * (channel - channel % 2) / channels
    if channel % 2 == 0:
        return math.sin(8 * lat * angle) / 2 + math.sin(time * angle)
    return math.cos(8 * lon * angle) / 2 + math.cos(level * angle)


@pytest.mark.parametrize("channels", [40, 39, 2, 1])
def test_formula(channels):
    shape = (*SHAPE[:4], channels)
    code = harmonic_code(shape)
    assert code.dtype == np.float32
    for place in np.ndindex(shape):
        assert code[place] == pytest.approx(formula(*place, channels), abs=1e-4)


def test_the_code_is_added_to_every_sample():
    embedded = np.random.default_rng(0).standard_normal((2, *SHAPE)).astype("float32")
    added = ops.convert_to_numpy(HarmonicPosition()(embedded)) - embedded
    np.testing.assert_allclose(added[0], harmonic_code(SHAPE), atol=1e-6)
    np.testing.assert_allclose(added[1], added[0], atol=1e-6)


def test_every_place_has_its_own_code():
    code = harmonic_code((3, 4, 3, 5, 128)).reshape(-1, 128)
    distance = np.abs(code[:, None] - code[None]).max(axis=-1)
    np.fill_diagonal(distance, 1.0)
    assert distance.min() > 1e-3


@pytest.mark.parametrize("size", [(3, 5), (5, 3)])
def test_original_rows_count_by_the_number_of_rows(size):
    shape = (2, 3, *size, 40)
    code = harmonic_code(shape, original_rows=True)
    for place in np.ndindex(shape):
        level, time, lat, lon, channel = place
        number = lat * size[1] + lon
        row, column = number // size[0], number % size[1]
        expected = formula(level, time, row, column, channel, 40)
        assert code[place] == pytest.approx(expected, abs=1e-4)


def test_original_rows_agree_on_a_square():
    shape = (2, 3, 4, 4, 40)
    np.testing.assert_array_equal(harmonic_code(shape, True), harmonic_code(shape))
    assert np.abs(harmonic_code(SHAPE, True) - harmonic_code(SHAPE)).max() > 0.1
