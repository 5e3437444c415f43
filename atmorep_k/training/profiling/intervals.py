"""Sums of times that overlap."""

import re
from collections.abc import Iterable

# Names of operations that move values between devices.
_EXCHANGE = re.compile(
    r"all.?reduce|all.?gather|reduce.?scatter|all.?to.?all|collective|rendezvous|nccl|gloo|c10d",
    re.IGNORECASE,
)


def busy(events: Iterable[tuple[str, float, float]]) -> tuple[float, float]:
    """Return the time in which something computes, and that in which values are only exchanged.

    Args:
        events: name, begin and end of what ran; they may overlap.
    """
    events = list(events)
    computing = [(a, b) for name, a, b in events if not _EXCHANGE.search(name)]
    every = covered((a, b) for _, a, b in events)
    alone = covered(computing)
    return alone, every - alone


def covered(intervals: Iterable[tuple[float, float]]) -> float:
    """Return the length of the union of intervals."""
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(intervals):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total
