"""The group of all commands, and how mistakes end."""

import errno
import os
import sys
import traceback

import click

from atmorep_k._version import __version__
from atmorep_k.cli import asking
from atmorep_k.cli.add_field import add_field
from atmorep_k.cli.bench_data import bench_data
from atmorep_k.cli.components import components
from atmorep_k.cli.config import config
from atmorep_k.cli.data import data
from atmorep_k.cli.import_checkpoint import import_checkpoint
from atmorep_k.cli.insisting import insisting
from atmorep_k.cli.inspect import inspect
from atmorep_k.cli.remove_field import remove_field
from atmorep_k.cli.report import report
from atmorep_k.cli.run import run
from atmorep_k.errors import Interrupted, UserError, missing_extra, nearest, unknown

# What KERAS_BACKEND may name; all but JAX are extras.
_BACKENDS = ("jax", "torch", "tensorflow")


class _Failure(click.ClickException):
    """Shown as `Error: SENTENCE`; exit code 1."""


class _Commands(click.Group):
    """Lists its commands in their order and reports mistakes in one line."""

    def list_commands(self, ctx):
        return list(_SUMMARIES)

    def get_command(self, ctx, name):
        # The options of a task are made from its class, which `--help` has no need of.
        return asking.command(name) if name in asking.QUESTIONS_BY_NAME else self.commands.get(name)

    def format_commands(self, ctx, formatter):
        with formatter.section("Commands"):
            formatter.write_dl(list(_SUMMARIES.items()))

    def resolve_command(self, ctx, args):
        if not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            ctx.fail(f"unknown command {args[0]!r}{nearest(args[0], _SUMMARIES)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx):
        try:
            if (backend := os.environ.get("KERAS_BACKEND", "jax")) not in _BACKENDS:
                raise unknown("KERAS_BACKEND", backend, _BACKENDS)
            with insisting():
                return super().invoke(ctx)
        except ModuleNotFoundError as error:
            if error.name not in _BACKENDS:
                raise
            raise _Failure(str(missing_extra(error.name, error.name))) from None
        except (UserError, OSError) as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # the reader of a pipe has closed it: click ends quietly
            if ctx.params["verbose"]:
                traceback.print_exc(file=sys.stderr)
            from atmorep_k.distribution.launch import report_failure as tell_launcher

            if tell_launcher(_sentence(error)):
                ctx.exit(1)
            raise _Failure(_sentence(error)) from None
        except Interrupted as stopped:
            click.echo(f"Interrupted: {stopped}", err=True)
            ctx.exit(stopped.exit_code)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(Interrupted.BY_USER)


def _summary(command: click.Command) -> str:
    """Returns the first paragraph of a command's help."""
    text = command.short_help or (command.help or "").partition("\n\n")[0]
    return " ".join(text.split())


def _sentence(error: Exception) -> str:
    """Returns the message of an error, without the number of an operating system's."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-v", "--verbose", is_flag=True, help="Print the traceback of an error.")
@click.version_option(__version__, prog_name="atmorep-k", message="%(prog)s %(version)s")
def main(verbose):
    """Train, extend and use AtmoRep models of atmospheric dynamics."""


_BEFORE: tuple[click.Command, ...] = (data, run, bench_data, add_field, remove_field)
_AFTER: tuple[click.Command, ...] = (report, import_checkpoint, inspect, config, components)
# Name -> one line of help, in the order of `--help`.
_SUMMARIES: dict[str, str] = {
    **{str(command.name): _summary(command) for command in _BEFORE},
    **{name: of.summary() for name, of in asking.QUESTIONS_BY_NAME.items()},
    **{str(command.name): _summary(command) for command in _AFTER},
}

for _command in (*_BEFORE, *_AFTER):
    main.add_command(_command)
