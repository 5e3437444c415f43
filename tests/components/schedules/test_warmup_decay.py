import keras
import numpy as np
import pytest
from keras import ops

from atmorep_k.components.schedules import WarmupDecay
from atmorep_k.errors import UserError


def rates(schedule, steps):
    return np.array([float(ops.convert_to_numpy(schedule(step))) for step in steps])


def original(first, maximum, floor, num_epochs):
    """Rates per epoch of the original: 3 epochs evenly from first to maximum, then divisions."""
    values = list(np.linspace(first, maximum, 3))
    while len(values) < num_epochs:
        values.append(max(values[-1] / 1.025, floor))
    return np.array(values)


@pytest.mark.backend
@pytest.mark.parametrize(
    ("first", "maximum", "floor"),
    [(5e-6, 5e-5, 4e-5), (5e-6, 1.5e-4, 4e-5), (1e-5, 2e-5, 1e-5)],
    ids=["single_2023", "single_2024", "multi"],
)
def test_rates_of_the_original_at_whole_epochs(first, maximum, floor):
    schedule = WarmupDecay(first, maximum, floor, warmup_steps=2 * 512, decay_steps=512)
    epochs = np.arange(128)
    expected = original(first, maximum, floor, len(epochs))
    assert expected[-1] == floor
    np.testing.assert_allclose(rates(schedule, 512 * epochs), expected, rtol=2e-6)


def test_defaults_are_those_of_2024():
    expected = original(5e-6, 1.5e-4, 4e-5, 60)
    np.testing.assert_allclose(rates(WarmupDecay(), 512 * np.arange(60)), expected, rtol=2e-6)


def test_changes_at_every_step_without_jumps():
    schedule = WarmupDecay(warmup_steps=20, decay_steps=10)
    values = rates(schedule, range(60))
    assert (np.diff(values[:21]) > 0).all()
    assert (np.diff(values[20:]) < 0).all()
    np.testing.assert_allclose(np.diff(values[:21]), (1.5e-4 - 5e-6) / 20, rtol=1e-3)
    np.testing.assert_allclose(values[21:] / values[20:-1], 1.025**-0.1, rtol=1e-5)


def test_without_warmup_starts_with_the_maximum():
    schedule = WarmupDecay(warmup_steps=0, decay_steps=10)
    np.testing.assert_allclose(rates(schedule, [0, 10]), [1.5e-4, 1.5e-4 / 1.025], rtol=1e-6)


def test_keeps_the_floor_for_ever():
    np.testing.assert_allclose(rates(WarmupDecay(), [10**6, 10**9]), 4e-5, rtol=1e-6)


@pytest.mark.backend
def test_drives_an_optimizer():
    schedule = WarmupDecay(first=0.1, maximum=0.3, floor=0.1, warmup_steps=2, decay_steps=1)
    optimizer = keras.optimizers.SGD(learning_rate=schedule)
    variable = keras.Variable(1.0)
    for expected in (0.9, 0.7, 0.4):
        optimizer.apply([ops.ones(())], [variable])
        assert float(ops.convert_to_numpy(variable)) == pytest.approx(expected, rel=1e-5)
    again = keras.optimizers.SGD.from_config(optimizer.get_config())
    assert float(ops.convert_to_numpy(again.learning_rate)) == pytest.approx(0.1)


def test_round_trip_of_configuration():
    schedule = WarmupDecay(1e-5, 2e-4, 3e-5, 7, 1.1, 9)
    described = keras.saving.serialize_keras_object(schedule)
    again = keras.saving.deserialize_keras_object(described)
    assert isinstance(again, WarmupDecay)
    assert again.get_config() == schedule.get_config()
    np.testing.assert_array_equal(rates(again, range(20)), rates(schedule, range(20)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("first", 1.0),
        ("first", -1e-5),
        ("floor", 1e-3),
        ("maximum", float("nan")),
        ("decay", 0.9),
        ("warmup_steps", -1),
        ("decay_steps", 0),
    ],
)
def test_what_makes_no_schedule_is_refused(name, value):
    with pytest.raises(UserError, match="WarmupDecay"):
        WarmupDecay(**{name: value})
