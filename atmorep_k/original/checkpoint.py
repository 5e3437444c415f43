"""The files of an original run: which they are, and the weights that they hold."""

import dataclasses
import pickle
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from atmorep_k.errors import UserError, missing_extra, nearest
from atmorep_k.original.settings import OriginalField, Settings, read_settings

if TYPE_CHECKING:
    import torch

_JSON = re.compile(r"model_id(?P<run>.+)\.json$")
_WHOLE = re.compile(r"AtmoRep_id(?P<run>.+?)(?:_epoch(?P<epoch>\d+))?\.mod$")
# Nets of token information: that of old versions, which all fields share, and one per field.
SHARED, PER_FIELD = "embed_token_info", "embeds_token_info"


@dataclasses.dataclass(frozen=True)
class Array:
    """An array of a file, read when it is asked for.

    Args:
        shape: its shape.
        file: where it comes from.
        tensor: PyTorch's tensor, which a file that is mapped into memory need not hold there.
    """

    shape: tuple[int, ...]
    file: Path
    tensor: "torch.Tensor"

    def values(self) -> np.ndarray:
        """Returns the values as float32."""
        return self.tensor.float().numpy()


State = dict[str, Array]


@dataclasses.dataclass(frozen=True)
class Run:
    """An original run: its settings and its weights under the names of the whole model.

    Args:
        name: the run's id.
        settings: as its JSON file gives them.
        state: key -> array.
        is_assembled: whether the weights were put together from files of blocks.
    """

    name: str
    settings: Settings
    state: State
    is_assembled: bool

    @property
    def files(self) -> list[Path]:
        """The files that weights come from."""
        return sorted({array.file for array in self.state.values()})


def open_run(source: Path, epoch: int | None = None) -> Run:
    """Opens a run.

    Args:
        source: its directory, or its file `AtmoRep_id<run>.mod` beside `model_id<run>.json`.
        epoch: take the weights of this epoch; None for those without a number, or else the last.

    Raises:
        UserError: if a file is missing, or is not what it should be; or without PyTorch.
    """
    source = Path(source)
    if not source.exists():
        names = (
            [p.name for p in source.absolute().parent.iterdir()] if source.parent.is_dir() else []
        )
        raise UserError(f"{source} does not exist{nearest(source.name, names)}")
    directory = source if source.is_dir() else source.parent
    name, json_file = _find_json(source, directory)
    settings = read_settings(json_file)
    file = source if source.is_file() else _whole_file(directory, name, epoch)
    if file:
        return Run(name, settings, read_state(file), is_assembled=False)
    return Run(name, settings, _assemble(directory, name, settings, epoch), is_assembled=True)


def _find_json(source: Path, directory: Path) -> tuple[str, Path]:
    found = {m["run"]: p for p in sorted(directory.iterdir()) if (m := _JSON.match(p.name))}
    if source.is_file():
        match = _WHOLE.match(source.name)
        if not match:
            raise UserError(
                f"{source.name} is not named like the weights of a whole model, "
                f"'AtmoRep_id<run>.mod'; give that file or the directory of the run."
            )
        found = {run: path for run, path in found.items() if run == match["run"]}
        if not found:
            raise UserError(f"no model_id{match['run']}.json beside {source}.")
    if len(found) != 1:
        listed = ", ".join(sorted(found)) or "none"
        raise UserError(f"{directory} must hold one file model_id<run>.json; found: {listed}.")
    return next(iter(found.items()))


def _whole_file(directory: Path, name: str, epoch: int | None) -> Path | None:
    epochs: dict[int | None, Path] = {}
    for path in directory.iterdir():
        match = _WHOLE.match(path.name)
        if match and match["run"] == name:
            epochs[None if match["epoch"] is None else int(match["epoch"])] = path
    numbers = sorted(e for e in epochs if e is not None)
    if epoch is not None and epoch not in epochs:
        raise UserError(f"run {name} has no weights of epoch {epoch}; it has epochs {numbers}.")
    if epoch is None and None not in epochs and numbers:
        epoch = numbers[-1]
    return epochs.get(epoch)


