"""Progress of long work, on stderr: how far, how fast, how long still."""

import contextlib
from collections.abc import Callable, Iterator


class Bar:
    """A progress bar that shows itself at the first step, so that mistakes are told without one.

    Args:
        words: what is being done.
        unit: of the rate, such as `"h/s"`; none is shown where empty.
        scale: what one step counts in that unit.
    """

    def __init__(self, words: str, unit: str = "", scale: float = 1.0):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self.unit = unit
        self.scale = scale
        self.console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:.0f} %"),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=self.console,
        )
        self._task = self._bar.add_task(words, total=None, figures="")

    def advance(self, done: int, total: int, figures: str | None = None) -> None:
        """Shows that `done` of `total` steps are done; `figures` stands in place of the rate."""
        self._bar.start()
        self._bar.update(self._task, completed=done, total=total)
        self._bar.update(self._task, figures=self._rate() if figures is None else figures)

    def _rate(self) -> str:
        task = self._bar.tasks[0]
        speed = task.finished_speed or task.speed
        return f"{speed * self.scale:.3g} {self.unit}" if speed and self.unit else ""

    def say(self, sentence: str) -> None:
        """Prints a sentence above the bar."""
        self.console.print(sentence, markup=False, highlight=False, soft_wrap=True)

    def stop(self) -> None:
        """Takes the bar down, its last state staying on the screen."""
        if self._bar.live.is_started:
            self._bar.stop()


@contextlib.contextmanager
def bar(words: str, unit: str = "", scale: float = 1.0) -> Iterator[Bar]:
    """Gives a `Bar` that is taken down at the end, whatever happens."""
    shown = Bar(words, unit, scale)
    try:
        yield shown
    finally:
        shown.stop()


def counter(shown: Bar, total: int) -> Callable[[int], None]:
    """Returns a function to call with the number of steps done since its last call."""
    done = 0

    def count(steps: int) -> None:
        nonlocal done
        done += steps
        shown.advance(done, total)

    return count
