"""The one decorator that makes a class a component, and what it has registered.

A component is a class with configuration in `__init__`, a complete `get_config` and a docstring.
`@component(kind)` makes it known three times over: to Keras (a saved model opens with it), to gin
(a configuration file wires it) and to this registry (`atmorep-k components` lists it). Packages
announce the module that defines their components by the entry-point group `atmorep_k.components`.
"""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import wrapt

from atmorep_k.errors import UserError
from atmorep_k.registry.gin_names import register_with_gin
from atmorep_k.registry.parameters import named_parameters


@dataclasses.dataclass(frozen=True)
class Entry:
    """One registered component: its kind, its class and what the constructor takes."""

    kind: str
    cls: Callable[..., Any]
    alias: str | None = None

    @property
    def name(self) -> str:
        """The name by which gin files and saved models refer to the component."""
        return self.alias or self.cls.__name__

    @property
    def description(self) -> str:
        """The first line of the docstring."""
        return (inspect.getdoc(self.cls) or self.name).splitlines()[0]

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """The named parameters of the constructor, by name."""
        return named_parameters(self.cls)


# Name -> component, and name -> what a configuration may use as it is.
by_name: dict[str, Entry] = {}
borrowed: dict[str, Entry] = {}


class Component:
    """Base of components that are not Keras objects: arguments stored by name make the config."""

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, serialised so that JSON can hold them."""
        import keras

        names = named_parameters(type(self))
        return {n: keras.saving.serialize_keras_object(getattr(self, n)) for n in names}

    @classmethod
    def from_config(cls, values: dict[str, Any]):
        """Returns the component that `get_config` described."""
        import keras

        return cls(**{n: keras.saving.deserialize_keras_object(v) for n, v in values.items()})


class Configured:
    """Mixin that gives a Keras layer its `get_config` from attributes named like its arguments.

    List it before the Keras class among the bases; the arguments are numbers, words or tuples.
    """

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, those of the Keras class included."""
        names = named_parameters(type(self))
        of_keras = super().get_config()  # type: ignore[misc]  # of the Keras class, see above
        return {**of_keras, **{n: getattr(self, n) for n in names}}


def clone(template, **changes):
    """Returns a new component of the same class and configuration, changed as asked."""
    return type(template).from_config({**template.get_config(), **changes})


def component(kind: str) -> Callable[[type], type]:
    """Returns the decorator that registers a class as a component of the given kind.

    Keras learns of the class when Keras is imported: a component that needs none imports none.

    Raises:
        UserError: if another class has taken the name, or the class has no docstring.
    """

    def register(cls: type) -> type:
        if not (cls.__doc__ or "").strip():
            raise UserError(f"component {cls.__name__!r} has no docstring to describe it.")
        register_with_gin(cls)
        wrapt.register_post_import_hook(
            lambda keras: keras.saving.register_keras_serializable("atmorep_k")(cls), "keras"
        )
        by_name[cls.__name__] = Entry(kind, cls)
        return cls

    return register


def borrow(kind: str, callable_: Callable, name: str | None = None) -> None:
    """Lets gin files use a class or function of another purpose, which stays as it is.

    Args:
        kind: of component.
        callable_: the class or function.
        name: what gin files call it; its own name if None.
    """
    register_with_gin(callable_, name)
    entry = Entry(kind, callable_, name)
    borrowed[entry.name] = entry
