"""Which backend Keras runs on where nobody has said so; nothing heavy is imported to know."""

from importlib.util import find_spec


def default_backend() -> str:
    """Returns the one of the installed backends that is the fastest on a machine like this.

    JAX computes on accelerators where a plug-in for them is installed (`jax[cuda12]`, `jax[tpu]`).
    On processors PyTorch is faster (benchmarks/README.md), where it is installed.
    """
    for_accelerators = find_spec("jax_plugins") or find_spec("libtpu")
    return "jax" if for_accelerators or not find_spec("torch") else "torch"
