"""The one decorator that makes a class a component, and the look-up of all components.

A component is a class with configuration in `__init__`, a complete `get_config` and a docstring.
`@component(kind)` makes it known three times over: to Keras (a saved model opens with it), to gin
(a configuration file wires it) and to this registry (`atmorep-k components` lists it). Packages
announce the module that defines their components by the entry-point group `atmorep_k.components`.
"""

import dataclasses
import importlib
import importlib.metadata
import inspect
import logging
from collections.abc import Callable
from typing import Any

import wrapt

from atmorep_k import config
from atmorep_k.errors import UserError, unknown

ENTRY_POINTS = "atmorep_k.components"

# What a gin file may use as it is: classes of Keras, kind -> (module, names), and the commands of
# `cli.questions`, which borrows them itself.
_BORROWED = {
    "optimizer": ("keras.optimizers", ("Adam", "AdamW", "Lion", "Muon", "SGD")),
    "callback": ("keras.callbacks", ("EarlyStopping",)),
    "schedule": ("keras.optimizers.schedules", ("CosineDecay", "ExponentialDecay")),
}

_logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One registered component: its kind, its class and what the constructor takes."""

    kind: str
    cls: type

    @property
    def name(self) -> str:
        """The name by which gin files and saved models refer to the component."""
        return self.cls.__name__

    @property
    def description(self) -> str:
        """The first line of the docstring."""
        return inspect.getdoc(self.cls).splitlines()[0]

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """The named parameters of the constructor, by name."""
        return config.named_parameters(self.cls)


_entries: dict[str, Entry] = {}
_borrowed: dict[str, Entry] = {}
_discovered: set[str] = set()


class Component:
    """Base of components that are no Keras objects: arguments stored by name make the config."""

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, serialised so that JSON can hold them."""
        import keras

        names = config.named_parameters(type(self))
        return {n: keras.saving.serialize_keras_object(getattr(self, n)) for n in names}

    @classmethod
    def from_config(cls, values: dict[str, Any]):
        """Returns the component that `get_config` described."""
        import keras

        return cls(**{n: keras.saving.deserialize_keras_object(v) for n, v in values.items()})


class Configured:
    """Gives a Keras layer its `get_config`: arguments of the constructor, kept under their names.

    Stands before the Keras class among the bases; the arguments are numbers, words or tuples.
    """

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, those of the Keras class included."""
        names = config.named_parameters(type(self))
        return {**super().get_config(), **{n: getattr(self, n) for n in names}}


def clone(template, **changes):
    """Returns a new component of the same class and configuration, changed as asked."""
    return type(template).from_config({**template.get_config(), **changes})


def component(kind: str) -> Callable[[type], type]:
    """Returns the decorator that registers a class as a component of the given kind.

    Keras learns of the class when Keras is imported: a component that needs none imports none.

    Raises:
        UserError: where another class has taken the name, or the class has no docstring.
    """

    def register(cls: type) -> type:
        if not (cls.__doc__ or "").strip():
            raise UserError(f"component {cls.__name__!r} has no docstring to describe it.")
        config.register(cls)
        wrapt.register_post_import_hook(
            lambda keras: keras.saving.register_keras_serializable("atmorep_k")(cls), "keras"
        )
        _entries[cls.__name__] = Entry(kind, cls)
        return cls

    return register


def borrow(kind: str, callable_: Callable) -> None:
    """Lets gin files use a class or function of another purpose, which stays as it is."""
    config.register(callable_)
    _borrowed[callable_.__name__] = Entry(kind, callable_)


def discover() -> None:
    """Imports everything that a saved model may hold: the model and every announced plug-in.

    Our own components are the first plug-in. A plug-in that cannot be imported is left out with
    a warning that names it. Each is imported once.
    """
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        if point.value not in _discovered:
            _discovered.add(point.value)
            _load(point)
    importlib.import_module("atmorep_k.model")


def _load(point: importlib.metadata.EntryPoint) -> None:
    try:
        point.load()
    except Exception as error:
        if point.module.partition(".")[0] == "atmorep_k":
            _discovered.discard(point.value)
            raise
        package = point.dist.name if point.dist else point.name
        _logger.warning(
            "the plug-in %r of package %r is left out, it cannot be imported: %s: %s",
            point.value,
            package,
            type(error).__name__,
            error,
        )


def _discover_all() -> None:
    # Tasks are not part of a saved model. They import the model, which may be half imported when
    # the import of Keras sets off `discover`; here nothing is.
    discover()
    tasks = ("training.pretraining", "extension.coupled", "extension.extended", "cli.questions")
    for module in ("evaluation.held_out.scoring", "training.watch.watch", *tasks):
        importlib.import_module(f"atmorep_k.{module}")
    for kind, (module, names) in _BORROWED.items():
        for name in names:
            if name not in _entries and name not in _borrowed:
                borrow(kind, getattr(importlib.import_module(module), name))


def entries(kind: str | None = None, *, borrowed: bool = False) -> list[Entry]:
    """Returns the registered components (of one kind), sorted by kind and name.

    Args:
        kind: None for all kinds.
        borrowed: also what a configuration may use as it is: classes of Keras, our commands.
    """
    _discover_all()
    found = [*_entries.values(), *(_borrowed.values() if borrowed else ())]
    return sorted((e for e in found if kind in (None, e.kind)), key=lambda e: (e.kind, e.name))


def lookup(name: str, kind: str | None = None) -> type:
    """Returns the class of the component with this name.

    Raises:
        UserError: where there is none; names the nearest.
    """
    names = {e.name: e.cls for e in entries(kind)}
    if name not in names:
        raise unknown(kind or "component", name, names)
    return names[name]
