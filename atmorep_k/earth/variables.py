"""The one table of variables: names in every data set we read, CF names, units, kind of level."""

import dataclasses
import functools


@dataclasses.dataclass(frozen=True)
class VariableInfo:
    """What is known of a variable, apart from its values.

    Args:
        units: CF units (`m s-1`).
        standard_name: CF standard name; empty if it has none.
        long_name: a few words.
        has_level: whether the variable has levels (else it lies at the surface).
        comment: what a user of the values must know, empty if nothing.
    """

    units: str
    standard_name: str
    long_name: str
    has_level: bool
    comment: str = ""


# Name as in WeatherBench 2 | other names: ECMWF short and CDS/GRIB names, AtmoRep's, MERRA-2's |
# CF standard name | units | long name. Names are case-sensitive: MERRA-2's are capitals.
_ON_LEVELS = """
temperature | t, T, ta, air_temperature | air_temperature | K | air temperature
u_component_of_wind | u, U, ua, velocity_u, eastward_wind | eastward_wind | m s-1 | eastward wind
v_component_of_wind | v, V, va, velocity_v, northward_wind | northward_wind | m s-1 | northward wind
vertical_velocity | w, OMEGA, wap, velocity_z, omega, lagrangian_tendency_of_air_pressure | \
lagrangian_tendency_of_air_pressure | Pa s-1 | \
vertical velocity in pressure, positive downwards
specific_humidity | q, QV, hus | specific_humidity | kg kg-1 | specific humidity
relative_humidity | r, RH, hur | relative_humidity | % | relative humidity
vorticity | vo, relative_vorticity | atmosphere_relative_vorticity | s-1 | \
relative vorticity, positive anticlockwise
divergence | d | divergence_of_wind | s-1 | divergence of the horizontal wind
potential_vorticity | pv, EPV | ertel_potential_vorticity | K m2 kg-1 s-1 | potential vorticity
geopotential | z | geopotential | m2 s-2 | geopotential
geopotential_height | gh, H, zg | geopotential_height | m | geopotential height
pressure | pres, PL | air_pressure | Pa | pressure at the level
pressure_thickness | DELP | | Pa | pressure thickness of the layer
ozone_mass_mixing_ratio | o3, O3 | mass_fraction_of_ozone_in_air | kg kg-1 | ozone mass mixing ratio
fraction_of_cloud_cover | cc, CLOUD | cloud_area_fraction_in_atmosphere_layer | 1 | cloud fraction
specific_cloud_liquid_water_content | clwc, QL | mass_fraction_of_cloud_liquid_water_in_air | \
kg kg-1 | cloud liquid water
specific_cloud_ice_water_content | ciwc, QI | mass_fraction_of_cloud_ice_in_air | \
kg kg-1 | cloud ice
specific_rain_water_content | crwc | | kg kg-1 | rain water
specific_snow_water_content | cswc | | kg kg-1 | snow water
wind_speed | ws | wind_speed | m s-1 | speed of the horizontal wind
"""

