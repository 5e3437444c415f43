"""`atmorep-k bench-data`: measure whether the loader keeps up with the training steps."""

import json

import click

from atmorep_k.cli.config import set_option


@click.command("bench-data")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@set_option
@click.option("--steps", type=click.IntRange(1), default=20, show_default=True, help="Steps.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def bench_data(files, overrides, steps, as_json):
    """Measure how fast batches of FILE are read, alone and while its model trains a few steps.

    Example: atmorep-k bench-data gin/pretrain_field.gin --set STORE=era5.zarr
    """
    from atmorep_k import config
    from atmorep_k.costs import loading as bench

    found = bench.measure(config.load(files, overrides).build(), steps)
    click.echo(json.dumps(found) if as_json else bench.loading_text(found))
