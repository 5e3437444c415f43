"""`atmorep-k remove-field`: take a field out of a saved model."""

from pathlib import Path

import click


@click.command("remove-field")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("field")
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Model to write.")
@click.option("--overwrite", is_flag=True, help="Replace an existing model.")
def remove_field(model, field, output, overwrite):
    """Write MODEL without FIELD; all other weights stay as they are, bit for bit.

    Example: atmorep-k remove-field runs/add_field temperature --output vorticity.keras
    """
    from atmorep_k.extension.removal import remove_to_file

    for line in remove_to_file(model, field, output, overwrite=overwrite):
        click.echo(line)
    click.echo(output)
