"""What is installed: which backend to run on, which versions to record, and who may log."""

import contextlib
import importlib.metadata
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from importlib.util import find_spec

from atmorep_k._version import __version__

_PACKAGES = ("keras", "numpy", "jax", "torch", "tensorflow", "xarray", "zarr")


def default_backend() -> str:
    """Return the fastest installed backend on a machine like this, without importing any.

    JAX computes on accelerators if a plug-in for them is installed (`jax[cuda12]`, `jax[tpu]`).
    On processors PyTorch is faster (benchmarks/README.md), if it is installed.
    """
    for_accelerators = find_spec("jax_plugins") or find_spec("libtpu")
    return "jax" if for_accelerators or not find_spec("torch") else "torch"


def versions() -> dict[str, str]:
    """Return the versions that a saved model or run records, by the name of the package."""
    import keras

    installed = {"atmorep_k": __version__, "backend": keras.backend.backend()}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            installed[package] = importlib.metadata.version(package)
    return installed


def quieten_tensorflow() -> None:
    """Keep TensorFlow's log lines from the terminal, unless TF_CPP_MIN_LOG_LEVEL is set.

    Its Python exceptions and warnings stay. Call it before TensorFlow is imported.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ or "tensorflow" in sys.modules:
        return
    # 2 would leave the error of the CUDA driver that every machine without a GPU logs.
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    sys.meta_path.insert(0, _QuietFinder())


class _QuietFinder(MetaPathFinder):
    """Imports TensorFlow with the error output of the process set aside.

    TensorFlow 2.21 logs through absl before it has read TF_CPP_MIN_LOG_LEVEL.
    """

    def find_spec(self, fullname, path=None, target=None):
        """Return where TensorFlow is, with a loader that keeps quiet; None for other modules."""
        spec = PathFinder.find_spec(fullname, path) if fullname == "tensorflow" else None
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_quietly(module):
                with _errors_aside():
                    load(module)

            # Of this one object only: the loader stays what others take it for.
            spec.loader.exec_module = load_quietly  # type: ignore[method-assign]
        return spec


@contextlib.contextmanager
def _errors_aside() -> Iterator[None]:
    """Drop what is written to the error output, by C++ too; show it all if the block fails."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            sys.stderr.flush()
            aside.seek(0)
            with open(terminal, "wb", closefd=False) as shown:
                shutil.copyfileobj(aside, shown)
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
