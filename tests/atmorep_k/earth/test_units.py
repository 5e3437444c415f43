"""Units in CF's spelling, and safe conversions."""

import pytest

from atmorep_k.earth.units import cf_units, conversion


@pytest.mark.parametrize(
    ("given", "cf"),
    [
        ("m s**-1", "m s-1"),
        ("m**2 s**-2", "m2 s-2"),
        ("m+2 s-2", "m2 s-2"),
        ("K m**2 kg**-1 s**-1", "K m2 kg-1 s-1"),
        ("m/s", "m s-1"),
        ("kg/kg", "kg kg-1"),
        ("m/s2", "m s-2"),
        ("m^2", "m2"),
        ("(0 - 1)", "1"),
        ("Numeric", "1"),
        ("millibars", "hPa"),
        ("m of water equivalent", "m"),
        ("Degree true", "degree"),
        ("Pa s-1", "Pa s-1"),
        ("", ""),
    ],
)
def test_spelling(given, cf):
    assert cf_units(given) == cf


def test_conversions():
    assert conversion("K", "K") == (1.0, 0.0)
    factor, offset = conversion("degC", "K")
    assert factor * 20 + offset == pytest.approx(293.15)
    factor, offset = conversion("kg m-2", "m")
    assert factor * 1.0 + offset == pytest.approx(1e-3)  # 1 kg of water on 1 m2 is 1 mm high
    assert conversion("kg m-2 s-1", "m") is None  # a rate is no amount
