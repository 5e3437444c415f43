"""A prediction that is written time by time and can be resumed where it was stopped."""

import contextlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from atmorep_k.errors import UserError
from atmorep_k.files import cannot_write, new_parents, put_in_place, write_whole

_RECORD, _VALUES = "partial.json", "values.zarr"

log = logging.getLogger(__name__)


class PartialPrediction:
    """What exists of a Zarr directory: times that are whole, and what they were made of.

    It lies beside the output, in a directory whose name begins with a dot. A process that is
    killed leaves it; one that fails removes it.

    Args:
        output: where the whole prediction is to lie.
        made_of: what makes the prediction, see `inference.ingredients`.
        resume: whether to continue what a stopped process left.

    Attributes:
        done: times that are whole.

    Raises:
        UserError: if it was made from something else.
    """

    def __init__(self, output: Path, made_of: dict[str, Any], resume: bool):
        self.output = Path(output)
        self.done = 0
        self._made_of = made_of
        self._left: Path | None = None
        left = _left_beside(self.output)
        if resume and left:
            self._left = left[-1]
            self.done = self._checked(self._left)
        elif left:
            log.warning("%s was left by a stopped command: resume it with --resume", left[-1])

    def _checked(self, left: Path) -> int:
        found = json.loads((left / _RECORD).read_text())
        before, now = found["made_of"], json.loads(json.dumps(self._made_of))
        if differing := [name for name in now if before.get(name) != now[name]]:
            raise UserError(
                f"{left} cannot be resumed: it was made with a different "
                f"{' and a different '.join(differing)}. Repeat the same command, "
                f"or leave out --resume."
            )
        return found["done"]

    @contextlib.contextmanager
    def writing(self) -> Iterator[Path]:
        """Gives the directory to write into, with the times that are done.

        Raises:
            UserError: if the disk is full or the place is not writable.
        """
        self._folder = self.output.with_name(f".partial-{os.getpid()}-{self.output.name}")
        values = self._folder / _VALUES
        try:
            with new_parents(self.output):
                if self._left is not None and self.done:
                    self._left.rename(self._folder)
                    _cut(values, self.done)
                self._folder.mkdir(exist_ok=True)
                try:
                    yield values
                    put_in_place(values, self.output)
                except Exception:
                    self._remove()
                    raise
                self._remove()
        except OSError as error:
            raise cannot_write(self.output, error) from error

    def _remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def note(self, done: int) -> None:
        """Record how many times are complete."""
        text = json.dumps({"done": done, "made_of": self._made_of})
        write_whole(self._folder / _RECORD, lambda partial: partial.write_text(text))


def _left_beside(output: Path) -> list[Path]:
    """Returns what stopped processes left of an output, the last one last."""
    found = output.parent.glob(f".partial-*-{output.name}")
    left = [p for p in found if (p / _RECORD).is_file() and (p / _VALUES).is_dir()]
    return sorted(left, key=lambda path: (path / _RECORD).stat().st_mtime)


def _cut(path: Path, done: int) -> None:
    """Removes times that may be half written."""
    import zarr

    group = zarr.open_group(path, mode="r+")
    for _, array in group.arrays():
        names = getattr(array.metadata, "dimension_names", None)  # of Zarr 3 alone
        if names and "time" in names:
            axis = names.index("time")
            array.resize(tuple(done if n == axis else s for n, s in enumerate(array.shape)))
