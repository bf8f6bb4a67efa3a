"""What of caches may go: decided from a listing, or from how much each holds.

A generation is marked after it has become the current one, and none becomes so twice. So whoever lists them, and only
then reads which one is current, knows of every other one with a mark that it is over. What has none is still written;
it goes with its maker, or after a day, and so does what readers hold.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

ABANDONED = 24 * 3600.0
"""Seconds after which a directory of somebody elsewhere is taken for left over: no build takes as long."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A directory of an app's cache."""

    name: str
    done: bool
    """Whether it is a generation that became the current one."""
    gone: bool
    """Whether its maker has surely ended."""
    age: float
    """Seconds since it was last changed."""


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """An app's cache, as a part of all."""

    key: str
    size: int
    """Bytes."""
    age: float
    """Seconds since it was written or read."""


class Cache(Protocol):
    """One of the caches in a directory."""

    def sweep(self) -> None:
        """Delete what is over."""
        ...

    def used(self) -> Used | None:
        """How much it holds, and since when nobody has used it; None: nothing."""
        ...

    def drop(self) -> None:
        """Let nobody use it any more."""
        ...


def swept(found: Iterable[Found], *, current: str | None) -> tuple[str, ...]:
    """The names of what may go.

    Args:
        found: what was listed.
        current: the current generation, read after the listing.
    """
    return tuple(each.name for each in found if each.name != current and _is_over(each))


def _is_over(found: Found) -> bool:
    return found.done or found.gone or found.age > ABANDONED


def evicted(used: Sequence[Used], *, budget: int) -> tuple[str, ...]:
    """The keys of the caches that must go so that the others fit: those that nobody used for longest go first.

    Args:
        used: all of them.
        budget: bytes for all of them.
    """
    fitting = sorted((each for each in used if each.size <= budget), key=lambda each: (each.age, each.key))
    total = sum(each.size for each in fitting)
    gone = [each.key for each in used if each.size > budget]
    while total > budget:
        oldest = fitting.pop()
        total -= oldest.size
        gone.append(oldest.key)
    return tuple(gone)


def pruned(caches: Mapping[str, Cache], *, older_than: float | None, budget: int | None) -> tuple[Used, ...]:
    """Sweep caches, and drop those that nobody has used for some time, and those that there is no room for.

    Args:
        caches: all of a directory, by their keys.
        older_than: seconds for which nobody has used what goes; None: none goes for its age.
        budget: bytes for all that stay; None: as many as there are.

    Returns:
        What was dropped.

    Raises:
        OSError: a cache cannot be read or written.
    """
    for cache in caches.values():
        cache.sweep()
    used = {each.key: each for cache in caches.values() if (each := cache.used())}
    gone = [key for key, each in used.items() if older_than is not None and each.age >= older_than]
    if budget is not None:
        gone += evicted([each for key, each in used.items() if key not in gone], budget=budget)
    for key in gone:
        caches[key].drop()
    return tuple(used[key] for key in gone)
