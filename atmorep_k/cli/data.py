"""`atmorep-k data`: make stores from raw files or by simulation, and describe them."""

import json
from pathlib import Path

import click


@click.group()
def data():
    """Prepare, describe and simulate stores of fields."""


@data.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Store to make.")
@click.option("--variable", "variables", multiple=True, metavar="NAME", help="Take this variable.")
@click.option("--level", "levels", multiple=True, type=float, help="Take this level.")
@click.option(
    "--region",
    nargs=4,
    type=float,
    metavar="S N W E",
    help="Take this part of the grid: south, north, west, east in degrees.",
)
@click.option(
    "--period",
    nargs=2,
    metavar="FIRST LAST",
    help="Take these times: days, months or years, both included.",
)
@click.option(
    "--derive",
    "derived",
    multiple=True,
    metavar="NAME",
    help="Compute vorticity or divergence from the wind.",
)
@click.option("--grid", type=float, metavar="DEGREES", help="Bring radar to this regular grid.")
@click.option("--attribution", help="Whom to name when results are shown.")
@click.option("--overwrite", is_flag=True, help="Replace an existing store.")
def prepare(
    sources, output, variables, levels, region, period, derived, grid, attribution, overwrite
):
    """Turn GRIB, NetCDF or Zarr into a store.

    SOURCE is a file, a glob, a directory or an address. Without --variable all known variables
    are taken, without --level all levels; both can be given several times.

    Example: atmorep-k data prepare era5/*.nc --output era5.zarr --variable t --level 850
    """
    from atmorep_k.data.prepare import prepare as make
    from atmorep_k.progress import bar

    attributes = {"attribution": attribution} if attribution else {}
    with bar("preparing", "MB/s", scale=1e-6) as shown:
        make(
            sources,
            output,
            variables=variables,
            levels=levels,
            region=region,
            period=period,
            derived=derived,
            grid=grid,
            attributes=attributes,
            overwrite=overwrite,
            progress=shown.advance,
            notify=shown.say,
        )
    click.echo(output)


@data.command()
@click.argument("store", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--scan", is_flag=True, help="Look at every value, also of a large store.")
def info(store, as_json, scan):
    """Print what a store holds and what is missing from it."""
    from atmorep_k.data.info import as_text, describe

    values = describe(store, scan=scan or None)
    click.echo(json.dumps(values, indent=1) if as_json else as_text(values))


@data.command()
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Store to make.")
@click.option("--days", default=20, show_default=True, type=click.IntRange(min=1))
@click.option("--overwrite", is_flag=True, help="Replace an existing store.")
def demo(output, days, overwrite):
    """Simulate an atmosphere (primitive equations, T31) and store every hour of it."""
    from atmorep_k.data.demo import demo_store
    from atmorep_k.progress import bar

    with bar("simulating", "h/s") as shown:
        demo_store(
            output, days, overwrite=overwrite, progress=lambda done: shown.advance(done, days * 24)
        )
    click.echo(output)
