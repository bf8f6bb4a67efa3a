"""What of a daemon's cache a benchmark has made: found by words of its steps, and by what stands on them. Pure."""

import re
from collections.abc import Collection, Sequence

from orchestrator.buildkit.usage import UsageRecord

_WORDS = re.compile(r"fleetpacks-bench|\bstep\.py\b|/raw\.py\b|--from=pulled /mark\b")
"""In what a daemon tells of images of ours, of steps that run our programs, and of their package caches."""
_COPY = "source.local"


def leavings(records: Sequence[UsageRecord], *, known: Collection[str]) -> tuple[str, ...]:
    """The ids of what was made, what stands on others before them, which is the order in which it can be deleted.

    Copies of contexts say nothing of whose they are: all that came into being meanwhile count. Whoever else has built
    in this time sends a context once more.

    Args:
        records: all that the daemon has now.
        known: the ids that it had before.
    """
    new = [record for record in records if record.id not in known]
    found = {record.id for record in new if record.type == _COPY or _WORDS.search(record.description)}
    before = -1
    while before != len(found):
        before = len(found)
        found |= {record.id for record in new if found.intersection(record.parents)}
    depths = {record.id: record.parents for record in new if record.id in found}
    return tuple(sorted(depths, key=lambda each: -_depth(each, depths)))


def _depth(record: str, parents: dict[str, tuple[str, ...]]) -> int:
    """How many of these it stands on. A daemon says it: it may say a circle."""
    seen: set[str] = set()
    waiting = [record]
    while waiting:
        each = waiting.pop()
        if each not in seen and each in parents:
            seen.add(each)
            waiting += parents[each]
    return len(seen)
