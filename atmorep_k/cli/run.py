"""`atmorep-k run`: carry out what a configuration describes."""

from pathlib import Path

import click

from atmorep_k.cli.config import set_option


@click.command()
@click.argument("files", nargs=-1, metavar="FILE...")
@set_option
@click.option("--output", type=click.Path(path_type=Path), help="Run directory [runs/<FILE>].")
@click.option("--resume", type=click.Path(path_type=Path), help="Continue the run of a directory.")
@click.option("--dry-run", is_flag=True, help="Say what it would take; train nothing.")
def run(files, overrides, output, resume, dry_run):
    """Train, score, save and draw what FILE describes.

    Example: atmorep-k run gin/pretrain_field.gin --set STEPS=500
    """
    from atmorep_k import config
    from atmorep_k.run_directory import RunDirectory

    if bool(files) == bool(resume) or (resume and (output or dry_run)):
        raise click.UsageError("give either FILE... (with --output, --dry-run) or --resume RUN.")
    directory = RunDirectory(resume or output or Path("runs") / Path(files[-1]).stem)
    if resume:
        directory.check_resumable()
        files = (directory.config,)
    elif not dry_run:
        directory.check_new()
    configuration = config.load(files, overrides)
    task = configuration.build()
    if dry_run:
        from atmorep_k.dry_run import dry_run as report

        report(task)
        return
    task.run(directory, configuration.text, resume=bool(resume))
    click.echo(directory.path)