_AT_SURFACE = """
2m_temperature | t2m, 2t, T2M, tas, t2 | air_temperature | K | air temperature at 2 m
2m_dewpoint_temperature | d2m, 2d, T2MDEW | dew_point_temperature | K | dew point at 2 m
2m_specific_humidity | q2m, 2sh, sh2, QV2M, huss | specific_humidity | kg kg-1 | \
specific humidity at 2 m
10m_u_component_of_wind | u10, 10u, u_10m, U10M, uas | eastward_wind | m s-1 | eastward wind at 10 m
10m_v_component_of_wind | v10, 10v, v_10m, V10M, vas | northward_wind | m s-1 | \
northward wind at 10 m
100m_u_component_of_wind | u100, 100u | eastward_wind | m s-1 | eastward wind at 100 m
100m_v_component_of_wind | v100, 100v | northward_wind | m s-1 | northward wind at 100 m
2m_eastward_wind | U2M | eastward_wind | m s-1 | eastward wind at 2 m
2m_northward_wind | V2M | northward_wind | m s-1 | northward wind at 2 m
10m_wind_speed | si10, 10si, ws10 | wind_speed | m s-1 | wind speed at 10 m
10m_wind_direction | wdir10, 10wdir, wd10 | wind_from_direction | degree | \
direction from which the wind blows at 10 m
mean_sea_level_pressure | msl, SLP, psl, prmsl | air_pressure_at_mean_sea_level | Pa | \
pressure at mean sea level
surface_pressure | sp, PS, ps | surface_air_pressure | Pa | pressure at the surface
logarithm_of_surface_pressure | lnsp | | 1 | natural logarithm of the surface pressure in Pa
geopotential_at_surface | PHIS, zs | surface_geopotential | m2 s-2 | geopotential at the surface
skin_temperature | skt, TS | surface_temperature | K | temperature of the surface
maximum_2m_temperature_since_previous_post_processing | mx2t | air_temperature | K | \
highest air temperature at 2 m since the step before
minimum_2m_temperature_since_previous_post_processing | mn2t | air_temperature | K | \
lowest air temperature at 2 m since the step before
10m_wind_gust_since_previous_post_processing | fg10, 10fg | wind_speed_of_gust | m s-1 | \
strongest gust at 10 m since the step before
instantaneous_10m_wind_gust | i10fg | wind_speed_of_gust | m s-1 | gust at 10 m
sea_surface_temperature | sst, tos | sea_surface_temperature | K | sea surface temperature
sea_ice_cover | ci, siconc | sea_ice_area_fraction | 1 | fraction of sea covered by ice
boundary_layer_height | blh, PBLH | atmosphere_boundary_layer_thickness | m | \
height of the boundary layer
total_column_water | tcw | | kg m-2 | water in the column
total_column_water_vapour | tcwv, TQV | atmosphere_mass_content_of_water_vapor | kg m-2 | \
water vapour in the column
total_column_cloud_liquid_water | tclw, TQL | \
atmosphere_mass_content_of_cloud_liquid_water | kg m-2 | cloud liquid water in the column
total_column_cloud_ice_water | tciw, TQI | atmosphere_mass_content_of_cloud_ice | kg m-2 | \
cloud ice in the column
total_column_ozone | tco3 | atmosphere_mass_content_of_ozone | kg m-2 | ozone in the column
convective_available_potential_energy | cape | \
atmosphere_convective_available_potential_energy | J kg-1 | \
convective available potential energy
low_cloud_cover | lcc | low_type_cloud_area_fraction | 1 | low cloud cover
medium_cloud_cover | mcc | medium_type_cloud_area_fraction | 1 | medium cloud cover
high_cloud_cover | hcc | high_type_cloud_area_fraction | 1 | high cloud cover
total_cloud_cover | tcc, CLDTOT | cloud_area_fraction | 1 | total cloud cover
total_precipitation | tp, total_precip | lwe_thickness_of_precipitation_amount | m | \
precipitation, accumulated as in the source
total_precipitation_6hr | tp_6hr | lwe_thickness_of_precipitation_amount | m | \
precipitation of the 6 hours that end at the time
total_precipitation_12hr | tp_12hr | lwe_thickness_of_precipitation_amount | m | \
precipitation of the 12 hours that end at the time
total_precipitation_24hr | tp_24hr | lwe_thickness_of_precipitation_amount | m | \
precipitation of the 24 hours that end at the time
convective_precipitation | cp | lwe_thickness_of_convective_precipitation_amount | m | \
convective precipitation, accumulated as in the source
large_scale_precipitation | lsp | lwe_thickness_of_stratiform_precipitation_amount | m | \
large-scale precipitation, accumulated as in the source
snowfall | sf | lwe_thickness_of_snowfall_amount | m | \
snowfall in water equivalent, accumulated as in the source
runoff | ro | runoff_amount | m | runoff, accumulated as in the source
mean_total_precipitation_rate | mtpr, avg_tprate, PRECTOT | precipitation_flux | \
kg m-2 s-1 | mean rate of precipitation
evaporation | e | lwe_thickness_of_water_evaporation_amount | m | \
evaporation, accumulated as in the source, negative upwards
snow_depth | sd | lwe_thickness_of_surface_snow_amount | m | snow depth in water equivalent
surface_solar_radiation_downwards | ssrd | surface_downwelling_shortwave_flux_in_air | J m-2 | \
solar radiation at the surface, accumulated as in the source
surface_thermal_radiation_downwards | strd | surface_downwelling_longwave_flux_in_air | J m-2 | \
thermal radiation at the surface, accumulated as in the source
surface_net_solar_radiation | ssr | \
integral_wrt_time_of_surface_net_downward_shortwave_flux | J m-2 | \
net solar radiation at the surface, accumulated as in the source, positive downwards
surface_net_thermal_radiation | str | \
integral_wrt_time_of_surface_net_downward_longwave_flux | J m-2 | \
net thermal radiation at the surface, accumulated as in the source, positive downwards
top_net_thermal_radiation | ttr | | J m-2 | \
net thermal radiation at the top, accumulated as in the source, positive downwards
surface_sensible_heat_flux | sshf | \
integral_wrt_time_of_surface_downward_sensible_heat_flux | J m-2 | \
sensible heat flux, accumulated as in the source, positive downwards
surface_latent_heat_flux | slhf | \
integral_wrt_time_of_surface_downward_latent_heat_flux | J m-2 | \
latent heat flux, accumulated as in the source, positive downwards
mean_surface_sensible_heat_flux | msshf, avg_ishf | surface_downward_sensible_heat_flux | W m-2 | \
mean sensible heat flux, positive downwards
mean_surface_latent_heat_flux | mslhf, avg_slhtf | surface_downward_latent_heat_flux | W m-2 | \
mean latent heat flux, positive downwards
mean_surface_downward_short_wave_radiation_flux | msdwswrf, avg_sdswrf | \
surface_downwelling_shortwave_flux_in_air | W m-2 | mean solar radiation at the surface
mean_surface_downward_long_wave_radiation_flux | msdwlwrf, avg_sdlwrf | \
surface_downwelling_longwave_flux_in_air | W m-2 | mean thermal radiation at the surface
mean_surface_net_short_wave_radiation_flux | msnswrf, avg_snswrf | \
surface_net_downward_shortwave_flux | W m-2 | \
mean net solar radiation at the surface, positive downwards
mean_surface_net_long_wave_radiation_flux | msnlwrf, avg_snlwrf | \
surface_net_downward_longwave_flux | W m-2 | \
mean net thermal radiation at the surface, positive downwards
toa_incident_solar_radiation | tisr | toa_incoming_shortwave_flux | J m-2 | \
solar radiation at the top, accumulated as in the source
soil_temperature_level_1 | stl1 | soil_temperature | K | temperature of the first soil layer
soil_temperature_level_2 | stl2 | soil_temperature | K | temperature of the second soil layer
soil_temperature_level_3 | stl3 | soil_temperature | K | temperature of the third soil layer
soil_temperature_level_4 | stl4 | soil_temperature | K | temperature of the fourth soil layer
volumetric_soil_water_layer_1 | swvl1 | volume_fraction_of_condensed_water_in_soil | m3 m-3 | \
water in the first soil layer
volumetric_soil_water_layer_2 | swvl2 | volume_fraction_of_condensed_water_in_soil | m3 m-3 | \
water in the second soil layer
volumetric_soil_water_layer_3 | swvl3 | volume_fraction_of_condensed_water_in_soil | m3 m-3 | \
water in the third soil layer
volumetric_soil_water_layer_4 | swvl4 | volume_fraction_of_condensed_water_in_soil | m3 m-3 | \
water in the fourth soil layer
standard_deviation_of_orography | sdor | | m | standard deviation of the orography
slope_of_sub_gridscale_orography | slor | | 1 | slope of the orography within a grid cell
land_sea_mask | lsm | land_binary_mask | 1 | fraction of land
"""


