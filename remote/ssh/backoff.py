"""When a lost host is tried again: a state machine without a clock and without a loop.

A host that was reached once is worth waiting for: its sshd is restarted, its network heals. One that was never reached
is more often a wrong name, and its error must not come late. What no repetition cures (a key that is refused) is not
tried again in either case; that is the caller's to know.

Pauses double, and each is drawn between the half and the whole of that: many clients of a host that came back must not
come all at once, which is what sshd's MaxStartups drops connections for.
"""

import random
from collections.abc import Callable

FIRST = 0.5
"""Seconds."""
LONGEST = 5.0
"""Seconds."""
ATTEMPTS = 6
"""Of a host that was reached before: 7 to 14 seconds of pauses."""


class Backoff:
    """The attempts at one host.

    Args:
        draw: a number between 0 and 1; any source of chance.
    """

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self._draw = draw
        self._failures = 0
        self._reached = False

    def succeeded(self) -> None:
        """The host was reached."""
        self._reached = True
        self._failures = 0

    def failed(self) -> float | None:
        """The host was not reached.

        Returns:
            Seconds to wait before the next attempt; None: it has to be given up. Whoever comes later begins anew.
        """
        self._failures += 1
        if not self._reached or self._failures >= ATTEMPTS:
            self._failures = 0
            return None
        whole = min(LONGEST, FIRST * (1 << (self._failures - 1)))
        return whole * (1 + self._draw()) / 2
