"""Checkpoints: pieces of several processes, put together for any other; whole or not there."""

import errno
import random
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

from atmorep_k.distribution.engine import Engine
from atmorep_k.errors import UserError
from atmorep_k.runs import checkpoints
from atmorep_k.runs.checkpoints import Checkpoint, CheckpointWriter, clean, path_of


class Variable:
    """Stands for a variable of Keras: a value with a path."""

    def __init__(self, path, value):
        self.path, self.value = path, value

    shape = property(lambda self: self.value.shape)
    dtype = property(lambda self: self.value.dtype)


class Rows(Engine):
    """One of several processes, each of which holds some rows of every array."""

    def __init__(self, process, num_processes):
        super().__init__()
        self.process, self.num_processes = process, num_processes

    def _rows(self, variable):
        shape = variable.shape
        if not shape:
            return ()
        per = -(-shape[0] // self.num_processes)
        rows = slice(min(self.process * per, shape[0]), min((self.process + 1) * per, shape[0]))
        return (rows, *(slice(0, n) for n in shape[1:]))

    def pieces(self, variable):
        if not variable.shape and self.process:
            return []
        block = self._rows(variable)
        return [(block, variable.value[block])]

    def fill(self, variable, read):
        block = self._rows(variable)
        variable.value = np.zeros_like(variable.value)
        variable.value[block] = read(block)


def made(seed=0, name="adam"):
    """A model with some variables, one of them a number."""
    rng = np.random.default_rng(seed)
    shapes = {"model/a/kernel": (5, 3), "model/b/bias": (4,), "model/c/seed_generator_7/state": ()}
    variables = [Variable(p, np.asarray(rng.normal(size=s), "f4")) for p, s in shapes.items()]
    steps = Variable(f"{name}/iteration", np.asarray(seed))
    return SimpleNamespace(variables=variables, optimizer=SimpleNamespace(variables=[steps]))


def values(model):
    return [v.value for v in (*model.variables, *model.optimizer.variables)]


def save(folder, processes, model, step=3, **scores):
    engines = [Rows(number, processes) for number in reversed(range(processes))]
    for engine in engines:
        writer = CheckpointWriter(folder, engine)
        writer.save(model, step, scores)
        writer.close()


@pytest.mark.parametrize(("writers", "readers"), [(1, 1), (3, 1), (1, 2), (3, 2), (2, 5)])
def test_any_number_of_processes_reads_what_any_wrote(writers, readers, tmp_path):
    save(tmp_path, writers, made())
    (found,) = checkpoints.checkpoints(tmp_path)
    assert (found.step, found.state["processes"]) == (3, writers)
    parts = [made(seed=1, name="adam_2") for _ in range(readers)]
    for number, part in enumerate(parts):
        found.restore(part, Rows(number, readers))
    for number, expected in enumerate(values(made())):
        held = [values(part)[number] for part in parts]
        np.testing.assert_array_equal(sum(held) if expected.shape else held[0], expected)


def test_what_is_saved_is_what_was_there_when_it_was_asked_for(tmp_path):
    model, writer = made(), CheckpointWriter(tmp_path, Engine())
    writer.engine = Rows(0, 1)
    writer.save(model, 1, {})
    for variable in model.variables:
        variable.value[...] = 0
    writer.close()
    again = made(seed=1)
    Checkpoint(path_of(tmp_path, 1)).restore(again, Rows(0, 1))
    np.testing.assert_array_equal(values(again)[0], values(made())[0])


def test_half_precision_of_eight_bits(tmp_path):
    import ml_dtypes

    model = made()
    model.variables[0].value = model.variables[0].value.astype(ml_dtypes.bfloat16)
    save(tmp_path, 2, model)
    again = made(seed=1)
    again.variables[0].value = again.variables[0].value.astype(ml_dtypes.bfloat16)
    checkpoints.checkpoints(tmp_path)[0].restore(again, Rows(0, 1))
    np.testing.assert_array_equal(values(again)[0], values(model)[0])


def test_the_last_and_the_best_are_kept(tmp_path):
    writer = CheckpointWriter(tmp_path, Rows(0, 1), keep=2, best="val_loss")
    for step, score in ((1, 0.5), (2, 0.1), (3, 0.3), (4, 0.2)):
        writer.save(made(), step, {"val_loss": score})
    writer.save(made(), 5, {})
    writer.close()
    assert [c.step for c in checkpoints.checkpoints(tmp_path)] == [2, 4, 5]
    assert sorted(p.name[:5] for p in tmp_path.iterdir()) == ["step_"] * 3


def test_another_model_is_refused(tmp_path):
    save(tmp_path, 1, made())
    other = made()
    other.variables[0].value = np.zeros((5, 4), "f4")
    with pytest.raises(UserError, match=r"differ in model/a/kernel \[5, 3\]"):
        checkpoints.checkpoints(tmp_path)[0].restore(other, Rows(0, 1))


@pytest.mark.parametrize("damage", ["flip", "cut", "lose"])
def test_a_damaged_checkpoint_is_told(damage, tmp_path):
    save(tmp_path, 2, made())
    file = path_of(tmp_path, 3) / "process_00001.npz"
    content = bytearray(file.read_bytes())
    content[content.find(values(made())[0][3:].tobytes())] ^= 1
    file.write_bytes({"flip": content, "cut": content[:-30], "lose": b""}[damage])
    if damage == "lose":
        file.unlink()
    with pytest.raises(UserError, match="step_00000003 is damaged"):
        checkpoints.checkpoints(tmp_path)[0].restore(made(seed=1), Rows(0, 1))


def test_no_room_leaves_nothing(tmp_path, monkeypatch):
    def full(path, **arrays):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    writer = CheckpointWriter(tmp_path, Rows(0, 1))
    writer.save(made(), 1, {})
    with pytest.raises(UserError, match=r"no room left to write .*step_00000001"):
        writer.close()
    assert not list(tmp_path.iterdir())


WRITING = """
import itertools
import sys
import numpy as np
sys.path[:0] = [sys.argv[2]]
from test_checkpoints import Rows, made
from atmorep_k.runs.checkpoints import CheckpointWriter

writer = CheckpointWriter(sys.argv[1], Rows(0, 1))
for step in itertools.count(int(sys.argv[3])):
    writer.save(made(seed=step), step, {})
    print(step, flush=True)
"""


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_whole_checkpoints(tmp_path, request):
    rng = random.Random(0)
    process = None
    for first in (1, 10**6, 10**7):  # as a resumed run, which writes no step again
        arguments = [sys.executable, "-P", "-c", WRITING, tmp_path, request.path.parent, first]
        process = subprocess.Popen(map(str, arguments), stdout=subprocess.PIPE, text=True)
        process.stdout.readline()
        for _ in range(7):  # looked at while it writes, as `inspect` does
            time.sleep(rng.uniform(0, 0.05))
            _check_all(tmp_path, running=True)
        process.send_signal(signal.SIGKILL)
        process.wait()
        _check_all(tmp_path)
        clean(tmp_path)
        assert not list(tmp_path.glob(".*"))


def _check_all(folder, running=False):
    for found in checkpoints.checkpoints(folder):
        model = made(seed=0)
        try:
            found.restore(model, Rows(0, 1))
        except UserError:
            assert running and not found.path.exists()  # another one has taken its place
            continue
        for one, other in zip(values(model), values(made(seed=found.step)), strict=True):
            np.testing.assert_array_equal(one, other)
