"""`atmorep-k data`: make stores from raw files or by simulation, describe and check them."""

import json
import os
from pathlib import Path
from typing import Any

import click

_POINTS: dict[str, Any] = {"metavar": "TIME LAT LON", "help": "Number of points along each axis."}


@click.group()
def data():
    """Prepare, describe and simulate stores of fields."""


@data.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--output", required=True, type=click.Path(path_type=Path), help="Path of the store to make."
)
@click.option(
    "--variable",
    "variables",
    multiple=True,
    metavar="NAME",
    help="Take only this variable; repeatable.",
)
@click.option(
    "--level", "levels", multiple=True, type=float, help="Take only this level; repeatable."
)
@click.option(
    "--region",
    nargs=4,
    type=float,
    metavar="S N W E",
    help="Take only this region: south, north, west, east in degrees.",
)
@click.option(
    "--period",
    nargs=2,
    metavar="FIRST LAST",
    help="Take only these times: days, months or years, both ends included.",
)
@click.option(
    "--derive",
    "derived",
    multiple=True,
    metavar="NAME",
    help="Compute vorticity or divergence from the wind.",
)
@click.option(
    "--grid",
    type=float,
    metavar="DEGREES",
    help="Spacing of the regular grid to average radar data on.",
)
@click.option("--attribution", help="Attribution to print with results.")
@click.option(
    "--memory", default="4GB", show_default=True, help="Memory for all processes together."
)
@click.option(
    "--workers", type=click.IntRange(min=1), help="Number of processes.  [default: one per core]"
)
@click.option(
    "--scheduler",
    default="",
    metavar="ADDRESS",
    help="Scheduler of a dask.distributed cluster to run on.",
)
@click.option(
    "--packing",
    default="float32",
    show_default=True,
    help="How values are stored: float32 or int16.",
)
@click.option("--codec", default="lz4", show_default=True, help="Compression: lz4, zstd or none.")
@click.option("--chunk", nargs=3, type=int, default=(12, 30, 60), show_default=True, **_POINTS)
@click.option("--shard", nargs=3, type=int, default=(48, 240, 480), show_default=True, **_POINTS)
@click.option(
    "--link",
    is_flag=True,
    help="Leave the values in the sources; store only statistics and coordinates.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing store.")
def prepare(sources, output, attribution, packing, codec, chunk, shard, **options):
    """Turn GRIB, NetCDF or Zarr into a store.

    SOURCE is a file, a glob, a directory or an address. Without --variable all known variables
    are taken, without --level all levels. To resume work that was stopped, give the same command
    again.

    Example: atmorep-k data prepare era5/*.nc --output era5.zarr --variable t --level 850
    """
    from atmorep_k.console import bar
    from atmorep_k.data.stores.layout import Layout
    from atmorep_k.data.writing.preparing import prepare as make

    attributes = {"attribution": attribution} if attribution else {}
    with bar("preparing", "MB/s", scale=1e-6) as shown:
        make(
            sources,
            output,
            attributes=attributes,
            layout=Layout(chunk, shard, codec, packing),
            **options,
            progress=shown.advance,
            notify=shown.say,
        )
    click.echo(output)


@data.command()
@click.argument("store", type=click.Path(path_type=Path))
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--memory", default="4GB", show_default=True, help="Memory for all processes together."
)
@click.option(
    "--workers", type=click.IntRange(min=1), help="Number of processes.  [default: one per core]"
)
@click.option(
    "--scheduler",
    default="",
    metavar="ADDRESS",
    help="Scheduler of a dask.distributed cluster to run on.",
)
def append(store, sources, **options):
    """Append the times of SOURCE that come after the last one in a store.

    Readers that have the store open keep seeing the old data.

    Example: atmorep-k data append era5.zarr era5/2020-02/*.nc
    """
    from atmorep_k.console import bar
    from atmorep_k.data.writing.appending import append as add

    with bar("appending", "MB/s", scale=1e-6) as shown:
        add(store, sources, **options, progress=shown.advance, notify=shown.say)
    click.echo(store)


@data.command()
@click.argument("store", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--scan", is_flag=True, help="Read every value, even in a large store.")
def info(store, as_json, scan):
    """Print what a store holds and what is missing from it."""
    from atmorep_k.data.checking.info import describe_store, info_text

    values = describe_store(store, scan=scan or None)
    click.echo(json.dumps(values, indent=1) if as_json else info_text(values))


@data.command()
@click.argument("store", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--fast", is_flag=True, help="Check everything but the values.")
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Number of threads that read at the same time.  [default: one per core]",
)
@click.pass_context
def check(ctx, store, as_json, fast, threads):
    """Check whether a store is fit for training: gaps, damage, impossible values, wrong units.

    The exit code is 0 if it is (there may be warnings), else 1.
    """
    from atmorep_k.console import bar
    from atmorep_k.data.checking.checks import check as look

    with bar("checking", "MB/s", scale=1e-6) as shown:
        threads = threads or os.cpu_count() or 1
        report = look(store, fast=fast, threads=threads, progress=shown.advance)
    click.echo(json.dumps(report.as_dict(), indent=1) if as_json else report.as_text())
    ctx.exit(0 if report.may_train else 1)


@data.command()
@click.option(
    "--output", required=True, type=click.Path(path_type=Path), help="Path of the store to make."
)
@click.option("--days", default=20, show_default=True, type=click.IntRange(min=1))
@click.option("--overwrite", is_flag=True, help="Replace an existing store.")
def demo(output, days, overwrite):
    """Simulate an atmosphere (primitive equations, T31) and store every hour of it."""
    from atmorep_k.console import bar
    from atmorep_k.data.demo.simulate import demo_store

    with bar("simulating", "h/s") as shown:
        demo_store(
            output, days, overwrite=overwrite, progress=lambda done: shown.advance(done, days * 24)
        )
    click.echo(output)
