"""Units: spelled as CF spells them, and the few conversions that leave no doubt."""

import re

_SPELLINGS = {
    "(0 - 1)": "1",
    "0-1": "1",
    "numeric": "1",
    "dimensionless": "1",
    "~": "1",
    "fraction": "1",
    "millibars": "hPa",
    "millibar": "hPa",
    "mbar": "hPa",
    "mb": "hPa",
    "m of water equivalent": "m",
    "m of water": "m",
    "degree true": "degree",
    "degrees": "degree",
    "deg": "degree",
    "celsius": "degC",
    "degree_celsius": "degC",
    "percent": "%",
    "kelvin": "K",
    "dobsons": "DU",
}

# (from, to): (factor, offset); converted value = factor * value + offset.
_CONVERSIONS = {
    ("hPa", "Pa"): (100.0, 0.0),
    ("Pa", "hPa"): (0.01, 0.0),
    ("degC", "K"): (1.0, 273.15),
    ("%", "1"): (0.01, 0.0),
    ("1", "%"): (100.0, 0.0),
    ("g kg-1", "kg kg-1"): (0.001, 0.0),
    ("1", "kg kg-1"): (1.0, 0.0),
    ("mm", "m"): (0.001, 0.0),
    # A layer of 1 mm of water weighs 1 kg per square metre.
    ("kg m-2", "m"): (0.001, 0.0),
    ("mm", "kg m-2"): (1.0, 0.0),
    ("km", "m"): (1000.0, 0.0),
    ("hPa s-1", "Pa s-1"): (100.0, 0.0),
    ("J kg-1", "m2 s-2"): (1.0, 0.0),
    ("mm s-1", "kg m-2 s-1"): (1.0, 0.0),
}


def cf_units(units: str) -> str:
    """Returns units as CF spells them: `m s**-1`, `m/s` and `m+2 s-2` as `m s-1` and `m2 s-2`."""
    units = " ".join(str(units).split())
    if units.lower() in _SPELLINGS:
        return _SPELLINGS[units.lower()]
    units = units.replace("**", "").replace("^", "")
    units = re.sub(r"(?<=[a-zA-Z])\+(?=\d)", "", units)
    first, *divided = units.split("/")
    inverse = [re.sub(r"^(\w*?[a-zA-Z])(\d*)$", _inverse, part.strip()) for part in divided]
    return " ".join([first.strip(), *inverse]).strip()


def _inverse(match: re.Match) -> str:
    return f"{match[1]}-{match[2] or 1}"


def conversion(given: str, wanted: str) -> tuple[float, float] | None:
    """Returns (factor, offset) from one CF unit to another; None where there is doubt."""
    return (1.0, 0.0) if given == wanted else _CONVERSIONS.get((given, wanted))


def convertible_to(wanted: str) -> dict[str, tuple[float, float]]:
    """Returns the units that can be converted to `wanted`: name -> (factor, offset)."""
    return {given: how for (given, to), how in _CONVERSIONS.items() if to == wanted}
