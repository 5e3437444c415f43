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
@click.option("--profile", type=int, default=0, metavar="N", help="Measure N steps.")
def run(files, overrides, output, resume, dry_run, profile):
    """Train, score, save and draw what FILE describes.

    Example: atmorep-k run gin/pretrain_field.gin --set STEPS=500
    """
    from atmorep_k.run_directory import RunDirectory

    if bool(files) == bool(resume) or (resume and (output or dry_run)):
        raise click.UsageError("give either FILE... (with --output, --dry-run) or --resume RUN.")
    if not resume:
        start(files, overrides, output or Path("runs") / Path(files[-1]).stem, dry_run, profile)
        return
    directory = RunDirectory(resume)
    directory.check_resumable()
    _carry_out(directory, (directory.config,), overrides, resume=True, profile=profile)


def start(files, overrides, output, dry_run, profile=0):
    """Carries out what files describe in a new directory, or says what it would take.

    Args:
        files: gin files.
        overrides: `NAME=VALUE`, see `config.load`.
        output: the run's directory.
        dry_run: whether to train nothing.
        profile: number of steps to measure.
    """
    from atmorep_k import config
    from atmorep_k.run_directory import RunDirectory

    if dry_run:
        from atmorep_k.compile_cache import use_compile_cache
        from atmorep_k.dry_run import dry_run as report

        use_compile_cache()
        report(config.load(files, overrides).build())
        return
    directory = RunDirectory(output)
    directory.check_new()
    _carry_out(directory, files, overrides, profile=profile)


def _carry_out(directory, files, overrides, resume=False, profile=0):
    from atmorep_k import config
    from atmorep_k.compile_cache import use_compile_cache
    from atmorep_k.distribution.devices import ask_for_devices
    from atmorep_k.distribution.launch import launched

    configuration = config.load(files, overrides)
    if launched(configuration.bindings):
        return
    ask_for_devices(configuration.bindings)
    use_compile_cache()
    task = configuration.build()
    task.run(directory, configuration.text, resume=resume, profile=profile)
    if task.engine.is_main:
        click.echo(directory.path)
