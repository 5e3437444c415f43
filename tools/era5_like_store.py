"""Writes a store with the shape of ERA5, to measure with: values are made up, but compress alike.

    python tools/era5_like_store.py OUTPUT [--days 6] [--rows 721] [--columns 1440] [--levels 5]
                                    [--fields 2] [--packing int16] [--plain]

`temperature` is smooth: its variance falls as k^-3 with the wavenumber, from 100 on as k^-5/3, up
to some 450. `vorticity` is k times as rough. Both turn, move eastwards, and lie on a lattice as
16-bit GRIB packing leaves it, so that packed and float32 stores hold the same values. One variable
and 48 hours are in memory at a time (with the default sizes some 3 GB). `--plain` writes a Zarr of
one variable in chunks of an hour and the globe instead, as archives have it.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from atmorep_k.data.stores.layout import Layout, StoreDescription
from atmorep_k.data.stores.packing import Packing
from atmorep_k.data.writing.write_store import write_store
from atmorep_k.earth.variables import variable_info

FIELDS = {"temperature": (270.0, 16.0, 0.0), "vorticity": (0.0, 5e-5, 1.0)}  # mean, spread, power
HOURS = 48
_LEVELS = (1000.0, 925.0, 850.0, 700.0, 500.0, 300.0, 250.0, 200.0, 100.0, 50.0)


class Weather:
    """Made-up fields on a grid.

    Args:
        hours: length of the record.
        rows: latitudes from pole to pole.
        columns: longitudes round the globe.
        levels: number of levels.
        fields: how many of `FIELDS`.
    """

    def __init__(self, hours: int, rows: int, columns: int, levels: int, fields: int):
        self.shape = (hours, levels, rows, columns)
        self.names = list(FIELDS)[:fields]

    def description(self, packing: str = "float32") -> StoreDescription:
        """Returns what a store of the fields is."""
        hours, levels, rows, columns = self.shape
        return StoreDescription(
            np.datetime64("2020-01-28T00", "h") + np.arange(hours),
            np.sort(_LEVELS[:levels]),
            np.linspace(90, -90, rows),
            np.arange(columns) * 360 / columns,
            {name: variable_info(name) for name in self.names},
            {"title": "made up, in the shape of ERA5", "simulated": True, "level_type": "pressure"},
            Layout(packing=packing),
        )

    def packing(self, name: str) -> Packing:
        """Returns the lattice on which the values of a field lie."""
        mean, spread, _ = FIELDS[name]
        step = 2.0 ** np.floor(np.log2(24 * spread / 65000))
        return Packing(*(np.full(self.shape[1], v) for v in (step, round(mean / step) * step)))

    def blocks(self, name: str) -> Iterator[np.ndarray]:
        """Yields the values of a field, (time, level, lat, lon) float32, 48 hours at a time."""
        hours, levels, rows, columns = self.shape
        spread, power = FIELDS[name][1:]
        seed = list(FIELDS).index(name)
        pairs = [_maps(seed, level, rows, columns, power) for level in range(levels)]
        step, offset = (float(a[0]) for a in (self.packing(name).scale, self.packing(name).offset))
        for start in range(0, hours, HOURS):
            block = np.empty((min(HOURS, hours - start), *self.shape[1:]), np.float32)
            for index in range(len(block)):
                angle = 2 * np.pi * (start + index) / 60
                turns = [spread / step * np.float32(f(angle)) for f in (np.cos, np.sin)]
                for level, (one, other) in enumerate(pairs):
                    turned = turns[0] * one + turns[1] * other
                    block[index, level] = np.roll(turned, start + index, axis=-1)
            np.clip(np.rint(block, out=block), -32767, 32767, out=block)
            block *= np.float32(step)
            block += np.float32(offset)
            yield block

    def write(self, path: Path, packing: str = "float32") -> Path:
        """Writes a store."""
        packings = {name: self.packing(name) for name in self.names if packing == "int16"}
        blocks = ({name: block} for name in self.names for block in self.blocks(name))
        return write_store(path, self.description(packing), blocks, packings=packings)

    def write_plain(self, path: Path, chunk: int = 1) -> Path:
        """Writes the first field as an array `data` in chunks of some hours and the globe."""
        import zarr
        from zarr.codecs import BloscCodec

        array = zarr.open_group(path, mode="w", zarr_format=3).create_array(
            "data",
            shape=self.shape,
            dtype="float32",
            chunks=(chunk, *self.shape[1:]),
            compressors=[BloscCodec(cname="lz4", shuffle="shuffle", typesize=4)],
        )
        for number, block in enumerate(self.blocks(self.names[0])):
            array[number * HOURS : number * HOURS + len(block)] = block
        return path


def _maps(seed: int, level: int, rows: int, columns: int, power: float) -> np.ndarray:
    """Returns two maps (2, lat, lon) float32 of unit variance, `power` powers of k rougher."""
    rng = np.random.default_rng([seed, level])
    waves = np.fft.rfft2(rng.standard_normal((2, rows, columns)))
    k = np.hypot(2 * np.fft.fftfreq(rows)[:, None] * rows, np.fft.rfftfreq(columns) * columns)
    # Squares summed over a ring of k waves: amplitudes k^-2 make a variance of k^-3.
    amplitude = (1 + k) ** (power - 2.0) * (1 + k / 100) ** (2 / 3) * np.exp(-((k / 450) ** 8))
    maps = np.fft.irfft2(waves * amplitude, s=(rows, columns))
    return (maps / maps.std(axis=(1, 2), keepdims=True)).astype(np.float32)


def main() -> None:
    """Writes what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    parser.add_argument("--days", type=int, default=6)
    parser.add_argument("--rows", type=int, default=721)
    parser.add_argument("--columns", type=int, default=1440)
    parser.add_argument("--levels", type=int, default=5)
    parser.add_argument("--fields", type=int, default=2, choices=(1, 2))
    parser.add_argument("--packing", default="float32", choices=("float32", "int16"))
    parser.add_argument("--plain", action="store_true")
    options = parser.parse_args()
    weather = Weather(
        24 * options.days, options.rows, options.columns, options.levels, options.fields
    )
    if options.plain:
        weather.write_plain(options.output)
    else:
        weather.write(options.output, options.packing)
    size = sum(f.stat().st_size for f in options.output.rglob("*") if f.is_file())
    print(f"{options.output}: {size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
