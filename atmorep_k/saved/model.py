"""A saved model: its architecture at once, its weights when they are asked for."""

import dataclasses
import functools
import json
import zipfile
from pathlib import Path
from typing import Any

from atmorep_k.files import file_sha256
from atmorep_k.model import AtmoRep
from atmorep_k.saved.file import SavedFile
from atmorep_k.saved.missing_plugins import check_components


@dataclasses.dataclass(frozen=True)
class SavedModel:
    """A saved model: its architecture at once, its weights when they are asked for.

    Args:
        path: of the `.keras` file.
    """

    path: Path

    @classmethod
    def find(cls, path: str | Path) -> "SavedModel":
        """Returns the model of a file or of a run's directory.

        Raises:
            UserError: if there is no such model.
        """
        with SavedFile(path) as saved:
            found = saved.path
        check_components(found)
        return cls(found)

    @functools.cached_property
    def architecture(self) -> AtmoRep:
        """The model without its weights: not built, nothing is allocated."""
        with zipfile.ZipFile(self.path) as archive:
            config = json.loads(archive.read("config.json"))["config"]
        return AtmoRep.from_config(config)

    @functools.cached_property
    def sha256(self) -> str:
        """The hash of the file."""
        return file_sha256(self.path)

    @property
    def names(self) -> list[str]:
        """The names of the fields."""
        return [f.name for f in self.architecture.fields]

    def load(self) -> AtmoRep:
        """Returns the model with its weights."""
        from atmorep_k.saved.loading import load_model

        return load_model(self.path)

    def entry(self, role: str) -> dict[str, Any]:
        """Returns what a model remembers that was made from this one.

        Args:
            role: `"coupled"`, `"extended"` or `"reduced"`: what was done with it.
        """
        model = self.architecture
        return {
            "model": str(self.path),
            "sha256": self.sha256,
            "fields": self.names,
            "role": role,
            "freeze": list(model.freeze),
            "provenance": model.provenance,
        }
