"""How long a function takes."""

import time


def seconds(function) -> tuple[float, float]:
    """Returns the time that a call took, and that of all processor cores."""
    before, begun = time.process_time(), time.perf_counter()
    function()
    return time.perf_counter() - begun, time.process_time() - before
