"""What a constructor takes, and whether a literal of a configuration is of the right type."""

import collections.abc
import functools
import inspect
import operator
import re
import types
import typing
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import typeguard

from atmorep_k.errors import nearest
from atmorep_k.registry.parameters import NUMBER

_SEQUENCES = (Sequence, Collection, Iterable, collections.abc.MutableSequence)

_WORDS = {"true": "True", "false": "False", "none": "None", "null": "None"}


class _Flag:
    """Stands for a bool while types are checked, since Python takes a bool for an int."""


def mismatch(value: Any, hint: Any) -> str | None:
    """Says how a value fails its type hint, or returns None where it does not.

    An int is fine for a float, a bool is no int, and text is no sequence of texts.

    Args:
        value: literals and containers; an `Instance` stands for an object still to be made.
        hint: a type, a type hint or `NUMBER`.
    """
    if _fits(value, hint):
        return None
    return f"must be {type_name(hint)}, not {_shown(value)}{_advice(value, hint)}"


def _fits(value: Any, hint: Any) -> bool:
    if hint is NUMBER:
        return not isinstance(value, bool | str | list | tuple | dict)
    try:
        typeguard.check_type(
            _plain(value),
            _strict(hint),
            forward_ref_policy=typeguard.ForwardRefPolicy.IGNORE,
            collection_check_strategy=typeguard.CollectionCheckStrategy.ALL_ITEMS,
        )
    except typeguard.TypeCheckError:
        return False
    return True


class Instance:
    """Stands for an object that a class or function will make later."""

    def __init__(self, cls: Callable):
        self.cls = cls

    def __repr__(self):
        return f"@{self.cls.__name__}()"


def _plain(value: Any) -> Any:
    """Returns the value with bools marked and an empty object for each one still to be made."""
    if isinstance(value, bool):
        return _Flag()
    if isinstance(value, Instance):
        return object.__new__(value.cls) if isinstance(value.cls, type) else object()
    if isinstance(value, dict):
        return {_plain(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(item) for item in value)
    return value


def _strict(hint: Any) -> Any:
    """Returns the type hint for what `_plain` makes; a sequence is a list or a tuple."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is bool:
        return _Flag
    if hint in _SEQUENCES or (origin in _SEQUENCES and not arguments):
        return list | tuple
    if origin in _SEQUENCES:
        item = _strict(arguments[0])
        return types.GenericAlias(list, (item,)) | types.GenericAlias(tuple, (item, ...))
    if origin is typing.Literal:
        return hint | _Flag if any(isinstance(a, bool) for a in arguments) else hint
    if origin in (typing.Union, types.UnionType):
        return functools.reduce(operator.or_, map(_strict, arguments))
    if origin in (list, tuple, dict, collections.abc.Mapping):
        return origin[tuple(a if a is ... else _strict(a) for a in arguments)]
    return hint


def type_name(hint: Any) -> str:
    """Returns a type hint as a person would write it, without the names of modules."""
    if hint is NUMBER:
        return NUMBER
    if typing.get_origin(hint) is typing.Literal:
        return " or ".join(repr(a) for a in typing.get_args(hint))
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " | ".join(type_name(a) for a in typing.get_args(hint))
    text = "None" if hint is type(None) else inspect.formatannotation(hint)
    return re.sub(r"\b[A-Za-z_]\w*\.(?:[\w<>]+\.)*(?=[A-Za-z_])", "", text)


def _advice(value: Any, hint: Any) -> str:
    literals = [a for h in (hint, *typing.get_args(hint)) for a in _literals(h)]
    if isinstance(value, str) and value.lower() in _WORDS:
        word = _WORDS[value.lower()]
        return f"; write {word}." if _fits({"True": True, "False": False}.get(word), hint) else "."
    if isinstance(value, str) and literals:
        return nearest(value, literals)
    if isinstance(value, float) and value.is_integer() and _fits(int(value), hint):
        return f"; write {int(value)}."
    if not isinstance(value, list | tuple | dict) and _fits([value], hint):
        return f"; write [{_shown(value)}]."
    return "."


def _literals(hint: Any) -> list[str]:
    arguments = typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()
    return [a for a in arguments if isinstance(a, str)]


def _shown(value: Any, longest: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= longest else text[: longest - 3] + "..."
