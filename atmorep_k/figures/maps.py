"""Maps of a window: target, prediction, error and spread, with the masked points outlined."""

import importlib.util
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from atmorep_k.data.stores.base import Store

PANELS = {
    "target": "Target",
    "prediction": "Prediction, mean of {number} members",
    "error": "Error, prediction - target",
    "spread": "Spread, standard deviation",
}
# A figure of more levels is not readable.
MAX_LEVELS = 6
PANEL_WIDTH, PANEL_HEIGHT = 3.1, 2.6  # inches, at most
VISIBLE_ALPHA = 0.4


def prediction_maps(
    picture: xr.Dataset,
    title: str,
    lines: Sequence[np.ndarray] = (),
    panels: Mapping[str, str] = PANELS,
):
    """Return the figure with one row of maps per level, at the time where most was masked.

    The target is left out if it is not known at that time, the error if it is not known at masked
    points, and the spread of a single forecast.

    Args:
        picture: `target`, `prediction`, `spread` and `hidden` (level, time, latitude, longitude);
            attributes `long_name`, `units`, `level_units`, `has_level`, `number` of members (None
            if it is not known).
        title: the task in words.
        lines: coastlines, each (point, 2) longitude and latitude; empty for a simulated world.
        panels: titles of the maps, by the names of `PANELS`.
    """
    from matplotlib.figure import Figure

    picture = picture.assign_coords(longitude=unwrap(picture["longitude"].values))
    rows = evenly(picture.sizes["level"], MAX_LEVELS)
    names = _shown_panels(picture)
    figure = Figure(figsize=_figure_size(picture, len(rows), len(names)), layout="compressed")
    figure.suptitle(f"{_capital(picture.attrs['long_name'])}: {title[0].lower()}{title[1:]}")
    maps = figure.subplots(len(rows), len(names), sharex=True, sharey=True, squeeze=False)
    for axes, level in zip(maps, rows, strict=True):
        _draw_row(figure, dict(zip(names, axes, strict=True)), picture.isel(level=level), lines)
    for axes, name in zip(maps[0], names, strict=True):
        words = panels[name]
        if picture.attrs["number"] is None:
            words = words.replace(" of {number} members", "")
        axes.set_title(words.format(number=picture.attrs["number"]), fontsize=10, loc="left")
    return figure


def evenly(number: int, most: int, kept: int = 0) -> np.ndarray:
    """Return at most `most` of the indices 0..number-1, evenly spaced.

    The first and the last are among them, unless `kept` takes the place of one.

    Args:
        number: how many there are: levels, times, rows of a figure.
        most: how many can be shown.
        kept: an index that is always among them.
    """
    chosen = np.unique(np.linspace(0, number - 1, min(most, number)).round().astype(int))
    if kept not in chosen:
        chosen[np.abs(chosen - kept).argmin()] = kept
    return chosen


def _shown_panels(picture: xr.Dataset) -> list[str]:
    hidden = picture["hidden"].values
    step = shown_time(hidden[0])
    known = np.isfinite(picture["target"].isel(time=step).values)
    missing = set() if known.any() else {"target"}
    if not (known & hidden[:, step]).any():
        missing.add("error")
    if not np.isfinite(picture["spread"].isel(time=step).values).any():
        missing.add("spread")
    return [name for name in PANELS if name not in missing]


