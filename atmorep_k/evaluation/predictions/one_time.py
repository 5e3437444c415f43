"""What was predicted at one reference time, beside the truth."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from atmorep_k.evaluation.case import Case
from atmorep_k.evaluation.weights import GridWeights


@dataclasses.dataclass(frozen=True)
class OneTime:
    """Predictions of one reference time, beside the truth.

    Args:
        truth: (lead, level, lat, lon), NaN where it is not known.
        forecasts: model -> (lead, member, level, lat, lon); a single forecast has one member.
            The first model is the prediction.
    """

    truth: np.ndarray
    forecasts: dict[str, np.ndarray]

    def coverage(self) -> tuple[int, int]:
        """Return how many points have a truth, and how many of them a prediction."""
        known = np.isfinite(self.truth)
        predicted = np.isfinite(next(iter(self.forecasts.values()))).all(axis=1)
        return int(known.sum()), int((known & predicted).sum())

    def cases(self, lead: int, weight: np.ndarray) -> Iterator[tuple[str, Case]]:
        """Yield each model with its `Case` at a lead time.

        A point counts where the truth and all models have values, so that all are scored on the
        same points.

        Args:
            lead: index of the lead time.
            weight: (region, lat, lon) of points.
        """
        truth = self.truth[lead].astype(np.float64)
        forecasts = {n: v[lead].astype(np.float64) for n, v in self.forecasts.items()}
        counted = np.isfinite(truth)
        for members in forecasts.values():
            counted &= np.isfinite(members).all(axis=0)
        weights = GridWeights(weight * counted[:, None], counted)
        # 0 in place of NaN, which would survive a weight of 0.
        truth = np.where(counted, truth, 0.0)
        forecasts = {n: np.where(counted, v, 0.0) for n, v in forecasts.items()}
        climatology = forecasts["climatology"][0]
        for name, members in forecasts.items():
            yield name, Case(members, truth, weights, climatology)
