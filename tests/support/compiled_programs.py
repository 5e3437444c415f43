"""Programs that XLA compiles for the tests: compiled fast, and kept from one run to the next."""

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

CACHE = "JAX_COMPILATION_CACHE_DIR"
MOST_BYTES = 1_000_000_000
# Tests compile for seconds what runs for moments: it need not be the fastest code.
FLAGS = " ".join(
    [
        "--xla_backend_optimization_level=0",
        "--xla_cpu_use_fusion_emitters=false",
        "--xla_cpu_parallel_codegen_split_count=1",
        "--xla_llvm_disable_expensive_passes=true",
    ]
)


def pytest_configure(config):
    """Sets the environment of all processes of the run; xdist's workers inherit it."""
    if hasattr(config, "workerinput") or os.environ["KERAS_BACKEND"] != "jax":
        return
    if CACHE not in os.environ:
        os.environ[CACHE] = str(_folder(config))
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    if "XLA_FLAGS" not in os.environ:
        os.environ["XLA_FLAGS"] = _known_flags(config)


def pytest_unconfigure(config):
    """Removes what could not be kept."""
    if hasattr(config, "passing_programs"):
        shutil.rmtree(config.passing_programs, ignore_errors=True)


def _folder(config) -> Path:
    """Returns the folder of this JAX in pytest's cache, or a new one if there is no such cache."""
    if not hasattr(config, "cache"):
        config.passing_programs = Path(tempfile.mkdtemp(prefix="atmorep_k-jax-"))
        return config.passing_programs
    folder = config.cache.mkdir(f"jax-{version('jax')}")
    for other in folder.parent.glob("jax-*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)
    shrink(folder, MOST_BYTES)
    return folder


def shrink(folder: Path, most_bytes: int) -> None:
    """Removes the files that were not read for longest until the rest has at most these bytes."""
    files = sorted(((file, file.stat()) for file in folder.iterdir()), key=lambda f: f[1].st_atime)
    total = sum(status.st_size for _, status in files)
    for file, status in files:
        if total <= most_bytes:
            break
        file.unlink(missing_ok=True)
        total -= status.st_size


def _known_flags(config) -> str:
    """Return the flags if this XLA knows them all: it ends a process that gives it others."""
    asked = f"{version('jaxlib')} {FLAGS}"
    if hasattr(config, "cache") and config.cache.get("xla/known", None) == asked:
        return FLAGS
    start = [sys.executable, "-P", "-c", "import jax; jax.devices()"]
    tried = subprocess.run(start, env={**os.environ, "XLA_FLAGS": FLAGS}, capture_output=True)
    if tried.returncode:
        return ""
    if hasattr(config, "cache"):
        config.cache.set("xla/known", asked)
    return FLAGS
