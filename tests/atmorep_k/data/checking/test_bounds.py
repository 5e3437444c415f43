"""What values a variable can have, and the units that it may be in by mistake."""

import dataclasses

import pytest

from atmorep_k.data.checking.bounds import bounds_of, may_rest, other_units, standard_height
from atmorep_k.earth.variables import known_names, variable_info


def test_every_variable_of_the_table_has_bounds():
    for name in known_names():
        of = bounds_of(name, variable_info(name), 500.0, "pressure")
        assert of.low < of.high and of.mean_low < of.mean_high, name
        assert of.low <= of.high and of.mean_high <= of.high * 1.001, name


@pytest.mark.parametrize(
    ("pressure", "height"),
    # ICAO's standard atmosphere (Doc 7488).
    [(1013.25, 0), (850, 1457), (500, 5574), (226.32, 11000), (100, 16180)],
)
def test_heights_are_those_of_the_standard_atmosphere(pressure, height):
    assert standard_height(pressure) == pytest.approx(height, abs=60)


def test_heights_of_the_stratosphere_are_near_enough():
    for pressure, height in ((50, 20576), (10, 31055), (1, 47820)):
        assert standard_height(pressure) == pytest.approx(height, rel=0.05)


def test_bounds_are_in_the_units_of_the_store():
    kelvin = bounds_of("t2m", variable_info("2m_temperature"), 0.0, "")
    info = dataclasses.replace(variable_info("2m_temperature"), units="degC")
    celsius = bounds_of("t2m", info, 0.0, "")
    assert celsius.low == pytest.approx(kelvin.low - 273.15)
    assert celsius.mean_high == pytest.approx(kelvin.mean_high - 273.15)
    assert other_units("t2m", info) == {"K": (1.0, -273.15)}


def test_nothing_is_known_of_other_variables_or_units():
    info = variable_info("temperature")
    assert bounds_of("mine", info, 500.0, "pressure") is None
    strange = dataclasses.replace(info, units="furlong")
    assert bounds_of("temperature", strange, 500.0, "pressure") is None
    assert other_units("temperature", strange) == {} == other_units("mine", info)


def test_units_of_one_size_are_named_once():
    # A layer of 1 mm weighs 1 kg m-2: nobody can tell these two apart.
    units = other_units("total_precipitation", variable_info("total_precipitation"))
    assert sum(factor == 0.001 for factor, _ in units.values()) == 1
    assert "kg kg-1" not in other_units("specific_humidity", variable_info("specific_humidity"))


def test_what_may_rest():
    assert may_rest("tp") and may_rest("land_sea_mask")
    assert not may_rest("temperature") and not may_rest("mine")


def test_humidity_is_small_high_up():
    info = variable_info("specific_humidity")
    low, high = (bounds_of("q", info, level, "pressure").mean_high for level in (1000.0, 100.0))
    assert high < low / 50
    # A model level of that number is somewhere else.
    assert bounds_of("q", info, 100.0, "model").mean_high == low
