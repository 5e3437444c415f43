"""The held-out windows of one task that a training is scored on repeatedly."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from atmorep_k.evaluation.held_out.field_sums import FieldSums
from atmorep_k.evaluation.held_out.scores import records_of
from atmorep_k.evaluation.held_out.windows import HeldOut
from atmorep_k.fields import FieldSpec
from atmorep_k.inference.batches import hidden_points, hidden_tokens, scatter, stacked
from atmorep_k.protocols import Arrays, Sample


class WatchedWindows:
    """Windows of one task, read once, with the truth where they are masked.

    Args:
        held_out: where truth and baselines come from.
        task: name of the task.
        samples: the masked windows.
        batch_size: windows predicted at once.
    """

    def __init__(self, held_out: HeldOut, task: str, samples: list[Sample], batch_size: int):
        self.task = task
        self._held_out = held_out
        self._batches = [
            self._batch(samples[first : first + batch_size], batch_size)
            for first in range(0, len(samples), batch_size)
        ]

    def _batch(
        self, samples: list[Sample], size: int
    ) -> tuple[list[Sample], dict[str, list], dict]:
        windows = {f.name: [self._window(f, s) for s in samples] for f in self._held_out.fields}
        return samples, windows, stacked(samples, size)

    def _window(self, field: FieldSpec, sample: Sample):
        masked = hidden_points(field, *hidden_tokens(field, sample))
        return self._held_out.window(self.task, field, sample, masked)

    def records(
        self, predict: Callable[[Arrays], Mapping[str, Any]], baselines: bool
    ) -> Iterator[dict[str, Any]]:
        """Yield the scores over all hours, see `scores.records_of`.

        Args:
            predict: inputs of a batch -> field -> members (batch, level, masked, member, value).
            baselines: whether baselines are scored too.
        """
        sums = {field.name: FieldSums(field.levels) for field in self._held_out.fields}
        for samples, windows, inputs in self._batches:
            predictions = predict(inputs)
            for field in self._held_out.fields:
                values = np.asarray(predictions[field.name], np.float32)
                of_field = zip(samples, windows[field.name], values, strict=False)
                for sample, window, of_sample in of_field:
                    if not baselines:
                        window = dataclasses.replace(window, baselines={})
                    members = scatter(field, *hidden_tokens(field, sample), of_sample)[1]
                    sums[field.name].add(window, window.physical(members))
        for field in self._held_out.fields:
            data = sums[field.name].data.assign_attrs(self._held_out.attributes(field.name))
            yield from records_of(self.task, field.name, data)
