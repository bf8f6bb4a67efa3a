"""Which generation of a package cache follows which, and which may be deleted. Pure.

A reader looks up which one is current and has to be through with it in `MOUNTS_SECONDS`. It leaves no mark and takes
no lock: whatever has been current, or was completed, so short a while ago is left alone.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from orchestrator.model import MOUNTS_SECONDS

_KEPT: Final = 2 * MOUNTS_SECONDS
"""Seconds for which a generation that has been replaced is left alone: clocks of machines differ, too."""
_MOST_KEPT: Final = 8
"""Replaced ones: each has directories of its own, and one more name for each file."""
_SEEN: Final = 64


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """What a directory holds."""

    entries: int
    """Files, directories and links."""
    size: int
    """Bytes of its files."""
    own: int = 0
    """Bytes of those that have no name outside of it."""


class Current(msgspec.Struct, frozen=True, kw_only=True):
    """The current generation, and what was known when it was made."""

    generation: str | None
    """None: it was deleted."""
    entries: int = 0
    size: int = 0
    """Bytes."""
    before: Mapping[str, float] = {}
    """Generations that it or its predecessors replaced, and when: seconds since the epoch."""
    over: Mapping[str, int] = {}
    """Bytes that go with each of these. Some are less than nothing, where two have replaced the same one."""
    seen: Mapping[str, int] = {}
    """How often mounts had been used when they were read last, by the ids that their builders know them by."""
    cold: float | None = None
    """Seconds that steps took which began with an empty mount."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A generation's directory."""

    name: str
    done: float | None
    """Seconds since it was completed; None: it was not."""
    age: float
    """Seconds since it was begun."""
    gone: bool
    """Whether its maker has surely ended."""


def over(found: Iterable[Found], current: Current | None, *, now: float) -> tuple[str, ...]:
    """The names of the generations that may go.

    Args:
        found: what was listed.
        current: what is current, read after the listing.
        now: seconds since the epoch.
    """
    before: Mapping[str, float] = current.before if current else {}
    kept = {name for name, replaced in before.items() if now - replaced < _KEPT}
    if current is not None and current.generation is not None:
        kept.add(current.generation)
    return tuple(each.name for each in found if each.name not in kept and _is_over(each))


def _is_over(found: Found) -> bool:
    if found.done is not None:
        # It may have been current for a moment without being written down: two have replaced the same one.
        return found.done >= _KEPT
    # Nobody writes for longer than `MOUNTS_SECONDS`. Whoever was killed was seldom on this machine.
    return found.gone or found.age >= _KEPT


def following(
    current: Current | None, name: str, size: Size, *, seen: Mapping[str, int], cold: float | None, now: float
) -> Current:
    """What is current next.

    Args:
        current: what is current now.
        name: the new generation.
        size: what it holds.
        seen: how often the mounts that it is made of were used.
        cold: what steps took without it, if that is known.
        now: seconds since the epoch.
    """
    known = dict(current.seen) if current else {}
    for record in seen:
        known.pop(record, None)
    known |= seen
    before = _before(current, now)
    return Current(
        generation=name,
        entries=size.entries,
        size=size.size,
        before=before,
        over=_over(current, before, shared=size.size - size.own),
        seen=dict(list(known.items())[-_SEEN:]),
        cold=cold if cold is not None else current.cold if current else None,
    )


def _before(current: Current | None, now: float) -> dict[str, float]:
    if current is None:
        return {}
    before = {name: replaced for name, replaced in current.before.items() if now - replaced < _KEPT}
    return before | ({current.generation: now} if current.generation is not None else {})


def without_current(current: Current | None, *, now: float) -> Current:
    """What is current when the cache is deleted: nothing.

    Args:
        current: what is current now.
        now: seconds since the epoch.
    """
    before = _before(current, now)
    return Current(generation=None, before=before, over=_over(current, before, shared=0))


def _over(current: Current | None, before: dict[str, float], *, shared: int) -> Mapping[str, int]:
    """Bytes that go with replaced generations, the last of which a new one shares some with.

    What it shares with another one instead is told of the wrong one, and all of them together are still right.
    """
    if current is None or not before:
        return {}
    last = next(reversed(before))
    over = {name: current.over.get(name, 0) for name in before}
    return {**over, last: over[last] + current.size - shared}


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """What has been replaced and is left alone for its readers."""

    generations: int
    size: int
    """Bytes that nothing else holds."""

    @property
    def are_many(self) -> bool:
        """Whether no further one should come to them."""
        return self.generations >= _MOST_KEPT


def waiting(current: Current | None, *, now: float) -> Waiting:
    """What of a cache was replaced and is left alone.

    Args:
        current: what is current.
        now: seconds since the epoch.
    """
    if current is None:
        return Waiting(generations=0, size=0)
    kept = [name for name, replaced in current.before.items() if now - replaced < _KEPT]
    return Waiting(generations=len(kept), size=max(0, sum(current.over.get(name, 0) for name in kept)))
