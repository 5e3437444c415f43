"""What was predicted at one reference time, beside the truth."""

import dataclasses
from collections.abc import Iterator

import numpy as np
import xarray as xr

from atmorep_k.evaluation.predictions.case import Case

_POINTS = ("level", "latitude", "longitude")


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
        """Returns how many points have a truth, and how many of them a prediction."""
        known = np.isfinite(self.truth)
        predicted = np.isfinite(next(iter(self.forecasts.values()))).all(axis=1)
        return int(known.sum()), int((known & predicted).sum())

    def cases(self, lead: int, weight: np.ndarray) -> Iterator[tuple[str, Case]]:
        """Yields each model with its `Case` at a lead time.

        A point counts where the truth and all models have values, so that all are scored on the
        same points.

        Args:
            lead: index of the lead time.
            weight: (region, lat, lon) of points.
        """
        truth = self.truth[lead].astype(np.float64)
        values = {n: v[lead].astype(np.float64) for n, v in self.forecasts.items()}
        counted = np.isfinite(truth)
        for forecast in values.values():
            counted &= np.isfinite(forecast).all(axis=0)
        weight = weight * counted[:, None]
        truth, *known = (np.where(counted, v, 0.0) for v in (truth, *values.values()))
        climatology = known[list(values).index("climatology")][0]
        for name, forecast in zip(values, known, strict=True):
            dims = ("number", *_POINTS)
            if len(forecast) == 1:
                forecast, dims = forecast[0], _POINTS
            yield (
                name,
                Case(
                    xr.DataArray(forecast, dims=dims),
                    xr.DataArray(truth, dims=_POINTS),
                    xr.DataArray(climatology, dims=_POINTS),
                    counted,
                    weight,
                ),
            )
