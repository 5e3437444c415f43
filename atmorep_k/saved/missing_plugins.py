"""Components of plug-ins that a saved model holds: whether they are known here."""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

from atmorep_k.errors import UserError
from atmorep_k.registry.former import modern_config

# How names of components begin where Keras knows them.
_OURS = "atmorep_k>"


def check_components(path: Path) -> None:
    """Checks that all components in a saved model are known here, which takes no building.

    Keras would give up on the first of them with a page of configuration.

    Raises:
        UserError: if a plug-in is missing; names its component and module.
    """
    import keras

    try:
        with zipfile.ZipFile(path) as archive:
            model = modern_config(json.loads(archive.read("config.json")))
    except (OSError, zipfile.BadZipFile, KeyError):
        return  # no saved model: Keras says what it is
    found = sorted(set(_components(model)))
    missing = [(n, m) for n, m in found if keras.saving.get_registered_object(n) is None]
    if missing:
        names = ", ".join(repr(name.removeprefix(_OURS)) for name, _ in missing)
        modules = ", ".join(sorted({module.partition(".")[0] for _, module in missing}))
        raise UserError(
            f"{path} holds {names} of {modules}, which no installed plug-in provides: "
            f"install the package that {modules} belongs to."
        )


def _components(value) -> Iterator[tuple[str, str]]:
    """Yields registered name and module of every component in a serialised configuration."""
    if isinstance(value, dict):
        if (value.get("registered_name") or "").startswith(_OURS):
            yield value["registered_name"], value.get("module") or "an unknown package"
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _components(item)
