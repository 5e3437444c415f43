"""Components that say how a training is spread over devices."""

from atmorep_k.components.distributions.mesh import Mesh

__all__ = ["Mesh"]
