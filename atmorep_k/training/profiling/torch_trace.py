"""Traces of PyTorch."""

from pathlib import Path

import torch
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from atmorep_k.training.profiling.intervals import busy


class TorchTracer:
    """Has `torch.profiler` write a trace.

    Where there is no GPU, the operators' own time counts as the device's.
    """

    viewer = "trace for ui.perfetto.dev (trace.json)"

    def start(self, folder: Path) -> None:
        """Begins the trace."""
        activities = [ProfilerActivity.CPU]
        if torch.cuda.is_available():
            activities.append(ProfilerActivity.CUDA)
        self._profile = profile(activities=activities)
        self._profile.start()

    def stop(self, folder: Path) -> tuple[float, float]:
        """Write the trace; returns seconds of computing and of exchanging alone."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self._profile.stop()
        self._profile.export_chrome_trace(str(Path(folder) / "trace.json"))
        computing, exchanging = busy(_events(self._profile.events()))
        return computing / 1e6, exchanging / 1e6


def _events(events):
    """Gives name, begin and end in microseconds of what the devices ran."""
    kernels = [e for e in events if e.device_type != DeviceType.CPU]
    prefixes = ("aten::", "c10d::", "gloo:", "nccl:")
    chosen = kernels or [e for e in events if e.name.startswith(prefixes)]
    return ((e.name, e.time_range.start, e.time_range.end) for e in chosen)
