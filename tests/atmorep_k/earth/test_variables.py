"""The table of variables."""

import re
import subprocess
import sys

import pytest

from atmorep_k.earth.variables import aliases, canonical_name, known_names, variable_info


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("t", "temperature"),
        ("T", "temperature"),
        ("velocity_u", "u_component_of_wind"),
        ("velocity_z", "vertical_velocity"),
        ("OMEGA", "vertical_velocity"),
        ("QV", "specific_humidity"),
        ("total_precip", "total_precipitation"),
        ("2t", "2m_temperature"),
        ("PRECTOT", "mean_total_precipitation_rate"),
        ("vo", "vorticity"),
        ("avg_tprate", "mean_total_precipitation_rate"),
        ("avg_ishf", "mean_surface_sensible_heat_flux"),
        ("10fg", "10m_wind_gust_since_previous_post_processing"),
        ("swvl1", "volumetric_soil_water_layer_1"),
        ("tp", "total_precipitation"),
    ],
)
def test_aliases_lead_to_the_name_of_weatherbench(alias, name):
    assert canonical_name(alias) == name
    assert variable_info(alias) == variable_info(name)


def test_unknown_name_is_left_as_it_is():
    assert canonical_name("no_such_thing") == "no_such_thing"
    assert variable_info("no_such_thing") is None
    assert aliases("no_such_thing") == ()


def test_no_alias_has_two_meanings():
    names = [n for name in known_names() for n in (name, *aliases(name))]
    assert len(names) == len(set(names))
    assert all(names)


def test_units_are_spelt_as_cf_spells_them():
    unit = re.compile(r"(1|%|[A-Za-z]+-?\d*)( [A-Za-z]+-?\d*)*")
    for name in known_names():
        info = variable_info(name)
        assert unit.fullmatch(info.units), (name, info.units)
        assert info.long_name
        assert " " not in info.standard_name


def test_vertical_velocity_is_positive_downwards():
    info = variable_info("vertical_velocity")
    assert info.standard_name == "lagrangian_tendency_of_air_pressure"
    assert info.units == "Pa s-1"


def test_signs_are_said_and_names_of_cf_agree_with_them():
    """ECMWF counts fluxes downwards; CF has the sign in the name."""
    for name in known_names():
        info = variable_info(name)
        if "heat_flux" in name or "_net_" in name:
            assert "positive downwards" in info.long_name, name
            assert "upward" not in info.standard_name and "outgoing" not in info.standard_name, name


def test_import_is_light():
    code = "import sys, atmorep_k.earth.variables; print('xarray' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
