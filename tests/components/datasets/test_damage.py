"""Damage behind the store's back: the run that meets it says which variable, when and where."""

import dataclasses
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from atmorep_k.components.datasets import WindowDataset
from atmorep_k.components.maskings import Forecast
from atmorep_k.errors import UserError
from atmorep_k.fields import FieldSpec, Position, Window

# Chunks of the store are (12, 3, 23, 45) points, those of the second time shard begin at 48.
CHUNKS = (4, 2, 2)
FIELD = FieldSpec("temperature", [850, 500], (3, 3, 3), Window((12, 6, 12)))


@pytest.fixture
def made(written, tmp_path):
    path = shutil.copytree(written.path, tmp_path / "made.zarr")
    return dataclasses.replace(written, path=str(path))


@pytest.fixture
def dataset(made):
    dataset = WindowDataset(made.path)
    dataset.open([FIELD])
    return dataset


def _shard(made, number):
    return Path(made.path) / "temperature" / "c" / str(number) / "0" / "0" / "0"


def _flip(shard, chunk):
    """Changes one byte in the middle of a chunk (time, lat, lon) of a shard."""
    data = bytearray(shard.read_bytes())
    size = 16 * np.prod(CHUNKS)
    index = np.frombuffer(bytes(data[-4 - size : -4]), "<u8").reshape(*CHUNKS, 2)
    begin, length = (int(n) for n in index[chunk])
    data[begin + length // 2] ^= 1
    shard.write_bytes(bytes(data))


def test_a_flipped_byte(made, dataset):
    _flip(_shard(made, 1), (2, 1, 0))
    # The window touches twelve chunks, of which one is damaged.
    with pytest.raises(UserError) as caught:
        dataset.windows.cube("temperature", Position(67, 20, 84))
    message = str(caught.value)
    where = "2020-01-31T00:00 to 2020-01-31T11:00, latitudes -2 to -90, longitudes 0 to 176"
    assert message.startswith(f"cannot read 'temperature' of {made.path} at {where}: ")
    assert message.endswith(f"; 'atmorep-k data check {made.path}' lists all the damage.")
    assert "\n" not in message and "driver" not in message
    # What is beside it can be read.
    expected = made.values["temperature"][60:72, [2, 0], :6, :12].swapaxes(0, 1)
    np.testing.assert_array_equal(dataset.windows.cube("temperature", Position(60, 0, 0)), expected)


def test_a_truncated_shard(made, dataset):
    shard = _shard(made, 1)
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])
    where = "2020-01-30T00:00 to 2020-01-30T11:00, latitudes 90 to 2, longitudes 0 to 176"
    with pytest.raises(UserError, match=f"cannot read 'temperature' of .* at {where}"):
        dataset.windows.cube("temperature", Position(40, 0, 0))


def test_a_lost_shard(made, dataset):
    _shard(made, 1).unlink()
    where = "2020-01-30T00:00, level 850, latitude 90, longitude 8"
    with pytest.raises(UserError, match=f"missing values .*, at {where}; 'atmorep-k data check"):
        dataset.windows.cube("temperature", Position(40, 0, 2))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_patch_of_missing_values(made, dataset, value):
    import zarr

    zarr.open_group(made.path)["temperature"][50:52, 0, 12:14, 3:5] = value
    where = "2020-01-30T02:00, level 500, latitude 42, longitude 12"
    with pytest.raises(UserError, match=re.escape(where)):
        dataset.windows.cube("temperature", Position(40, 10, 88))
    assert np.isfinite(dataset.windows.cube("temperature", Position(52, 10, 88))).all()


def test_large_finite_values_are_no_damage(made, dataset):
    import zarr

    zarr.open_group(made.path)["temperature"][50:60, 0] = 3e38
    assert np.isfinite(dataset.windows.cube("temperature", Position(50, 10, 8))).all()


def test_a_training_says_it_when_the_batch_is_due(made, dataset):
    for number in range(5):
        _shard(made, number).write_bytes(b"no shard")
    batches = dataset.batches("train", 4, Forecast(), 0)
    with pytest.raises(UserError, match=r"cannot read 'temperature' of .* at 2020-0"):
        next(batches)
