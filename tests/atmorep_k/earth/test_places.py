"""Places as users write them."""

import pytest

from atmorep_k.earth.places import Place, parse_places
from atmorep_k.errors import UserError


def test_pairs_and_names():
    assert parse_places([(52.5, -13)]) == [Place("52.5, -13", 52.5, -13)]
    assert parse_places({"Potsdam": (52.4, 13.1)}) == [Place("Potsdam", 52.4, 13.1)]


@pytest.mark.parametrize("titles", ["name,latitude,longitude", "\ufeffStation, Lat,LON,height"])
def test_a_file(titles, tmp_path):
    path = tmp_path / "places.csv"
    path.write_text(f"{titles}\nPotsdam,52.4,13.1,81\n,-33.9,151.2,5\n")
    assert parse_places(path) == [Place("Potsdam", 52.4, 13.1), Place("-33.9, 151.2", -33.9, 151.2)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "no place was given"),
        ([(91, 0)], r"invalid place \(91, 0\): latitude must be -90 to 90"),
        ({"x": ("north", 0)}, r"invalid place 'x' \(north, 0\)"),
        ([(1, 2), (1.0, 2.0)], "two places are called '1, 2'"),
    ],
)
def test_what_is_no_place(given, message):
    with pytest.raises(UserError, match=message):
        parse_places(given)


def test_what_is_no_file_of_places(tmp_path):
    with pytest.raises(UserError, match=r"cannot read places from .*none\.csv"):
        parse_places(tmp_path / "none.csv")
    (tmp_path / "a.csv").write_text("name,north\n")
    with pytest.raises(UserError, match=r"has no column 'latitude' \(or 'lat'\).* are name, north"):
        parse_places(tmp_path / "a.csv")
