"""What a seed says of a run: which faults it meets, one after another, and when each of them begins and ends. Pure.

A run meets one fault, at any point of it (`drawn`), or one of each class in an order that is drawn, too (`chain`): then
each is to begin soon after the one before was felt, and to last no longer than it takes to be felt, so that a run has
room for all.
"""

import random
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

When = Literal["sent", "working", "pushing"]
"""An app's build was sent to its host; its step is at work; its image is pushed."""
Transport = Literal["asyncssh", "openssh"]

LOST: Final = "host lost"
KILLED: Final = "daemon killed"
RESTARTED: Final = "sshd restarted"
CUT_OFF: Final = "network cut and healed"
FULL: Final = "disk full"
STOPPED: Final = "stopped (SIGSTOP)"
BUSY: Final = "registry 5xx or 429"
CUT_SHORT: Final = "registry cut mid-push"
CLASSES: Final = (LOST, KILLED, RESTARTED, CUT_OFF, FULL, STOPPED, BUSY, CUT_SHORT)
OF_REGISTRIES: Final = frozenset({BUSY, CUT_SHORT})
_STANDING: Final = frozenset({CUT_OFF, STOPPED})
"""Of these a build only feels that it takes longer, unless they last until they are noticed."""

_WHENS: tuple[When, ...] = ("sent", "working", "working", "pushing")
_TRANSPORTS: tuple[Transport, ...] = ("asyncssh", "openssh")
_UNTIL_ASIDE = 0.25
"""The share of faults that last until they are noticed."""
_COIN = 0.5
_STATUSES = (429, 500, 502, 503)
_MOST_REQUESTS = 8
"""A daemon tries a push four times where a registry answers 5xx, and six where it answers 429, at once; a run tries the
build four times. So many refusals in a row are within that."""


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """What a seed says of a fault."""

    when: When
    """With which events a host's fault begins."""
    nth: int
    """The one of them, from 1; of a registry's fault: of the requests of pushes."""
    images: int
    """How many images are made elsewhere before a host is healed."""
    aside: bool
    """Whether it is healed when it is set aside instead."""
    most: int = 0
    """How many images are made elsewhere at most until then; 0: no matter how many."""
    status: int
    """A registry's answer."""
    requests: int
    """How many of them are refused."""
    one: bool
    """Whether all of these are of one app."""
    transport: Transport = "asyncssh"
    """What speaks SSH, in the whole run."""


class Link(msgspec.Struct, frozen=True):
    """One fault of a run."""

    fault: str
    """Its class."""
    drawn: Drawn


def drawn(seed: int, builds: int) -> Drawn:
    """What breaks when, in a run of so many builds that meets one fault."""
    chance = random.Random(seed)  # noqa: S311 -- reproducible faults
    return Drawn(
        when=chance.choice(_WHENS),
        nth=chance.randint(1, max(1, builds // 2)),
        images=chance.randint(max(1, builds // 16), max(1, builds // 4)),
        aside=chance.random() < _UNTIL_ASIDE,
        status=chance.choice(_STATUSES),
        requests=chance.randint(1, _MOST_REQUESTS),
        one=chance.random() < _COIN,
        transport=chance.choice(_TRANSPORTS),
    )


def chain(seed: int, slots: int) -> Sequence[Link]:
    """What breaks when, in a run that meets one fault of each class; `nth` counts from when it is its turn.

    Args:
        seed: of all.
        slots: builds at once. About so many images are made in the time that a build takes.
    """
    chance = random.Random(f"chain {seed}")  # noqa: S311 -- reproducible faults
    transport = chance.choice(_TRANSPORTS)
    order = chance.sample(CLASSES, k=len(CLASSES))
    return tuple(Link(fault, _linked(fault, chance, slots, transport)) for fault in order)


def _linked(fault: str, chance: random.Random, slots: int, transport: Transport) -> Drawn:
    standing = fault in _STANDING
    least, longest = (slots + slots // 4, 2 * slots) if standing else (2, max(2, slots // 2))
    return Drawn(
        when=chance.choice(_WHENS),
        nth=chance.randint(1, slots if fault in OF_REGISTRIES else max(1, slots // 2)),
        images=chance.randint(least, longest),
        aside=chance.random() < _UNTIL_ASIDE,
        most=3 * slots,
        status=chance.choice(_STATUSES),
        requests=chance.randint(1, _MOST_REQUESTS),
        one=chance.random() < _COIN,
        transport=transport,
    )
