"""What values a variable can have: physical bounds, and what its mean over a region and month is.

Sources. Temperatures: the records of WMO's archive of extremes (-89.2 to 56.7 degC at 2 m) with
room for what models make at night and on deserts; above, from the polar stratosphere to the
mesopause. Pressures: 870 and 1084 hPa at sea level (WMO), 300 hPa for the highest mountains. Wind:
113 m s-1 at 10 m (WMO) and jets of about 120 m s-1, stratospheric ones of 200. Rain: 0.4 m in an
hour and 1.8 m in a day (WMO), with room for sums over a forecast. Humidity: saturation at 35 degC
is 0.037 kg kg-1. Heights by level: the standard atmosphere (ICAO). The rest: ranges of ERA5 as its
documentation and climatologies show them, widened.
"""

import dataclasses
import functools

import numpy as np

from atmorep_k.earth.units import conversion, convertible_to
from atmorep_k.earth.variables import VariableInfo, canonical_name, variable_info

GRAVITY = 9.80665

# Name | smallest and largest value | smallest and largest mean of a level in a month, in the units
# of the table of variables | "rests" where it may stay as it is for hours, or be 0 everywhere.
_ROWS = """
temperature | 130 345 | 160 325 |
u_component_of_wind | -250 250 | -150 200 |
v_component_of_wind | -250 250 | -150 150 |
vertical_velocity | -150 150 | -10 10 |
specific_humidity | 0 0.05 | 0 0.025 |
relative_humidity | -5 180 | 1.2 115 |
vorticity | -0.02 0.02 | -0.001 0.001 |
divergence | -0.02 0.02 | -0.001 0.001 |
potential_vorticity | -1 1 | -0.5 0.5 |
geopotential | -8000 850000 | -5000 800000 |
geopotential_height | -800 85000 | -500 80000 |
pressure | 0 110000 | 0 107000 | rests
pressure_thickness | 0 30000 | 0 20000 | rests
ozone_mass_mixing_ratio | 0 5e-5 | 0 2.5e-5 |
fraction_of_cloud_cover | 0 1 | 0 1.001 | rests
specific_cloud_liquid_water_content | 0 0.02 | 0 0.001 | rests
specific_cloud_ice_water_content | 0 0.02 | 0 0.001 | rests
specific_rain_water_content | 0 0.04 | 0 0.001 | rests
specific_snow_water_content | 0 0.04 | 0 0.001 | rests
2m_temperature | 175 340 | 195 320 |
2m_dewpoint_temperature | 150 315 | 180 305 |
2m_specific_humidity | 0 0.05 | 0 0.025 |
10m_u_component_of_wind | -120 120 | -50 50 |
10m_v_component_of_wind | -120 120 | -50 50 |
100m_u_component_of_wind | -150 150 | -60 60 |
100m_v_component_of_wind | -150 150 | -60 60 |
2m_eastward_wind | -120 120 | -50 50 |
2m_northward_wind | -120 120 | -50 50 |
10m_wind_speed | 0 120 | 0 50 |
10m_wind_direction | 0 360 | 0 360 |
mean_sea_level_pressure | 85000 110000 | 94000 106000 |
surface_pressure | 28000 110000 | 40000 107000 |
logarithm_of_surface_pressure | 10.2 11.62 | 10.5 11.6 |
geopotential_at_surface | -8000 90000 | -5000 65000 | rests
skin_temperature | 165 375 | 190 335 |
sea_surface_temperature | 268 315 | 269 308 | rests
sea_ice_cover | 0 1 | 0 1.001 | rests
boundary_layer_height | 0 12000 | 8 6000 |
total_column_water | 0 150 | 0.05 80 |
total_column_water_vapour | 0 150 | 0.05 80 |
total_cloud_cover | 0 1 | 0 1.001 | rests
total_precipitation | 0 3 | 0 0.01 | rests
mean_total_precipitation_rate | 0 0.2 | 0 0.003 | rests
evaporation | -0.1 0.05 | -0.02 0.005 | rests
snow_depth | 0 60 | 0 20 | rests
surface_solar_radiation_downwards | 0 1.5e9 | 0 5e8 | rests
surface_thermal_radiation_downwards | 0 1.5e9 | 1e5 1e9 |
toa_incident_solar_radiation | 0 1.5e9 | 0 5e8 | rests
soil_temperature_level_1 | 175 345 | 195 325 | rests
land_sea_mask | 0 1 | 0 1.001 | rests
wind_speed | 0 300 | 0 200 |
maximum_2m_temperature_since_previous_post_processing | 175 340 | 195 320 |
minimum_2m_temperature_since_previous_post_processing | 175 340 | 195 320 |
10m_wind_gust_since_previous_post_processing | 0 150 | 0 70 |
instantaneous_10m_wind_gust | 0 150 | 0 70 |
total_column_cloud_liquid_water | 0 50 | 0 5 | rests
total_column_cloud_ice_water | 0 50 | 0 5 | rests
total_column_ozone | 0.001 0.016 | 0.0015 0.013 |
convective_available_potential_energy | 0 20000 | 0 5000 | rests
low_cloud_cover | 0 1 | 0 1.001 | rests
medium_cloud_cover | 0 1 | 0 1.001 | rests
high_cloud_cover | 0 1 | 0 1.001 | rests
total_precipitation_6hr | 0 3 | 0 0.06 | rests
total_precipitation_12hr | 0 3 | 0 0.12 | rests
total_precipitation_24hr | 0 3 | 0 0.24 | rests
convective_precipitation | 0 3 | 0 0.01 | rests
large_scale_precipitation | 0 3 | 0 0.01 | rests
snowfall | 0 3 | 0 0.01 | rests
runoff | 0 3 | 0 0.05 | rests
surface_net_solar_radiation | -1e6 1.5e9 | -1e4 5e8 | rests
surface_net_thermal_radiation | -1e9 3e8 | -5e8 1e8 | rests
top_net_thermal_radiation | -1e9 1e6 | -5e8 -1e4 |
surface_sensible_heat_flux | -1e9 1e9 | -5e8 5e8 | rests
surface_latent_heat_flux | -1e9 3e8 | -5e8 1e8 | rests
mean_surface_sensible_heat_flux | -3000 3000 | -500 500 |
mean_surface_latent_heat_flux | -3000 1000 | -500 200 |
mean_surface_downward_short_wave_radiation_flux | -1 1500 | -0.1 700 | rests
mean_surface_downward_long_wave_radiation_flux | 20 800 | 50 600 |
mean_surface_net_short_wave_radiation_flux | -1 1500 | -0.1 700 | rests
mean_surface_net_long_wave_radiation_flux | -500 200 | -250 50 |
soil_temperature_level_2 | 175 345 | 195 325 | rests
soil_temperature_level_3 | 175 345 | 195 325 | rests
soil_temperature_level_4 | 175 345 | 195 325 | rests
volumetric_soil_water_layer_1 | -0.01 1 | -0.001 0.8 | rests
volumetric_soil_water_layer_2 | -0.01 1 | -0.001 0.8 | rests
volumetric_soil_water_layer_3 | -0.01 1 | -0.001 0.8 | rests
volumetric_soil_water_layer_4 | -0.01 1 | -0.001 0.8 | rests
standard_deviation_of_orography | 0 2000 | 0 1000 | rests
slope_of_sub_gridscale_orography | 0 1 | 0 0.5 | rests
"""
# Slips that the table of units does not know, as they change what the quantity is.
_SLIPS = {
    "geopotential": {"m": (GRAVITY, 0.0)},
    "geopotential_height": {"m2 s-2": (1 / GRAVITY, 0.0)},
    "mean_total_precipitation_rate": {
        "mm h-1": (1 / 3600, 0.0),
        "mm d-1": (1 / 86400, 0.0),
    },
}
# Above a pressure in hPa, the largest mean of specific humidity.
_DRY_ABOVE = {200.0: 2e-4, 450.0: 6e-3}


