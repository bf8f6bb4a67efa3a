"""Why a peer is better where it is: what was found out by looking, and what it would cost to be no worse.

A reason is told as long as the figure is missed, and no longer: it can stay here when that has changed.
"""

import msgspec

UNKNOWN = "Why is not known yet."


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Of some figures of some apps beside a peer."""

    peer: str
    figures: tuple[str, ...]
    apps: tuple[str, ...]
    why: str


REASONS: tuple[Reason, ...] = ()


def why(peer: str, app: str, figure: str) -> str:
    """Why the peer is better in a figure."""
    found = (each.why for each in REASONS if each.peer == peer and app in each.apps and figure in each.figures)
    return next(found, UNKNOWN)
