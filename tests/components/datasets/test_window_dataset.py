import itertools
import json

import numpy as np
import pytest
from whole_records import windows_of

from atmorep_k import registry
from atmorep_k.batch import TOKEN_INFO, detokenize, input_specs, tokenize
from atmorep_k.components.datasets import Position, WindowDataset
from atmorep_k.components.maskings import Forecast, RandomTokens
from atmorep_k.components.normalizers import MonthlyNormalizer
from atmorep_k.errors import UserError
from atmorep_k.fields import FieldSpec, Window


@pytest.fixture
def dataset(written, fields):
    dataset = WindowDataset(written.path, samples_per_epoch=20)
    dataset.open(fields)
    return dataset


def _bytes(batch):
    return [(name, a.tobytes()) for part in batch for name, a in sorted(part.items())]


def _reference(values, position, shape, levels):
    times, rows, columns = shape
    part = values[position.time : position.time + times, levels]
    part = np.roll(part, -position.column, axis=-1)[..., :columns]
    return part[:, :, position.row : position.row + rows].swapaxes(0, 1)


@pytest.mark.parametrize("column", [0, 40, 78, 79, 85, 89])
@pytest.mark.parametrize("row", [0, 20, 40])
def test_a_window_across_the_last_longitude_equals_the_rolled_array(dataset, written, row, column):
    position = Position(7, row, column)
    expected = _reference(written.values["temperature"], position, (12, 6, 12), [0, 2])
    np.testing.assert_array_equal(dataset.windows.cube("temperature", position), expected)
    expected = _reference(written.values["2m_temperature"], position, (12, 6, 12), [0])
    np.testing.assert_array_equal(dataset.windows.cube("2m_temperature", position), expected)


@pytest.mark.parametrize("levels", [[500], [850, 500], [500, 700, 850], [700, 850]])
def test_levels_come_in_the_order_of_the_field(written, levels):
    dataset = WindowDataset(written.path)
    dataset.open([FieldSpec("temperature", levels, (3, 3, 3), Window((12, 6, 12)))])
    chosen = [[500, 700, 850].index(level) for level in levels]
    expected = _reference(written.values["temperature"], Position(1, 2, 3), (12, 6, 12), chosen)
    np.testing.assert_array_equal(dataset.windows.cube("temperature", Position(1, 2, 3)), expected)


def test_a_coarser_step_takes_every_nth_time(written):
    dataset = WindowDataset(written.path)
    dataset.open([FieldSpec("temperature", [700], (2, 3, 3), Window((4, 6, 12), 3.0))])
    expected = written.values["temperature"][5:17:3, 1, 4:10, 8:20]
    np.testing.assert_array_equal(
        dataset.windows.cube("temperature", Position(5, 4, 8))[0], expected
    )
    times, _, _ = dataset.windows.coordinates(Position(5, 4, 8))
    assert np.all(np.diff(times) == np.timedelta64(3, "h"))


def test_coordinates_are_those_of_the_values(dataset, written):
    position = dataset.position("train", 0, 0, 3)
    times, latitude, longitude = dataset.windows.coordinates(position)
    expected = _reference(written.values["temperature"], position, (12, 6, 12), [0, 2])
    source = written.description
    place = np.ix_(
        np.searchsorted(source.time, times),
        [0, 2],
        [int(np.flatnonzero(source.latitude == value)[0]) for value in latitude],
        [int(np.flatnonzero(source.longitude == value)[0]) for value in longitude],
    )
    np.testing.assert_array_equal(written.values["temperature"][place].swapaxes(0, 1), expected)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_batches_do_not_depend_on_threads_start_or_batch_size(written, fields, split):
    expected, masking = None, RandomTokens()
    for threads in (1, 2, 4):
        dataset = WindowDataset(written.path, samples_per_epoch=20, threads=threads)
        dataset.open(fields)
        batches = [_bytes(b) for b in dataset.batches(split, 4, masking, 1, num_steps=8)]
        expected = expected or batches
        assert batches == expected
    resumed = dataset.batches(split, 4, masking, 1, start_step=5, num_steps=3)
    assert [_bytes(b) for b in resumed] == expected[5:]
    (large,) = dataset.batches(split, 32, masking, 1, num_steps=1)
    pieces = [
        _bytes(tuple({n: a[4 * i : 4 * i + 4] for n, a in part.items()} for part in large))
        for i in range(8)
    ]
    assert pieces == expected


