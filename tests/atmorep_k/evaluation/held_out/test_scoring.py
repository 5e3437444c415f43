import json
import types

import numpy as np
import pytest
import xarray as xr

from atmorep_k import evaluation as metrics
from atmorep_k.batch import tokenize
from atmorep_k.components.datasets import WindowDataset
from atmorep_k.components.maskings import Forecast, Infill, RandomTokens, TemporalInterpolation
from atmorep_k.components.normalizers import MonthlyNormalizer
from atmorep_k.data.opening import open_store
from atmorep_k.data.stores.layout import StoreDescription
from atmorep_k.data.writing.write_store import write_store
from atmorep_k.earth.variables import VariableInfo
from atmorep_k.errors import UserError
from atmorep_k.evaluation import baselines, truth
from atmorep_k.evaluation.held_out.scoring import check_tasks, score_held_out
from atmorep_k.fields import FieldSpec, Window
from atmorep_k.inference import batches

pytestmark = pytest.mark.rendered

WINDOW = Window((6, 4, 6), step_hours=1.0)
FIELDS = [
    FieldSpec("temperature", [500, 850], (2, 2, 3), WINDOW),
    FieldSpec("2m_temperature", [0], (3, 4, 2), WINDOW),
]
TRAINED_HOURS = 96


class Masking:
    """Hides given tokens, the same of each level; one slot more is never used."""

    def __init__(self, choose):
        self.choose = choose

    def indices(self, field, rng):
        every = np.arange(field.tokens_per_level).reshape(field.num_tokens)
        return self.choose(every, rng).reshape(-1)

    def num_slots(self, num_tokens):
        return np.prod(num_tokens)


