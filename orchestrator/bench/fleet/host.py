"""A host of the pool, as it comes in, and what its machine's counters say of a run."""

from collections.abc import Mapping
from typing import Protocol

from orchestrator.bench.ground import counters
from orchestrator.bench.work.builder import Builder

_TICKS = 100
"""In a second, on every machine that builds (USER_HZ)."""


class Host(Protocol):
    """A host of the pool, whose daemon has answered."""

    @property
    def name(self) -> str:
        """As reports call it."""
        ...

    @property
    def about(self) -> str:
        """Its daemon and its disk, for people."""
        ...

    @property
    def device(self) -> str:
        """The name of the block device below its daemon's directory; "": not known."""
        ...

    @property
    def builder(self) -> Builder:
        """Its daemon."""
        ...

    async def counters(self) -> str:
        """/proc/loadavg, /proc/stat and /proc/diskstats of its machine; "": nobody can ask it."""
        ...

    async def forget(self) -> str:
        """Have its daemon delete what was built; returns why it has not, "": it has."""
        ...


def between(before: str, after: str, device: str) -> Mapping[str, float]:
    """What a host's counters say of a run.

    Args:
        before: `Host.counters` when it began.
        after: the same when it had ended.
        device: its name.
    """
    facts: dict[str, float] = {}
    first, last = counters.ticks(before), counters.ticks(after)
    if first is not None and last is not None:
        facts["cpu"] = max(0, last.busy - first.busy) / _TICKS
        if (waited := counters.waited(first, last)) is not None:
            facts["iowait"] = waited
    written = counters.device_written(before, device), counters.device_written(after, device)
    if device and written[0] is not None and written[1] is not None:
        facts["device-written"] = max(0, written[1] - written[0])
    return facts


def load_of(told: str) -> float | None:
    """The one-minute load in a host's counters."""
    try:
        return max(0.0, float(told.split(maxsplit=1)[0]))
    except (IndexError, ValueError):
        return None
