"""Predictions that are stopped and go on: to the same files, byte for byte."""

import numpy as np
import pytest

import atmorep_k
from atmorep_k.errors import UserError
from atmorep_k.inference import output as prediction_files
from atmorep_k.tasks.correct import correct
from atmorep_k.tasks.rollout import rollout

from known_truth import Answers, members, tell_the_truth, write

TIMES = ["2020-01-31T20", "2020-02-01T00", "2020-02-01T06"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return str(write(tmp_path_factory.mktemp("store") / "global.zarr"))


@pytest.fixture(autouse=True)
def truth(monkeypatch):
    tell_the_truth(monkeypatch)


def forecast(store, output, **options):
    model = Answers(["temperature", "2m_temperature"], members)
    return atmorep_k.forecast(model, store, TIMES, output=output, **options)


def forecast_further(store, output, **options):
    options = {"hours": 4, "feed": "random", **options}
    return rollout(Answers(["temperature"], members), store, TIMES, output=output, **options)


def see_again(store, output, **options):
    model = Answers(["temperature"], members)
    return correct(model, store, TIMES, passes=2, output=output, **options)


def contents(path):
    return {p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def stop(monkeypatch):
    """Function (number, error): ends the process as that time has been written, or half of it."""

    def after(number, error=KeyboardInterrupt):
        original = prediction_files._write_zarr

        def written(piece, encoding, path, at):
            original(piece, encoding, path, at)
            if at == number:
                raise error

        monkeypatch.setattr(prediction_files, "_write_zarr", written)

    yield after
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("predict", "number"),
    [(forecast, 0), (forecast, 1), (forecast_further, 1), (see_again, 1)],
)
def test_a_stopped_prediction_goes_on_to_the_same_bytes(
    predict, number, store, tmp_path, stop, monkeypatch
):
    predict(store, tmp_path / "whole.zarr")
    output, counted = tmp_path / "new" / "stopped.zarr", []
    stop(number)
    with pytest.raises(KeyboardInterrupt):
        predict(store, output)
    (left,) = names(output.parent)
    assert left.startswith(".partial-")
    monkeypatch.undo()
    tell_the_truth(monkeypatch)
    found = predict(
        store, output, resume=True, progress=lambda done, total: counted.append((done, total))
    )
    assert found.sizes["time"] == 3
    assert contents(output) == contents(tmp_path / "whole.zarr")
    assert names(output.parent) == ["stopped.zarr"]
    done, total = np.transpose(counted)
    assert len(set(total)) == 1
    assert done[-1] == total[0]
    assert number < 3 * done[0] / total[0] <= number + 1  # what was done counts, once


def test_what_fails_leaves_nothing(store, tmp_path, stop):
    stop(1, ValueError)
    with pytest.raises(ValueError):
        forecast(store, tmp_path / "new" / "failed.zarr")
    assert not (tmp_path / "new").exists()


def test_another_prediction_does_not_go_on(store, tmp_path, stop, monkeypatch):
    output = tmp_path / "stopped.zarr"
    stop(1)
    with pytest.raises(KeyboardInterrupt):
        forecast(store, output)
    monkeypatch.undo()
    tell_the_truth(monkeypatch)
    for changes, differing in (
        ({"region": (0, 90, -180, 0)}, "grid"),
        ({"members": False}, "setting"),
        ({"fields": ["temperature"]}, "field and a different grid"),
    ):
        with pytest.raises(UserError, match=f"made with a different {differing}. Repeat the same"):
            forecast(store, output, resume=True, **changes)
    assert len(names(tmp_path)) == 1


def test_nothing_to_go_on_with(store, tmp_path):
    forecast(store, tmp_path / "new.zarr", resume=True)
    assert names(tmp_path) == ["new.zarr"]
    with pytest.raises(UserError, match=r"only an output that ends in .zarr can be resumed"):
        forecast(store, tmp_path / "new.nc", resume=True)
