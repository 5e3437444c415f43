"""Reconstructions of another model's fields, with models that know the answer."""

import numpy as np
import pytest

from atmorep_k import evaluate
from atmorep_k.components.maskings import ComplementaryTokens
from atmorep_k.data.opening import open_store
from atmorep_k.data.stores.layout import StoreDescription
from atmorep_k.data.writing.write_store import write_store
from atmorep_k.errors import UserError
from atmorep_k.tasks.correct import correct
from atmorep_k.tasks.correct_report import judge

from known_truth import Answers, members, tell_the_truth, values_of, write

TIMES = ["2020-01-31T20", "2020-02-01T06"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return str(write(tmp_path_factory.mktemp("store") / "global.zarr"))


@pytest.fixture(scope="module")
def warmer(store):
    """The same fields, by a model that is 2 K too warm and half as variable again."""
    known, path = open_store(store), f"{store[:-5]}-warmer.zarr"
    values = 270 + 1.5 * (known.dataset()["temperature"].values - 270) + 2
    variables = {"temperature": known.variables["temperature"]}
    grid = known.time, known.level, known.latitude, known.longitude
    description = StoreDescription(*grid, variables, known.attributes)
    write_store(path, description, [{"temperature": values}])
    return path


@pytest.mark.parametrize("overlap", [(0, 0), (1, 2)])
def test_every_token_is_hidden_once_and_predicted(store, monkeypatch, overlap):
    tell_the_truth(monkeypatch)
    model, steps = Answers(["temperature", "specific_humidity"], members), []
    options = {"overlap": overlap, "batch_size": 5, "progress": lambda *of: steps.append(of)}
    found = correct(model, store, TIMES, passes=3, **options)
    truth = values_of(store, "temperature", found)[:, :, [0, 2]]
    np.testing.assert_allclose(found["temperature"].sel(number=1), truth, atol=1e-4)
    np.testing.assert_array_equal(found["temperature_input"], truth)
    np.testing.assert_allclose(found["temperature_difference"], 0, atol=1e-4)
    assert found.sizes["prediction_timedelta"] == 6
    done, total = steps[-1]
    assert done == total and total % (3 * len(TIMES)) == 0


def test_the_parts_are_a_partition_in_which_no_neighbours_are_hidden_together():
    for parts, tokens in ((2, (3, 2, 4)), (4, (3, 2, 4)), (5, (4, 6, 12)), (8, (4, 6, 12))):
        levels, total = 3, int(np.prod(tokens))
        hidden = np.zeros((parts, levels, total), int)
        for part in range(parts):
            masking = ComplementaryTokens(parts, part)
            index, weight = masking.choose(np.random.default_rng(0), levels, tokens)
            assert index.shape == (levels, masking.num_slots(tokens))
            assert all(len(set(row)) == len(row) for row in index)
            np.put_along_axis(hidden[part], index, weight.astype(int), axis=1)
        assert (hidden.sum(axis=0) == 1).all()
        cubes = hidden.reshape(parts, levels, *tokens).astype(bool)
        for axis in range(1, 5):
            before, after = (cubes.take(range(n, cubes.shape[axis] - 1 + n), axis) for n in (0, 1))
            assert not (before & after).any()


def test_the_statistics_of_a_store_take_out_its_mean_and_variability(store, warmer, monkeypatch):
    tell_the_truth(monkeypatch)
    model = Answers(["temperature"], members)
    correct(model, store, TIMES)  # the model has the statistics of the true store
    same = correct(model, warmer, TIMES, truth=store)
    np.testing.assert_allclose(same["temperature_difference"], 0, atol=1e-3)
    found = correct(model, warmer, TIMES, statistics="store", truth=store)
    truth = values_of(store, "temperature", found)[:, :, [0, 2]]
    np.testing.assert_allclose(found["temperature"].mean("number"), truth, atol=1e-3)
    np.testing.assert_allclose(found["temperature_input"], 270 + 1.5 * (truth - 270) + 2, rtol=1e-6)


@pytest.mark.parametrize("keep", [True, False])
def test_a_correction_is_judged_beside_its_input(store, warmer, monkeypatch, tmp_path, keep):
    tell_the_truth(monkeypatch)
    model = Answers(["temperature"], members)
    correct(model, store, TIMES)
    options = {"statistics": "store", "truth": store, "members": keep}
    found = correct(model, warmer, TIMES, output=tmp_path / "c.nc", **options)
    with found:
        judged = judge(found, model, {"temperature": open_store(warmer)})
        scores = evaluate(found, store)["temperature"]
    of = {n: float(v) for n, v in judged.sizes["temperature"].isel(level=0).items()}
    # The truth and 2 K + half the anomaly beside it, whose mean and variance are 0 and 1.
    assert of["rmse"] < 1e-3 and of["nearer"] > 0.999
    assert of["bias_input"] == pytest.approx(2, abs=0.03)
    assert of["rmse_input"] == pytest.approx(np.sqrt(2**2 + 0.5**2), rel=0.03)
    assert of["change"] == pytest.approx(-of["bias_input"], abs=1e-3)
    assert of["spread"] == pytest.approx(1, rel=0.02)  # of truth - 1, truth, truth + 1
    ours = judged.sizes["temperature"]["rmse_input"].sel(level=500)
    theirs = scores.sel(model="input", score="rmse", region="all", level=500)
    assert float(ours) == pytest.approx(float(np.sqrt((theirs**2).mean())), rel=1e-4)
    picture = judged.pictures["temperature"]
    np.testing.assert_allclose(picture["spread"], 1, rtol=0.02)  # in units of 1 K
    assert judged.draw(tmp_path) == [tmp_path / "map_correct_temperature.png"]
    assert "nearer" in str([column.header for column in judged.table().columns])


def test_mistakes_are_told_before_work_begins(store, tmp_path):
    model = Answers(["temperature"], lambda truth: pytest.fail("the model was asked"))
    coarse = str(write(tmp_path / "coarse.zarr", rows=5, columns=10))
    later = str(write(tmp_path / "later.zarr", hours=4))
    for options, sentence in [
        ({"passes": 1}, "passes must be 2 to 24, for this model, not 1."),
        ({"passes": 25}, "passes must be 2 to 24, for this model, not 25."),
        (
            {"statistics": "stores"},
            "unknown statistics 'stores'; did you mean 'store'? Allowed: model, store.",
        ),
        ({"truth": f"{store[:-5]}.zar"}, "; did you mean 'global.zarr'?"),
        ({"truth": coarse}, "of the prediction is not on the grid of "),
        ({"truth": later}, "nothing can be scored: the prediction is for hours from 2020-02-01"),
    ]:
        with pytest.raises(UserError) as error:
            correct(model, store, TIMES[1:], output=tmp_path / "c.nc", **options)
        assert sentence in str(error.value)
        assert not (tmp_path / "c.nc").exists()
