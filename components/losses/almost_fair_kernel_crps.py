"""The almost fair continuous ranked probability score of an ensemble."""

from atmorep_k.components.losses.kernel_crps import KernelCRPS
from atmorep_k.errors import UserError
from atmorep_k.registry import component


@component("loss")
class AlmostFairKernelCRPS(KernelCRPS):
    """Mixture alpha * fair CRPS + (1 - alpha) * CRPS of the members as they are.

    The spread term of the fair score times 1 - (1 - alpha) / M (Lang et al. 2024, AIFS-CRPS,
    arXiv:2412.15832). The fair score alone does not see one member that runs away while all
    others sit at the truth.

    Args:
        alpha: 1 for the fair score, 0 for that of the empirical distribution.
        name: name of the loss.

    Raises:
        UserError: for alpha outside [0, 1].
    """

    def __init__(self, alpha: float = 0.95, name: str | None = None):
        super().__init__(name=name)
        if not 0.0 <= alpha <= 1.0:
            raise UserError(
                f"AlmostFairKernelCRPS.alpha is {alpha}; allowed are values from 0 to 1."
            )
        self.alpha = alpha

    def spread_factor(self, number: int) -> float:
        """Returns what multiplies the spread of `number` members."""
        return 1.0 - (1.0 - self.alpha) / number

    def get_config(self):
        """Returns the constructor's arguments."""
        return {**super().get_config(), "alpha": self.alpha}
