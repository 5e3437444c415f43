"""How long a forecast of the globe takes: the estimate of `forecast --dry-run`, and a forecast.

    python benchmarks/global_forecast.py CONFIG STORE [--only-estimate] [--batch-size 16]

CONFIG is the file of a training; its model is made with random weights, of which no time depends,
and takes its statistics from STORE. Prints the estimate's lines, and then how long the forecast
took, without opening the store and compiling, divided by the estimate.
"""

import argparse
import re
import time

import atmorep_k
from atmorep_k import config
from atmorep_k.costs.prediction import estimate_forecast
from atmorep_k.data.named import store_path
from atmorep_k.inference.opening import open_dataset


def main():
    """Prints the estimate and the measured time."""
    arguments = parse()
    store = store_path(arguments.store)
    model = config.load([arguments.config], arguments.set).build().model
    dataset = open_dataset(store, None, model, model.predicted[0].name)
    model.build()
    times = [arguments.time or late(dataset.store_of().time)]
    lines = list(estimate_forecast(model, store, times, batch_size=arguments.batch_size))
    print(*lines, sep="\n")
    if arguments.only_estimate:
        return
    took = forecast_seconds(model, store, times, arguments.batch_size)
    estimate = seconds(lines[-1].split(maxsplit=1)[1])
    print(f"measured       {took:.3g} s, {took / estimate:.2f} of the estimate")


def parse():
    """Returns the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("store")
    parser.add_argument("--time", help="last visible hour  [two thirds into the store]")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--only-estimate", action="store_true")
    return parser.parse_args()


def late(times):
    """Returns a time of a store before which there is more than after it."""
    return times[2 * len(times) // 3]


def seconds(text: str) -> float:
    """Returns the seconds of `3.2 min a time, ...`."""
    number, unit = re.match(r"([\d.e+]+) (s|min)", text).groups()
    return float(number) * (60 if unit == "min" else 1)


def forecast_seconds(model, store, times, batch_size) -> float:
    """Returns the time from the first window to the last; the model has been compiled."""
    seen = []
    atmorep_k.forecast(
        model,
        store,
        times,
        batch_size=batch_size,
        progress=lambda done, total: seen.append((time.perf_counter(), done)),
    )
    if len(seen) == 1:
        raise SystemExit("One batch holds all windows, which tells no rate: try --batch-size 4.")
    (begun, first), (ended, last) = seen[0], seen[-1]
    return (ended - begun) * last / (last - first)


if __name__ == "__main__":
    main()
