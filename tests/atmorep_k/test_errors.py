import pytest

from atmorep_k import errors


def test_user_error_is_a_value_error():
    assert issubclass(errors.UserError, ValueError)


@pytest.mark.parametrize(
    ("name", "found"),
    [("temprature", "temperature"), ("TEMPERATURE", "temperature"), ("adamw", "AdamW")],
)
def test_closest_name_whatever_the_case(name, found):
    assert errors.closest(name, ["temperature", "vorticity", "AdamW"]) == found
    assert errors.nearest(name, ["temperature", "vorticity", "AdamW"]) == (
        f"; did you mean {found!r}?"
    )


def test_closest_name_of_two_that_differ_in_case():
    for name, found in [("forcast", "forecast"), ("Forcast", "Forecast")]:
        assert errors.closest(name, ["forecast", "Forecast"]) == found


def test_no_name_is_near():
    assert errors.closest("xyz", ["temperature"]) is None
    assert errors.nearest("xyz", ["temperature"]) == "."
    assert errors.nearest("xyz", []) == "."


def test_unknown_names_what_was_given_the_nearest_and_what_is_allowed():
    message = str(errors.unknown("field", "vortcity", ["vorticity", "divergence", "divergence"]))
    assert message == (
        "unknown field 'vortcity'; did you mean 'vorticity'? Allowed: divergence, vorticity."
    )


def test_unknown_lists_a_dozen_and_counts_the_rest():
    message = str(errors.unknown("level", "x", [f"level{i:02}" for i in range(15)]))
    assert "level11 and 3 more." in message
    assert "level12" not in message


def test_unknown_where_there_is_none():
    assert str(errors.unknown("variable", "t", [])) == "unknown variable 't': none are registered."


def test_missing_extra_says_what_to_install():
    message = str(errors.missing_extra("cfgrib", "grib"))
    assert "cfgrib" in message
    assert "pip install 'atmorep-k[grib]'" in message
