"""Maps of features: tokens with similar states have similar colours."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from atmorep_k.figures.maps import MAX_LEVELS, draw_map, evenly
from atmorep_k.figures.plots import save

# Shares of the tokens below and above which a colour is full.
_DIM, _BRIGHT = 2, 98


def draw_features(found: xr.Dataset, directory: Path, lines: Sequence[np.ndarray] = ()) -> Path:
    """Draws the last token time of the last time and returns the path of the picture.

    Red, green and blue are the first three principal components of the states, over all levels
    and places shown: they have no units, and their signs no meaning.

    Args:
        found: what `features` returns.
        directory: for the picture; created if it is missing.
        lines: coastlines.
    """
    from matplotlib.figure import Figure

    features, field = found["features"], found.attrs["field"]
    rows = evenly(features.sizes["level"], MAX_LEVELS)
    shown = features.isel(time=-1, token_time=-1, level=rows).load()
    colours, explained = principal_colours(shown.values)
    figure = Figure(figsize=(7, 1 + 3 * len(rows)), layout="constrained")
    shares = ", ".join(f"{share:.0%}" for share in explained)
    hours = shown["token_time"].values / np.timedelta64(1, "h")
    time = str(np.datetime_as_string(shown["time"].values, unit="m")).replace("T", " ")
    figure.suptitle(
        f"{field}: hidden states of tokens {-hours:g} h before {time} UTC\n"
        f"principal components as red, green, blue ({shares} of the variance)",
        fontsize=10,
    )
    place = shown.isel(level=0, feature=0, drop=True).to_dataset(name="state")
    place["hidden"] = xr.zeros_like(place["state"], bool)
    panels = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for axes, level, values in zip(panels, shown["level"].values, colours, strict=True):
        draw_map(axes, place, values, {}, lines)
        if len(rows) > 1:
            axes.set_ylabel(f"level {level:g}", fontsize=9)
    directory.mkdir(parents=True, exist_ok=True)
    return save(figure, directory / f"features_{field}.png")


def principal_colours(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns colours (..., 3) from 0 to 1 of states (..., feature), and the variance they explain.

    Each is a principal component, stretched between its 2nd and 98th percentile. Where there are
    fewer than three features, the other colours are 0.
    """
    flat = states.reshape(-1, states.shape[-1]).astype(np.float64)
    flat = flat - flat.mean(axis=0)
    variances, axes = np.linalg.eigh(flat.T @ flat)
    largest = np.argsort(variances)[:-4:-1]
    parts = flat @ axes[:, largest]
    low, high = np.percentile(parts, [_DIM, _BRIGHT], axis=0)
    parts = np.clip((parts - low) / np.where(high > low, high - low, 1.0), 0, 1)
    colours = np.zeros((len(flat), 3))
    colours[:, : parts.shape[1]] = parts
    return colours.reshape(*states.shape[:-1], 3), variances[largest] / (variances.sum() or 1.0)
