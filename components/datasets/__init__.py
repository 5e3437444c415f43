"""Components of kind dataset: where the windows of a training come from."""

from atmorep_k.components.datasets.positions import Position
from atmorep_k.components.datasets.window_dataset import Sample, WindowDataset

__all__ = ["Position", "Sample", "WindowDataset"]
