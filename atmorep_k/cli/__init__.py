"""The command line. A command's own file is imported only when that command is called."""

import errno
import importlib
import os
import sys
import traceback

import click

from atmorep_k._version import __version__
from atmorep_k.errors import Interrupted, UserError, missing_extra, nearest, unknown

# Name -> one line of help. The command `x-y` is `atmorep_k.cli.x_y.x_y`.
_COMMANDS = {
    "data": "Prepare, describe and simulate stores of fields.",
    "run": "Train, score, save and draw what a configuration describes.",
    "bench-data": "Measure whether data keep up with a training.",
    "add-field": "Let a new field join a saved model, which stays as it is.",
    "remove-field": "Take a field out of a saved model.",
    "forecast": "Forecast the hours after given times with a saved model.",
    "interpolate": "Fill hidden hours from those before and after.",
    "reconstruct": "Hide random tokens and predict them from the others.",
    "rollout": "Forecast further than a window reaches.",
    "point": "Predict time series with their uncertainty at places.",
    "attention": "Show where one token of a window looks.",
    "features": "Write the last hidden layer of each token for other models.",
    "infill": "Fill gaps in a record from what is known around them.",
    "counterfactual": "Predict as if it were another time or level, and compare.",
    "correct": "See another model's fields through a model.",
    "evaluate": "Score a prediction against a store, beside baselines.",
    "report": "Write one page about a run, an evaluation or a prediction.",
    "import-checkpoint": "Open a model of the original AtmoRep.",
    "inspect": "Print what a saved model is, and where a run stands.",
    "config": "Show or check a configuration.",
    "components": "List the components that a configuration may use.",
}


# What KERAS_BACKEND may name; all but JAX are extras.
_BACKENDS = ("jax", "torch", "tensorflow")


class _Failure(click.ClickException):
    """Shown as `Error: SENTENCE`; exit code 1."""


class _LazyGroup(click.Group):
    """Lists its commands without importing them and reports mistakes in one line."""

    def list_commands(self, ctx):
        return list(_COMMANDS)

    def get_command(self, ctx, name):
        if name not in _COMMANDS:
            return None
        module = name.replace("-", "_")
        return getattr(importlib.import_module(f"atmorep_k.cli.{module}"), module)

    def format_commands(self, ctx, formatter):
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def resolve_command(self, ctx, args):
        if args[0] not in _COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"there is no command {args[0]!r}{nearest(args[0], _COMMANDS)}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx):
        try:
            if (backend := os.environ.get("KERAS_BACKEND", "jax")) not in _BACKENDS:
                raise unknown("KERAS_BACKEND", backend, _BACKENDS)
            return super().invoke(ctx)
        except ModuleNotFoundError as error:
            if error.name not in _BACKENDS:
                raise
            raise _Failure(str(missing_extra(error.name, error.name))) from None
        except (UserError, OSError) as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # the reader of a pipe has gone: click ends quietly
            if ctx.params["verbose"]:
                traceback.print_exc(file=sys.stderr)
            from atmorep_k.distribution.launch import report

            if report(_sentence(error)):
                ctx.exit(1)
            raise _Failure(_sentence(error)) from None
        except Interrupted as stopped:
            click.echo(f"Interrupted: {stopped}", err=True)
            ctx.exit(stopped.exit_code)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(Interrupted.BY_USER)


def _sentence(error: Exception) -> str:
    """Returns the message of an error, without the number of an operating system's."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error) or type(error).__name__


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-v", "--verbose", is_flag=True, help="Print the traceback of an error.")
@click.version_option(__version__, prog_name="atmorep-k", message="%(prog)s %(version)s")
def main(verbose):
    """Train, extend and use AtmoRep models of atmospheric dynamics."""
