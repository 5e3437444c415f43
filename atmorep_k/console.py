"""Tables and numbers on a screen."""


def print_table(table, *, stderr: bool = False) -> None:
    """Prints a `rich` table as wide as its content asks for, wherever it goes.

    Numbers that are cut off are worse than lines that wrap.
    """
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False)
    # A console's own width would limit any that is asked for.
    needed = Console(width=10_000).measure(table).maximum
    console.width = max(console.width, needed)
    console.print(table, crop=False, soft_wrap=False)


def size(number: float, unit: str = "B") -> str:
    """Returns a number in three digits with its unit, as in `1.25 GB`."""
    prefixes = iter("kMGTPE")
    prefix = ""
    while number >= 1000:
        number, prefix = number / 1000, next(prefixes)
    return f"{number:.3g} {prefix}{unit}"


def duration(seconds: float) -> str:
    """Returns a time in three digits with its unit, as in `21.2 min`."""
    return f"{seconds:.3g} s" if seconds < 120 else f"{seconds / 60:.3g} min"
