"""Checkpoints: the whole state of a training, written by all processes, read on any mesh.

A checkpoint is a directory. Each process writes one file of the blocks that it holds of weights,
states of dropout and of the optimiser; `state.json` names the variables. It is written under
another name beside, and renamed when all files are there: one that has its name is whole.
"""

import contextlib
import dataclasses
import functools
import json
import math
import re
import shutil
import time
import zipfile
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from atmorep_k.distribution.engine import Block, Engine
from atmorep_k.errors import UserError
from atmorep_k.files import cannot_write, write_whole

_NAME = re.compile(r"step_\d{8,}")
_STATE, _INDEX = "state.json", "index"
_POLL_SECONDS = 0.02


class CheckpointWriter:
    """Writes checkpoints while training continues, and keeps some of them.

    What is written is copied at once; files follow in a thread, one checkpoint at a time.

    Args:
        folder: where they are kept; for several hosts on a file system that all see.
        engine: of the training.
        keep: how many of the last are kept.
        best: score by which one more is kept, that where it is least; None: none.
    """

    def __init__(self, folder: Path, engine: Engine, keep: int = 2, best: str | None = None):
        self.folder = Path(folder)
        self.engine = engine
        self.keep = keep
        self.best = best
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: Future | None = None

    def save(self, model: Any, step: int, scores: dict[str, float]) -> None:
        """Begins to write a checkpoint; waits for the one before it.

        Args:
            model: compiled.
            step: steps that are done.
            scores: what is known of the model, as `val_loss`.

        Raises:
            UserError: if this one or the one before cannot be written.
        """
        self.wait()
        variables = state_variables(model)
        pieces = [
            (number, block, np.array(values))  # a copy: the next step writes over the state
            for number, variable in enumerate(variables)
            for block, values in self.engine.pieces(variable)
        ]
        state = {
            "step": step,
            "scores": scores,
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "processes": self.engine.num_processes,
            "mesh": list(self.engine.size),
            "variables": [_described(variable) for variable in variables],
        }
        self._pending = self._thread.submit(self._write, pieces, state)

    def wait(self) -> None:
        """Wait until what was saved is written; raise its error, if any."""
        pending, self._pending = self._pending, None
        if pending:
            pending.result()

    def close(self) -> None:
        """Wait, and ends the thread."""
        try:
            self.wait()
        finally:
            self._thread.shutdown()

    def _write(self, pieces, state) -> None:
        final = path_of(self.folder, state["step"])
        partial = _partial(final)
        try:
            partial.mkdir(parents=True, exist_ok=True)
            write_whole(_file(partial, self.engine.process), functools.partial(_save, pieces))
            if not self.engine.is_main:
                return
            files = [_file(partial, number) for number in range(self.engine.num_processes)]
            while not all(file.exists() for file in files):
                time.sleep(_POLL_SECONDS)
            (partial / _STATE).write_text(json.dumps(state))
            _remove(final)
            partial.rename(final)
            self._drop_others()
        except UserError:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise cannot_write(final, error) from error

    def _drop_others(self) -> None:
        found = checkpoints(self.folder)
        kept = [*found[-self.keep :], best_of(found, self.best)]
        for checkpoint in found:
            if checkpoint not in kept:
                _remove(checkpoint.path)


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that is whole.

    Args:
        path: its directory.
    """

    path: Path

    @functools.cached_property
    def state(self) -> dict:
        """What `state.json` holds.

        Raises:
            UserError: if it cannot be read.
        """
        try:
            return json.loads((self.path / _STATE).read_text())
        except (OSError, ValueError) as error:
            raise UserError(f"{self.path} is not a readable checkpoint: {error}.") from error

    @property
    def step(self) -> int:
        """Steps that were done."""
        return int(self.path.name.removeprefix("step_"))

    @property
    def scores(self) -> dict[str, float]:
        """What was known of the model."""
        return self.state["scores"]

    @property
    def bytes(self) -> int:
        """The size of all its files."""
        return sum(file.stat().st_size for file in self.path.iterdir())

    def restore(self, model: Any, engine: Engine) -> None:
        """Give a compiled model the state; each process reads what it holds.

        Raises:
            UserError: if the model has other weights, or a file is damaged.
        """
        variables, saved = state_variables(model), self.state["variables"]
        ours = [_described(variable) for variable in variables]
        if ours != saved:
            here, there = ({f"{v['path']} {v['shape']}" for v in vs} for vs in (ours, saved))
            differing = min(here ^ there, default="their order")
            raise UserError(
                f"{self.path} does not fit the model of this configuration: they differ in "
                f"{differing}."
            )
        try:
            with contextlib.ExitStack() as opened:
                files = [opened.enter_context(np.load(file)) for file in self._files()]
                places = _places(files)
                for number, variable in enumerate(variables):
                    dtype = saved[number]["dtype"]
                    engine.fill(variable, functools.partial(_read, places[number], dtype))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise UserError(f"checkpoint {self.path} is damaged: {error}.") from error

    def _files(self) -> list[Path]:
        return [_file(self.path, number) for number in range(self.state["processes"])]


def state_variables(model: Any) -> list:
    """Return all variables of a compiled model that a resumed training needs."""
    return [*model.variables, *model.optimizer.variables]


def path_of(folder: Path, step: int) -> Path:
    """Return the path of the checkpoint after `step` steps."""
    return Path(folder) / f"step_{step:08d}"


def checkpoints(folder: Path) -> list[Checkpoint]:
    """Return the whole checkpoints of a folder, the last one last."""
    paths = [path for path in Path(folder).glob("step_*") if _NAME.fullmatch(path.name)]
    found = [Checkpoint(path) for path in paths if (path / _STATE).is_file()]
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def best_of(found: Iterable[Checkpoint], score: str | None) -> Checkpoint | None:
    """Return the checkpoint with the least score; None where none has it."""
    if score is None:
        return None
    scored = [checkpoint for checkpoint in found if score in checkpoint.scores]
    return min(scored, key=lambda checkpoint: checkpoint.scores[score], default=None)


def clean(folder: Path) -> None:
    """Remove what a killed process left half written; no training may be writing there."""
    for path in Path(folder).glob(".partial-*"):
        shutil.rmtree(path, ignore_errors=True)


def _described(variable) -> dict:
    shape = [int(length) for length in variable.shape]
    return {"path": _stable(variable.path), "shape": shape, "dtype": str(variable.dtype)}


def _stable(path: str) -> str:
    """Return a path without the numbers that Keras gives second objects of a class."""
    first, _, rest = path.partition("/")
    return re.sub(r"_[0-9]+$", "", first) + "/" + re.sub(r"(seed_generator)_[0-9]+", r"\1", rest)


def _partial(final: Path) -> Path:
    return final.with_name(f".partial-{final.name}")


def _file(folder: Path, process: int) -> Path:
    return folder / f"process_{process:05d}.npz"


def _save(pieces: Iterable[tuple[int, Block, np.ndarray]], path: Path) -> None:
    arrays: dict[str, Any] = {}
    index: dict[str, tuple[int, list[int], list[int]]] = {}
    for number, block, values in pieces:
        key = f"{number}.{'_'.join(str(s.start) for s in block)}"
        index[key] = (number, [s.start for s in block], [s.stop for s in block])
        # As bytes: NumPy's format has no half precision of eight bits.
        arrays[key] = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
    arrays[_INDEX] = np.frombuffer(json.dumps(index).encode(), np.uint8)
    np.savez(path, **arrays)


def _places(files) -> dict[int, list]:
    """Return, by the number of a variable, (file, key, starts, stops) of its blocks."""
    places: dict[int, list] = {}
    for file in files:
        for key, (number, starts, stops) in json.loads(bytes(file[_INDEX])).items():
            places.setdefault(number, []).append((file, key, starts, stops))
    return places


def _read(places: Sequence, dtype: str, block: Block) -> np.ndarray:
    """Return a block, put together from those in the files that overlap it."""
    import ml_dtypes  # noqa: F401 (makes the types of half precision known to NumPy by name)

    result = np.empty([s.stop - s.start for s in block], np.dtype(dtype))
    missing = result.size
    for file, key, starts, stops in places:
        held = [slice(start, stop) for start, stop in zip(starts, stops, strict=True)]
        common = [
            slice(max(a.start, b.start), min(a.stop, b.stop))
            for a, b in zip(block, held, strict=True)
        ]
        if all(s.start < s.stop for s in common):
            values = file[key].view(result.dtype).reshape([s.stop - s.start for s in held])
            result[_moved(common, block)] = values[_moved(common, held)]
            missing -= math.prod(s.stop - s.start for s in common)
    if missing:
        raise ValueError(f"{missing} values of an array are in none of its files")
    return result


def _moved(block: Sequence[slice], origin: Sequence[slice]) -> Block:
    """Return a block counted from where another begins."""
    return tuple(
        slice(s.start - o.start, s.stop - o.start) for s, o in zip(block, origin, strict=True)
    )


def _remove(path: Path) -> None:
    """Remove a checkpoint; one that is killed meanwhile leaves none that looks whole."""
    if path.exists():
        removed = path.with_name(f".partial-removed-{path.name}")
        shutil.rmtree(removed, ignore_errors=True)
        path.rename(removed)
        shutil.rmtree(removed, ignore_errors=True)