def _draw_row(figure, axes: dict, one_level: xr.Dataset, lines) -> None:
    from matplotlib.cm import ScalarMappable

    step = shown_time(one_level["hidden"].values)
    shown = one_level.isel(time=step)
    hidden = shown["hidden"].values
    target, prediction = shown["target"].values, shown["prediction"].values
    error = np.where(hidden, prediction - target, np.nan)
    field = _field_colours(target, prediction)
    largest = float(np.nanmax(np.abs(error), initial=0)) or 1.0
    spread = shown["spread"].values
    colours = {
        "target": (target, field),
        "prediction": (prediction, field),
        "error": (error, {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}),
        "spread": (
            spread,
            {"cmap": "cividis", "vmin": 0, "vmax": np.nanmax(spread, initial=0) or 1.0},
        ),
    }
    meshes = {name: draw_map(a, shown, *colours[name], lines) for name, a in axes.items()}
    # The true field that the model saw is pale around its prediction.
    meshes["prediction"].set_alpha(np.where(hidden, 1.0, VISIBLE_ALPHA))
    units = shown.attrs["units"]
    for name, mesh in meshes.items():
        if name == "target":
            continue  # the colours of the prediction
        beside = axes[name]
        # An inset is as high as its map, whatever the shape of the window.
        inset = beside.inset_axes([1.04, 0, 0.05, 1])
        # Of the colours alone: the map of the prediction is partly transparent.
        bar = figure.colorbar(ScalarMappable(mesh.norm, mesh.cmap), cax=inset)
        bar.set_label(units, fontsize=9)
        bar.ax.tick_params(labelsize=8)
        bar.formatter.set_powerlimits((-3, 4))
    next(iter(axes.values())).set_ylabel(_row_label(shown, one_level, step), fontsize=9)


def draw_map(axes, shown: xr.Dataset, values: np.ndarray, colours: dict, lines):
    """Draw values (lat, lon) on a map, outline what is masked, and return the mesh.

    Args:
        axes: of matplotlib.
        shown: `latitude`, `longitude` (without a jump) and `hidden` (lat, lon).
        values: (lat, lon).
        colours: keywords of the mesh.
        lines: coastlines, see `coastlines`.
    """
    from matplotlib.collections import LineCollection

    longitude = edges(shown["longitude"].values)
    latitude = edges(shown["latitude"].values)
    mesh = axes.pcolormesh(longitude, latitude, values, rasterized=True, **colours)
    axes.set_facecolor("0.85")
    outline = masked_outline(shown["hidden"].values, longitude, latitude)
    axes.add_collection(LineCollection(outline, colors="black", linewidths=0.8))
    turned = [np.add(line, (turn, 0)) for line in lines for turn in (-360, 0, 360)]
    axes.add_collection(LineCollection(turned, colors="0.25", linewidths=0.7), autolim=False)
    axes.set(xlim=(longitude.min(), longitude.max()), ylim=(latitude.min(), latitude.max()))
    axes.set_aspect(stretch(shown), adjustable="box")
    axes.xaxis.set_major_formatter(lambda value, _: format_degrees((value + 180) % 360 - 180, "EW"))
    axes.yaxis.set_major_formatter(lambda value, _: format_degrees(value, "NS"))
    axes.locator_params(nbins=4)
    axes.tick_params(labelsize=8)
    return mesh


def unwrap(longitude: np.ndarray) -> np.ndarray:
    """Return ascending longitudes without the jump where a window crosses a meridian."""
    unbroken = np.unwrap(np.asarray(longitude, np.float64), period=360)
    return unbroken - 360 * np.floor((unbroken.mean() + 180) / 360)


def edges(centres: np.ndarray) -> np.ndarray:
    """Return the n + 1 bounds of cells around n coordinates; a lone cell is 1 degree wide."""
    if len(centres) == 1:
        return centres[0] + np.array([-0.5, 0.5])
    middle = (centres[1:] + centres[:-1]) / 2
    ends = 1.5 * centres[[0, -1]] - 0.5 * centres[[1, -2]]
    return np.concatenate([ends[:1], middle, ends[1:]])