def test_epochs_and_seeds_differ(dataset):
    epochs = list(dataset.batches("train", 20, RandomTokens(), 0, num_steps=2))
    (other_seed,) = dataset.batches("train", 20, RandomTokens(), 1, num_steps=1)
    assert len({str(_bytes(b)) for b in [*epochs, other_seed]}) == 3


def test_a_field_has_the_same_masks_whatever_fields_are_beside_it(written, fields):
    drawn = []
    for chosen in (fields, fields[::-1], fields[:1]):
        dataset = WindowDataset(written.path)
        dataset.open(chosen)
        ((inputs, _, _),) = dataset.batches("train", 2, RandomTokens(), 0, num_steps=1)
        drawn.append(inputs["temperature/masked_index"].tobytes())
    assert len(set(drawn)) == 1


def test_windows_of_training_and_validation_share_no_time(dataset):
    times = {
        split: {
            time
            for i in range(300)
            for time in dataset.windows.indices(dataset.position(split, 0, *divmod(i, 20)))[
                0
            ].tolist()
        }
        for split in ("train", "validation")
    }
    assert not times["train"] & times["validation"]
    # All times of the record are used by one of them.
    assert times["train"] | times["validation"] == set(range(240))
    for split, used in times.items():
        assert used == set(dataset.time_indices(split).tolist())


def test_batches_have_the_names_shapes_and_types_of_the_contract(dataset, fields):
    masking = RandomTokens((0.1, 0.4))
    slots = {f.name: masking.num_slots(f.num_tokens) for f in fields}
    inputs, targets, weights = next(dataset.batches("train", 3, masking, 0))
    found = {name: (a.shape, str(a.dtype)) for name, a in inputs.items()}
    specs = input_specs(fields, slots)
    assert found == {name: ((3, *shape), dtype) for name, (shape, dtype) in specs.items()}
    for field in fields:
        shape = (3, len(field.levels), slots[field.name])
        assert targets[field.name].shape == (*shape, field.token_values)
        assert weights[field.name].shape == shape
        assert targets[field.name].dtype == weights[field.name].dtype == np.float32


def test_weights_tell_hidden_from_visible(dataset, fields):
    hide_all = RandomTokens((0.2, 0.8), hidden=1.0, noised=0.0, coarsened=0.0)
    inputs, targets, weights = next(dataset.batches("train", 3, hide_all, 0))
    for field in fields:
        name = field.name
        tokens = inputs[f"{name}/tokens"].reshape(*weights[name].shape[:2], -1, field.token_values)
        seen = np.take_along_axis(tokens, inputs[f"{name}/masked_index"][..., None], axis=2)
        hidden = weights[name] == 1
        assert np.all(seen[hidden] == 0)
        assert np.all(weights[name][~hidden] == 0)
        np.testing.assert_array_equal(seen[~hidden], targets[name][~hidden])
        assert 0 < hidden.sum() < hidden.size


def test_every_batch_has_its_own_memory(dataset):
    batches = list(dataset.batches("train", 2, Forecast(), 0, num_steps=3))
    arrays = [a for batch in batches for part in batch for a in part.values()]
    assert not any(np.shares_memory(a, b) for a, b in itertools.combinations(arrays, 2))


def test_tokens_targets_and_cubes_tell_the_same(dataset, written, fields):
    for i in range(4):
        sample = dataset.window("validation", 0, i, Forecast())
        times, rows, columns = dataset.windows.indices(sample.position)
        for field in fields:
            index = sample.inputs[f"{field.name}/masked_index"]
            tokens = sample.inputs[f"{field.name}/tokens"]
            flat = tokens.reshape(len(field.levels), -1, field.token_values).copy()
            level = np.arange(len(field.levels))[:, None]
            assert np.all(flat[level, index] == 0)
            flat[level, index] = sample.targets[field.name]
            normalised = detokenize(flat.reshape(tokens.shape), field.token_size)
            cube = dataset.normalizers[field.name].denormalize(
                normalised, written.description.time[times], rows, columns
            )
            np.testing.assert_allclose(cube, sample.cubes[field.name], rtol=1e-5, atol=1.0)


def test_a_window_of_scoring_is_the_sample_of_the_first_epoch(dataset, fields):
    (batch,) = dataset.batches("validation", 6, RandomTokens(), 5, num_steps=1)
    sample = dataset.window("validation", 5, 4, RandomTokens())
    for ours, theirs in zip((sample.inputs, sample.targets, sample.weights), batch, strict=True):
        for name, array in ours.items():
            np.testing.assert_array_equal(array, theirs[name][4])


