"""What coupling brings: three models trained further alone, or as one, for the same time.

    python benchmarks/coupling.py [--minutes 2.5] [--output runs/coupling] [--fields ...]

Vorticity and the two winds of the demo store are pretrained alone for M minutes each
(gin/pretrain_field.gin). Then each goes on alone for M minutes more, and the three, assembled by
gin/couple_fields.gin, are trained for 3 M minutes: the same time in all, with the settings of
gin/couple_fields.gin in both cases. A training's time contains its compilation, validations and
checkpoints. Before that, it is checked that each field of the assembled model predicts exactly, op
by op, what its single model does.

Prints normalised mean square errors on the same held-out windows, the ratio of coupled to further
trained alone, and their means over fields. Runs are kept in --output; those that are complete are
not made again, one that was cut off is begun anew.
"""

import argparse
import csv
import dataclasses
import json
import statistics
import sys
import tempfile
from pathlib import Path

FIELDS = ("vorticity", "u_component_of_wind", "v_component_of_wind")
TASKS = {"masked": "@scored/RandomTokens()", "forecast": "@Forecast()"}
WAYS = ("start", "further", "coupled")
WINDOWS = 2  # whose predictions are compared before the first step


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=2.5)
    parser.add_argument("--fields", nargs="+", default=FIELDS)
    parser.add_argument("--output", type=Path, help="kept directory of the runs [a temporary one]")
    arguments = parser.parse_args()
    if arguments.output:
        benchmark(arguments.output, arguments.minutes, arguments.fields)
        return
    with tempfile.TemporaryDirectory() as directory:
        benchmark(Path(directory), arguments.minutes, arguments.fields)


def benchmark(output: Path, minutes: float, fields: list[str]) -> None:
    start, further = {}, {}
    for name in fields:
        options = [f"FIELD={name}"]
        start[name] = train(output / f"{name}_start", "pretrain_field.gin", options, minutes)
    # Without couplings there are no new paths to have a rate of their own.
    single = ["CoupledModel.couplings={}", "Pretraining.learning_rates=None"]
    for name in fields:
        options = [sources([start[name]]), *single]
        further[name] = train(output / f"{name}_further", "couple_fields.gin", options, minutes)
    options = [sources(start.values())]
    identical = predict_the_same(start, options)
    coupled = train(output / "coupled", "couple_fields.gin", options, len(fields) * minutes)
    print_trainings([*start.values(), *further.values(), coupled])
    print_identical(identical)
    ways = zip(WAYS, (start.values(), further.values(), [coupled]), strict=True)
    errors = {way: normalised_errors(runs) for way, runs in ways}
    for task in TASKS:
        print_scores(task, errors, fields)


def sources(runs) -> str:
    return f"SOURCES={[str(run.path) for run in runs]}"


def train(path: Path, file: str, options: list[str], minutes: float):
    """Returns the run of a training that ends by its time; made where it is not there."""
    from atmorep_k import config
    from atmorep_k.runs.directory import RunDirectory

    maskings = ", ".join(f"'{task}': {masking}" for task, masking in TASKS.items())
    # Time ends the training: no number of steps that it could reach.
    limits = [f"TrainingSchedule.minutes={minutes}", "STEPS=1000000"]
    values = [*options, *limits, f"Scoring.maskings={{{maskings}}}"]
    configuration = config.load((file,), values)
    run = RunDirectory(path)
    if run.config.is_file() and run.config.read_text() != configuration.text:
        sys.exit(f"{path} is a run with other settings: choose another --output.")
    if not run.scores.is_file():
        if run.config.is_file():
            run.remove()
        run.check_new()
        configuration.build().run(run, configuration.text)
    return run


def predict_the_same(start: dict, options: list[str]) -> dict[str, bool]:
    """Tells, by field, whether the assembled model predicts exactly what the single one does."""
    import numpy as np

    from atmorep_k import config, load_model

    task = config.load(("couple_fields.gin",), options).build()
    task.prepare()
    windows = [
        task.dataset.window("validation", task.seed, i, task.masking) for i in range(WINDOWS)
    ]
    together = predict(task.model, windows)
    found = {}
    for name, run in start.items():
        alone = predict(load_model(run.model), windows)
        found[name] = np.array_equal(alone[name], together[name])
    return found


def predict(model, windows: list) -> dict:
    """Returns the members of a model's fields, computed op by op, without a compiler's fusions."""
    from atmorep_k.inference.batches import predict_batch

    names = {field.name for field in model.fields}
    own = [
        dataclasses.replace(
            w, inputs={k: a for k, a in w.inputs.items() if k.split("/")[0] in names}
        )
        for w in windows
    ]
    model.run_eagerly = True
    return predict_batch(model, own, len(own))


def normalised_errors(runs) -> dict[tuple[str, str], float]:
    """Returns (task, field) -> normalised MSE over all levels and lead times."""
    records = [record for run in runs for record in json.loads(run.scores.read_text())]
    return {
        (record["task"], record["field"]): record["value"]
        for record in records
        if (record["level"], record["metric"], record["model"])
        == ("all", "normalised_mse", "ensemble")
        and "lead_time_hours" not in record
    }


def print_trainings(runs: list) -> None:
    print(f"{'training':<24}{'seconds':>9}{'steps':>8}")
    for run in runs:
        with run.history.open() as file:
            *_, last = csv.DictReader(file)
        print(f"{run.path.name:<24}{run.training_seconds:>9.1f}{last['step']:>8}")
    print()


def print_identical(identical: dict[str, bool]) -> None:
    print("before the first step of the coupled model, its predictions and those of single models:")
    for name, same in identical.items():
        print(f"{name:<24}{'identical, bit for bit' if same else 'DIFFERENT'}")
    print()


def print_scores(task: str, errors: dict[str, dict], fields: list[str]) -> None:
    print(f"{task:<24}{'start':>9}{'further':>9}{'coupled':>9}{'coupled/further':>17}")
    rows = [[errors[way][task, name] for way in WAYS] for name in fields]
    ratios = [coupled / further for _, further, coupled in rows]
    for name, row, ratio in zip(fields, rows, ratios, strict=True):
        print_row(name, row, ratio)
    # The last figure is the mean of the ratios, the others are plain means.
    means = [statistics.mean(column) for column in zip(*rows, strict=True)]
    print_row("mean", means, statistics.mean(ratios))
    print()


def print_row(name: str, values: list[float], ratio: float) -> None:
    print(f"{name:<24}{''.join(f'{value:>9.4f}' for value in values)}{ratio:>17.3f}")


if __name__ == "__main__":
    main()