@dataclasses.dataclass(frozen=True)
class Bounds:
    """What the values of a variable can be at one level, in the units of a store.

    Args:
        low: smallest value.
        high: largest value.
        mean_low: smallest mean over a region and month.
        mean_high: largest mean over a region and month.
    """

    low: float
    high: float
    mean_low: float
    mean_high: float

    def converted(self, factor: float, offset: float) -> "Bounds":
        """Returns them for values v that stand for factor * v + offset in the present units."""
        return Bounds(*((v - offset) / factor for v in dataclasses.astuple(self)))

    def fits(self, mean: float, low: float, high: float) -> bool:
        """Returns whether a mean is usual, and the smallest and largest value are nearly so."""
        room = 0.1 * (self.high - self.low)
        inside = self.low - room <= low and high <= self.high + room
        return inside and self.mean_low <= mean <= self.mean_high


@functools.cache
def _table() -> dict[str, tuple[Bounds, bool]]:
    rows = {}
    for line in _ROWS.strip().splitlines():
        name, values, means, rests = (c.strip() for c in line.split("|"))
        rows[name] = Bounds(*map(float, [*values.split(), *means.split()])), bool(rests)
    return rows


def may_rest(name: str) -> bool:
    """Returns whether a variable may be the same for hours, or the same everywhere."""
    row = _table().get(canonical_name(name))
    return row is not None and row[1]


