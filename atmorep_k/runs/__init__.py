"""A run on disk: its directory, its checkpoints, its status, and the callbacks that follow it."""

from atmorep_k.runs.checkpoints import Checkpoint, CheckpointWriter
from atmorep_k.runs.directory import RunDirectory

__all__ = ["Checkpoint", "CheckpointWriter", "RunDirectory"]
