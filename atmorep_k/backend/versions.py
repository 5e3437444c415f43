"""The versions that a saved model or run records."""

import importlib.metadata

import keras

from atmorep_k._version import __version__


def versions() -> dict[str, str]:
    """Returns the versions that a saved model or run records."""
    packages = ("keras", "numpy", "jax", "torch", "tensorflow", "xarray", "zarr")
    found = {"atmorep_k": __version__, "backend": keras.backend.backend()}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
