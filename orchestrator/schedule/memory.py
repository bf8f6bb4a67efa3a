"""What the builder's memory leaves room for. Pure: what builds needed before is what they are expected to need.

A build that does not fit waits, and lets smaller ones pass: no slot is kept free for it. One that needs more than there
is begins when nothing else runs. What is not known counts nothing: a first run is limited by its slots only.
"""

from collections.abc import Iterable, Mapping

import msgspec


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a builder's memory, in bytes."""

    available: int = 0
    """For builds; 0: not known."""
    needed: Mapping[str, int] = {}
    """By app; one without an entry is not known."""

    def left(self, running: Iterable[str]) -> int | None:
        """What builds that begin now may need; None: as much as they like.

        Args:
            running: the apps that are being built.
        """
        taken = [self.needed.get(app, 0) for app in running] if self.available else []
        return max(0, self.available - sum(taken)) if taken else None

    def fits(self, app: str, left: int | None) -> bool:
        """Whether an app may begin.

        Args:
            app: that waits.
            left: from `left`.
        """
        return left is None or self.needed.get(app, 0) <= left