def test_tokens_can_be_written_into_an_array():
    cube = np.random.default_rng(0).random((2, 6, 8, 12), np.float32)
    out = np.empty((2, 2, 4, 3, 24), np.float32)
    tokenize(cube, (3, 2, 4), out=out)
    np.testing.assert_array_equal(out, tokenize(cube, (3, 2, 4)))
    np.testing.assert_array_equal(detokenize(out, (3, 2, 4)), cube)


def test_token_info_tells_time_and_place_of_a_token(dataset):
    # 30 January 20:00 on, across the last longitude; tokens of (6, 2, 4).
    info = dataset.windows.token_info("2m_temperature", Position(68, 40, 84))
    assert info.shape == (1, 2, 3, 3, 8)
    first = dict(zip(TOKEN_INFO, info[0, 0, 0, 0], strict=True))
    assert (first["year"], first["day_of_year"], first["hour"]) == (2020, 30, 1)
    assert first["colatitude"] == 41 * 4
    assert first["longitude"] == 86 * 4
    assert first["resolution"] == 4
    assert info[0, 1, 0, 0, TOKEN_INFO.index("hour")] == 7
    assert info[0, 0, 0, :, TOKEN_INFO.index("longitude")].tolist() == [344, 0, 16]


@pytest.mark.parametrize("in_flight", [1, 3, 16])
def test_windows_are_asked_for_before_the_first_is_awaited(dataset, monkeypatch, in_flight):
    serving = dataset._stores.reference
    events, read = [], serving.read

    def spy(field, position):
        events.append("read")
        cube = read(field, position)
        result = cube.result
        cube.result = lambda: events.append("await") or result()
        return cube

    monkeypatch.setattr(serving, "read", spy)
    monkeypatch.setattr(serving.reader, "in_flight", in_flight)
    next(dataset.batches("train", 5, Forecast(), 0, num_steps=1))
    asked = [min(5, row + in_flight) for row in range(5) for _ in range(2)]
    waits = [i for i, event in enumerate(events) if event == "await"]
    assert [events[:i].count("read") / 2 for i in waits] == asked


def test_statistics_that_came_with_a_model_are_kept(written, fields):
    field = fields[0]
    normalizer = MonthlyNormalizer()
    mean = np.full((12, 2), 7.0, np.float32)
    axes = {"latitude": np.zeros(1), "longitude": np.zeros(1)}
    normalizer.load_state({"mean": mean, "std": mean, **axes})
    dataset = WindowDataset(written.path)
    dataset.open([field], {field.name: normalizer})
    assert np.all(normalizer.mean == 7.0)


def test_configuration_makes_the_same_dataset():
    dataset = WindowDataset(
        "a.zarr", ("2019-03-01", "2019-03-22"), ("2019-03-23", "2019-03-30"), region=(1, 2, 3, 4)
    )
    config = json.loads(json.dumps(dataset.get_config()))
    assert WindowDataset.from_config(config).get_config() == config
    assert list(WindowDataset.from_config(config).region) == [1, 2, 3, 4]
    assert registry.lookup("WindowDataset", "dataset") is WindowDataset


def test_provenance_is_plain_and_names_the_store(dataset, written):
    told = json.loads(json.dumps(dataset.provenance()))
    assert told["store"] == written.path
    assert len(told["fingerprint"]) == 64
    assert told["units"] == {"temperature": "K", "2m_temperature": "K"}
    assert told["train_period"] == ["2020-01-28T00:00", "2020-02-04T23:00"]


def test_a_masking_that_does_not_suit_is_refused_before_anything_is_read(dataset):
    with pytest.raises(UserError, match="at most 1"):
        dataset.batches("train", 2, Forecast(2), 0)


def test_a_sample_anywhere_is_the_window_there(dataset, written, fields):
    position = Position(100, 3, 85)
    sample = dataset.windows.sample(position, RandomTokens(), np.random.default_rng(0))
    assert sample.position == position
    times, rows, columns = dataset.windows.indices(position)
    for field in fields:
        cube = dataset.windows.cube(field.name, position)
        np.testing.assert_array_equal(sample.cubes[field.name], cube)
        normalised = dataset.normalizers[field.name].normalize(
            cube, written.description.time[times], rows, columns
        )
        tokens = tokenize(normalised, field.token_size).reshape(
            len(field.levels), -1, field.token_values
        )
        index = sample.inputs[f"{field.name}/masked_index"]
        expected = np.take_along_axis(tokens, index[..., None], axis=1)
        np.testing.assert_array_equal(sample.targets[field.name], expected)


