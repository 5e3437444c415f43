"""What one time adds to the sums that scores are made of.

Each function takes a `Case` and returns name -> (level, region). Sums of several times are scores
after a division (`evaluating.from_sums`), so that nothing but sums is kept.
"""

import numpy as np

from atmorep_k.evaluation import metrics
from atmorep_k.evaluation.predictions.case import Case
from atmorep_k.evaluation.predictions.events import Events

# The quantiles of the ensemble that are scored.
QUANTILES = (0.1, 0.5, 0.9)


def parts(case: Case, events: Events) -> dict[str, np.ndarray]:
    """Returns all sums of one case."""
    of_points = _errors(case) | _quantiles(case)
    return of_points | _anomalies(case) | _energy(case) | events.parts(case)


def _errors(case: Case) -> dict[str, np.ndarray]:
    error = metrics.error(case.forecast, case.truth).values
    found = {
        "weight": np.ones_like(error),
        "squared": error**2,
        "absolute": np.abs(error),
        "error": error,
        "crps": metrics.point_crps(case.forecast, case.truth).values,
    }
    if case.number > 1:
        found["variance"] = metrics.point_variance(case.forecast).values
    return {name: case.total(values) for name, values in found.items()}


def _quantiles(case: Case) -> dict[str, np.ndarray]:
    from scores.continuous import quantile_score

    found = {}
    for share, values in zip(QUANTILES, np.quantile(case.members, QUANTILES, axis=0), strict=True):
        forecast = case.truth.copy(data=values)
        score = quantile_score(forecast, case.truth, share, preserve_dims="all")
        found[f"pinball_q{100 * share:g}"] = case.total(score.values)
    return found


def _anomalies(case: Case) -> dict[str, np.ndarray]:
    """Returns the correlation of anomalies over the region, as WeatherBench 2 has it: one by time.

    sum w f o / sqrt(sum w f^2 sum w o^2) with anomalies f and o; 0 for a forecast without anomaly.
    """
    forecast = (metrics.ensemble_mean(case.forecast) - case.climatology).values
    truth = (case.truth - case.climatology).values
    product = case.total(forecast * truth)
    squares = case.total(forecast**2), case.total(truth**2)
    there = squares[1] > 0
    norm = np.sqrt(squares[0] * squares[1])
    found = np.divide(product, norm, out=np.zeros_like(norm), where=norm > 0)
    return {"correlation": np.where(there, found, 0.0), "correlation_times": there.astype(float)}


def _energy(case: Case) -> dict[str, np.ndarray]:
    """Returns the fair energy score of the region's field, Gneiting and Raftery (2007).

    mean_i |x_i - y| - sum_{i<j} |x_i - x_j| / (M (M - 1)), where |.| is the root of the mean square
    over the area, as in WeatherBench 2.
    """
    error = case.members - case.truth.values
    weight = case.total(np.ones(error.shape[1:]))
    norm = np.where(weight > 0, weight, 1.0)[..., None, None]
    products = np.einsum("nlyx,lryx,mlyx->lrnm", error, case.weight, error, optimize=True) / norm
    squares = np.einsum("lrnn->lrn", products)
    distance = np.sqrt(squares).mean(axis=-1)
    if (number := case.number) > 1:
        between = squares[..., None] + squares[..., None, :] - 2 * products
        between = np.sqrt(np.maximum(between, 0.0)).sum(axis=(-1, -2))
        distance = distance - between / (2 * number * (number - 1))
    return {"energy": distance, "energy_times": (weight > 0).astype(float)}