def bounds_of(name: str, info: VariableInfo, level: float, level_type: str) -> Bounds | None:
    """Returns the bounds of a variable in the units that its store says it has.

    Args:
        name: of the variable, any that the table of variables knows.
        info: of the variable in the store.
        level: one of its levels.
        level_type: `"pressure"` where that is one in hPa.

    Returns:
        None where nothing is known of the variable, or of its units.
    """
    how, row = _to_table(name, info), _table().get(canonical_name(name))
    if how is None or row is None:
        return None
    pressure = level if info.has_level and level_type == "pressure" else None
    return _at_level(canonical_name(name), row[0], pressure).converted(*how)


def _to_table(name: str, info: VariableInfo) -> tuple[float, float] | None:
    known = variable_info(name)
    if known is None:
        return None
    return conversion(info.units or known.units, known.units)


def _at_level(name: str, bounds: Bounds, pressure: float | None) -> Bounds:
    if not pressure:
        return bounds
    if name == "specific_humidity":
        highest = [mean for above, mean in _DRY_ABOVE.items() if pressure <= above]
        return dataclasses.replace(bounds, mean_high=min([bounds.mean_high, *highest]))
    unit = {"geopotential": GRAVITY, "geopotential_height": 1.0}.get(name)
    if unit is None:
        return bounds
    height = standard_height(pressure)
    low, high = 0.8 * height - 500, 1.15 * height + 500
    return dataclasses.replace(bounds, mean_low=low * unit, mean_high=high * unit)


def standard_height(pressure: float) -> float:
    """Returns the height in m of a pressure in hPa in the standard atmosphere.

    The layers are those of ICAO up to 20 km; above, the temperature is 240 K, half-way between the
    tropopause and the stratopause.
    """
    if pressure >= 226.32:
        return 44330.8 * (1 - (pressure / 1013.25) ** 0.190263)
    if pressure >= 54.75:
        return 11000.0 + 6341.6 * np.log(226.32 / pressure)
    return 20000.0 + 287.05 * 240.0 / GRAVITY * np.log(54.75 / pressure)


def other_units(name: str, info: VariableInfo) -> dict[str, tuple[float, float]]:
    """Returns units that values may be in by mistake.

    Returns:
        unit -> (factor, offset) such that factor * value + offset is in the units that the store
        says; of units that differ only in name one, and not those themselves.
    """
    own, known = _to_table(name, info), variable_info(name)
    if own is None or known is None:
        return {}
    slips = _SLIPS.get(canonical_name(name), {})
    candidates = {known.units: (1.0, 0.0), **convertible_to(known.units), **slips}
    found: dict[tuple[float, float], str] = {own: ""}
    for unit, how in candidates.items():
        found.setdefault(how, unit)
    return {
        unit: (factor / own[0], (offset - own[1]) / own[0])
        for (factor, offset), unit in found.items()
        if unit
    }