def test_a_sample_is_a_function_of_its_generator_and_of_no_other_field(dataset, written, fields):
    def masks(windows, seed):
        sample = windows.sample(Position(5, 3, 4), RandomTokens(), np.random.default_rng(seed))
        return sample.inputs["temperature/masked_index"].tobytes()

    windows, alone = dataset.windows, windows_of(written.path, fields[:1])
    assert masks(windows, 1) == masks(windows, 1) == masks(alone, 1)
    assert masks(windows, 1) != masks(windows, 2)


def test_a_whole_store_needs_no_periods(make_store, fields):
    made = make_store(hours=np.arange(12), values=_noise(12))
    windows = windows_of(made.path, fields)
    sample = windows.sample(Position(0, 40, 88), Forecast(), np.random.default_rng(0))
    expected = _reference(made.values["temperature"], Position(0, 40, 88), (12, 6, 12), [0, 2])
    np.testing.assert_array_equal(sample.cubes["temperature"], expected)
    assert "train_period" not in windows.provenance()


def test_a_window_must_fit_a_whole_store(make_store, fields):
    made = make_store(hours=np.arange(11), values=_noise(11))
    with pytest.raises(UserError, match="12 h does not fit the whole period of 11 h"):
        windows_of(made.path, fields)


def _noise(hours):
    cube = np.random.default_rng(0).random((hours, 3, 46, 90), np.float32)
    return {"temperature": cube, "2m_temperature": cube[:, :1]}


@pytest.fixture
def with_input_only(written, fields):
    options = fields[1].get_config() | {"predicted": False}
    dataset = WindowDataset(written.path, samples_per_epoch=20)
    dataset.open([fields[0], FieldSpec.from_config(options)])
    return dataset


def test_a_field_that_is_input_only_is_seen_whole(with_input_only, dataset):
    masking = RandomTokens((0.5, 0.9), hidden=1.0, noised=0.0, coarsened=0.0)
    inputs, targets, weights = next(with_input_only.batches("train", 3, masking, 0))
    others = next(dataset.batches("train", 3, masking, 0))
    assert set(targets) == set(weights) == {"temperature"}
    of_input = {n for n in inputs if n.startswith("2m_temperature/")}
    assert of_input == {"2m_temperature/tokens", "2m_temperature/token_info"}
    # The other field is as ever, and of this one nothing is hidden.
    for name in ("tokens", "masked_index"):
        name = f"temperature/{name}"
        np.testing.assert_array_equal(inputs[name], others[0][name])
    seen = others[0]["2m_temperature/tokens"].reshape(3, 1, -1, 48)
    index = others[0]["2m_temperature/masked_index"][..., None]
    np.put_along_axis(seen, index, others[1]["2m_temperature"], axis=2)
    np.testing.assert_array_equal(inputs["2m_temperature/tokens"].reshape(seen.shape), seen)


def test_a_window_has_the_values_of_a_field_that_is_input_only(with_input_only, dataset):
    sample = with_input_only.window("validation", 0, 2, Forecast())
    whole = dataset.window("validation", 0, 2, Forecast())
    np.testing.assert_array_equal(sample.cubes["2m_temperature"], whole.cubes["2m_temperature"])
    assert set(sample.targets) == set(sample.weights) == {"temperature"}


def test_a_masking_that_suits_only_the_predicted_fields_is_enough(with_input_only):
    # Two time tokens of 2m_temperature are all it has.
    next(with_input_only.batches("train", 2, Forecast(2), 0))


def test_hours_after_the_record_are_hidden_and_have_their_dates(written, fields):
    windows = windows_of(written.path, fields)
    inside, across = Position(228, 3, 5), Position(231, 3, 5)
    before = windows.sample(inside, Forecast(1), np.random.default_rng(0))
    after = windows.sample(across, Forecast(1), np.random.default_rng(0))
    for field in fields:
        cube = after.cubes[field.name]
        np.testing.assert_array_equal(cube[:, :9], before.cubes[field.name][:, 3:])
        assert np.isnan(cube[:, 9:]).all()
        tokens = after.inputs[f"{field.name}/tokens"]
        assert np.isfinite(tokens).all() and not tokens[:, -1].any()
    hours = after.inputs["temperature/token_info"][0, :, 0, 0, :3]
    np.testing.assert_array_equal(hours[:, 1], [36, 36, 36, 37])  # days after 1 January
    np.testing.assert_array_equal(hours[:, 2], [17, 20, 23, 2])
    np.testing.assert_array_equal(
        windows.coordinates(across)[0][-3:] - written.description.time[-1],
        np.arange(1, 4) * np.timedelta64(1, "h"),
    )
