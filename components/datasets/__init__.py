"""Components of kind dataset: where the windows of a training come from."""

from atmorep_k.components.datasets.slab_dataset import SlabDataset
from atmorep_k.components.datasets.window_dataset import WindowDataset
from atmorep_k.fields import Position
from atmorep_k.windows.sample import Sample

__all__ = ["Position", "Sample", "SlabDataset", "WindowDataset"]
