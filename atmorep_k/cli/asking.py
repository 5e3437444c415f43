"""Commands that ask a saved model, made from the classes of `atmorep_k.tasks`."""

import dataclasses
import functools
import inspect
import textwrap
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import click

from atmorep_k.tasks import QUESTIONS, Question
from atmorep_k.tasks.forecast import Forecast
from atmorep_k.tasks.question import Option, store_pairs

QUESTIONS_BY_NAME = {question.name: question for question in QUESTIONS}


@functools.cache
def command(name: str) -> click.Command:
    """Return the command of a task: its parameters are the fields of the question."""
    question = QUESTIONS_BY_NAME[name]

    def ask(dry_run: bool = False, **given):
        # What is not given has the default of the question.
        given = {name: value for name, value in given.items() if value not in (None, ())}
        carry_out(question(**given), dry_run)

    parameters = list(_parameters(question))
    if question.dry_run:
        dry_run = click.Option(["--dry-run"], is_flag=True, help="Print an estimate and exit.")
        parameters.append(dry_run)
    text = (inspect.getdoc(question) or "").partition("\n\nReturns:")[0]
    # Unwrapped (\b), so that it can be copied.
    example = f"\b\nExample:\n{_unwrapped(f'atmorep-k {question.name} {question.example}')}"
    return click.Command(
        question.name,
        callback=ask,
        params=parameters,
        help=f"{text}\n\n{example}",
        short_help=question.summary(),
    )


def carry_out(question: Question, dry_run: bool) -> None:
    """Asks and prints the paths of what was written, or prints what it would take.

    Raises:
        UserError: if something does not fit, or the task has no dry run.
    """
    if not dry_run:
        for path in question.present():
            click.echo(path)
        return
    question.check_dry_run()
    assert isinstance(question, Forecast), "no other task has a dry run"
    from atmorep_k.costs.prediction import estimate_forecast

    for line in estimate_forecast(question):
        click.echo(line)


def _parameters(question: type[Question]):
    """Yields the parameters of a command, those that it needs first."""
    hints = {name: p.annotation for name, p in inspect.signature(question).parameters.items()}
    fields = {field.name: field for field in dataclasses.fields(question)}
    shown = [fields[name] for name in hints if fields[name].metadata["option"].shown]
    for field in sorted(shown, key=lambda field: not _is_required(field)):
        yield _parameter(field, field.metadata["option"], hints[field.name])


def _is_required(field: dataclasses.Field) -> bool:
    return field.metadata["option"].required or field.default is dataclasses.MISSING


def _parameter(field: dataclasses.Field, option: Option, hint: Any) -> click.Parameter:
    if option.flag == "":
        return click.Argument([field.name], metavar=option.metavar, required=True)
    flag = option.flag or f"--{field.name.replace('_', '-')}"
    if hint is bool:
        default = f"{flag}/--no-{flag[2:]}" if field.default else flag
        return click.Option([default, field.name], is_flag=True, default=field.default,
                            show_default=bool(field.default), help=option.help)  # fmt: skip
    plain = field.default not in (dataclasses.MISSING, None, ())
    return click.Option(
        [flag, field.name],
        type=_type(option, hint),
        nargs=option.count or 1,
        multiple=option.repeat,
        required=_is_required(field),
        default=field.default if plain else None,
        show_default=option.default_text or plain,
        metavar=option.metavar,
        callback=_pairs if field.name == "stores" else None,
        help=option.help,
    )


def _type(option: Option, hint: Any) -> Any:
    """Returns the type of one value."""
    alternatives = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    hint = next(h for h in alternatives if h is not type(None))
    if option.of is not None:
        return option.of
    if typing.get_origin(hint) is Literal:
        return click.Choice(typing.get_args(hint))
    if typing.get_origin(hint) is Sequence:
        return typing.get_args(hint)[0]
    return click.Path(path_type=Path) if Path in alternatives else hint


def _pairs(context, parameter, given: tuple[str, ...]):
    try:
        return store_pairs(given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _unwrapped(line: str) -> str:
    """Returns a command as lines of a shell that fit 80 columns."""
    lines = textwrap.wrap(line, 74, break_long_words=False, break_on_hyphens=False)
    return " \\\n".join([f"  {lines[0]}", *(f"    {more}" for more in lines[1:])])


# Of other commands that use stores.
stores_option = click.option(
    "--store-of",
    "stores",
    multiple=True,
    metavar="FIELD=STORE",
    callback=_pairs,
    help="Another store for a field (or an alias of it); may be repeated.",
)
