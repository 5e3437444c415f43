"""Traces of JAX and TensorFlow, which write the same format."""

from pathlib import Path

import keras
from jax.profiler import ProfileData

from atmorep_k.training.profiling.intervals import busy

# Threads on which a CPU computes; a GPU has a plane of its own.
_COMPUTE_THREADS = ("tf_XLA", "tf_Compute", "tf_numa", "tf_inter_op", "tf_intra_op")


class XplaneTracer:
    """Has `jax.profiler` or `tf.profiler` write a trace."""

    viewer = "trace for XProf (pip install xprof; xprof --logdir DIRECTORY)"

    def start(self, folder: Path) -> None:
        """Begins the trace."""
        if keras.backend.backend() == "jax":
            import jax

            options = jax.profiler.ProfileOptions()
            options.python_tracer_level = 0  # an event per call of Python would be most of it
            jax.profiler.start_trace(folder, profiler_options=options)
        else:
            import tensorflow as tf

            tf.profiler.experimental.start(str(folder))

    def stop(self, folder: Path) -> tuple[float, float]:
        """Write the trace; returns seconds of computing and of exchanging alone."""
        if keras.backend.backend() == "jax":
            import jax

            jax.profiler.stop_trace()
        else:
            import tensorflow as tf

            tf.profiler.experimental.stop()
        written = max(Path(folder).rglob("*.xplane.pb"), key=lambda path: path.stat().st_mtime)
        computing, exchanging = busy(_events(ProfileData.from_file(str(written))))
        return computing / 1e9, exchanging / 1e9


def _events(profile: ProfileData):
    """Gives name, begin and end in ns of what the devices ran."""
    planes = list(profile.planes)
    devices = [plane for plane in planes if plane.name.startswith("/device:")]
    for plane in devices or planes:
        for line in plane.lines:
            if devices or line.name.startswith(_COMPUTE_THREADS):
                for event in line.events:
                    if "::" not in event.name:  # the runtime's own, which enclose operations
                        yield event.name, event.start_ns, event.end_ns
