"""`atmorep-k inspect`: what a saved model is."""

from pathlib import Path

import click


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def inspect(model, as_json):
    """Print what a saved model (or the model of a run) is, without building it."""
    import json

    from atmorep_k.saved import describe, table

    description = describe(model)
    if as_json:
        click.echo(json.dumps(description, indent=2))
    else:
        table(description)
