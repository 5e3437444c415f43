"""The commands of docs/data.md, run as they stand there on small files of the same names."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from click.testing import CliRunner

from atmorep_k.cli import main
from atmorep_k.data.opening import open_store

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]


def _commands(heading):
    """Returns the calls of atmorep-k under a heading, as words."""
    section = (ROOT / "docs" / "data.md").read_text().split(f"### {heading}\n", 1)[1]
    section = re.split(r"\n##+ ", section)[0]
    text = "\n".join(re.findall(r"```sh\n(.*?)```", section, re.DOTALL)).replace("\\\n", " ")
    return [shlex.split(c)[1:] for c in text.splitlines() if c.startswith("atmorep-k")]


def _run(words):
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, (words, result.output, result.exception)
    return result.output


@pytest.fixture
def era5():
    """Hourly `t` of ten days at 850 hPa, 16 x 30 points, as the new Climate Data Store names it."""
    time = np.datetime64("2019-01-01", "ns") + np.arange(240) * np.timedelta64(1, "h")
    place = {"latitude": np.arange(60.0, 44.0, -1), "longitude": np.arange(0.0, 30.0)}
    values = np.random.default_rng(0).normal(280, 9, (240, 1, 16, 30)).astype(np.float32)
    return xr.Dataset(
        {"t": (("valid_time", "pressure_level", *place), values, {"units": "K"})},
        {
            "valid_time": time,
            "pressure_level": ("pressure_level", [850], {"units": "hPa"}),
            **place,
        },
    )


def test_from_files_on_disk_to_a_first_training(era5, tmp_path, monkeypatch):
    (tmp_path / "era5" / "2019").mkdir(parents=True)
    for day, part in era5.groupby("valid_time.day"):
        part.to_netcdf(tmp_path / "era5" / "2019" / f"{day:02d}.nc")
    (tmp_path / "gin").symlink_to(ROOT / "gin")
    monkeypatch.chdir(tmp_path)
    prepare, info, run = _commands("From files on disk to a first training")
    _run(prepare)
    np.testing.assert_array_equal(open_store("era5.zarr").dataset()["temperature"], era5["t"])
    assert "temperature" in _run(info)
    assert "temperature" in _run(run)


def test_from_the_climate_data_store(era5, write_grib, tmp_path, monkeypatch):
    (tmp_path / "era5").mkdir()
    for month in ("01", "02"):
        messages = [
            ("t", "isobaricInhPa", 850, np.datetime64(f"2019-{month}-01T{hour:02d}"), field[0])
            for hour, field in enumerate(era5["t"].values[:24])
        ]
        path = tmp_path / "era5" / f"2019-{month}.grib"
        write_grib(path, messages, era5["latitude"].values, era5["longitude"].values)
    monkeypatch.chdir(tmp_path)
    (prepare,) = _commands("From the Climate Data Store")
    _run(prepare)
    assert len(open_store("era5.zarr").time) == 48


def test_a_part_of_arco(era5, tmp_path, monkeypatch):
    """The command is the page's; what lies at the address is a small Zarr with its names."""
    import zarr

    latitude, longitude = np.linspace(90, -90, 19), np.arange(0, 360, 10.0)
    values = np.random.default_rng(0).normal(280, 9, (240, 2, 19, 36)).astype(np.float32)
    xr.Dataset(
        {"temperature": (("time", "level", "latitude", "longitude"), values)},
        {
            "time": era5["valid_time"].values,
            "level": [500, 850],
            "latitude": latitude,
            "longitude": longitude,
        },
    ).to_zarr(tmp_path / "arco", zarr_format=2)
    group = zarr.open_group(tmp_path / "arco", mode="r")
    monkeypatch.setattr("atmorep_k.data.stores.address.open_remote_group", lambda address: group)
    monkeypatch.chdir(tmp_path)
    arco, weatherbench = _commands("From ARCO-ERA5")
    _run(arco)
    store = open_store("era5.zarr")
    assert store.latitude.tolist() == [70, 60, 50, 40, 30]
    assert store.longitude.tolist() == list(range(-30, 51, 10))
    np.testing.assert_array_equal(
        store.dataset()["temperature"][:, 0, :, :3], values[:, 1, 2:7, 33:36]
    )
    assert weatherbench[:2] == ["data", "prepare"]
