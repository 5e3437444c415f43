"""How fast windows are read and prepared, against a memory-mapped array of the same values.

Run `python benchmarks/loader.py`. It writes a store and a plain .npy file with the same smooth
values into a temporary directory, then reads the same windows by four ways in turn, round after
round in one process, so that a busy machine slows all of them alike. Printed are medians.
"""

import argparse
import os
import platform
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import numpy as np

from atmorep_k.components.datasets import WindowDataset
from atmorep_k.components.maskings import RandomTokens
from atmorep_k.data.store import StoreDescription, VariableInfo, write_store
from atmorep_k.fields import FieldSpec, Window

LEVELS = [500.0, 700.0, 850.0, 925.0, 1000.0]
BLOCK = 48
WINDOW = Window((36, 54, 108))
FIELD = FieldSpec("temperature", LEVELS, (3, 9, 9), WINDOW)
PREPARED, MAPPED_PREPARED = "store, prepared (batches)", "memory map, prepared"
READ, MAPPED_READ = "store, only read", "memory map, only read"


class Mapped:
    """Values as a memory map (time, level, lat, lon), read like a window of the store."""

    def __init__(self, array: np.ndarray, times: slice, rows: slice, column: int, size: int):
        self._part = array[times, :, rows]
        self._columns = [slice(column, column + size)]
        if column + size > array.shape[-1]:
            self._columns.append(slice(0, column + size - array.shape[-1]))

    def result(self) -> np.ndarray:
        parts = [self._part[..., columns] for columns in self._columns]
        part = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
        return np.array(part.swapaxes(0, 1), order="C")


class MappedReader:
    """Stands in for the reader of a dataset."""

    def __init__(self, array: np.ndarray):
        self._array = array

    def read(self, variable: str, *place) -> Mapped:
        return Mapped(self._array, *place)


