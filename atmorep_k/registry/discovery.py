"""What is registered, found by entry points only: ours are announced like those of any plug-in."""

import functools
import importlib.metadata
import logging
import tomllib
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

from atmorep_k.errors import unknown
from atmorep_k.registry import registered
from atmorep_k.registry.registered import Entry, borrow

# Groups of entry points: what a saved model may hold, and what only a configuration names. The
# second is loaded when a configuration is read, so that opening a model stays light.
COMPONENTS = "atmorep_k.components"
TASKS = "atmorep_k.tasks"

# What a configuration may use of Keras as it is, by kind.
_KERAS = {
    "optimizer": ("Adam", "AdamW", "Lion", "Muon", "SGD"),
    "callback": ("EarlyStopping",),
    "schedule": ("CosineDecay", "ExponentialDecay"),
}

_OURS = "atmorep_k"
_CHECKOUT = Path(__file__).resolve().parents[2]

_logger = logging.getLogger(__name__)
_loaded: set[tuple[str, str]] = set()


def discover() -> None:
    """Import everything that a saved model may hold: our components and every plug-in's.

    A plug-in that cannot be imported is left out with a warning that names it. Each is imported
    once.
    """
    _load_all(COMPONENTS)


def entry_points(group: str) -> Iterator[EntryPoint]:
    """Yield the entry points of a group, ours first.

    In a checkout, ours are those of its `pyproject.toml`: it may not be installed at all, and the
    metadata of an editable install are as old as the install.
    """
    ours = _of_checkout()
    for name, value in ours.get(group, {}).items():
        yield EntryPoint(name, value, group)
    for point in importlib.metadata.entry_points(group=group):
        if not (ours and point.value.partition(".")[0] == _OURS):
            yield point


@functools.cache
def _of_checkout() -> dict[str, dict[str, str]]:
    try:
        project = tomllib.loads((_CHECKOUT / "pyproject.toml").read_text())["project"]
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return {}
    is_ours = project.get("name") == "atmorep-k" and (_CHECKOUT / "components").is_dir()
    return project["entry-points"] if is_ours else {}


def _load_all(group: str) -> None:
    for point in entry_points(group):
        if (group, point.value) not in _loaded:
            # Noted first: importing Keras, as components do, sets off `discover` again.
            _loaded.add((group, point.value))
            _load(point)


def _load(point: EntryPoint) -> None:
    try:
        point.load()
    except Exception as error:
        if point.module.partition(".")[0] == _OURS:
            _loaded.discard((point.group, point.value))
            raise
        package = point.dist.name if point.dist else point.name
        _logger.warning(
            "the plug-in %r of package %r is skipped because it cannot be imported: %s: %s",
            point.value,
            package,
            type(error).__name__,
            error,
        )


def _discover_all() -> None:
    discover()
    _load_all(TASKS)
    import keras

    homes = {
        "optimizer": keras.optimizers,
        "callback": keras.callbacks,
        "schedule": keras.optimizers.schedules,
    }
    for kind, names in _KERAS.items():
        for name in names:
            if name not in registered.by_name and name not in registered.borrowed:
                borrow(kind, getattr(homes[kind], name))


def entries(kind: str | None = None, *, borrowed: bool = False) -> list[Entry]:
    """Return the registered components (of one kind), sorted by kind and name.

    Args:
        kind: None for all kinds.
        borrowed: also what a configuration may use as it is: classes of Keras, our commands.
    """
    _discover_all()
    known = [*registered.by_name.values(), *(registered.borrowed.values() if borrowed else ())]
    return sorted((e for e in known if kind in (None, e.kind)), key=lambda e: (e.kind, e.name))


def lookup(name: str, kind: str | None = None) -> type:
    """Return the class of the component with this name.

    Raises:
        UserError: for an unknown name; names the nearest.
    """
    names = {e.name: e.cls for e in entries(kind) if isinstance(e.cls, type)}
    if name not in names:
        raise unknown(kind or "component", name, names)
    return names[name]
