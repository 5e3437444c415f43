"""Pieces of every kind of source are the same in another process, to which they are pickled."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from atmorep_k.data.sources.cutting import crop
from atmorep_k.data.sources.derived import derive
from atmorep_k.data.sources.finding import open_sources

_READ = """
import pickle, sys
import numpy as np
with open(sys.argv[1], "rb") as file:
    pieces = pickle.load(file)
np.savez(sys.argv[2], *[p.read(2, 5, np.arange(max(1, len(p.level)))) for p in pieces])
"""


def _with_wind(raw):
    raw = raw.assign(u=raw["t"] * 2, v=raw["t"] + 3)
    for name in "uv":
        raw[name].attrs["units"] = "m s-1"
    return raw


@pytest.fixture
def source(request, raw, known, tmp_path):
    """The path of a source of the kind asked for."""
    kind, path = request.param, tmp_path / "source"
    if kind in ("netcdf4", "classic"):
        form = "NETCDF4" if kind == "netcdf4" else "NETCDF3_64BIT"
        _with_wind(raw).to_netcdf(path, format=form)
    elif kind.startswith("zarr"):
        _with_wind(raw).to_zarr(path, zarr_format=int(kind[-1]))
    elif kind == "grib":
        write, values = request.getfixturevalue("write_grib"), known()
        levels = ((i, v) for i, v in np.ndenumerate(raw["level"].values))
        places = [(i, int(level), step) for (i,), level in levels for step in range(12)]
        write(
            path,
            [
                (name, "isobaricInhPa", level, raw["time"].values[step], values[step, i] * factor)
                for name, factor in (("t", 1), ("u", 2), ("v", 3))
                for i, level, step in places
            ],
        )
    else:
        write = request.getfixturevalue("write_original_store")
        write(path, hours=raw["time"].values.astype("datetime64[h]"))
    return str(path)


KINDS = ["netcdf4", "classic", "zarr2", "zarr3", "grib", "original"]


@pytest.mark.parametrize("source", KINDS, indirect=True)
def test_another_process_reads_the_same(source, tmp_path):
    pieces, _ = open_sources([source])
    if any(p.name == "v_component_of_wind" for p in pieces):
        pieces = derive(pieces, ["vorticity", "divergence"])
    south, east = pieces[0].latitude[-2], pieces[0].longitude[2]
    region = (south, pieces[0].latitude[0], pieces[0].longitude[0], east)
    pieces += crop(pieces, region)
    expected = [p.read(2, 5, np.arange(max(1, len(p.level)))) for p in pieces]
    (tmp_path / "pieces").write_bytes(pickle.dumps(pieces))
    files = [str(tmp_path / name) for name in ("pieces", "values.npz")]
    subprocess.run([sys.executable, "-c", _READ, *files], check=True, timeout=120)
    with np.load(files[1]) as found:
        assert len(found.files) == len(expected)
        for name, values in zip(found.files, expected, strict=True):
            np.testing.assert_array_equal(found[name], values)


@pytest.mark.parametrize("source", KINDS, indirect=True)
def test_a_pickled_piece_holds_no_values(source):
    for piece in open_sources([source])[0]:
        piece.read(0, 2, np.zeros(1, int))
        assert len(pickle.dumps(piece)) < 20_000
