"""`atmorep-k evaluate`: files, pictures, a table, and nothing where something does not fit."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from atmorep_k import cli

pytest.importorskip("scores")


@pytest.fixture
def call(store, predicted, tmp_path, monkeypatch):
    """Function that runs the command on an ensemble `f.nc`, in its directory."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    shown = predicted(rng.normal(size=(8, 2, 3, 2, 11, 12)), times=range(8), number=3)
    shown.to_netcdf("f.nc")

    def call(*words):
        return CliRunner().invoke(cli.main, ["evaluate", *words, "--truth", str(store.path)])

    return call


def rows(path):
    with open(path) as file:
        return list(csv.DictReader(file))


def test_scores_are_written_and_drawn(call):
    result = call("f.nc", "--region", "-40", "40", "0", "90", "--fields", "temperature")
    assert result.exit_code == 0, result.output
    assert result.stdout == "f_scores\n"
    assert "temperature (K)" in result.stderr and "persistence" in result.stderr
    pictures = [f"{what}_temperature.png" for what in ("ranks", "scores", "spectra")]
    tables = ["rank_histogram.csv", "scores.csv", "spectra.csv", "summary.json"]
    assert sorted(os.listdir("f_scores")) == sorted([*pictures, *tables])
    found = rows("f_scores/scores.csv")
    places = {(r["level"], r["lead_hours"], r["region"]) for r in found}
    regions = ("all", "-40 40 0 90")
    assert places == {(n, h, r) for n in ("500", "850") for h in "12" for r in regions}
    (rmse,) = [
        r
        for r in found
        if (r["level"], r["lead_hours"], r["region"]) == ("850", "2", "all")
        and (r["model"], r["score"]) == ("persistence", "rmse")
    ]
    assert abs(float(rmse["value"]) - 4) < 1e-4 and rmse["units"] == "K"
    assert float(rmse["low"]) <= float(rmse["value"]) <= float(rmse["high"])
    shares = [float(r["share"]) for r in rows("f_scores/rank_histogram.csv")]
    np.testing.assert_allclose(np.sum(shares), len(places), rtol=1e-5)
    summary = json.loads(Path("f_scores/summary.json").read_text())
    assert summary["fields"]["temperature"]["times_scored"] == 8
    assert set(summary["fields"]["temperature"]["thresholds"]["q90"]) == {"500", "850"}


def test_an_output_is_kept_unless_it_holds_scores_and_may_be_replaced(call, monkeypatch):
    monkeypatch.setattr(
        "atmorep_k.evaluation.predictions.report.draw_scores", lambda scores, directory: []
    )
    os.mkdir("f_scores")
    for words, sentence in (((), "already exists"), (("--overwrite",), "is not an evaluation")):
        result = call("f.nc", *words)
        assert result.exit_code == 1 and sentence in result.stderr
    assert os.listdir("f_scores") == []
    Path("f_scores/scores.csv").touch()
    assert call("f.nc", "--overwrite").exit_code == 0
    assert rows("f_scores/scores.csv")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("g.nc",), "no prediction at g.nc; did you mean 'f.nc'?"),
        (("f.grib",), "its name must end in .zarr or .nc"),
        (("f.nc", "--region", "80", "81", "0", "9"), "the region 80 81 0 9 contains no point"),
        (("f.nc", "--fields", "wind"), "unknown field of the prediction 'wind'"),
    ],
)
def test_a_mistake_leaves_nothing_behind(call, words, sentence):
    result = call(*words)
    assert result.exit_code == 1 and sentence in result.stderr
    assert os.listdir() == ["f.nc"]
