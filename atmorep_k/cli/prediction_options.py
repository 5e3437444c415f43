"""The arguments that all commands share which use a saved model on a store."""

from pathlib import Path

import click


def _stores(context, option, pairs: tuple[str, ...]) -> dict[str, str] | None:
    for pair in pairs:
        if not all(pair.partition("=")):
            raise click.BadParameter(f"{pair!r} is not FIELD=STORE, as in t2m=surface.zarr.")
    return dict(pair.split("=", 1) for pair in pairs) or None


def names(context, option, text: str | None) -> list[str] | None:
    """Returns the names of a list with commas, None where it is not given."""
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


_SHARED = {
    "model": click.argument("model", metavar="MODEL"),
    "store": click.option("--store", required=True, help="Store, or 'demo'."),
    "stores": click.option(
        "--store-of",
        "stores",
        multiple=True,
        metavar="FIELD=STORE",
        callback=_stores,
        help="Another store for a field; may be repeated.",
    ),
    "fields": click.option(
        "--fields",
        metavar="A,B",
        callback=names,
        help="Predicted fields to write, all of one grid.  [all]",
    ),
    "times": click.option("--time", "times", required=True, multiple=True, metavar="TIME"),
    "region": click.option("--region", nargs=4, type=float, metavar="S N W E", help="[whole grid]"),
    "batch_size": click.option(
        "--batch-size", default=16, show_default=True, help="Windows at once."
    ),
    "members": click.option(
        "--members/--no-members", default=True, help="All members, or mean and spread."
    ),
    "output": click.option(
        "--output",
        required=True,
        type=click.Path(path_type=Path),
        help="FILE.zarr or FILE.nc; maps go to FILE_plots/.",
    ),
    "overwrite": click.option("--overwrite", is_flag=True, help="Replace an existing output."),
    "resume": click.option(
        "--resume", is_flag=True, help="Go on where the same command was stopped (.zarr)."
    ),
}

overlap_option = click.option(
    "--overlap",
    nargs=2,
    type=int,
    default=(0, 0),
    metavar="LAT LON",
    help="Tokens that neighbouring windows share, blended; at most half a window.",
)


def prediction_options(*names: str):
    """Returns what adds shared arguments to a command: those named, or all of them."""

    def add(command):
        for name in reversed(names or tuple(_SHARED)):
            command = _SHARED[name](command)
        return command

    return add
