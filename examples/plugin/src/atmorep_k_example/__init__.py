"""Components for atmorep_k: importing this module registers them."""

from atmorep_k_example.gaussian_tail import GaussianTail
from atmorep_k_example.swath import Swath

__all__ = ["GaussianTail", "Swath"]
