"""Windows of data that stay where they are."""

import numpy as np
import pytest

from atmorep_k.components.datasets import SlabDataset, WindowDataset
from atmorep_k.components.maskings import RandomTokens
from atmorep_k.data.writing.preparing import prepare


@pytest.fixture(scope="module")
def linked(written, tmp_path_factory):
    return str(prepare([written.path], tmp_path_factory.mktemp("linked") / "a.zarr", link=True))


@pytest.mark.parametrize(
    ("kind", "options"),
    [(WindowDataset, {}), (SlabDataset, {"slab": (20, 10, 30), "patches": 6, "lanes": 4})],
)
def test_batches_are_those_of_a_store_of_values(written, linked, fields, kind, options):
    batches = []
    for path in (written.path, linked):
        dataset = kind(path, samples_per_epoch=10, **options)
        dataset.open(fields)
        made = dataset.batches("train", 4, RandomTokens(), 7, num_steps=4)
        batches.append([array for batch in made for part in batch for array in part.values()])
    for ours, theirs in zip(*batches, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_few_steps_are_held_at_once(linked, fields, monkeypatch):
    from atmorep_k.data.linked.store import LinkedStore
    from atmorep_k.windows import linked_reader

    monkeypatch.setattr(linked_reader, "_READ_BYTES", 5 * 4 * 3 * 46 * 90)
    steps, read = [], LinkedStore.read

    def counted(self, variable, times):
        steps.append(len(range(times.start, times.stop, times.step)))
        return read(self, variable, times)

    dataset = WindowDataset(linked)
    dataset.open(fields)
    whole = dataset.windows.cube("temperature", dataset.position("train", 0, 0, 0))
    monkeypatch.setattr(LinkedStore, "read", counted)
    monkeypatch.setattr(
        type(dataset._stores.reference.reader._store.joined["temperature"]), "time_chunk", 1
    )
    parts = dataset.windows.cube("temperature", dataset.position("train", 0, 0, 0))
    np.testing.assert_array_equal(parts, whole)
    assert steps == [5, 5, 2]
