"""Components of kind dataset: where the windows of a training come from."""

from atmorep_k.components.datasets.positions import Position
from atmorep_k.components.datasets.sample import Sample
from atmorep_k.components.datasets.window_dataset import WindowDataset

__all__ = ["Position", "Sample", "WindowDataset"]
