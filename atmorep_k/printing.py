"""Tables on a screen, whole: numbers that are cut off are worse than lines that wrap."""


def print_table(table, *, stderr: bool = False) -> None:
    """Prints a `rich` table as wide as its content asks for, wherever it goes."""
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False)
    # A console's own width would limit any that is asked for.
    needed = Console(width=10_000).measure(table).maximum
    console.width = max(console.width, needed)
    console.print(table, crop=False, soft_wrap=False)
