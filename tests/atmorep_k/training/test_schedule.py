"""Length of a training: spans of steps, ends of epochs, and what is refused."""

import pytest

from atmorep_k.errors import UserError
from atmorep_k.training import TrainingSchedule

SIZES = [(steps, epoch) for steps in (1, 5, 6, 7, 18) for epoch in (1, 3, 6, 20)]


@pytest.mark.parametrize(("steps", "epoch"), SIZES)
def test_spans_are_the_remaining_steps_once_each(steps, epoch):
    schedule = TrainingSchedule(steps=steps, steps_per_epoch=epoch)
    for start in range(steps):
        spans = schedule.spans(start)
        assert [s for first, last in spans for s in range(first, last)] == list(range(start, steps))
        for first, last in spans:
            whole = first % epoch == 0 and last % epoch == 0
            assert whole or first // epoch == (last - 1) // epoch
    assert schedule.spans(steps) == []


@pytest.mark.parametrize(("steps", "epoch"), SIZES)
def test_epochs_that_end_with_a_watched_step(steps, epoch):
    schedule = TrainingSchedule(steps=steps, steps_per_epoch=epoch)
    ends = {*range(epoch, steps + 1, epoch), steps}
    for every in range(1, 9):
        assert schedule.ends_epoch_with(every) == any(end % every == 0 for end in ends)


def test_negative_validation_is_refused():
    with pytest.raises(UserError, match="validation_batches must be at least 0, not -1"):
        TrainingSchedule(validation_batches=-1)
