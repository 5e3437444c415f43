"""`atmorep-k inspect`: what a saved model is, and where a run stands."""

from pathlib import Path

import click


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--diagram",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Draw the model into FILE (.svg, .png or .pdf).",
)
def inspect(model, as_json, diagram):
    """Print what a saved model contains, or where a run stands.

    For each field: the number of weights, how many are frozen, a fingerprint that changes with any
    bit of them, and the model they were taken from. For a run: steps, losses, rate and checkpoints,
    during training and after.

    Example: atmorep-k inspect runs/pretrain_field --diagram model.svg
    """
    import json

    from atmorep_k.files import check_output
    from atmorep_k.runs.status import describe_run, is_run, print_run
    from atmorep_k.saved.description import describe_model
    from atmorep_k.saved.diagram import ENDINGS, draw_model
    from atmorep_k.saved.table import print_description

    if diagram:
        check_output(diagram, True, ENDINGS, "a diagram", any_case=True)
    run = describe_run(model) if is_run(model) else None
    unfinished = run and not run["finished"] and not diagram
    description = {} if unfinished else describe_model(model)
    if diagram:
        draw_model(description, diagram)
    if as_json:
        click.echo(json.dumps({**description, **({"run": run} if run else {})}, indent=2))
        if diagram:
            click.echo(diagram, err=True)  # JSON stays JSON
        return
    if run:
        print_run(run)
    if description:
        print_description(description)
    if diagram:
        click.echo(diagram)