def maps(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """Returns two smooth maps (2, lat, lon) of unit variance, amplitude ~ k^-2."""
    waves = np.fft.rfft2(rng.standard_normal((2, rows, columns)))
    k = np.hypot(np.fft.fftfreq(rows)[:, None] * rows, np.fft.rfftfreq(columns) * columns)
    smooth = np.fft.irfft2(waves / (1 + k) ** 2, s=(rows, columns))
    return (smooth / smooth.std(axis=(1, 2), keepdims=True)).astype(np.float32)


def blocks(hours: int, rows: int, columns: int):
    """Yields blocks (time, level, lat, lon) of a smooth field that turns and moves eastwards.

    Values lie on a lattice of 1/512 K, as packed reanalyses do, so that they compress alike.
    """
    pairs = [maps(np.random.default_rng(level), rows, columns) for level in range(len(LEVELS))]
    for start in range(0, hours, BLOCK):
        block = np.empty((min(BLOCK, hours - start), len(LEVELS), rows, columns), np.float32)
        for step in range(len(block)):
            angle = 2 * np.pi * (start + step) / 60
            for level, (one, other) in enumerate(pairs):
                turned = np.cos(angle) * one + np.sin(angle) * other
                block[step, level] = 270 + 10 * np.roll(turned, start + step, axis=-1)
        np.round(block * 512, out=block)
        yield block / 512


def write(directory: Path, hours: int, rows: int, columns: int) -> Path:
    """Writes `store.zarr` and `values.npy` with the same values."""
    shape = (hours, len(LEVELS), rows, columns)
    values = np.lib.format.open_memmap(directory / "values.npy", "w+", np.float32, shape)
    for number, block in enumerate(blocks(hours, rows, columns)):
        values[number * BLOCK : number * BLOCK + len(block)] = block
    values.flush()
    description = StoreDescription(
        np.datetime64("2020-01-28T00", "h") + np.arange(hours),
        np.array(LEVELS),
        np.linspace(90, -90, rows),
        np.arange(columns) * 360 / columns,
        {FIELD.name: VariableInfo("K", "air_temperature", "", True)},
        {"simulated": True},
    )
    parts = ({FIELD.name: values[i : i + BLOCK]} for i in range(0, hours, BLOCK))
    return write_store(directory / "store.zarr", description, parts)


def only_read(dataset: WindowDataset, batch_size: int, start: int, steps: int) -> None:
    """Reads the windows of some batches, one batch in flight at a time, and drops them."""
    for step in range(start, start + steps):
        numbers = range(step * batch_size, (step + 1) * batch_size)
        samples = [divmod(n, dataset.samples_per_epoch) for n in numbers]
        places = [dataset.position("train", 0, *sample) for sample in samples]
        for reading in [dataset.read(FIELD.name, place) for place in places]:
            reading.result()


def prepared(dataset: WindowDataset, batch_size: int, start: int, steps: int) -> None:
    """Takes batches as a training does, and drops them."""
    masking = RandomTokens()
    for _ in dataset.batches("train", batch_size, masking, 0, start_step=start, num_steps=steps):
        pass


def measure(ways, options) -> dict[str, list[tuple[float, float]]]:
    """Returns for each way (samples/s, CPU ms per sample) of each round."""
    found = {name: [] for name in ways}
    samples = options.batch_size * options.steps
    for number in range(options.rounds + 1):
        for name, (function, dataset) in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            function(dataset, options.batch_size, number * options.steps, options.steps)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            if number:  # The first round warms caches and threads.
                found[name].append((samples / wall, 1000 * cpu / samples))
    return found


def report(found, options) -> None:
    pairs = {PREPARED: MAPPED_PREPARED, READ: MAPPED_READ}
    print(f"{'way':28} {'samples/s':>10} {'CPU ms/sample':>14} {'of memory map':>14}")
    for name, rounds in found.items():
        rate, cpu = (statistics.median(values) for values in zip(*rounds, strict=True))
        share = ""
        if name in pairs:
            both = zip(rounds, found[pairs[name]], strict=True)
            share = f"{statistics.median(ours[0] / theirs[0] for ours, theirs in both):.2f}"
        print(f"{name:28} {rate:10.1f} {cpu:14.2f} {share:>14}")
    both = zip(found[PREPARED], found[MAPPED_READ], strict=True)
    share = statistics.median(ours[0] / theirs[0] for ours, theirs in both)
    print(f"batches of masked tokens against the memory map only read: {share:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hours", type=int, default=192)
    parser.add_argument("--rows", type=int, default=241)
    parser.add_argument("--columns", type=int, default=480)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=4, help="batches of a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        path = write(Path(directory), options.hours, options.rows, options.columns)
        store, mapped = (WindowDataset(str(path), threads=options.threads) for _ in range(2))
        store.open([FIELD])
        mapped.open([FIELD])
        values = np.load(Path(directory) / "values.npy", mmap_mode="r")
        mapped._stores[FIELD.name].reader = MappedReader(values)
        stored = sum(f.stat().st_size for f in (path / FIELD.name).rglob("*") if f.is_file())
        packages = ", ".join(f"{p} {version(p)}" for p in ("numpy", "tensorstore", "zarr"))
        sample = 4 * np.prod(WINDOW.shape) * len(LEVELS)
        print(f"{platform.machine()}, {os.cpu_count()} cores; {packages}")
        print(
            f"{values.shape} float32, {values.nbytes / 1e6:.0f} MB, {stored / 1e6:.0f} MB in the "
            f"store; a sample is {sample / 1e6:.1f} MB; batches of {options.batch_size}, "
            f"{options.threads} threads, {options.rounds} rounds"
        )
        ways = {
            PREPARED: (prepared, store),
            MAPPED_PREPARED: (prepared, mapped),
            READ: (only_read, store),
            MAPPED_READ: (only_read, mapped),
        }
        report(measure(ways, options), options)


if __name__ == "__main__":
    main()