LAST = Masking(lambda tokens, rng: tokens[-1])
RANDOM = Masking(lambda tokens, rng: rng.permutation(tokens.size)[: tokens.size // 2])


class Normalizer:
    def __init__(self, mean, std):
        self.mean, self.std = mean, std

    def denormalize(self, values, times, rows, columns):
        assert values.shape[-3:] == (len(times), len(rows), len(columns))
        return values * self.std + self.mean

    def scale(self, times, rows, columns):
        return np.float32(self.mean), np.float32(self.std)


class Dataset:
    """Windows of a real store with the interface that `evaluate` uses."""

    def __init__(self, store):
        self.store = str(store)
        self.handle = open_store(store)
        self.arrays = {f.name: self.handle.dataset()[f.name].values for f in FIELDS}
        self.drawn = []
        self.windows = self

    def store_of(self, field):
        return self.handle

    def time_indices(self, split, field=None):
        return {"train": np.arange(TRAINED_HOURS)}[split]

    def position(self, split, seed, epoch, index):
        rng = np.random.default_rng((seed, epoch, index))
        place = {"time": TRAINED_HOURS + rng.integers(18), "row": rng.integers(3)}
        return types.SimpleNamespace(**place, column=rng.integers(12))

    def indices(self, position, field=None):
        time, row, column = (np.arange(n) for n in WINDOW.shape)
        return position.time + time, position.row + row, (position.column + column) % 12

    def coordinates(self, position, field=None):
        times, rows, columns = self.indices(position)
        axes = self.handle.time, self.handle.latitude, self.handle.longitude
        return axes[0][times], axes[1][rows], axes[2][columns]

    def cube(self, field, position):
        times, rows, columns = self.indices(position)
        values = self.arrays[field.name][times][..., rows, :][..., columns]
        return values[None] if values.ndim == 3 else values.swapaxes(0, 1)

    def window(self, split, seed, index, masking):
        self.drawn.append((split, seed, index))
        sample = types.SimpleNamespace(
            position=self.position(split, seed, 0, index), cubes={}, inputs={}, weights={}
        )
        rng = np.random.default_rng((seed, index))
        for field in FIELDS:
            masked = masking.indices(field, rng)
            unused = np.setdiff1d(np.arange(field.tokens_per_level), masked)[:1]
            slots = np.tile(np.concatenate([masked, unused]), (len(field.levels), 1))
            cube = self.cube(field, sample.position)
            sample.cubes[field.name] = cube
            sample.inputs[f"{field.name}/tokens"] = tokenize(cube, field.token_size)
            sample.inputs[f"{field.name}/masked_index"] = slots
            sample.weights[field.name] = (np.arange(slots.shape[1]) < len(masked)) * np.ones(
                (len(field.levels), 1)
            )
        return sample


class Model:
    """Predicts the truth it finds in the tokens, plus what each member adds."""

    fields = FIELDS

    def __init__(self, errors):
        self.errors = np.asarray(errors, np.float32)
        self.normalizers = {f.name: Normalizer(250.0, 8.0) for f in FIELDS}
        self.shapes = set()

    def predict_on_batch(self, inputs):
        self.shapes.add(tuple(sorted((n, v.shape) for n, v in inputs.items())))
        return {f.name: self.predict(f, inputs) for f in FIELDS}

    def predict(self, field, inputs):
        tokens = inputs[f"{field.name}/tokens"]
        flat = tokens.reshape(*tokens.shape[:2], -1, field.token_values)
        index = inputs[f"{field.name}/masked_index"][..., None]
        truth = (np.take_along_axis(flat, index, axis=2) - 250) / 8
        members = truth[..., None, :] + self.errors[:, None] / 8
        members[:, :, -1] = 1e9  # the slot of weight 0
        return members


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    hours = 120
    rng = np.random.default_rng(0)
    info = {
        "temperature": VariableInfo("K", "air_temperature", "temperature", True),
        "2m_temperature": VariableInfo("K", "", "2 metre temperature", False),
    }
    description = StoreDescription(
        np.datetime64("2001-01-28", "ns") + np.arange(hours) * np.timedelta64(1, "h"),
        np.array([500, 850]),
        np.linspace(60, 35, 6),
        np.arange(12) * 30.0,
        info,
        {"title": "test", "source": "test", "attribution": "test", "simulated": True},
    )
    wave = 250 + 10 * np.sin(np.arange(hours) / 4)[:, None, None, None]
    blocks = {
        n: (wave + rng.normal(size=(hours, 1 + i.has_level, 6, 12))).astype(np.float32)
        for n, i in info.items()
    }
    path = tmp_path_factory.mktemp("store") / "test.zarr"
    write_store(path, description, [blocks])
    return Dataset(path)


def evaluate(model, dataset, maskings, num_samples=5, batch_size=2, seed=3):
    return score_held_out(
        model, dataset, maskings, num_samples=num_samples, batch_size=batch_size, seed=seed
    )


def one(records, **wanted):
    found = [r for r in records if "lead_time_hours" not in r or "lead_time_hours" in wanted]
    found = [r for r in found if all(r.get(k) == v for k, v in wanted.items())]
    assert len(found) == 1, found
    return found[0]


def test_known_errors_give_known_scores(dataset):
    found = evaluate(Model([1.0, 3.0]), dataset, {"masked": RANDOM})
    of = {"task": "masked", "field": "temperature", "model": "ensemble"}
    # mean error 2, |x1 - x2| = 2, variance 2: CRPS 2 - 2 / 2, spread/skill sqrt(3/2 * 2) / 2.
    expected = {
        "rmse": (2, "K"),
        "bias": (2, "K"),
        "crps": (1, "K"),
        "normalised_mse": (1 / 16, "1"),
        "spread_skill": (np.sqrt(3) / 2, "1"),
    }
    for level in (500, 850, "all"):
        for metric, (value, units) in expected.items():
            record = one(found.records, **of, level=level, metric=metric)
            np.testing.assert_allclose(record["value"], value, rtol=1e-4)
            assert record["units"] == units
    ranks = found.rank_histogram("masked", "temperature")
    np.testing.assert_allclose(ranks, [[1, 0, 0]] * 2)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 8])
def test_batches_change_nothing_and_have_one_shape(dataset, batch_size):
    model = Model([0.5, -1.0, 2.0])
    found = evaluate(model, dataset, {"masked": RANDOM}, batch_size=batch_size)
    assert found.records == evaluate(Model([0.5, -1.0, 2.0]), dataset, {"masked": RANDOM}).records
    assert len(model.shapes) == 1
    assert dataset.drawn[:5] == [("validation", 3, i) for i in range(5)]


def stacked(dataset, field, masking, baseline):
    """Target and baseline of all windows in one array, the target NaN where not hidden."""
    climatology = baselines.Climatology.from_store(
        dataset.handle, field.name, field.levels, np.arange(TRAINED_HOURS), [1, 2]
    )
    targets, forecasts = [], []
    for i in range(5):
        sample = dataset.window("validation", 3, i, masking)
        position, cube = sample.position, sample.cubes[field.name]
        index = sample.inputs[f"{field.name}/masked_index"]
        none = np.zeros((*index.shape, 1, field.token_values), np.float32)
        hidden, _ = batches.scatter(field, index, sample.weights[field.name], none)
        times, rows, columns = dataset.windows.indices(position)
        expected = climatology.window(dataset.handle.time[times], rows, columns)
        targets.append(np.where(hidden, cube, np.nan))
        forecasts.append(baseline(np.where(hidden, np.nan, cube), hidden, expected))
    dims = ("sample", *truth.POINT_DIMS)
    coordinates = {"level": list(field.levels)}
    arrays = (np.stack(forecasts), np.stack(targets))
    return [xr.DataArray(a, coordinates, dims) for a in arrays]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