@functools.cache
def _table() -> dict[str, tuple[tuple[str, ...], VariableInfo]]:
    rows = {}
    for text, has_level in ((_ON_LEVELS, True), (_AT_SURFACE, False)):
        for line in text.strip().splitlines():
            name, aliases, standard_name, units, long_name = (c.strip() for c in line.split("|"))
            info = VariableInfo(units, standard_name, long_name, has_level)
            rows[name] = (tuple(a.strip() for a in aliases.split(",")), info)
    return rows


@functools.cache
def _canonical() -> dict[str, str]:
    names = {name: name for name in _table()}
    for name, (aliases, _) in _table().items():
        names.update(dict.fromkeys(aliases, name))
    return names


def canonical_name(name: str) -> str:
    """Returns the name as in WeatherBench 2 for any known name; an unknown name unchanged."""
    return _canonical().get(name, name)


def variable_info(name: str) -> VariableInfo | None:
    """Returns what the table knows of a variable, under any of its names; None if unknown."""
    row = _table().get(canonical_name(name))
    return row[1] if row else None


def aliases(name: str) -> tuple[str, ...]:
    """Returns the other names of a variable; nothing if it is unknown."""
    row = _table().get(canonical_name(name))
    return row[0] if row else ()


def known_names() -> list[str]:
    """Returns the names of all variables in the table, as in WeatherBench 2."""
    return list(_table())