def masked_outline(masked: np.ndarray, longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """Return the segments (segment, 2, 2) between masked and visible cells.

    Args:
        masked: bool (lat, lon).
        longitude: bounds of the cells (lon + 1,).
        latitude: bounds of the cells (lat + 1,).
    """
    row, column = np.nonzero(masked[:, 1:] != masked[:, :-1])
    x = longitude[column + 1]
    upright = np.stack([x, latitude[row], x, latitude[row + 1]], axis=-1)
    row, column = np.nonzero(masked[1:] != masked[:-1])
    y = latitude[row + 1]
    level = np.stack([longitude[column], y, longitude[column + 1], y], axis=-1)
    return np.concatenate([upright, level]).reshape(-1, 2, 2)


def shown_time(masked: np.ndarray) -> int:
    """Return the time where most of (time, lat, lon) is masked, far from the other times."""
    count = masked.sum(axis=(-2, -1))
    most = count == count.max()
    steps = np.arange(len(count))
    if most.all():
        return len(count) // 2
    distance = np.abs(steps[:, None] - steps[~most]).min(axis=1)
    return int(np.argmax(np.where(most, distance, -1)))


def coastlines_of(stores: Iterable[Store]) -> list[np.ndarray]:
    """Return the `coastlines` of the world that stores describe: a simulated one has none."""
    return [] if any(store.attributes.get("simulated") for store in stores) else coastlines()


def coastlines() -> list[np.ndarray]:
    """Return coastlines (point, 2) if cartopy is installed and has them on disk, else nothing.

    Nothing is downloaded: the finest of the files in `$CARTOPY_DATA_DIR`, or left by an earlier use
    of cartopy, is read.
    """
    # cartopy itself is not imported: its PROJ and that of ecCodes in one process crash at exit.
    cartopy = importlib.util.find_spec("cartopy")
    if not cartopy or not cartopy.origin:
        return []
    import shapefile

    own = Path(os.environ.get("XDG_DATA_HOME", Path.home() / ".local" / "share"), "cartopy")
    folders = [os.environ.get("CARTOPY_DATA_DIR"), own, Path(cartopy.origin).parent / "data"]
    for scale in ("50m", "110m"):
        name = f"shapefiles/natural_earth/physical/ne_{scale}_coastline.shp"
        for path in (Path(folder, name) for folder in folders if folder):
            if path.is_file():
                with shapefile.Reader(str(path)) as reader:
                    return [part for shape in reader.shapes() for part in _parts(shape)]
    return []


def _parts(shape) -> list[np.ndarray]:
    return np.split(np.asarray(shape.points, np.float64), list(shape.parts)[1:])


def _field_colours(target: np.ndarray, prediction: np.ndarray) -> dict:
    both = np.stack([target, prediction])
    low, high = float(np.nanmin(both)), float(np.nanmax(both))
    if low < 0 < high and min(-low, high) > 0.25 * max(-low, high):
        largest = max(-low, high)
        return {"cmap": "PuOr_r", "vmin": -largest, "vmax": largest}
    return {"cmap": "viridis", "vmin": low, "vmax": high if high > low else low + 1}


def _row_label(shown: xr.Dataset, one_level: xr.Dataset, step: int) -> str:
    lines = []
    if shown.attrs["has_level"]:
        lines.append(f"level {float(shown['level']):g} {shown.attrs['level_units']}".strip())
    time = str(np.datetime_as_string(shown["time"].values, unit="m"))
    lines.append(f"{time.replace('T', ' ')} UTC")
    visible = np.flatnonzero(~one_level["hidden"].values.all(axis=(-2, -1)))
    if len(visible) and step not in visible:
        nearest = visible[np.abs(visible - step).argmin()]
        hours = (shown["time"].values - one_level["time"].values[nearest]) / np.timedelta64(1, "h")
        side = "after the last" if hours > 0 else "before the next"
        lines.append(f"{abs(hours):g} h {side} visible")
    return "\n".join(lines)


def _figure_size(picture: xr.Dataset, rows: int, columns: int) -> tuple[float, float]:
    latitude, longitude = (np.ptp(edges(picture[n].values)) for n in ("latitude", "longitude"))
    ratio = latitude * stretch(picture) / longitude
    width = max(1.9, min(PANEL_WIDTH, PANEL_HEIGHT / ratio))
    return columns * (width + 0.9), rows * (min(PANEL_HEIGHT, ratio * width) + 0.35) + 0.9


def stretch(picture: xr.Dataset | xr.DataArray) -> float:
    """Return how much longer a degree of latitude is than one of longitude, at most twice."""
    middle = np.deg2rad(float(picture["latitude"].mean()))
    return min(2.0, 1 / max(np.cos(middle), 0.1))


def format_degrees(value: float, sides: str) -> str:
    """Return degrees as text; sides are `"NS"` or `"EW"`."""
    side = "" if value in (0, -180, 180) else sides[0] if value > 0 else sides[1]
    return f"{abs(value):g}°{side}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