@pytest.mark.parametrize(
    ("task", "masking", "name", "baseline"),
    [
        ("masked", RANDOM, "linear_interpolation", baselines.linear_interpolation),
        ("masked", RANDOM, "climatology", lambda cube, hidden, expected: expected),
        ("forecast", LAST, "persistence", baselines.persistence),
    ],
)
def test_baselines_are_scored_over_all_windows(dataset, field, task, masking, name, baseline):
    found = evaluate(Model([0.0]), dataset, {task: masking})
    forecast, target = stacked(dataset, field, masking, baseline)
    for metric, score in (("rmse", metrics.rmse), ("crps", metrics.crps), ("bias", metrics.bias)):
        of = {"field": field.name, "model": name, "metric": metric}
        for level, expected in zip(field.levels, score(forecast, target, ["level"]), strict=True):
            value = one(found.records, **of, level=level)["value"]
            np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)
        whole = one(found.records, **of, level="all")["value"]
        np.testing.assert_allclose(whole, score(forecast, target), rtol=1e-4, atol=1e-5)


def test_forecast_is_scored_by_lead_time_without_interpolation(dataset):
    found = evaluate(Model([1.0, 3.0]), dataset, {"forecast": LAST, "masked": RANDOM})
    records = [r for r in found.records if r["task"] == "forecast"]
    leads = {
        f.name: {r.get("lead_time_hours") for r in records if r["field"] == f.name} for f in FIELDS
    }
    assert leads["temperature"] == {None, 1.0, 2.0}
    assert leads["2m_temperature"] == {None, 1.0, 2.0, 3.0}
    assert {r["model"] for r in records} == {"ensemble", "climatology", "persistence"}
    assert all("lead_time_hours" not in r for r in found.records if r["task"] == "masked")
    of = {"field": "temperature", "level": "all", "metric": "rmse", "model": "persistence"}
    whole = one(records, **of)["value"]
    parts = [one(records, **of, lead_time_hours=h)["value"] for h in (1.0, 2.0)]
    np.testing.assert_allclose(whole**2, np.mean(np.square(parts)), rtol=1e-6)


def test_climatology_comes_from_the_training_period_alone(dataset):
    before = evaluate(Model([0.0]), dataset, {"masked": RANDOM})
    shortened = Dataset(dataset.store)
    shortened.time_indices = lambda split, field: np.arange(48)
    after = evaluate(Model([0.0]), shortened, {"masked": RANDOM})
    of = {"field": "temperature", "level": "all", "metric": "rmse", "model": "climatology"}
    assert one(before.records, **of) != one(after.records, **of)


def test_single_member_has_no_spread_and_its_crps_is_the_absolute_error(dataset):
    found = evaluate(Model([-2.0]), dataset, {"masked": RANDOM})
    assert not [r for r in found.records if r["metric"] == "spread_skill"]
    of = {"field": "2m_temperature", "level": 0, "model": "ensemble"}
    np.testing.assert_allclose(one(found.records, **of, metric="crps")["value"], 2, rtol=1e-4)
    np.testing.assert_allclose(one(found.records, **of, metric="bias")["value"], -2, rtol=1e-4)


def test_scatter_puts_tokens_back():
    field = FIELDS[0]
    rng = np.random.default_rng(5)
    cube = rng.normal(size=(2, *WINDOW.shape)).astype(np.float32)
    tokens = tokenize(cube, field.token_size).reshape(2, -1, field.token_values)
    index = np.stack([rng.permutation(field.tokens_per_level)[:7] for _ in range(2)])
    weight = np.ones((2, 7)) * [1, 1, 1, 1, 1, 0, 0]
    values = np.take_along_axis(tokens, index[..., None], axis=1)[..., None, :]
    hidden, members = batches.scatter(field, index, weight, np.repeat(values, 3, axis=2))
    assert hidden.sum() == 2 * 5 * field.token_values
    np.testing.assert_array_equal(
        members, np.broadcast_to(np.where(hidden, cube, 0), members.shape)
    )


class Zeros:
    """Predicts the normalised mean, whatever it sees."""

    def __init__(self, fields=FIELDS):
        self.fields = fields
        self.normalizers = {f.name: MonthlyNormalizer() for f in fields}

    def predict_on_batch(self, inputs):
        predicted = [f for f in self.fields if f.predicted]
        shapes = {f: inputs[f"{f.name}/masked_index"].shape for f in predicted}
        return {f.name: np.zeros((*shape, 1, f.token_values)) for f, shape in shapes.items()}


