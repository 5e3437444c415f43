"""A small store in which nothing is wrong, to be damaged in one way."""

import google_crc32c
import numpy as np
import zarr

from atmorep_k.data.stores.layout import StoreDescription
from atmorep_k.data.writing.write_store import write_store
from atmorep_k.earth.variables import variable_info

HOURS = np.arange("2020-01-30T00", "2020-02-02T12", dtype="datetime64[h]")
LEVELS = np.array([500.0, 850.0])
LATITUDE = 60.0 - 2 * np.arange(12)
LONGITUDE = -10.0 + 2 * np.arange(20)
NAMES = ("temperature", "specific_humidity", "geopotential", "vertical_velocity")
SURFACE = ("total_precipitation", "mean_sea_level_pressure")

# Enough for most tests: of each store fewer arrays are opened.
FEW = ("temperature", "specific_humidity", "total_precipitation")


def usual_values(time=HOURS):
    """Values (time, level, lat, lon) of each variable as the weather has them."""
    rng = np.random.default_rng(1)
    noise = {name: rng.standard_normal((len(time), 2, 12, 20)) for name in (*NAMES, *SURFACE)}
    by_level = {
        "temperature": ([252, 278], 8),
        "specific_humidity": ([6e-4, 4e-3], 1e-4),
        "geopotential": ([54000, 14200], 800),
        "vertical_velocity": ([0, 0], 0.2),
    }
    values = {
        name: np.reshape(mean, (1, 2, 1, 1)) + spread * noise[name]
        for name, (mean, spread) in by_level.items()
    }
    rain = np.maximum(noise["total_precipitation"][:, :1] - 1, 0) * 4e-4
    pressure = 101300 + 800 * noise["mean_sea_level_pressure"][:, :1]
    values |= {"total_precipitation": rain, "mean_sea_level_pressure": pressure}
    return {name: of.astype(np.float32) for name, of in values.items()}


def write(path, values=None, time=HOURS):
    """Writes a store of `values`, the usual ones of `FEW` by default; returns its path."""
    values = values or {name: usual_values(time)[name] for name in FEW}
    variables = {name: variable_info(name) for name in values}
    attributes = {"level_type": "pressure", "title": "made for a test"}
    description = StoreDescription(time, LEVELS, LATITUDE, LONGITUDE, variables, attributes)
    write_store(path, description, [values])
    return path


def shards(path, name):
    """Files of a variable: index (time, lat, lon) -> path."""
    array = path / name
    found = {}
    for file in sorted((array / "c").rglob("*")):
        if file.is_file():
            index = tuple(map(int, file.relative_to(array / "c").parts))
            found[(index[0], *index[-2:])] = file
    return found


def add_checksums(path):
    """Gives a store the checksums of its files as they are now."""
    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    for name in (n for n in group.array_keys() if group[n].ndim > 1):
        files = shards(path, name)
        values = np.zeros(np.max(list(files), axis=0) + 1, np.uint32)
        for index, file in files.items():
            values[index] = google_crc32c.value(file.read_bytes())
        group.create_array(f"checksums/{name}", data=values, overwrite=True)


def change(path, name, function):
    """Lets a function change the values of an array of a store in place, checksums included."""
    array = zarr.open_array(path / name, mode="r+")
    values = array[:]
    function(values)
    array[:] = values
    add_checksums(path)


def pack(path, name):
    """Lets a variable of a store lie in 16 bits, with a scale and an offset for each level."""
    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    old = group[name]
    values = old[:].astype(np.float64)
    low, high = values.min(axis=(0, 2, 3)), values.max(axis=(0, 2, 3))
    scale, offset = (high - low) / 60000, (high + low) / 2
    counts = np.round((values - offset[:, None, None]) / scale[:, None, None]).astype(np.int16)
    packing = {"packing_scale": scale.tolist(), "packing_offset": offset.tolist()}
    array = group.create_array(
        name,
        shape=old.shape,
        dtype="int16",
        chunks=old.chunks,
        shards=old.shards,
        fill_value=-32768,
        attributes={**old.attrs, **packing},
        overwrite=True,
    )
    array[:] = counts
    add_checksums(path)
    return path


def write_original(path):
    """Writes a store as the original AtmoRep has them, in which nothing is wrong."""
    hours = np.arange("2020-01-30T00", "2020-02-02T00", dtype="datetime64[h]")
    rng, grid = np.random.default_rng(0), (19, 36)
    wind = (6 * rng.standard_normal((len(hours), 1, 2, *grid))).astype("float32")
    surface = (285 + 9 * rng.standard_normal((len(hours), 1, *grid))).astype("float32")
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.attrs.update({"fields": ["velocity_u"], "fields_sfc": ["t2m"], "levels": [114, 137]})
    arrays = {"time": hours, "lats": np.arange(0, 181, 10.0), "lons": np.arange(0, 360, 10.0)}
    arrays |= {"data": wind, "data_sfc": surface}
    for end, values in (("", wind), ("_sfc", surface)):
        of_month = [
            values[hours.astype("datetime64[M]") == month]
            for month in np.unique(hours.astype("datetime64[M]"))
        ]
        arrays[f"normalization/norm{end}"] = _moments(of_month, (0,))
        arrays[f"normalization/global_norm{end}"] = _moments(of_month, (0, -2, -1))
    for name, values in arrays.items():
        chunks = (8, *values.shape[1:]) if name.startswith("data") else values.shape
        group.create_array(name, data=values, chunks=chunks)
    return path


def _moments(months, axes):
    """Returns mean and standard deviation (month, 2, field, ...); slots of other months are 0."""
    found = np.stack([np.stack([of.mean(axis=axes), of.std(axis=axes)]) for of in months])
    return np.concatenate([found, np.zeros((10, *found.shape[1:]))]).astype("float32")
