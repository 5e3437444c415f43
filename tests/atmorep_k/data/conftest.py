"""Small raw files of known values: every value tells its time, level, latitude and longitude."""

import numpy as np
import pytest
import xarray as xr

TIME = np.arange("2020-01-31T18", "2020-02-01T06", dtype="datetime64[h]")
LEVEL = np.array([500.0, 850.0])
LATITUDE = np.array([52.0, 51.0, 50.0])
LONGITUDE = np.array([-1.0, 0.0, 1.0, 2.0])


def known_values(time=TIME, level=LEVEL, latitude=LATITUDE, longitude=LONGITUDE):
    """Values (time, level, latitude, longitude) that are exact in float32."""
    hours = (time - np.datetime64("2020-01-31T18", "h")).astype(np.float64)
    return (
        hours[:, None, None, None] * 4096
        + np.asarray(level)[None, :, None, None]
        + np.asarray(latitude)[None, None, :, None] / 4
        + np.asarray(longitude)[None, None, None, :] / 64
    ).astype(np.float32)


@pytest.fixture
def known():
    """The function that gives the known values of a grid."""
    return known_values


@pytest.fixture
def raw():
    """A data set with `t` on pressure levels and `t2m` at the surface, as from an archive."""
    values = known_values()
    place = ("latitude", "longitude")
    return xr.Dataset(
        {
            "t": (("time", "level", *place), values, {"units": "K", "long_name": "Temperature"}),
            "t2m": (("time", *place), values[:, 0], {"units": "K"}),
        },
        coords={
            "time": TIME.astype("datetime64[ns]"),
            "level": ("level", LEVEL, {"units": "millibars"}),
            "latitude": ("latitude", LATITUDE, {"units": "degrees_north"}),
            "longitude": ("longitude", LONGITUDE, {"units": "degrees_east"}),
        },
        attrs={"Licence": "a licence", "title": "a title"},
    )


@pytest.fixture
def write_grib():
    """A function that writes GRIB 2 messages: `write_grib(path, messages, **keys)`.

    A message is (shortName, typeOfLevel, level, datetime64, values (lat, lon)).
    """
    eccodes = pytest.importorskip("eccodes")

    def write(path, messages, latitude=LATITUDE, longitude=LONGITUDE, step=0):
        with path.open("wb") as file:
            for name, kind, level, time, values in messages:
                handle = eccodes.codes_grib_new_from_samples("regular_ll_pl_grib2")
                keys = {
                    **_grid_keys(latitude, longitude),
                    "dataDate": int(str(time.astype("datetime64[D]")).replace("-", "")),
                    "dataTime": int(str(time.astype("datetime64[h]"))[-2:]) * 100,
                    "stepRange": step,
                    "shortName": name,
                    "typeOfLevel": kind,
                    "level": level,
                    "bitsPerValue": 24,
                }
                for key, value in keys.items():
                    eccodes.codes_set(handle, key, value)
                _set_values(eccodes, handle, values)
                eccodes.codes_write(handle, file)
                eccodes.codes_release(handle)

    return write


def _grid_keys(latitude, longitude):
    return {
        "Ni": len(longitude),
        "Nj": len(latitude),
        "latitudeOfFirstGridPointInDegrees": float(latitude[0]),
        "latitudeOfLastGridPointInDegrees": float(latitude[-1]),
        "longitudeOfFirstGridPointInDegrees": float(longitude[0]) % 360,
        "longitudeOfLastGridPointInDegrees": float(longitude[-1]) % 360,
        "iDirectionIncrementInDegrees": abs(float(longitude[1] - longitude[0])),
        "jDirectionIncrementInDegrees": abs(float(latitude[1] - latitude[0])),
        "jScansPositively": int(latitude[-1] > latitude[0]),
        "iScansNegatively": int(longitude[-1] < longitude[0]),
    }


def _set_values(eccodes, handle, values):
    values = np.asarray(values, np.float64)
    if np.isnan(values).any():
        eccodes.codes_set(handle, "bitmapPresent", 1)
        eccodes.codes_set(handle, "missingValue", 1e30)
        values = np.where(np.isnan(values), 1e30, values)
    eccodes.codes_set_values(handle, values.ravel())
