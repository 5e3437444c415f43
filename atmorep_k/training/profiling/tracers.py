"""The profilers of the backends: each writes its own kind of trace, and tells how it adds up."""

import importlib


def tracer():
    """Returns the profiler of the backend in use.

    It has `start(folder)`, `stop(folder)`, which writes the trace and returns the seconds in which
    a device computed, and those in which it only exchanged values, and `viewer`: what opens it.
    """
    import keras

    name = keras.backend.backend()
    module = "torch_trace" if name == "torch" else "xplane_trace"
    return importlib.import_module(f"atmorep_k.training.profiling.{module}").Tracer()