def test_real_windows_and_maskings_are_scored_against_their_own_targets(dataset):
    model, windows = Zeros(), WindowDataset(dataset.store)
    windows.open(FIELDS, model.normalizers)
    tasks = {
        "masked": RandomTokens((0.2, 0.6), hidden=1.0, noised=0.0, coarsened=0.0),
        "forecast": Forecast(),
        "interpolate": TemporalInterpolation(),
        "infill": Infill((1, 1, 1)),
    }
    found = evaluate(model, windows, tasks)
    for task, masking in tasks.items():
        samples = [windows.window("validation", 3, i, masking) for i in range(5)]
        for field in FIELDS:
            targets, weights = (
                np.stack([getattr(s, name)[field.name] for s in samples])
                for name in ("targets", "weights")
            )
            expected = (targets**2).mean(-1)[weights > 0].mean()
            of = {"task": task, "field": field.name, "level": "all"}
            of |= {"metric": "normalised_mse", "model": "ensemble"}
            np.testing.assert_allclose(one(found.records, **of)["value"], expected, rtol=1e-4)


def test_only_predicted_fields_are_scored(dataset):
    other = FieldSpec.from_config(FIELDS[1].get_config() | {"predicted": False})
    model, windows = Zeros([FIELDS[0], other]), WindowDataset(dataset.store)
    windows.open(model.fields, model.normalizers)
    # Three time tokens of temperature, of which two are hidden; the other field has two in all.
    found = evaluate(model, windows, {"forecast": Forecast(2)})
    assert {r["field"] for r in found.records} == {"temperature"}
    assert set(found.pictures["forecast"]) == {"temperature"}
    alone, windows = Zeros(FIELDS[:1]), WindowDataset(dataset.store)
    windows.open(alone.fields, alone.normalizers)
    assert found.records == evaluate(alone, windows, {"forecast": Forecast(2)}).records


def test_a_masking_that_does_not_suit_the_window_is_found_at_once(dataset):
    with pytest.raises(UserError, match="whole window"):
        check_tasks({"forecast": Forecast(3)}, FIELDS)


@pytest.mark.backend
def test_a_model_that_encodes_visible_tokens_takes_any_number_of_slots(make_model, make_batch):
    model = make_model(encode="visible")
    model.build()
    for slots in (3, 5, 4):
        batches.forget_shapes(model)
        inputs, _, _ = make_batch(model.fields, slots=slots)
        assert model.predict_on_batch(inputs)["temperature"].shape[2] == slots


def test_files_and_table(dataset, tmp_path):
    found = evaluate(Model([1.0, 3.0]), dataset, {"masked": RANDOM, "forecast": LAST})
    found.write(tmp_path / "run")
    assert json.loads((tmp_path / "run" / "scores.json").read_text()) == found.records
    assert sorted(p.name for p in (tmp_path / "run" / "plots").iterdir()) == [
        "lead_times_2m_temperature.png",
        "lead_times_temperature.png",
        "map_forecast_2m_temperature.png",
        "map_forecast_temperature.png",
        "map_masked_2m_temperature.png",
        "map_masked_temperature.png",
        "ranks_2m_temperature.png",
        "ranks_temperature.png",
        "scores.png",
    ]


def test_table_marks_the_best(dataset):
    table = evaluate(Model([0.1, 0.3]), dataset, {"forecast": LAST}).table()
    assert table.row_count == 2 * 3
    columns = [list(column.cells) for column in table.columns]
    assert columns[0][:3] == ["forecast", "temperature", "(K)"]
    assert columns[1][:3] == ["ensemble", "climatology", "persistence"]
    for column in columns[2:5]:
        assert ["*" in cell for cell in column] == [True, False, False] * 2
    np.testing.assert_allclose(float(columns[5][0]), np.sqrt(1.5 * 0.02) / 0.2, atol=0.006)


def test_a_prediction_that_is_not_finite_is_written_as_null(dataset, tmp_path):
    found = evaluate(Model([np.nan, 1.0]), dataset, {"masked": RANDOM})
    found.write(tmp_path)
    of = {"field": "temperature", "level": "all", "metric": "rmse"}
    records = json.loads((tmp_path / "scores.json").read_text())
    assert one(records, **of, model="ensemble")["value"] is None
    assert one(records, **of, model="persistence")["value"] > 0
    marks = ["*" in cell for cell in found.table().columns[3].cells]
    assert not marks[0] and any(marks[1:4])


def test_mistakes_are_named(dataset, tmp_path):
    with pytest.raises(UserError, match="'interpolate'"):
        evaluate(Model([0.0]), dataset, {"interpolation": RANDOM})
    with pytest.raises(UserError, match="at least one sample"):
        evaluate(Model([0.0]), dataset, {"masked": RANDOM}, num_samples=0)
    found = evaluate(Model([0.0]), dataset, {"masked": RANDOM})
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write"):
        found.write(tmp_path / "file")
