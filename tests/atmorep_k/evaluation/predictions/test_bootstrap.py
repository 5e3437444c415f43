import numpy as np

from atmorep_k.evaluation.predictions.bootstrap import block_length, draws, intervals
from atmorep_k.evaluation.sums import Sums


def mean(sums):
    return {"mean": sums["value"] / sums["weight"]}


def series(values):
    values = np.asarray(values, float).reshape(-1, 1, 1)
    return Sums({"value": values, "weight": np.ones_like(values)})


def test_the_interval_of_independent_values_is_that_of_the_normal_distribution():
    values = np.random.default_rng(0).normal(size=400)
    low, high = intervals(series(values), mean, 1)
    half = 1.96 * values.std() / 20
    np.testing.assert_allclose(low["mean"], values.mean() - half, atol=0.15 * half)
    np.testing.assert_allclose(high["mean"], values.mean() + half, atol=0.15 * half)


def test_blocks_widen_the_interval_of_values_that_follow_each_other():
    values = np.repeat(np.random.default_rng(0).normal(size=50), 8)
    width = [
        np.subtract(*(e["mean"] for e in intervals(series(values), mean, b)[::-1])).item()
        for b in (1, 16)
    ]
    # Eight equal values in a row tell no more than one: the interval is sqrt(8) times as wide.
    assert 2 < width[1] / width[0] < 3.5


def test_draws_are_runs_of_consecutive_times():
    counts = draws(12, 4)
    assert counts.sum(axis=1).tolist() == [12] * len(counts)
    rises = np.clip(np.diff(counts, axis=1, append=counts[:, :1]), 0, None).sum(axis=1)
    assert rises.max() <= 3
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=0.2)
    assert [block_length(n) for n in (1, 8, 30, 1000)] == [1, 2, 3, 10]
