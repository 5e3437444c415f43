import itertools

import numpy as np
import pytest

from atmorep_k.batch import detokenize
from atmorep_k.components.datasets import SlabDataset, WindowDataset
from atmorep_k.components.maskings import Forecast, RandomTokens
from atmorep_k.errors import UserError
from atmorep_k.fields import FieldSpec, Window
from atmorep_k.windows.reader import Reader
from atmorep_k.windows.slabs import Lanes

SLAB = (20, 20, 40)
OPTIONS = {"samples_per_epoch": 20, "slab": SLAB, "patches": 10, "lanes": 4}


def _opened(path, fields, **options):
    dataset = SlabDataset(path, **(OPTIONS | options))
    dataset.open(fields)
    return dataset


@pytest.fixture
def reads(monkeypatch):
    """What is read: (variable, times, rows, column, size), in order."""
    found, read = [], Reader.read

    def spy(self, *place):
        found.append(place)
        return read(self, *place)

    monkeypatch.setattr(Reader, "read", spy)
    return found


def _bytes(batch):
    return [(name, a.tobytes()) for part in batch for name, a in sorted(part.items())]


@pytest.mark.parametrize("split", ["train", "validation"])
def test_batches_do_not_depend_on_threads_start_or_batch_size(written, fields, split):
    expected, masking = None, RandomTokens()
    for threads in (1, 2, 4):
        dataset = _opened(written.path, fields, threads=threads)
        batches = [_bytes(b) for b in dataset.batches(split, 8, masking, 1, num_steps=12)]
        expected = expected or batches
        assert batches == expected
    for start in (1, 5, 11):
        resumed = dataset.batches(split, 8, masking, 1, start_step=start, num_steps=12 - start)
        assert [_bytes(b) for b in resumed] == expected[start:]
    halves = [_bytes(b) for b in dataset.batches(split, 4, masking, 1, num_steps=24)]
    for whole, one, other in zip(expected, halves[::2], halves[1::2], strict=True):
        assert whole == [(n, a + b) for (n, a), (_, b) in zip(one, other, strict=True)]


def test_parts_put_together_are_the_batch(written, fields):
    masking = RandomTokens()
    for dataset in (_opened(written.path, fields), WindowDataset(written.path)):
        dataset.open(fields)
        whole = list(dataset.batches("train", 6, masking, 3, num_steps=5, start_step=2))
        parts = [
            dataset.batches("train", 6, masking, 3, num_steps=5, start_step=2, part=(r, 3))
            for r in range(3)
        ]
        for batch, *pieces in zip(whole, *parts, strict=True):
            for arrays, *of_parts in zip(batch, *pieces, strict=True):
                assert all(len(a) == 2 for of in of_parts for a in of.values())
                for name, array in arrays.items():
                    put_together = np.concatenate([of[name] for of in of_parts])
                    np.testing.assert_array_equal(put_together, array)


@pytest.mark.parametrize("part", [(0, 4), (3, 3), (-1, 3), (0, 0)])
def test_parts_are_equal_and_counted_from_0(written, fields, part):
    dataset = _opened(written.path, fields)
    with pytest.raises(UserError, match=f"part {part[0]} of {part[1]} of a batch of 6 samples"):
        dataset.batches("train", 6, RandomTokens(), 0, part=part)


