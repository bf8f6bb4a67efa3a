"""What of a daemon's cache a benchmark has made: found by a word that is ours alone, and what stands on it. Pure."""

from collections.abc import Collection, Sequence

from orchestrator.bench.work.dockerfile import OURS
from orchestrator.buildkit.usage import UsageRecord

_COPY = "source.local"


def copies(records: Sequence[UsageRecord], *, known: Collection[str]) -> frozenset[str]:
    """The ids of the copies of contexts that came into being meanwhile.

    They say nothing of whose they are. Whoever else has built in this time sends a context once more.

    Args:
        records: all that the daemon has when the benchmark has ended: what is sent later is nobody's but others'.
        known: the ids that it had before.
    """
    return frozenset(record.id for record in records if record.type == _COPY and record.id not in known)


def leavings(records: Sequence[UsageRecord], *, known: Collection[str], sent: Collection[str]) -> tuple[str, ...]:
    """The ids of what was made, what stands on others before them, which is the order in which it can be deleted.

    Args:
        records: all that the daemon has now.
        known: the ids that it had before.
        sent: the `copies`.
    """
    new = [record for record in records if record.id not in known]
    found = {record.id for record in new if record.id in sent or _is_ours(record)}
    before = -1
    while before != len(found):
        before = len(found)
        found |= {record.id for record in new if found.intersection(record.parents)}
    depths = {record.id: record.parents for record in new if record.id in found}
    return tuple(sorted(depths, key=lambda each: -_depth(each, depths)))


def _is_ours(record: UsageRecord) -> bool:
    return record.type != _COPY and OURS in record.description


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
