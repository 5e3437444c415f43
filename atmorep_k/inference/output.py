"""Predictions on disk: Zarr or NetCDF, written time by time, whole or not at all."""

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from atmorep_k import files
from atmorep_k.files import writing_whole
from atmorep_k.inference.resuming import PartialPrediction

ENDINGS = (".zarr", ".nc")
_CHUNK_BYTES = 16 * 2**20
_UNITS = {
    "hours": np.timedelta64(1, "h"),
    "minutes": np.timedelta64(1, "m"),
    "seconds": np.timedelta64(1, "s"),
}


def check_prediction_output(
    output: Path,
    overwrite: bool,
    endings: Sequence[str] = ENDINGS,
    dim: str = "prediction_timedelta",
) -> None:
    """Checks that a prediction may be written to `output`, before any work.

    Args:
        output: where it is to lie.
        overwrite: whether a directory or file that is there may be replaced.
        endings: what the name may end in.
        dim: a dimension that tells a directory that may be replaced from any other.

    Raises:
        UserError: if its ending is unknown, it exists (and is not to be replaced) or the
            place cannot be written.
    """
    files.check_output(output, overwrite, endings, "a prediction", lambda p: _is_ours(p, dim))


def _is_ours(path: Path, dim: str) -> bool:
    if path.suffix != ".zarr":
        return path.is_file()
    return path.is_dir() and _is_prediction(path, dim)


def _is_prediction(path: Path, dim: str) -> bool:
    try:
        with open_prediction(path) as found:
            return dim in found.dims
    except (OSError, ValueError, KeyError):
        return False


def plots_of(output: Path) -> Path:
    """Returns the directory of the pictures that are drawn with an output."""
    return output.with_name(f"{output.stem}_plots")


def open_prediction(path: Path) -> xr.Dataset:
    """Opens a prediction; values are read as they are used."""
    if path.suffix == ".zarr":
        zarr = xr.backends.ZarrBackendEntrypoint
        return xr.open_dataset(path, engine=zarr, consolidated=False)
    return xr.open_dataset(path, engine=xr.backends.NetCDF4BackendEntrypoint)


def collect(
    pieces: Iterable[xr.Dataset],
    encoding: dict[str, dict],
    output: str | Path | None,
    partial: PartialPrediction | None = None,
) -> xr.Dataset:
    """Puts the predictions of several times together.

    Args:
        pieces: one dataset per time, ascending; those that are not in `partial`.
        encoding: how coordinates are written.
        output: where to; None to keep all in memory.
        partial: what is there of them, of an output that ends in `.zarr`.
    """
    if output is None:
        return xr.concat(list(pieces), "time", data_vars="minimal", combine_attrs="override")
    output, done = Path(output), partial.done if partial else 0
    with partial.writing() if partial else writing_whole(output) as path:
        write = _write_zarr if output.suffix == ".zarr" else _write_netcdf
        for number, piece in enumerate(pieces, done):
            write(piece, encoding, path, number)
            if partial:
                partial.note(number + 1)
    return open_prediction(output)


def _write_zarr(piece: xr.Dataset, encoding, path: Path, number: int) -> None:
    if number:
        piece.to_zarr(path, append_dim="time", consolidated=False)
        return
    of_variables = {name: {"chunks": _chunks(v)} for name, v in piece.data_vars.items()}
    piece.to_zarr(
        path, mode="w", zarr_format=3, consolidated=False, encoding=encoding | of_variables
    )


def _chunks(variable: xr.DataArray) -> tuple[int, ...]:
    """Returns chunks of one time, cut along other axes until they are small enough."""
    sizes = {d: 1 if d == "time" else n for d, n in variable.sizes.items()}
    for dim in ("number", "prediction_timedelta", "token_time", "level", "latitude"):
        while dim in sizes and sizes[dim] > 1 and _bytes(sizes, variable) > _CHUNK_BYTES:
            sizes[dim] = math.ceil(sizes[dim] / 2)
    return tuple(sizes.values())


def _bytes(sizes: Mapping[Hashable, int], variable: xr.DataArray) -> int:
    return math.prod(sizes.values()) * variable.dtype.itemsize


def _write_netcdf(piece: xr.Dataset, encoding, path: Path, number: int) -> None:
    if not number:
        of_variables = {name: {"zlib": True, "complevel": 1} for name in piece.data_vars}
        piece.to_netcdf(
            path, encoding=encoding | of_variables, engine="netcdf4", unlimited_dims=["time"]
        )
        return
    import netCDF4

    unit = encoding["time"]["units"].split()[0]
    since = piece["time"].values[0] - np.datetime64(0, "ns")
    with netCDF4.Dataset(path, "a") as file:  # xarray cannot append to a file
        file["time"][number] = since // _UNITS[unit]
        for name, variable in piece.data_vars.items():
            file[name][number] = variable.values[0]
