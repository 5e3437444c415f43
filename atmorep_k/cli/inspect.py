"""`atmorep-k inspect`: what a saved model is."""

from pathlib import Path

import click


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--diagram",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Draw the model too; FILE ends in .svg, .png or .pdf.",
)
def inspect(model, as_json, diagram):
    """Print what a saved model (or the model of a run) is, and draw it if asked.

    Of each field: how many weights it has, how many of them are frozen, a fingerprint that changes
    with any bit of them, and the model that they were taken from.

    Example: atmorep-k inspect runs/pretrain_field --diagram model.svg
    """
    import json

    from atmorep_k.diagram import check_ending, draw_model
    from atmorep_k.saved import describe
    from atmorep_k.saved_table import print_description

    if diagram:
        check_ending(diagram)
    description = describe(model)
    if diagram:
        draw_model(description, diagram)
    if as_json:
        click.echo(json.dumps(description, indent=2))
    else:
        print_description(description)
    if diagram:
        click.echo(diagram, err=as_json)  # JSON stays JSON
