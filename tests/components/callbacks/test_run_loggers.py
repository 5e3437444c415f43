"""Loggers that copy a run to a service, for which a module that writes down its calls stands."""

import csv
import json
import sys
import types

import pytest

from atmorep_k import components
from atmorep_k.errors import UserError
from atmorep_k.runs.directory import HISTORY_COLUMNS, WATCH_COLUMNS, RunDirectory

CONFIG = "STEPS = 5\n\nscored/RandomTokens.ratio = (0.1,\n                             0.5)\n"


class Service:
    """What MLflow or W&B would know of one run."""

    def __init__(self):
        self.opened, self.ended, self.files, self.values = [], [], [], {}
        self.settings = {}

    def add(self, step, values):
        for name, value in values.items():
            assert (name, step) not in self.values, "sent twice"
            self.values[name, step] = value

    def curve(self, name):
        return {step: value for (n, step), value in self.values.items() if n == name}


def fake_mlflow(service):
    pair = lambda *parts: parts  # noqa: E731

    class Client:
        def __init__(self, tracking_uri=None):
            pass

        def get_experiment_by_name(self, name):
            return None

        def create_experiment(self, name):
            return f"number of {name}"

        def create_run(self, number, run_name):
            service.opened.append((number, run_name))
            return types.SimpleNamespace(info=types.SimpleNamespace(run_id="one"))

        def update_run(self, run_id, status):
            service.opened.append((run_id, status))

        def log_batch(self, run_id, metrics=(), params=()):
            assert run_id == "one"
            service.settings |= dict(params)
            for name, value, _, step in metrics:
                service.add(step, {name: value})

        def log_artifact(self, run_id, path, folder=None):
            service.files.append(path)

        def set_terminated(self, run_id, status):
            service.ended.append(status == "FINISHED")

    entities = types.SimpleNamespace(Metric=pair, Param=pair)
    errors = types.SimpleNamespace(MlflowException=OSError)
    return types.SimpleNamespace(MlflowClient=Client, entities=entities, exceptions=errors)


def fake_wandb(service):
    class Run:
        id = "one"

        def define_metric(self, name, step_metric=None):
            pass

        def log(self, values):
            values = dict(values)
            step = values.pop("step")
            service.files += [v for v in values.values() if isinstance(v, str)]
            service.add(step, {n: v for n, v in values.items() if not isinstance(v, str)})

        def save(self, path, base_path, policy):
            service.files.append(path)

        def finish(self, exit_code):
            service.ended.append(exit_code == 0)

    def init(project, name, id, config, **others):
        assert others["resume"] == "allow"
        service.opened.append((f"number of {project}", name) if id is None else (id, "RUNNING"))
        service.settings |= config
        return Run()

    return types.SimpleNamespace(init=init, Image=str)


KINDS = {
    "mlflow": (components.callbacks.MLflowLogger, fake_mlflow),
    "wandb": (components.callbacks.WandbLogger, fake_wandb),
}


def append(path, columns, **row):
    with path.open("a", newline="") as file:
        csv.DictWriter(file, columns).writerow(row)


def trained(run, steps, watched):
    """Adds the rows of some steps, the last of which ends an epoch, and scores at one of them."""
    for step in steps:
        held_out = {"val_loss": 2.0} if step == steps[-1] else {}
        append(run.history, HISTORY_COLUMNS, step=step, loss=10.0 + step, seconds=1.0, **held_out)
    score = {"step": watched, "task": "forecast", "field": "wind", "metric": "crps", "units": "m"}
    for level, model, value in (("all", "ensemble", 0.5), ("500", "persistence", "")):
        append(run.watch, WATCH_COLUMNS, level=level, model=model, value=value, **score)


@pytest.fixture
def run(tmp_path):
    """A run before its first step."""
    made = RunDirectory(tmp_path / "first")
    made.create(CONFIG)
    made.cut_watch(0)
    made.write_record(seed=0)
    return made


@pytest.mark.parametrize("name", KINDS)
def test_a_run_that_is_resumed_is_one_run_of_the_service(name, run, monkeypatch):
    service, (kind, module) = Service(), KINDS[name]
    monkeypatch.setitem(sys.modules, name, module(service))
    logger = kind("winds")
    logger.check()
    logger.begin(run, CONFIG, 0)
    trained(run, range(1, 4), watched=2)
    logger.on_epoch_end(0)
    logger.end(run, finished=False)
    run.cut_history(2)  # as it was at the last checkpoint
    run.cut_watch(2)
    logger = kind("winds")
    logger.begin(run, CONFIG, 2)
    trained(run, range(3, 4), watched=3)
    logger.on_epoch_end(0)
    trained(run, range(4, 6), watched=5)
    logger.on_epoch_end(1)
    record = {"task": "forecast", "field": "wind", "metric": "crps", "model": "ensemble"}
    records = [record | {"level": "all", "value": 0.25}, record | {"level": 500, "value": None}]
    records.append(record | {"level": "all", "value": 0.2, "lead_time_hours": 3.0})
    run.scores.write_text(json.dumps(records))
    (run.path / "plots").mkdir()
    (run.path / "plots" / "loss.png").touch()
    logger.end(run, finished=True)
    assert service.opened == [("number of winds", "first"), ("one", "RUNNING")]
    assert service.ended == [False, True]
    assert service.settings == {"STEPS": "5", "scored/RandomTokens.ratio": "(0.1, 0.5)"}
    assert service.curve("loss") == {step: 10.0 + step for step in range(1, 6)}
    assert service.curve("val_loss") == {3: 2.0, 5: 2.0}
    assert service.curve("forecast/wind/crps") == {2: 0.5, 5: 0.5}
    assert service.curve("final/forecast/wind/crps") == {5: 0.25}
    assert {n for n, _ in service.values if "persistence" in n or "500" in n} == set()
    kept = {path.rpartition("/")[2] for path in service.files}
    assert kept == {"config.gin", "run.json", "history.csv", "watch.csv", "scores.json", "loss.png"}
    assert json.loads(run.record.read_text())["seed"] == 0


@pytest.mark.parametrize("name", KINDS)
def test_a_package_that_is_missing_is_told_in_a_sentence(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=rf"not installed: run  pip install 'atmorep-k\[{name}\]'"):
        KINDS[name][0]().check()
