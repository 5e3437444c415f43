"""How fast windows are read and prepared, by several ways of storing and reading the same values.

    python benchmarks/loader.py [--data DIRECTORY] [--rounds 7] [--small]

Writes a made-up field in the shape of ERA5 (tools/era5_like_store.py) as stores of float32 and of
int16, as a plain Zarr in chunks of an hour and the globe, and as a file to map into memory; with
`--data` they are kept and found again. Then it takes batches of masked tokens by all ways in turn,
round after round in one process, so that a busy machine slows all of them alike. Printed are
medians, and medians of ratios within a round. Last come the memory of a process that only reads,
and the rate through HTTP with 30 ms of latency.
"""

import argparse
import contextlib
import dataclasses
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

from era5_like_store import Weather
from latency_server import serving

from atmorep_k.batch import tokenize
from atmorep_k.components.datasets import SlabDataset, WindowDataset
from atmorep_k.components.maskings import RandomTokens
from atmorep_k.fields import FieldSpec, Position, Window
from atmorep_k.windows.arrays import empty_batch

FIELD = "temperature"
WINDOW = (36, 54, 108)
MAPPED, ORIGINAL = "memory map", "original's way, 96"
USES = 4


@dataclasses.dataclass
class Counted:
    """Counts the batches that are made, also those that wait."""

    dataset: WindowDataset
    number: int = 0

    def __post_init__(self):
        make, lock = self.dataset._batch, threading.Lock()

        def counting(*arguments):
            batch = make(*arguments)
            with lock:
                self.number += 1
            return batch

        self.dataset._batch = counting


class MappedWindow:
    """A window (level, time, lat, lon) of a mapped array (time, level, lat, lon)."""

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

    in_flight = 1

    def __init__(self, array: np.ndarray):
        self._array = array

    def read(self, variable: str, *place) -> MappedWindow:
        return MappedWindow(self._array, *place)

    def packing(self, variable: str) -> None:
        return None


class Original:
    """The way of the original: all windows of a batch are cut from one time of the globe.

    36 hours of the globe are read through dask, then windows at random places are normalised,
    tokenised, and masked as ours are. Kinder than the original, which reads all fields and levels
    of its store, and normalises and masks more slowly.
    """

    def __init__(self, path: Path, field: FieldSpec, dataset: WindowDataset, batch_size: int):
        import dask.array

        self._array = dask.array.from_zarr(str(path), component="data")
        self._field, self._dataset, self._size = field, dataset, batch_size
        self._masking = RandomTokens()

    def batch(self, step: int):
        rng = np.random.default_rng(step)
        hours, rows, columns = WINDOW
        start = int(rng.integers(self._array.shape[0] - hours + 1))
        globe = self._array[start : start + hours].compute()
        slots = {FIELD: self._masking.num_slots(self._field.num_tokens)}
        batch = empty_batch([self._field], self._size, slots)
        for row in range(self._size):
            y = int(rng.integers(globe.shape[2] - rows + 1))
            x = int(rng.integers(globe.shape[3]))
            at = (x + np.arange(columns)) % globe.shape[3]
            cube = globe[:, :, y : y + rows, at].swapaxes(0, 1)
            self._fill(batch, row, cube, Position(start, y, x), rng)
        return batch

    def _fill(self, batch, row: int, cube, place: Position, rng) -> None:
        inputs, targets, weights = batch
        times, rows, columns = self._dataset.windows.indices(place)
        of, when = self._dataset.normalizers[FIELD], self._dataset.windows.store_of().time[times]
        tokens = inputs[f"{FIELD}/tokens"][row]
        tokenize(of.normalize(cube, when, rows, columns), self._field.token_size, out=tokens)
        inputs[f"{FIELD}/token_info"][row] = self._dataset.windows.token_info(FIELD, place)
        masked = self._masking(tokens, self._field.token_size, rng, copy=False)
        inputs[f"{FIELD}/masked_index"][row] = masked.index
        targets[FIELD][row], weights[FIELD][row] = masked.target, masked.weight


@dataclasses.dataclass(frozen=True)
class Measured:
    """One round of one way."""

    rate: float
    cpu: float
    megabytes: float


Way = Callable[[int], Measured]


