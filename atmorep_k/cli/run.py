"""`atmorep-k run`: carry out what a configuration describes."""

import shlex
from pathlib import Path

import click

from atmorep_k.cli.asking import carry_out
from atmorep_k.cli.config import set_option
from atmorep_k.errors import Interrupted
from atmorep_k.tasks import QUESTIONS


@click.command()
@click.argument("files", nargs=-1, metavar="FILE...")
@set_option
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Run directory [runs/<FILE>], or the output of a task that uses a model.",
)
@click.option("--resume", type=click.Path(path_type=Path), help="Resume the run in this directory.")
@click.option("--dry-run", is_flag=True, help="Print an estimate and exit.")
@click.option(
    "--profile", type=int, default=0, metavar="N", help="Measure N steps with the profiler."
)
def run(files, overrides, output, resume, dry_run, profile):
    """Train, score, save and draw what FILE describes, or ask a model what it describes.

    Example: atmorep-k run gin/pretrain_field.gin --set STEPS=500
    """
    from atmorep_k import config
    from atmorep_k.runs.directory import RunDirectory

    if bool(files) == bool(resume) or (resume and (output or dry_run)):
        raise click.UsageError("give either FILE... (with --output, --dry-run) or --resume RUN.")
    if resume:
        directory = RunDirectory(resume)
        directory.check_resumable()
        configuration = config.load((directory.config,), overrides)
        _carry_out(directory, configuration, resume=True, profile=profile)
        return
    configuration = config.load(files, overrides)
    task = configuration.task
    if task in (question.name for question in QUESTIONS):
        if output:
            named = f"{task}.output={str(output)!r}"
            configuration = config.load(files, (*overrides, named))
        _ask(configuration, dry_run, profile)
        return
    start(configuration, output or Path("runs") / Path(files[-1]).stem, dry_run, profile)


def _ask(configuration, dry_run, profile) -> None:
    """Asks what a configuration describes, and keeps the latter beside the output."""
    from atmorep_k.errors import UserError
    from atmorep_k.files import write_whole

    if profile:
        raise UserError(
            f"--profile measures the steps of a training; {configuration.task!r} does not train."
        )
    question = configuration.build()
    record = question.record
    carry_out(question, dry_run)
    if not dry_run:
        click.echo(write_whole(record, lambda path: path.write_text(configuration.text)))


def start(configuration, output, dry_run, profile=0):
    """Carries out what a configuration describes in a new directory, or print an estimate.

    Args:
        configuration: a checked `config.Configuration` of a training.
        output: the run's directory.
        dry_run: whether to print an estimate only.
        profile: number of steps to measure.
    """
    from atmorep_k.runs.directory import RunDirectory

    if dry_run:
        from atmorep_k.backend.compile_cache import use_compile_cache
        from atmorep_k.costs.dry_run import dry_run as report

        use_compile_cache()
        report(configuration.build())
        return
    directory = RunDirectory(output)
    directory.check_new()
    _carry_out(directory, configuration, profile=profile)


def _carry_out(directory, configuration, resume=False, profile=0):
    from atmorep_k.backend.compile_cache import use_compile_cache
    from atmorep_k.distribution.devices import ask_for_devices
    from atmorep_k.distribution.launch import launched

    if launched(configuration.bindings):
        return
    ask_for_devices(configuration.bindings)
    use_compile_cache()
    task = configuration.build()
    try:
        task.run(directory, configuration.text, resume=resume, profile=profile)
    except Interrupted as stopped:
        raise _resumable(directory, str(stopped), stopped.exit_code) from None
    except KeyboardInterrupt:  # before or after the steps
        if not directory.config.is_file():
            raise
        raise _resumable(directory, "stopped by Ctrl-C.", Interrupted.BY_USER) from None
    if task.engine.is_main:
        click.echo(directory.path)


def _resumable(directory, sentence: str, exit_code: int) -> Interrupted:
    command = f"atmorep-k run --resume {shlex.quote(str(directory.path))}"
    return Interrupted(f"{sentence} Resume it with  {command}", exit_code)
