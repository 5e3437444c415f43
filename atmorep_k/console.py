"""What is shown on a screen: tables, numbers, progress.

Libraries are imported in functions: `--help` must not wait for them.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator


def new_table(title: str, texts: Iterable[str], numbers: Iterable[str]):
    """Return a `rich` table without rows.

    Args:
        title: above it; none, if empty.
        texts: headings of the columns on the left, aligned to the left.
        numbers: headings of the columns after them, aligned to the right.
    """
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(title=title or None, box=SIMPLE)
    for heading in texts:
        table.add_column(heading, no_wrap=True)
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def print_table(table, *, stderr: bool = False) -> None:
    """Print a `rich` table as wide as its content, on any screen or into a file.

    Numbers that are cut off are worse than lines that wrap.
    """
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False)
    # Measured on a wide console: the width of this one would limit the result.
    needed = Console(width=10_000).measure(table).maximum
    console.width = max(console.width, needed)
    console.print(table, crop=False, soft_wrap=False)


def size(number: float, unit: str = "B") -> str:
    """Return a number in three digits with its unit, as in `1.25 GB`."""
    prefixes = iter("kMGTPE")
    prefix = ""
    while number >= 1000:
        number, prefix = number / 1000, next(prefixes)
    return f"{number:.3g} {prefix}{unit}"


def duration(seconds: float) -> str:
    """Return a time in three digits with its unit, as in `21.2 min`."""
    return f"{seconds:.3g} s" if seconds < 120 else f"{seconds / 60:.3g} min"


class Bar:
    """A progress bar on stderr: how far, how fast, how long still.

    It appears at the first step, so that an error before is printed without a bar.

    Args:
        words: what is being done.
        unit: unit of the rate, such as `"h/s"`; no rate is shown if empty.
        scale: how many of that unit one step is.
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
        """Show that `done` of `total` steps are done; `figures` replaces the rate."""
        self._bar.start()
        self._bar.update(self._task, completed=done, total=total)
        self._bar.update(self._task, figures=self._rate() if figures is None else figures)

    def _rate(self) -> str:
        task = self._bar.tasks[0]
        speed = task.finished_speed or task.speed
        return f"{speed * self.scale:.3g} {self.unit}" if speed and self.unit else ""

    def say(self, sentence: str) -> None:
        """Print a sentence above the bar."""
        self.console.print(sentence, markup=False, highlight=False, soft_wrap=True)

    def stop(self) -> None:
        """Stop the bar; its last state stays on the screen."""
        if self._bar.live.is_started:
            self._bar.stop()


@contextlib.contextmanager
def bar(words: str, unit: str = "", scale: float = 1.0) -> Iterator[Bar]:
    """Yield a `Bar` that is stopped at the end, also by an exception."""
    shown = Bar(words, unit, scale)
    try:
        yield shown
    finally:
        shown.stop()


def counter(shown: Bar, total: int) -> Callable[[int], None]:
    """Return a function to call with the number of steps done since its last call."""
    done = 0

    def count(steps: int) -> None:
        nonlocal done
        done += steps
        shown.advance(done, total)

    return count