def read_state(file: Path) -> State:
    """Reads a file of weights; large arrays stay on the disk until they are asked for.

    Raises:
        UserError: if PyTorch is missing, or the file is damaged or holds something else.
    """
    try:
        import torch
    except ImportError as error:
        raise missing_extra("PyTorch, which reads the original's files,", "torch") from error
    mapped = zipfile.is_zipfile(file)
    try:
        state = torch.load(file, map_location="cpu", weights_only=True, mmap=mapped or None)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{file} holds Python objects other than weights, or is damaged; it was not opened."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, AttributeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{file} ({file.stat().st_size:,} bytes) cannot be read and may be truncated: {reason}."
        ) from error
    is_state = isinstance(state, Mapping) and all(
        isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in state.items()
    )
    if not is_state or not state:
        raise UserError(
            f"{file} should hold weights by name, not a {type(state).__name__}; the original "
            f"writes a state dict."
        )
    return {key: Array(tuple(t.shape), file, t.detach()) for key, t in state.items()}


def _assemble(directory: Path, name: str, settings: Settings, epoch: int | None) -> State:
    """Puts the weights of a model together from the files of its blocks.

    A field that names a pretrained run takes that run's files; the others this run's.
    """
    state: State = {}
    for number, field in enumerate(settings.fields):
        origin = _Blocks(directory, name, field, epoch)
        state |= origin.read("encoder", f"encoders.{number}")
        state |= origin.token_info(number, settings)
        if field.name in settings.weights:
            predicted = list(settings.weights).index(field.name)
            state |= origin.read("decoder", f"decoders.{predicted}")
            state |= origin.read("tail", f"tails.{predicted}")
    return state


@dataclasses.dataclass(frozen=True)
class _Blocks:
    """The files of one field's blocks."""

    directory: Path
    name: str
    field: OriginalField
    epoch: int | None

    def read(self, block: str, prefix: str) -> State:
        file = self._find(f"{block}_{self.field.name}")
        return {f"{prefix}.{key}": array for key, array in read_state(file).items()}

    def token_info(self, number: int, settings: Settings) -> State:
        """Returns the field's net of token information; of a shared one each field has its own."""
        file = self._find(PER_FIELD, SHARED)
        state = read_state(file)
        per_field = {k: a for k, a in state.items() if k.partition(".")[0].isdigit()}
        if not per_field:
            return {f"{PER_FIELD}.{number}.{key}": array for key, array in state.items()}
        pretrained = self.field.pretrained
        place = self._place(pretrained[0], settings) if pretrained else number
        chosen = {k: a for k, a in per_field.items() if k.startswith(f"{place}.")}
        return {f"{PER_FIELD}.{number}.{k.partition('.')[2]}": a for k, a in chosen.items()}

    def _place(self, run: str, settings: Settings) -> int:
        """Returns the field's number in the run that it comes from."""
        for folder in self._folders():
            path = folder / f"model_id{run}.json"
            if path.is_file():
                return [f.name for f in read_settings(path).fields].index(self.field.name)
        return 0  # a run of one field

    def _folders(self) -> Iterator[Path]:
        if self.field.pretrained:
            run = f"id{self.field.pretrained[0]}"
            yield from (self.directory / run, self.directory.parent / run)
        yield self.directory

    def _find(self, *blocks: str) -> Path:
        run, epoch = self.field.pretrained or (self.name, -2)
        if not self.field.pretrained and self.epoch is not None:
            epoch = self.epoch
        # The original numbers epochs from 0 and writes -1 and -2 for "without a number".
        ending = f"_epoch{epoch}" if epoch >= 0 else ""
        names = [f"AtmoRep_{block}_id{run}{ending}.mod" for block in blocks]
        for folder in self._folders():
            for file in names:
                if (folder / file).is_file():
                    return folder / file
        raise UserError(
            f"there is neither AtmoRep_id{self.name}.mod nor, for the field {self.field.name!r}, "
            f"{names[0]} in {' or '.join(map(str, self._folders()))}."
        )
