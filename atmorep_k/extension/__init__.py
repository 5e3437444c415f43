"""Models made from saved ones, and the proof that nothing old changed."""

from atmorep_k.extension.coupled import CoupledModel
from atmorep_k.extension.extended import ExtendedModel
from atmorep_k.extension.removal import remove_to_file
from atmorep_k.extension.source import ModelSource

__all__ = ["CoupledModel", "ExtendedModel", "ModelSource", "remove_to_file"]
