"""The names by which gin knows components, and the one root of every configuration."""

from collections.abc import Callable
from typing import Any

import gin

from atmorep_k.errors import UserError

# One module name for all: the name of a class is what files and saved models know it by.
_MODULE = "atmorep_k"


@gin.configurable(module=_MODULE)
def run(task: Any = gin.REQUIRED):
    """Returns the task that a configuration describes: the one root of every configuration."""
    return task


_known: dict[str, Any] = {"run": run}


def register_with_gin(cls: Callable[..., Any], name: str | None = None) -> Callable[..., Any]:
    """Makes a class (ours, or one of a library) known to gin by a name; does not change it.

    Args:
        cls: the class.
        name: what gin files call it; its own name if None.

    Raises:
        UserError: if a class of another module has the name.
    """
    name = name or cls.__name__
    known = _known.get(name)
    if known is not None and known.__module__ != cls.__module__:
        raise UserError(
            f"two components are called {name!r}: in {known.__module__} and in "
            f"{cls.__module__}; rename one of them."
        )
    # A class defined anew, as when a notebook's cell runs twice, replaces the old one.
    with gin.config.interactive_mode():
        gin.register(name, module=_MODULE)(cls)
    _known[name] = cls
    return cls
