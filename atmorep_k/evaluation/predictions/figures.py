"""Pictures of the scores of a prediction, as PNG."""

from pathlib import Path

import numpy as np
import xarray as xr

from atmorep_k.evaluation.predictions.tables import WAVENUMBERS, fields_of, levelled
from atmorep_k.figures.maps import evenly
from atmorep_k.figures.plots import COLOURS, new_figure, rank_histograms, save

_PANELS = {"rmse": "RMSE", "crps": "CRPS", "acc": "ACC", "spread_skill": "spread / skill"}
_MOST_LEVELS = 3
# What lies below this share of the strongest wave is not shown: rounding, in the end.
_LEAST_POWER = 1e-8
_ONE = np.timedelta64(1, "h")


def draw_scores(scores: xr.Dataset, directory: Path) -> list[Path]:
    """Draw scores, ranks and spectra of each field over the whole grid; return the paths."""
    made = []
    for field in fields_of(scores):
        made.append(save(by_lead_time(scores, field), directory / f"scores_{field}.png"))
        if f"{field}_ranks" in scores:
            made.append(save(ranks(scores, field), directory / f"ranks_{field}.png"))
        for kind in WAVENUMBERS:
            if f"{field}_{kind}" in scores and scores[f"{field}_{kind}"].notnull().any():
                made.append(save(spectra(scores, field, kind), directory / f"{kind}_{field}.png"))
    return made


def by_lead_time(scores: xr.Dataset, field: str):
    """Return the figure of scores by lead time: a row per level (three at most), a column each.

    Bars, or a band where there are several lead times, are 95 % intervals.
    """
    values = [levelled(scores[n]).isel(region=0) for n in _with_ends(scores, field)]
    names = [n for n in _PANELS if n in values[0]["score"].values]
    levels = values[0]["level"].values[evenly(values[0].sizes["level"], _MOST_LEVELS)]
    figure = new_figure(0.6 + 3.2 * len(names), 0.9 + 2.5 * len(levels))
    figure.suptitle(f"{_words(field)}: scores by lead time")
    panels = figure.subplots(len(levels), len(names), sharex=True, squeeze=False)
    for row, level in zip(panels, levels, strict=True):
        for axes, name in zip(row, names, strict=True):
            of_panel = [v.sel(level=level, score=name) for v in values]
            _draw_lines(axes, of_panel)
            units = f" [{values[0].attrs['units']}]" if name in ("rmse", "crps") else ""
            axes.set_ylabel(_PANELS[name] + units)
            axes.set_title(f"level {level:g}" if "level" in scores[field].dims else "", fontsize=10)
            _finish(axes, name)
    for axes in panels[-1]:
        axes.set_xlabel("lead time [h]")
        axes.xaxis.get_major_locator().set_params(integer=True)
    _legend(figure, panels[0][0])
    return figure


def _draw_lines(axes, values: list[xr.DataArray]) -> None:
    hours = values[0]["prediction_timedelta"].values / _ONE
    for model in values[0]["model"].values:
        line, *ends = (v.sel(model=model).values for v in values)
        if not np.isfinite(line).any():
            continue
        colour = COLOURS.get(model, COLOURS["ensemble"])
        axes.plot(hours, line, "o-", color=colour, markersize=3.5, label=_words(model, False))
        if ends and len(hours) > 1:
            axes.fill_between(hours, *ends, color=colour, alpha=0.2, linewidth=0)
        elif ends:
            axes.vlines(hours, *ends, color=colour, linewidth=1)


def _finish(axes, name: str) -> None:
    axes.grid(alpha=0.3)
    if name in ("rmse", "crps"):
        axes.set_ylim(bottom=0)
    if name == "spread_skill":
        axes.axhline(1, color="0.4", linestyle="--", linewidth=1)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-3, 4))


def ranks(scores: xr.Dataset, field: str):
    """Return the figure of the rank histograms of the first and the last lead time."""
    shares = levelled(scores[f"{field}_ranks"]).isel(region=0)
    shares = shares.dropna("prediction_timedelta", how="all").dropna("level", how="all")
    leads = _ends(shares["prediction_timedelta"].values)
    panels = {f"{h / _ONE:g} h": shares.sel(prediction_timedelta=h) for h in leads}
    return rank_histograms(panels, field.replace("_", " "))


def spectra(scores: xr.Dataset, field: str, kind: str):
    """Return the figure of power by wavenumber, first and last lead time, middle level.

    Args:
        scores: as `evaluate` gives them.
        field: name of the field.
        kind: `spectra`, by zonal wavenumber, or `spherical_spectra`, by total wavenumber.
    """
    power = levelled(scores[f"{field}_{kind}"]).dropna("level", how="all")
    power = power.isel({"level": power.sizes["level"] // 2, WAVENUMBERS[kind]: slice(1, None)})
    by = {"spectra": "zonal wavenumber", "spherical_spectra": "total wavenumber"}[kind]
    leads = _ends(power.dropna("prediction_timedelta", how="all")["prediction_timedelta"].values)
    figure = new_figure(1 + 4 * len(leads), 4.2)
    level = f", level {float(power['level']):g}" if "level" in scores[field].dims else ""
    figure.suptitle(f"{_words(field)}{level}: power by {by}")
    panels = figure.subplots(1, len(leads), sharey=True, squeeze=False)[0]
    for axes, lead in zip(panels, leads, strict=True):
        for name in power["of"].values:
            line = power.sel(of=name, prediction_timedelta=lead)
            axes.loglog(power[WAVENUMBERS[kind]], line, label=_words(name, False), **_style(name))
        most = float(power.sel(of="truth", prediction_timedelta=lead).max())
        axes.set_ylim(bottom=_LEAST_POWER * most)
        axes.set_title(f"{lead / _ONE:g} h", fontsize=10)
        axes.set_xlabel(by)
        axes.grid(alpha=0.3)
    panels[0].set_ylabel(f"power [({scores[field].attrs['units']})²]")
    _legend(figure, panels[0])
    return figure


def _style(name: str) -> dict[str, object]:
    if name == "truth":
        return {"color": "0.7", "linewidth": 5}
    if name == "members":
        return {"color": COLOURS["ensemble"], "linestyle": "--"}
    return {"color": COLOURS.get(name, COLOURS["ensemble"])}


def _with_ends(scores: xr.Dataset, field: str) -> list[str]:
    names = [field, f"{field}_low", f"{field}_high"]
    return [name for name in names if name in scores]


def _ends(values: np.ndarray) -> list:
    return list(dict.fromkeys([*values[:1], *values[-1:]]))


def _legend(figure, axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))


def _words(name: str, capital: bool = True) -> str:
    words = name.replace("_", " ")
    words = {"ensemble": "ensemble mean"}.get(words, words)
    return words[0].upper() + words[1:] if capital else words
