"""Which generation of a package cache follows which, and which may be deleted. Pure.

A reader looks up which one is current and has to be through with it in `MOUNTS_SECONDS`. It leaves no mark and takes
no lock: whatever has been current, or was completed, so short a while ago is left alone.
"""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from orchestrator.cache.sweep import ABANDONED
from orchestrator.model import MOUNTS_SECONDS

_KEPT: Final = 2 * MOUNTS_SECONDS
"""Seconds for which a generation that has been replaced is left alone: clocks of machines differ, too."""
_SEEN: Final = 64


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """What a directory holds."""

    entries: int
    """Files, directories and links."""
    size: int
    """Bytes of its files."""


class Current(msgspec.Struct, frozen=True, kw_only=True):
    """The current generation, and what was known when it was made."""

    generation: str | None
    """None: it was deleted."""
    entries: int = 0
    size: int = 0
    """Bytes."""
    before: Mapping[str, float] = {}
    """Generations that it or its predecessors replaced, and when: seconds since the epoch."""
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
    return found.gone or found.age > ABANDONED


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
    return Current(
        generation=name,
        entries=size.entries,
        size=size.size,
        before=_before(current, now),
        seen=dict(list(known.items())[-_SEEN:]),
        cold=cold if cold is not None else current.cold if current else None,
    )


def _before(current: Current | None, now: float) -> Mapping[str, float]:
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
    return Current(generation=None, before=_before(current, now))