def test_windows_are_the_cubes_at_their_positions(written, fields):
    dataset = _opened(written.path, fields)
    inputs = [b[0] for b in dataset.batches("train", 10, Forecast(), 2, num_steps=8)]
    infos = np.concatenate([i["temperature/token_info"] for i in inputs])
    for number in range(80):
        position = dataset.position("train", 2, *divmod(number, 20))
        np.testing.assert_array_equal(
            infos[number], dataset.windows.token_info("temperature", position)
        )
        for field in fields:
            tokens = inputs[number // 10][f"{field.name}/tokens"][number % 10]
            seen = detokenize(tokens, field.token_size)[:, :6]
            cube = dataset.windows.cube(field.name, position)
            times, rows, columns = dataset.windows.indices(position)
            when = written.description.time[times]
            normalised = dataset.normalizers[field.name].normalize(cube, when, rows, columns)
            np.testing.assert_array_equal(seen, normalised[:, :6])


def test_neighbours_come_from_different_slabs_which_hold_them(written, fields):
    dataset = _opened(written.path, fields)
    positions, lanes = dataset._positions["train"], Lanes(4, 10)
    slabs = [lanes.place(n).slab for n in range(200)]
    for first in range(197):
        assert len(set(slabs[first : first + 4])) == 4
    for number, slab in enumerate(slabs):
        corner, window = positions.slab(7, slab), positions(7, *divmod(number, 20))
        assert 0 <= window.time - corner.time <= SLAB[0] - 12
        assert 0 <= window.row - corner.row <= SLAB[1] - 6
        assert 0 <= (window.column - corner.column) % 90 <= SLAB[2] - 12
    windows = {positions(7, *divmod(number, 20)) for number in range(200)}
    assert len(windows) > 190


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("start", [0, 3])
def test_each_slab_is_read_once(written, fields, reads, threads, start):
    dataset = _opened(written.path, fields, threads=threads)
    steps = 20
    for _ in dataset.batches("train", 8, Forecast(), 0, start_step=start, num_steps=steps):
        pass
    assert len(reads) == len(set(map(str, reads)))
    slabs = len(reads) / len(fields)
    shown = {Lanes(4, 10).place(n).slab for n in range(start * 8, (start + steps) * 8)}
    # Beyond those shown, at most the ones that begin within the samples read ahead and a batch.
    assert len(shown) <= slabs <= len(shown) + 2
    assert len(shown) < steps * 8 / 10 + 4 + 1


def test_each_slab_is_read_once_by_a_part(written, fields, reads):
    dataset = _opened(written.path, fields[:1], lanes=8)
    for _ in dataset.batches("train", 4, Forecast(), 0, num_steps=40, part=(1, 2)):
        pass
    assert len(reads) == len(set(map(str, reads)))
    # Rows 2 and 3 of four are of four of the eight lanes.
    assert len(reads) <= 40 * 2 / 10 + 4 + 2


@pytest.mark.parametrize("lanes", [1, 3, 4, 16])
@pytest.mark.parametrize("patches", [1, 5, 12])
def test_lanes_change_one_after_the_other(lanes, patches):
    order = Lanes(lanes, patches)
    slabs = [order.place(n).slab for n in range(6 * lanes * patches + 20)]
    firsts = [slabs.index(s) for s in range(lanes, 4 * lanes)]
    assert np.diff(sorted(firsts)).max() < patches + 2 * lanes
    for slab in range(2 * lanes):
        assert order.last(slab) == max(n for n, s in enumerate(slabs) if s == slab)
        if slab >= lanes:
            assert slabs.count(slab) == patches
    for samples in (1, 7, lanes * patches + 2):
        shown = [len(set(slabs[n : n + samples])) for n in range(len(slabs) - samples)]
        assert max(shown) <= order.most(samples) <= max(shown) + lanes


def test_live_slabs_take_no_more_than_is_said(written, fields, monkeypatch):
    from atmorep_k.windows import slabs

    live, most, ask = [], [], slabs.Slabs._ask

    def spy(self, step):
        ask(self, step)
        live.append(len(self._live))

    monkeypatch.setattr(slabs.Slabs, "_ask", spy)
    dataset = _opened(written.path, fields)
    points = np.prod(SLAB) * (2 + 1) * 4
    for batch_size in (2, 8):
        live.clear()
        for _ in dataset.batches("train", batch_size, Forecast(), 0, num_steps=30):
            pass
        assert max(live) * points <= dataset.slab_bytes(batch_size)
        most.append(dataset.slab_bytes(batch_size) / points)
    assert most[0] <= most[1] < 16


def test_a_region_and_a_period_hold_slabs_whole(written, fields):
    dataset = _opened(
        written.path,
        fields,
        region=(-60, 60, -80, 100),
        train_period=("2020-01-29", "2020-01-30"),
        validation_period=("2020-02-01", "2020-02-02"),
    )
    for index, split in itertools.product(range(100), ("train", "validation")):
        times, latitude, longitude = dataset.windows.coordinates(
            dataset.position(split, 0, 0, index)
        )
        first = np.datetime64({"train": "2020-01-29", "validation": "2020-02-01"}[split])
        assert times[0] >= first and times[-1] < first + np.timedelta64(2, "D")
        assert latitude.min() >= -60 and latitude.max() <= 60
        assert ((longitude + 180) % 360 - 180).min() >= -80
        assert ((longitude + 180) % 360 - 180).max() <= 100


def test_windows_are_nearly_as_frequent_everywhere_as_of_the_plain_dataset(written, fields):
    window = fields[0].window.shape
    options = {"lanes": 50, "patches": 10, "samples_per_epoch": 10**5}
    slabs, plain = _opened(written.path, fields, **options), WindowDataset(written.path)
    plain.open(fields)
    rows = {0: [], 1: []}
    for which, dataset in enumerate((slabs, plain)):
        for index in range(8000):
            rows[which].append(dataset.position("train", 0, 0, index).row)
    # In five belts of equal numbers of rows, and among them the polar ones.
    belts = np.linspace(0, 46 - window[1] + 1, 6)
    ours, theirs = (np.histogram(rows[which], belts)[0] for which in (0, 1))
    assert np.all(ours > 0.4 * theirs) and np.all(ours < 1.6 * theirs)


@pytest.mark.parametrize(
    ("slab", "nearest"), [((20, 60, 40), "20, 46, 40"), ((8, 20, 91), "12, 20, 90")]
)
def test_a_slab_that_does_not_fit(written, fields, slab, nearest):
    with pytest.raises(
        UserError, match=f"SlabDataset.slab .* nearest slab that does is .{nearest}"
    ):
        _opened(written.path, fields, slab=slab)


def test_a_slab_that_fits_no_period_or_region(written, fields):
    with pytest.raises(UserError, match="a slab of 60 h does not fit the validation period"):
        _opened(written.path, fields, slab=(60, 20, 40))
    with pytest.raises(UserError, match=r"a slab of 20 x 40 points .* does not fit the region"):
        _opened(written.path, fields, region=(-30, 30, 0, 200))


def test_all_fields_are_in_one_store(written, fields, write_named):
    other = write_named("other.zarr")
    message = "all fields from one store .*'temperature' comes from .* and '2m_temperature' from"
    with pytest.raises(UserError, match=message):
        _opened(written.path, fields, stores={"2m_temperature": other.path})
    coarse = FieldSpec("2m_temperature", [0], (2, 2, 4), Window((4, 6, 12), 3.0))
    with pytest.raises(UserError, match=r"every 1 h and .* every 3 h; use WindowDataset"):
        _opened(written.path, [fields[0], coarse])


@pytest.mark.parametrize("name", ["lanes", "patches"])
def test_numbers_are_positive(name):
    with pytest.raises(UserError, match=f"SlabDataset.{name} must be at least 1, not 0"):
        SlabDataset("a", **{name: 0})


def test_a_coarser_step(written):
    field = FieldSpec("temperature", [700], (2, 3, 3), Window((4, 6, 12), 3.0))
    dataset = _opened(written.path, [field], slab=(6, 20, 40))
    ((inputs, _, _),) = dataset.batches("train", 8, Forecast(), 0, num_steps=1)
    for row in range(8):
        position = dataset.position("train", 0, 0, row)
        values = written.values["temperature"]
        times, rows, columns = dataset.windows.indices(position)
        cube = values[np.ix_(times, [1], rows, columns)].swapaxes(0, 1)
        when = written.description.time[times]
        normalised = dataset.normalizers["temperature"].normalize(cube, when, rows, columns)
        seen = detokenize(inputs["temperature/tokens"][row], field.token_size)
        np.testing.assert_array_equal(seen[:, :2], normalised[:, :2])


def test_damage_is_said_with_its_place(make_store, fields):
    import zarr

    made = make_store()
    dataset = _opened(made.path, fields[:1])
    zarr.open_group(made.path)["temperature"][50, :, :, :] = np.nan
    with pytest.raises(UserError, match=r"missing values .*, at 2020-01-30T02:00, level 500"):
        for _ in dataset.batches("train", 8, Forecast(), 0, num_steps=30):
            pass
