"""How fast raw data become a store, beside plain copying with the same codec, and in what memory.

    python benchmarks/prepare.py [--data DIRECTORY] [--days 2] [--memory 2GB]

Writes a made-up record in the shape of ERA5 as an archive has it (Zarr, an hour and the globe in a
chunk), and turns it into stores by several ways, each in processes of its own. Plain copying reads
the same hours and writes the same chunks and shards with tensorstore on all cores, without joining
axes, looking for missing values, statistics, checksums or reading back. Memory is the largest sum
of the proportional set sizes of all processes of a way, looked at 20 times a second.
"""

import argparse
import contextlib
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))

COPY = """
import sys, numpy as np, tensorstore, zarr
from atmorep_k.data.stores.layout import Layout
from atmorep_k.data.writing.skeleton import create_array
source, target = sys.argv[1:]
group, layout = zarr.open_group(target, mode="w"), Layout()
for name in ("temperature", "vorticity"):
    spec = {"driver": "zarr3", "kvstore": f"file://{source}/{name}/"}
    values = tensorstore.open(spec, read=True).result()
    levels = values.shape[1]
    chunks, shards = ((of[0], levels, *of[1:]) for of in (layout.chunk, layout.shard))
    create_array(group, name, values.shape, "float32", None, {}, chunks=chunks, shards=shards)
    spec = {"driver": "zarr3", "kvstore": f"file://{target}/{name}/"}
    written = tensorstore.open(spec, open=True).result()
    for first in range(0, values.shape[0], layout.shard[0]):
        block = values[first : first + layout.shard[0]].read().result()
        written[first : first + len(block)].write(block).result()
"""


def processes(parent: int) -> list[int]:
    """Returns a process and all below it."""
    found = [parent]
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{parent}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += processes(int(child))
    return found


def memory(parent: int) -> int:
    """Returns the bytes that a process and all below it use, shared pages in equal parts."""
    total = 0
    for number in processes(parent):
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{number}/smaps_rollup").read_text().splitlines()
            total += sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def run(command: list[str]) -> tuple[float, float, float]:
    """Returns seconds, processor seconds and largest memory in GB of a command."""
    before, start, most = os.times(), time.perf_counter(), 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as running:
        while running.poll() is None:
            most = max(most, memory(running.pid))
            time.sleep(0.05)
        if running.returncode:
            raise SystemExit(running.stderr.read().decode())
    after = os.times()
    used = sum(getattr(after, n) - getattr(before, n) for n in ("children_user", "children_system"))
    return time.perf_counter() - start, used, most / 1e9


def main() -> None:
    """Measures all ways in turn and prints them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="where the archive is kept and found again")
    parser.add_argument("--days", type=int, default=4)
    parser.add_argument("--memory", default="2GB")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        directory = options.data or Path(folder)
        source = archive(directory, options.days)
        size = 4 * 2 * 24 * options.days * 5 * 721 * 1440
        packages = ", ".join(f"{p} {version(p)}" for p in ("numpy", "tensorstore", "zarr"))
        print(f"{platform.machine()}, {os.cpu_count()} cores; {packages}")
        print(f"{size / 1e9:.1f} GB of values, --memory {options.memory}")
        print(f"{'way':24} {'seconds':>8} {'MB/s':>6} {'processor s':>12} {'GB':>6} {'of copy':>8}")
        command = str(Path(sys.executable).with_name("atmorep-k"))
        prepare = [command, "data", "prepare", str(source)]
        prepare += ["--overwrite", "--output", str(directory / "out.zarr")]
        bounded = [*prepare, "--memory", options.memory]
        ways = {
            "plain copy": [sys.executable, "-c", COPY, str(source), str(directory / "copy.zarr")],
            "prepare": bounded,
            "prepare, one process": [*bounded, "--workers", "1"],
            "prepare, 8GB": [*prepare, "--memory", "8GB"],
            "prepare, int16": [*bounded, "--packing", "int16"],
        }
        copy = None
        for name, command in ways.items():
            seconds, used, most = run(command)
            copy = copy or seconds
            rate, share = size / 1e6 / seconds, copy / seconds
            print(f"{name:24} {seconds:8.1f} {rate:6.0f} {used:12.1f} {most:6.2f} {share:8.2f}")


def archive(directory: Path, days: int) -> Path:
    """Returns a Zarr with an hour and the globe in a chunk, made if it is not there."""
    import zarr
    from era5_like_store import Weather

    path = directory / f"archive-{days}.zarr"
    if path.exists():
        return path
    directory.mkdir(parents=True, exist_ok=True)
    weather = Weather(24 * days, 721, 1440, 5, 2)
    made = weather.description()
    group = zarr.open_group(path, mode="w", zarr_format=3)
    hours = made.time.astype("datetime64[h]").astype("int64")
    write(group, "time", ["time"], "hours since 1970-01-01", hours)
    write(group, "level", ["level"], "hPa", made.level)
    write(group, "latitude", ["latitude"], "degrees_north", made.latitude)
    write(group, "longitude", ["longitude"], "degrees_east", made.longitude)
    for name, info in made.variables.items():
        array = create(group, name, ["time", "level", "latitude", "longitude"], weather.shape)
        array.attrs["units"] = info.units
        first = 0
        for block in weather.blocks(name):
            array[first : first + len(block)] = block
            first += len(block)
    return path


def create(group, name: str, dimensions: list[str], shape: tuple[int, ...]):
    """Makes an array with an hour in a chunk."""
    from zarr.codecs import BloscCodec

    return group.create_array(
        name,
        shape=shape,
        dtype="float32",
        chunks=(1, *shape[1:]),
        compressors=[BloscCodec(cname="lz4", shuffle="shuffle", typesize=4)],
        dimension_names=dimensions,
    )


def write(group, name: str, dimensions: list[str], units: str, values) -> None:
    """Writes a coordinate."""
    group.create_array(name, data=values, dimension_names=dimensions).attrs["units"] = units


if __name__ == "__main__":
    main()
