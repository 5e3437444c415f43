"""A run on disk: its directory, its checkpoints, where it stands, and who is told of it."""

from atmorep_k.runs.checkpoints import Checkpoint, CheckpointWriter
from atmorep_k.runs.directory import RunDirectory

__all__ = ["Checkpoint", "CheckpointWriter", "RunDirectory"]
