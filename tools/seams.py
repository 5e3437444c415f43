"""Whether the seams between the windows of a prediction can be seen in its gradient.

    python tools/seams.py runs/forecast_6h --store demo --time 2000-01-19T06 --output seams.png

Forecasts the globe with and without overlap, and compares steps from one longitude to the next with
those of the store: root mean square of their difference, in units of the store's own steps, where a
window ends, where only a token ends, and within tokens. Prints a table and draws the steps.
"""

import argparse

import numpy as np

import atmorep_k
from atmorep_k.data.named import store_path
from atmorep_k.data.opening import open_store
from atmorep_k.inference.opening import opened_model
from atmorep_k.inference.tiling import tile

PLACES = ("ends of windows", "ends of tokens", "within tokens")


def main():
    """Prints the table and the path of the figure."""
    arguments = _arguments()
    model, _ = opened_model(arguments.model, arguments.store, None)
    by_name = {f.name: f for f in model.predicted}
    field = by_name[arguments.field or model.predicted[0].name]
    store = open_store(store_path(arguments.store))
    shown = {}
    print(f"{'overlap':10s}" + "".join(f"{name:>18s}" for name in PLACES))
    for tokens in range(max(1, field.num_tokens[2] // 2) + 1):
        overlap = (min(tokens, field.num_tokens[1] // 2), tokens)
        predicted, truth = _steps(model, field, store, arguments, overlap)
        error = ((predicted - truth) ** 2).mean(axis=(0, 1, 2, 3))
        place, usual = _places(store, field, overlap), (truth**2).mean()
        sizes = (np.sqrt(error[place == n].mean() / usual) for n in range(len(PLACES)))
        print(f"{overlap!s:10s}" + "".join(f"{size:18.3f}" for size in sizes))
        shown |= {"store": truth, f"forecast, overlap {overlap[0]} {overlap[1]}": predicted}
    print(_draw(shown, field, arguments.output))


def _steps(model, field, store, arguments, overlap) -> tuple[np.ndarray, np.ndarray]:
    """Returns the steps of a forecast's mean and of the store, (time, lead, level, lat, lon)."""
    options = {"overlap": overlap, "fields": [field.name]}
    found = atmorep_k.forecast(model, arguments.store, arguments.time, **options)
    valid = found["time"] + found["prediction_timedelta"]
    truth = store.dataset()[field.name].sel(time=valid, level=found["level"])
    dims = ("time", "prediction_timedelta", "level", "latitude", "longitude")
    values = (array.transpose(*dims) for array in (found[field.name].mean("number"), truth))
    return tuple(_eastward(array) for array in values)


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model")
    parser.add_argument("--store", required=True)
    parser.add_argument("--time", required=True, action="append")
    parser.add_argument("--field")
    parser.add_argument("--output", required=True)
    return parser.parse_args()


def _eastward(array) -> np.ndarray:
    """Returns steps from each longitude to the next, round the globe."""
    values = array.values.astype(np.float64)
    return np.roll(values, -1, axis=-1) - values


def _places(store, field, overlap) -> np.ndarray:
    """Returns for the step after each longitude which of `PLACES` it crosses."""
    size, points = (
        field.window.shape[1:],
        [n * p for n, p in zip(overlap, field.token_size[1:], strict=True)],
    )
    starts = tile(store.latitude, store.longitude, store.is_global, size, points).columns.starts
    number, width = len(store.longitude), field.token_size[2]
    after = np.arange(1, number + 1)
    place = np.where((after - starts[0]) % width == 0, 1, 2)
    for edge in (*starts, *(starts + size[1])):
        place[(edge - 1) % number] = 0
    return place


def _draw(steps, field, path):
    from atmorep_k.figures.plots import new_figure

    figure = new_figure(8, 2.2 * len(steps))
    limit = 3 * steps["store"].std()
    for axes, (name, values) in zip(figure.subplots(len(steps), 1), steps.items(), strict=True):
        shown = axes.imshow(
            values[0, -1, len(field.levels) // 2],
            cmap="RdBu_r",
            vmin=-limit,
            vmax=limit,
            extent=(0, 360, -90, 90),
            aspect="auto",
        )
        axes.set_title(name, loc="left", fontsize="medium")
        figure.colorbar(shown, ax=axes)
    figure.suptitle(f"{field.name.replace('_', ' ')}: step from one longitude to the next")
    figure.savefig(path, dpi=120)
    return path


if __name__ == "__main__":
    main()
