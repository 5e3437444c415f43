"""What `data info` says, and the commands of `atmorep-k data`."""

import json

import numpy as np
import pytest
import zarr
from click.testing import CliRunner

from atmorep_k.cli.data import data
from atmorep_k.data.checking.info import describe_store, info_text
from atmorep_k.data.writing.preparing import prepare
from atmorep_k.errors import UserError


def _store(raw, tmp_path):
    raw.to_netcdf(tmp_path / "a.nc")
    return prepare([str(tmp_path / "a.nc")], tmp_path / "a.zarr")


def test_what_is_inside(raw, known, tmp_path):
    values = describe_store(_store(raw, tmp_path))
    assert values["time"] == {
        "first": "2020-01-31T18:00",
        "last": "2020-02-01T05:00",
        "steps": 12,
        "step_hours": 1.0,
    }
    assert values["level"] == {"type": "pressure", "values": [500.0, 850.0]}
    assert values["latitude"] == {"first": 52.0, "last": 50.0, "points": 3, "step": 1.0}
    assert values["is_global"] is False and values["gaps"] == []
    of = values["variables"]["temperature"]
    assert (of["units"], of["levels"]) == ("K", [500.0, 850.0])
    assert (of["missing_values"], of["missing_shards"], of["constant_levels"]) == (0, 0, [])
    # Months differ by the hours in them; the means of January and February are the ends.
    low, high = of["mean"]["500"]
    assert high - low == pytest.approx(6 * 4096, rel=1e-5)
    text = info_text(values)
    assert "500 850 hPa" in text and "a licence" in text and text.endswith("missing\n  nothing")
    assert values["bytes"] == sum(
        p.stat().st_size for p in (tmp_path / "a.zarr").rglob("*") if p.is_file()
    )


def test_what_is_missing(raw, tmp_path):
    raw = raw.isel(time=[0, 1, 4, 5, 11])
    raw["t"][:, 1] = 0.1
    path = _store(raw, tmp_path)
    array = zarr.open_group(path, mode="r+")["2m_temperature"]
    array[2, 1, 1:3] = np.nan
    values = describe_store(path)
    assert values["gaps"] == [
        {"after": "2020-01-31T19:00", "before": "2020-01-31T22:00", "missing_steps": 2},
        {"after": "2020-01-31T23:00", "before": "2020-02-01T05:00", "missing_steps": 5},
    ]
    assert values["variables"]["temperature"]["constant_levels"] == [850.0]
    assert values["variables"]["2m_temperature"]["missing_values"] == 2
    text = info_text(values)
    assert "2 step(s) between 2020-01-31T19:00 and 2020-01-31T22:00" in text
    assert "temperature is constant at level 850" in text
    assert "2m_temperature: 2 values are NaN" in text


def test_lost_shard_is_found_without_looking_at_values(raw, tmp_path):
    path = _store(raw, tmp_path)
    next(p for p in (path / "temperature" / "c").rglob("*") if p.is_file()).unlink()
    values = describe_store(path, scan=False)
    assert values["variables"]["temperature"]["missing_shards"] == 1
    assert values["variables"]["temperature"]["missing_values"] is None
    assert describe_store(path)["variables"]["temperature"]["missing_values"] == 12 * 2 * 3 * 4


def test_simulated_data_are_called_so(raw, tmp_path):
    raw.to_netcdf(tmp_path / "a.nc")
    path = prepare([str(tmp_path / "a.nc")], tmp_path / "a.zarr", attributes={"simulated": True})
    assert describe_store(path)["simulated"] is True
    assert "SIMULATED" in info_text(describe_store(path))


def test_prepare_prints_the_path_last_and_the_rest_on_stderr(raw, tmp_path):
    raw["strange"] = raw["t2m"]
    raw.to_netcdf(tmp_path / "a.nc")
    output = str(tmp_path / "a.zarr")
    command = ["prepare", str(tmp_path / "a.nc"), "--output", output, "--level", "850"]
    result = CliRunner().invoke(data, [*command, "--attribution", "somebody"])
    assert result.exit_code == 0
    assert result.stdout == f"{output}\n"
    assert "strange" in result.stderr and "MB/s" in result.stderr
    values = json.loads(CliRunner().invoke(data, ["info", output, "--json"]).stdout)
    assert values["level"]["values"] == [850.0]
    assert values["attribution"] == "somebody"
    assert "somebody" in CliRunner().invoke(data, ["info", output]).stdout


def test_mistake_is_a_user_error_before_any_bar_is_drawn(tmp_path):
    command = ["prepare", str(tmp_path / "no.nc"), "--output", str(tmp_path / "a.zarr")]
    result = CliRunner().invoke(data, command)
    assert isinstance(result.exception, UserError)
    assert result.output == ""


def test_demo_calls_the_simulation_with_the_days(tmp_path, monkeypatch):
    from atmorep_k.data.demo import simulate as demo

    calls = []

    def simulate(output, days, *, overwrite, progress):
        calls.append((output, days, overwrite))
        progress(24 * days)

    monkeypatch.setattr(demo, "demo_store", simulate)
    output = tmp_path / "demo.zarr"
    result = CliRunner().invoke(data, ["demo", "--output", str(output), "--days", "3"])
    assert result.exit_code == 0
    assert calls == [(output, 3, False)]
    assert result.stdout == f"{output}\n"
