"""Maps of where a token looks, by layer and by head."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from atmorep_k.figures.maps import draw_map, edges, evenly, format_degrees, stretch
from atmorep_k.figures.plots import COLOURS, RED, save
from atmorep_k.tasks.attention_data import TOKEN_DIMS

# A figure of more rows or columns could not be read.
MAX_ROWS, MAX_TIMES = 12, 6
_MAP_WIDTH, _MAP_HEIGHT, _BAR_WIDTH = 2.6, 1.9, 1.6  # inches, at most


def draw_attention(found: xr.Dataset, layer: int | None, lines, directory: Path) -> list[Path]:
    """Draws, for all kinds of attention, the layers and the heads of one layer.

    Args:
        found: what `attention.attention` returned.
        layer: the layer whose heads are drawn; the last one of each kind if None.
        lines: coastlines, see `maps.coastlines`.
        directory: where to; it is made if need be.

    Returns:
        The paths of the pictures.
    """
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, weights in found.data_vars.items():
        if "head" not in weights.dims or weights.notnull().any(weights.dims[:2]).sum() < 2:
            continue  # where there is one token to look at, it gets all
        layers = _filled(weights, "layer")
        title = f"{_capital(weights.attrs['long_name'])}\n{_token(found)}"
        mean = layers.mean("head", keep_attrs=True)
        labels = [f"layer {n}" for n in mean["layer"].values]
        figure = attention_maps(found, mean, labels, f"{title}, mean of the heads", lines)
        paths.append(save(figure, directory / f"layers_{name}.png"))
        chosen = int(layers["layer"][-1]) if layer is None else layer
        if chosen in layers["layer"]:
            heads = _filled(layers.sel(layer=chosen), "head")
            labels = [f"head {n}" for n in heads["head"].values]
            figure = attention_maps(found, heads, labels, f"{title}, layer {chosen}", lines)
            paths.append(save(figure, directory / f"heads_{name}_layer_{chosen}.png"))
    return paths


def attention_maps(
    found: xr.Dataset, weights: xr.DataArray, labels: Sequence[str], title: str, lines=()
):
    """Returns the figure: a row for each layer or head, maps of all levels together, and bars.

    Maps are drawn for times at which several places are looked at, bars where several times or
    levels are.

    Args:
        found: the result that the weights are from: it knows the token, and what was masked.
        weights: (row, level, time, latitude, longitude); names of dimensions may end in a field's.
        labels: of the rows.
        title: of the figure.
        lines: coastlines.
    """
    from matplotlib.figure import Figure

    weights = weights.rename(dict(zip(weights.dims, ("row", *TOKEN_DIMS), strict=True)))
    kept = evenly(weights.sizes["row"], MAX_ROWS)
    shares, labels = 100 * weights.isel(row=kept), [labels[n] for n in kept]
    seen = shares.notnull().any(("row", "level"))
    times = np.flatnonzero(seen.sum(("latitude", "longitude")) > 1)
    at = _nearest(shares["time"], found["query_time"])
    if len(times):
        times = times[evenly(len(times), MAX_TIMES, int(np.abs(times - at).argmin()))]
    bars = [d for d in ("time", "level") if shares.notnull().any(set(shares.dims) - {d}).sum() > 1]
    figure = Figure(layout="constrained")
    panels = _panels(figure, shares, len(times), len(bars))
    figure.suptitle(title, fontsize=11)
    for row, (axes, label) in enumerate(zip(panels, labels, strict=True)):
        _draw_row(found, shares.isel(row=row), times, at, bars, axes, lines)
        axes[0].set_ylabel(label)
    own = weights.attrs["looks_at"] == found.attrs["field"]
    for axes, time in zip(panels[0], times, strict=False):
        words = np.datetime_as_string(shares["time"].values[time], unit="m").replace("T", " ")
        hidden = own and found["hidden"].isel(time=time).any()
        axes.set_title(f"{words} UTC{', masked' if hidden else ''}", fontsize=8)
    for axes, dim in zip(panels[0][len(times) :], bars, strict=True):
        axes.set_title(f"by {dim}, %", fontsize=8)
    return figure


def _panels(figure, shares: xr.DataArray, maps: int, bars: int):
    height, width = (np.ptp(edges(shares[d].values)) for d in ("latitude", "longitude"))
    ratio = height * stretch(shares) / width
    width = min(_MAP_WIDTH, _MAP_HEIGHT / ratio)
    rows = shares.sizes["row"]
    widths = [width] * maps + [_BAR_WIDTH] * bars
    high = max(1.1, min(_MAP_HEIGHT, ratio * width)) if maps else 1.2
    figure.set_size_inches(max(sum(widths) + 1.8, 4), rows * (high + 0.25) + 0.9)
    return figure.subplots(rows, maps + bars, squeeze=False, width_ratios=widths)


def _draw_row(found, shares: xr.DataArray, times, at: int, bars, axes, lines) -> None:
    """Draws the maps of one layer or head, which have common colours, and its bars."""
    maps = shares.sum("level", min_count=1)
    largest = float(maps.isel(time=times).max()) if len(times) else 1.0
    colours = {"cmap": "Blues", "vmin": 0, "vmax": largest or 1.0}
    near = [_nearest(shares[d], found[f"query_{d}"]) for d in TOKEN_DIMS]
    shown = maps.to_dataset(name="share").isel(time=0)
    shown["hidden"] = xr.zeros_like(shown["share"], bool)
    for panel, time in zip(axes, times, strict=False):
        mesh = draw_map(panel, shown, maps.values[time], colours, lines)
        _mark(panel, shares, near, "-" if time == at else ":")
    if len(times):
        bar = panel.figure.colorbar(mesh, ax=list(axes[: len(times)]), shrink=0.9, pad=0.01)
        bar.set_label("%", fontsize=8)
        bar.ax.tick_params(labelsize=7)
    for panel, dim in zip(axes[len(times) :], bars, strict=True):
        _draw_bars(panel, shares, dim, near[TOKEN_DIMS.index(dim)])


def _mark(axes, shares: xr.DataArray, near: list[int], style: str) -> None:
    """Draws the bounds of the token; dotted at other times than its own."""
    from matplotlib.patches import Rectangle

    row, column = near[2:]
    south = edges(shares["latitude"].values)[row : row + 2]
    west = edges(shares["longitude"].values)[column : column + 2]
    size = np.ptp(west), np.ptp(south)
    token = Rectangle((west.min(), south.min()), *size, fill=False, edgecolor=RED, linewidth=2)
    token.set(linestyle=style, clip_on=False, zorder=3)
    axes.add_patch(token)


def _draw_bars(axes, shares: xr.DataArray, dim: str, at: int) -> None:
    """Draws what each time or level gets of the attention; that of the token has another colour."""
    sums = shares.sum(set(shares.dims) - {dim}, min_count=1).dropna(dim)
    own = sums[dim].values == shares[dim].values[at]
    colours = np.where(own, RED, COLOURS["ensemble"])
    places = np.arange(len(sums))
    if dim == "level":
        axes.barh(places, sums, color=colours)
        axes.set_yticks(places, [f"{n:g}" for n in sums[dim].values], fontsize=7)
        axes.invert_yaxis()
    else:
        axes.bar(places, sums, color=colours)
        words = np.datetime_as_string(sums[dim].values, unit="m")
        axes.set_xticks(places, [w[5:].replace("T", "\n") for w in words], fontsize=6)
    axes.tick_params(labelsize=7)


def _nearest(coordinate: xr.DataArray, value: xr.DataArray) -> int:
    return int(np.abs(coordinate.values - value.values).argmin())


def _filled(weights: xr.DataArray, dim: str) -> xr.DataArray:
    """Returns the layers or heads that are there."""
    return weights.dropna(dim, how="all")


def _token(found: xr.Dataset) -> str:
    """Returns which token looks, in words."""
    latitude, longitude, level = (
        float(found[f"query_{d}"]) for d in ("latitude", "longitude", "level")
    )
    time = str(np.datetime_as_string(found["query_time"].values, unit="m")).replace("T", " ")
    place = (
        f"{format_degrees(round(latitude, 2), 'NS')} {format_degrees(round(longitude, 2), 'EW')}"
    )
    units = found["level"].attrs.get("units", "1")
    height = f"level {level:g} {units}" if units != "1" else f"level {level:g}"
    return f"token at {place}, {height}, {time} UTC"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
