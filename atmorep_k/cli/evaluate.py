"""`atmorep-k evaluate`: scores of a prediction against a store."""

from pathlib import Path

import click

from atmorep_k.cli.prediction_options import names


@click.command()
@click.argument("prediction", metavar="PREDICTION")
@click.option("--truth", required=True, metavar="STORE", help="Store, or 'demo'.")
@click.option("--fields", metavar="A,B", callback=names, help="Fields to score.  [all]")
@click.option(
    "--region",
    "regions",
    nargs=4,
    type=float,
    multiple=True,
    metavar="S N W E",
    help="Score this part by itself as well; may be repeated.",
)
@click.option(
    "--climatology",
    nargs=2,
    metavar="FIRST LAST",
    help="Days, months or years that the climatology averages over.  [all of the store]",
)
@click.option(
    "--block",
    type=int,
    help="Consecutive times that are drawn together for intervals.  [cube root of their number]",
)
@click.option(
    "--output", type=click.Path(path_type=Path), help="Directory.  [PREDICTION's name + _scores]"
)
@click.option("--overwrite", is_flag=True, help="Replace an existing output.")
def evaluate(prediction, truth, output, overwrite, **options):
    """Score PREDICTION, a .zarr or .nc file, where STORE has the truth, beside baselines.

    Example: atmorep-k evaluate forecast.zarr --truth demo --region 20 80 -30 60
    """
    from atmorep_k.console import bar, print_table
    from atmorep_k.evaluation.predictions.evaluate import evaluate as score
    from atmorep_k.evaluation.predictions.report import check_directory, write_scores
    from atmorep_k.evaluation.predictions.tables import remarks, table

    path = Path(prediction)
    output = output or path.with_name(f"{path.stem}_scores")
    check_directory(output, overwrite)
    with bar("scoring", "times/s") as shown:
        found = score(path, truth, **options, progress=shown.advance)
    write_scores(found, output)
    print_table(table(found), stderr=True)
    for sentence in remarks(found):
        click.echo(sentence, err=True)
    click.echo(output)
