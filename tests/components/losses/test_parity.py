"""Losses of the original on the outputs of the original."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from keras import ops
from scipy import special, stats

from atmorep_k.components import losses

pytestmark = pytest.mark.backend

FIELD = "vorticity"


@pytest.fixture
def original(shared_parity):
    """Target (1, 1, masked, value), members, latitude and the original's loss by name."""
    folder = shared_parity / "tiny_single"
    meta = json.loads((folder / "meta.json").read_text())["losses"]
    inputs, outputs = np.load(folder / "inputs.npz"), np.load(folder / "outputs.npz")
    cosine = inputs[f"lat_weight/{FIELD}"].astype("float64")
    latitude = np.degrees(np.arccos(cosine))[:, None, :, None]
    return SimpleNamespace(
        target=inputs[f"target/{FIELD}"][None, None],
        members=outputs[f"pred/{FIELD}/ensemble"][None, None],
        latitude=np.broadcast_to(latitude, (len(cosine), 3, 9, 9)).reshape(1, 1, -1, 243),
        values={name: values[0] for name, values in meta["per_field"].items()},
        total=meta["total"],
    )


def evaluate(loss, original):
    result = loss(original.target, original.members, latitude=original.latitude)
    return float(ops.convert_to_numpy(result))


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("mse", losses.MeanMSE()),
        ("mse_ensemble", losses.EnsembleMSE()),
        ("stats", losses.StatisticalLoss()),
        ("stats_area", losses.StatisticalAreaLoss()),
        ("crps", losses.GaussianCRPS(original_constants=True)),
        ("kernel_crps", losses.KernelCRPS()),
        ("weighted_mse", losses.LatitudeWeightedMSE()),
    ],
)
def test_value_of_the_original(name, loss, original):
    assert evaluate(loss, original) == pytest.approx(original.values[name], rel=1e-5)


def test_default_loss_of_the_original(original):
    loss = losses.WeightedSum([losses.EnsembleMSE(), losses.StatisticalLoss()], [1.0, 1.0])
    expected = original.total["mse_ensemble+stats"]
    assert evaluate(loss, original) == pytest.approx(expected, rel=1e-5)


def test_gaussian_crps_is_the_closed_form_and_not_the_original(original):
    members = original.members.astype("float64")
    mean, std = members.mean(axis=-2), members.std(axis=-2, ddof=1)
    z = (original.target - mean) / std
    density, distribution = stats.norm.pdf(z), stats.norm.cdf(z)
    closed = std * (z * (2 * distribution - 1) + 2 * density - 1 / np.sqrt(np.pi))
    cumulated = np.sqrt(np.pi / 2) * (1 + special.erf(z / np.sqrt(2)))
    bell = np.exp(-np.square(z) / 2)
    unnormalised = std * (z * (2 * cumulated - 1) + 2 * bell - np.sqrt(1 / np.pi))
    assert unnormalised.mean() == pytest.approx(original.values["crps"], rel=1e-5)
    ours = evaluate(losses.GaussianCRPS(), original)
    assert ours == pytest.approx(closed.mean(), rel=1e-5)
    assert abs(ours - original.values["crps"]) > 0.1
