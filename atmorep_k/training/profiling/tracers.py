"""The profilers of the backends: each writes its own kind of trace, and tells how it adds up."""


def tracer():
    """Returns the profiler of the backend in use.

    It has `start(folder)`, `stop(folder)`, which writes the trace and returns the seconds in which
    a device computed, and those in which it only exchanged values, and `viewer`: what opens it.
    """
    import keras

    if keras.backend.backend() == "torch":
        from atmorep_k.training.profiling.torch_trace import Tracer
    else:
        from atmorep_k.training.profiling.xplane_trace import Tracer
    return Tracer()
