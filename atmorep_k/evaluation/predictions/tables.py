"""Scores of a prediction as files of numbers, and as a table on the screen."""

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from atmorep_k.console import new_table
from atmorep_k.evaluation.metrics import in_units
from atmorep_k.evaluation.predictions.bootstrap import FEWEST_TIMES

_CELL = ("level", "prediction_timedelta", "region")
_SCORES = ("field", "level", "lead_hours", "region", "model", "score", "value", "low", "high")
_RANKS = ("field", "level", "lead_hours", "region", "rank", "share")
_SPECTRA = ("field", "level", "lead_hours", "of")
# Kind of spectra -> the dimension by which it goes.
WAVENUMBERS = {"spectra": "wavenumber", "spherical_spectra": "total_wavenumber"}
_SHOWN = ("rmse", "acc", "crps", "spread_skill")
_ONE = np.timedelta64(1, "h")


def fields_of(scores: xr.Dataset) -> list[str]:
    """Return the names of the fields that `evaluate` has scored."""
    return [str(n) for n, v in scores.data_vars.items() if "times_scored" in v.attrs]


def levelled(values: xr.DataArray) -> xr.DataArray:
    """Return an array with the dimension `level`, 0 at the surface."""
    return values if "level" in values.dims else values.expand_dims(level=[0])


def write_tables(scores: xr.Dataset, directory: Path) -> list[Path]:
    """Write scores, ranks and spectra as CSV and `summary.json`, see docs/tasks.md.

    Args:
        scores: as `evaluate` gives them.
        directory: an existing directory.

    Returns:
        The paths; what the scores lack has no file.
    """
    fields = fields_of(scores)
    made = [_write(directory / "scores.csv", (*_SCORES, "units"), _score_rows(scores, fields))]
    for what, file, columns in (
        ("ranks", "rank_histogram.csv", _RANKS),
        *((n, f"{n}.csv", (*_SPECTRA, dim, "power")) for n, dim in WAVENUMBERS.items()),
    ):
        there = [name for name in fields if f"{name}_{what}" in scores]
        if there:
            rows = (row for n in there for row in _rows(n, scores[f"{n}_{what}"], columns[3:-1]))
            made.append(_write(directory / file, columns, rows))
    summary = directory / "summary.json"
    summary.write_text(json.dumps(_summary(scores, fields), indent=1) + "\n")
    return [*made, summary]


def _write(path: Path, columns: Iterable[str], rows: Iterable[Iterable]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def _rows(field: str, values: xr.DataArray, keys: Iterable[str]) -> Iterator[list]:
    """Yield a row for each finite value: field, level, lead hours, more keys, value."""
    dims = ("level", "prediction_timedelta", *keys)
    values = levelled(values).transpose(*dims)
    labels = [_labels(values, dim) for dim in dims]
    for where in np.argwhere(np.isfinite(values.values)):
        names = [label[n] for label, n in zip(labels, where, strict=True)]
        yield [field, *names, _text(values.values[tuple(where)])]


def _score_rows(scores: xr.Dataset, fields: list[str]) -> Iterator[list]:
    keys = ("region", "model", "score")
    for field in fields:
        units = scores[field].attrs["units"]
        given = (scores.get(f"{field}_{end}", np.nan * scores[field]) for end in ("low", "high"))
        ends = [levelled(a).transpose(*_CELL, "model", "score").values for a in given]
        values = levelled(scores[field]).transpose(*_CELL, "model", "score")
        places = np.argwhere(np.isfinite(values.values))
        for row, where in zip(_rows(field, values, keys), places, strict=True):
            of_score = units if in_units(row[5]) else "1"
            yield [*row, *(_text(a[tuple(where)]) for a in ends), of_score]


def _labels(values: xr.DataArray, dim: str) -> list[str]:
    found = values[dim].values
    if dim == "prediction_timedelta":
        found = found / _ONE
    return [str(v) if found.dtype.kind in "UOiu" else f"{v:g}" for v in found]


def _text(value: float) -> str:
    return f"{value:.7g}" if np.isfinite(value) else ""


def _summary(scores: xr.Dataset, fields: list[str]) -> dict[str, Any]:
    """Return what the numbers describe: files, times, members, thresholds, intervals."""
    return {**scores.attrs, "fields": {name: _about(scores, name) for name in fields}}


def _about(scores: xr.Dataset, field: str) -> dict[str, Any]:
    about = scores[field].attrs
    return {
        "units": about["units"],
        "times_scored": about["times_scored"],
        "members": about["number"],
        "share_predicted": about["share_predicted"],
        "times_in_a_block": about.get("times_in_a_block"),
        "thresholds": _thresholds(levelled(scores[f"{field}_threshold"])),
    }


def _thresholds(values: xr.DataArray) -> dict[str, dict[str, float]]:
    """Return event -> level -> value, for the levels that the field has."""
    return {
        str(event): {
            f"{float(value['level']):g}": float(_text(float(value)))
            for value in values.sel(event=event)
            if np.isfinite(value)
        }
        for event in values["event"].values
    }


def remarks(scores: xr.Dataset) -> Iterator[str]:
    """Yield a sentence for each thing that the scores lack: intervals, predictions, spectra."""
    for name in fields_of(scores):
        about = scores[name].attrs
        if "times_in_a_block" not in about:
            yield (
                f"{name}: no intervals, which need {FEWEST_TIMES} times; "
                f"{about['times_scored']} could be scored."
            )
        if about["share_predicted"] < 1:
            yield (
                f"{name}: {1 - about['share_predicted']:.1%} of the points with a truth have no "
                f"prediction; they do not count."
            )
        if about["no_spherical_spectra"]:
            yield f"{name}: no spectra by total wavenumber, as {about['no_spherical_spectra']}."


def score_table(scores: xr.Dataset):
    """Return a `rich` table of the whole grid: first and last lead time of each level."""
    shown = new_table(
        "Scores over the whole grid of the prediction",
        ("field", "level", "lead", "model"),
        ("RMSE", "ACC", "CRPS", "spread/skill"),
    )
    for field in fields_of(scores):
        values = levelled(scores[field]).isel(region=0)
        first = f"{field} ({values.attrs['units']})"
        for words, row in _shown(values):
            shown.add_row(first, *words, *row)
            first = ""
    return shown


def _shown(values: xr.DataArray) -> Iterator[tuple[list[str], list[str]]]:
    """Yield level, lead time and model in words, where they change, and the scores."""
    before = None
    for here, of in _first_and_last(values):
        for model in of["model"].values:
            of_model = of.sel(model=model)
            if np.isfinite(of_model.sel(score="rmse")):
                words = [*(here if here != before else ("", "")), str(model)]
                before = here
                yield words, [_cell(of_model, score) for score in _SHOWN]


def _first_and_last(values: xr.DataArray) -> Iterator[tuple[tuple[str, str], xr.DataArray]]:
    """Yield the first and the last lead time that was scored of each level, with their names."""
    for level in values["level"].values:
        of_level = values.sel(level=level).dropna("prediction_timedelta", how="all")
        leads = of_level["prediction_timedelta"].values
        for lead in dict.fromkeys([*leads[:1], *leads[-1:]]):
            yield (f"{level:g}", f"{lead / _ONE:g} h"), of_level.sel(prediction_timedelta=lead)


def _cell(values: xr.DataArray, score: str) -> str:
    found = float(values.sel(score=score)) if score in values["score"].values else np.nan
    return f"{found:.3g}" if np.isfinite(found) else ""
