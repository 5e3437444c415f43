"""The parameters of a constructor that a configuration may bind, and their types."""

import inspect
import re
import typing
from collections.abc import Callable
from typing import Any

_ARGS = re.compile(r"^(?:Args|Arguments):\n((?:[ ]+\S.*\n|[ ]*\n)+)", re.MULTILINE)
_NOT_BINDABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)

# The type hint of a parameter without one whose default is a number: a number, None, or an object
# that gives one (such as a schedule).
NUMBER = "a number"


def _constructor(function: Callable) -> Callable:
    if isinstance(function, type):
        return function.__init__  # type: ignore[misc]  # of this very class; it is only read
    return function


def named_parameters(function: Callable) -> dict[str, inspect.Parameter]:
    """Returns the parameters of a function or constructor, without `self` and `**kwargs`."""
    signature = inspect.signature(_constructor(function))
    parameters = list(signature.parameters.items())[isinstance(function, type) :]
    return {n: p for n, p in parameters if p.kind not in _NOT_BINDABLE}


def parameter_meanings(function: Callable) -> dict[str, str]:
    """Return parameter -> its meaning, as the `Args` section of the docstring gives it.

    A class also has those of its bases, because its constructor often passes parameters on to
    theirs. Parameters that no docstring describes are left out.
    """
    # From the most general class to the class itself, whose own words win.
    owners = reversed(function.__mro__) if isinstance(function, type) else [function]
    meanings: dict[str, str] = {}
    for owner in owners:
        meanings |= _args_section(owner.__doc__ or "")
    return {name: meanings[name] for name in named_parameters(function) if name in meanings}


def _args_section(docstring: str) -> dict[str, str]:
    section = _ARGS.search(f"{inspect.cleandoc(docstring)}\n")
    if not section:
        return {}
    # An entry starts at the margin of the section; the lines that continue it are indented.
    entries = re.split(r"^(?=\S)", inspect.cleandoc(section[1]), flags=re.MULTILINE)
    pairs = (entry.partition(":") for entry in entries if ":" in entry)
    return {name.strip().strip("`*"): " ".join(text.split()) for name, _, text in pairs}


def bindable_parameters(function: Callable) -> list[str]:
    """Returns the names that a configuration may bind.

    These are the named parameters and, where `**kwargs` passes them on, Keras's own.
    """
    import keras

    names = list(named_parameters(function))
    if isinstance(function, type) and _takes_any(function):
        if issubclass(function, keras.layers.Layer):
            names += ["name", "dtype", "trainable"]
        elif issubclass(function, keras.losses.Loss):
            names += ["name", "dtype", "reduction"]
    return list(dict.fromkeys(names))


def _takes_any(cls: type) -> bool:
    kinds = (p.kind for p in inspect.signature(_constructor(cls)).parameters.values())
    return inspect.Parameter.VAR_KEYWORD in kinds


def annotation(function: Callable, parameter: str) -> Any:
    """Returns the type hint of a parameter; `Any` if it has none that can be evaluated.

    A parameter without a hint whose default is a number takes numbers (and objects) only.
    """
    known = named_parameters(function).get(parameter)
    if known is None:
        return Any
    if known.annotation is inspect.Parameter.empty:
        return NUMBER if type(known.default) in (int, float) else Any
    try:
        return typing.get_type_hints(_constructor(function), include_extras=False)[parameter]
    except (NameError, AttributeError, TypeError):
        return Any if isinstance(known.annotation, str) else known.annotation
