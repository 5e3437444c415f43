"""Compiled steps are kept, so that the next run of the same configuration starts at once."""

import hashlib
import os
import platform
from pathlib import Path

from atmorep_k.files import user_cache

_OFF = "ATMOREP_K_NO_COMPILE_CACHE"


def use_compile_cache() -> Path | None:
    """Lets JAX keep what it compiles in the user's cache directory, and take it from there.

    There is a directory for each kind of processor, as JAX's own key does not tell what a CPU can
    do. JAX_COMPILATION_CACHE_DIR, where it is set, is left as it is; ATMOREP_K_NO_COMPILE_CACHE=1
    switches the cache off. PyTorch compiles nothing; TensorFlow keeps nothing that another process
    could use.

    Returns:
        The directory; None where none is used.
    """
    import keras

    if keras.backend.backend() != "jax" or os.environ.get(_OFF, "0") not in ("", "0"):
        return None
    import jax

    given = jax.config.jax_compilation_cache_dir
    if given:
        return Path(given)
    folder = user_cache() / "jax" / _processor()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None  # a home that cannot be written to is no reason not to train
    jax.config.update("jax_compilation_cache_dir", str(folder))
    return folder


def _processor() -> str:
    """Returns a name of what the processor can do."""
    features = platform.processor()
    if (info := Path("/proc/cpuinfo")).is_file():
        lines = info.read_text().splitlines()
        wanted = ("flags", "features", "model name")
        features = "\n".join(sorted({li for li in lines if li.lower().startswith(wanted)}))
    return f"{platform.machine()}-{hashlib.sha256(features.encode()).hexdigest()[:12]}"