def bytes_read() -> int:
    """Returns the bytes that this process has asked files for."""
    with open("/proc/self/io") as file:
        return int(file.readline().split()[1])


@contextlib.contextmanager
def clock(found: list, samples: Callable[[], int]) -> Iterator[None]:
    """Measures what is done inside; `samples` counts up."""
    before = samples(), time.perf_counter(), time.process_time(), bytes_read()
    yield
    after = samples(), time.perf_counter(), time.process_time(), bytes_read()
    number, wall, cpu, read = (b - a for a, b in zip(before, after, strict=True))
    found.append(Measured(number / wall, 1000 * cpu / number, read / number / 1e6))


def of_dataset(dataset: WindowDataset, batch_size: int, samples: int) -> Way:
    """Returns the way of a training: batches made ahead of time, in the steady state."""
    counted, steps = Counted(dataset), -(-samples // batch_size)

    def way(number: int) -> Measured:
        found, start = [], number * (steps + 1)
        batches = dataset.batches("train", batch_size, RandomTokens(), 0, start_step=start)
        with contextlib.closing(batches):
            next(batches)  # threads and slabs are there
            with clock(found, lambda: counted.number * batch_size):
                for _ in range(steps):
                    next(batches)
        return found[0]

    return way


def of_original(original: Original, batch_size: int) -> Way:
    """Returns the way of the original, one batch at a time; dask has all cores."""

    def way(number: int) -> Measured:
        found, done = [], [0]
        with clock(found, lambda: done[0]):
            original.batch(number)
            done[0] = batch_size
        return found[0]

    return way


@dataclasses.dataclass(frozen=True)
class Data:
    """The same values in four forms."""

    directory: Path
    weather: Weather

    def path(self, name: str) -> Path:
        """Returns where a form is, which is made if need be: a store's packing, plain or mapped."""
        path = self.directory / {"mapped": "mapped.npy"}.get(name, f"{name}.zarr")
        if not path.exists():
            print(f"writing {path}", file=sys.stderr)
            if name == "mapped":
                self._write_mapped(path)
            elif name == "plain":
                self.weather.write_plain(path)
            else:
                self.weather.write(path, name)
        return path

    def _write_mapped(self, path: Path) -> None:
        values = np.lib.format.open_memmap(path, "w+", np.float32, self.weather.shape)
        end = 0
        for block in self.weather.blocks(FIELD):
            values[end : end + len(block)] = block
            end += len(block)
        values.flush()


def opened(kind, store, options, **arguments) -> WindowDataset:
    first, days = np.datetime64("2020-01-28"), options.hours // 24
    periods = [
        tuple(str(first + d) for d in part) for part in ((0, days - 3), (days - 2, days - 1))
    ]
    dataset = kind(str(store), *periods, threads=options.threads, **arguments)
    dataset.open([field_of(options)])
    return dataset


def field_of(options) -> FieldSpec:
    levels = Weather(1, 2, 2, options.levels, 1).description().level
    return FieldSpec(FIELD, levels.tolist(), (3, 9, 9), Window(WINDOW))


def ways(data: Data, options) -> dict[str, Way]:
    """Returns all ways by their names."""
    plain, packed = data.path("float32"), data.path("int16")
    patches = round(USES * np.prod(options.slab) / np.prod(WINDOW))
    cut = {"slab": options.slab, "patches": patches}
    mapped = opened(WindowDataset, plain, options)
    reference = opened(WindowDataset, plain, options)
    mapped._stores[FIELD].reader = MappedReader(np.load(data.path("mapped"), mmap_mode="r"))
    size, samples = options.batch_size, options.samples
    originals = {n: Original(data.path("plain"), field_of(options), reference, n) for n in (16, 96)}
    return {
        MAPPED: of_dataset(mapped, size, samples),
        "float32": of_dataset(opened(WindowDataset, plain, options), size, samples),
        "int16": of_dataset(opened(WindowDataset, packed, options), size, samples),
        f"slabs, {USES} uses, float32": of_dataset(
            opened(SlabDataset, plain, options, **cut), size, samples
        ),
        f"slabs, {USES} uses, int16": of_dataset(
            opened(SlabDataset, packed, options, **cut), size, samples
        ),
        ORIGINAL: of_original(originals[96], 96),
        "original's way, 16": of_original(originals[16], 16),
    }


def measure(of: dict[str, Way], rounds: int) -> dict[str, list[Measured]]:
    """Returns what all ways measured in all rounds but the first, which warms caches."""
    found = {name: [] for name in of}
    for number in range(rounds + 1):
        for name, way in of.items():
            measured = way(number)
            if number:
                found[name].append(measured)
    return found


def report(found: dict[str, list[Measured]], against: list[str]) -> None:
    """Prints medians, and medians of ratios to some ways."""
    heads = "".join(f"{'of ' + name:>22}" for name in against)
    print(f"{'way':26}{'samples/s':>10}{'CPU ms/sample':>15}{'MB read':>9}{heads}")
    for name, rounds in found.items():
        rate, cpu, read = (
            statistics.median(values)
            for values in zip(*map(dataclasses.astuple, rounds), strict=True)
        )
        ratios = ""
        for other in against:
            pairs = zip(rounds, found[other], strict=True)
            ratios += f"{statistics.median(a.rate / b.rate for a, b in pairs):22.2f}"
        print(f"{name:26}{rate:10.1f}{cpu:15.2f}{read:9.1f}{ratios}", flush=True)


def report_memory(data: Data, options) -> None:
    """Prints the peak memory of processes that only read, without the batches that wait."""
    for name in ("float32", "int16"):
        command = [sys.executable, __file__, "--memory", str(data.path(name))]
        command += [f"--{n}={getattr(options, n)}" for n in ("hours", "levels", "threads")]
        print(f"peak memory, {name}:", subprocess.check_output(command, text=True).strip())


def print_memory(options) -> None:
    """Reads some batches, and prints the peak memory of this process."""
    dataset = opened(WindowDataset, options.memory, options)
    before = _status("VmRSS")
    dataset._waiting = lambda size: 1
    batches = dataset.batches("train", options.batch_size, RandomTokens(), 0, num_steps=16)
    for batch in batches:
        size = sum(a.nbytes for arrays in batch for a in arrays.values()) / 2**20
    beyond = _status("VmHWM") - 2 * size
    print(
        f"{beyond:.0f} MiB beyond two batches of {size:.0f} MiB, of which {before:.0f} before the "
        f"first"
    )


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def report_http(data: Data, options) -> None:
    """Prints the rate through HTTP with latency, against that of the same files."""
    with serving(data.directory, 0.03) as address:
        of = {
            f"{name}, {where}": of_dataset(
                opened(WindowDataset, store, options), options.batch_size, options.samples
            )
            for name in ("float32", "int16")
            for where, store in (
                ("files", data.path(name)),
                ("http", f"{address}/{data.path(name).name}"),
            )
        }
        found = measure(of, 3)
    report(found, ["float32, files", "int16, files"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="where the data are, or are to be kept")
    parser.add_argument("--hours", type=int, default=192)
    parser.add_argument("--rows", type=int, default=721)
    parser.add_argument("--columns", type=int, default=1440)
    parser.add_argument("--levels", type=int, default=5)
    parser.add_argument("--slab", type=int, nargs=3, default=(48, 240, 480))
    parser.add_argument("--small", action="store_true", help="half the resolution, six days")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--samples", type=int, default=192, help="samples of a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        print_memory(options)
        return
    if options.small:
        options.hours, options.rows, options.columns = 144, 361, 720
    weather = Weather(options.hours, options.rows, options.columns, options.levels, 1)
    packages = ("numpy", "tensorstore", "zarr", "dask")
    print(f"{platform.machine()}, {os.cpu_count()} cores;", end=" ")
    print(", ".join(f"{p} {version(p)}" for p in packages))
    print(f"{weather.shape} (time, level, lat, lon); {options}")
    with contextlib.ExitStack() as stack:
        directory = options.data or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        directory.mkdir(parents=True, exist_ok=True)
        data = Data(directory, weather)
        report(measure(ways(data, options), options.rounds), [MAPPED, ORIGINAL])
        report_memory(data, options)
        report_http(data, options)


if __name__ == "__main__":
    main()
