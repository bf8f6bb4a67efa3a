"""When to try a registry again: a pure decision.

Only a request that can be repeated without harm comes here, and all of ours can: a manifest that is put twice is the
same manifest. A server's own `Retry-After` beats our guess; waiting is bounded by attempts and by total time.
"""

import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC

import anyio
import msgspec


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long a request is worth trying. Times in seconds."""

    attempts: int = 6
    total: float = 90.0
    """No attempt is started later than this after the first one."""
    first: float = 0.5
    longest: float = 10.0


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """Time as the client sees it, so that tests can hold the clock."""

    now: Callable[[], float] = time.time
    """Seconds since the epoch: tokens and HTTP dates are told in it."""
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    jitter: Callable[[], float] = random.random
    """A number in [0, 1)."""


def delay(patience: Patience, *, attempt: int, elapsed: float, asked: float | None, jitter: float) -> float | None:
    """Seconds to wait before the next attempt, or None when it is time to give up.

    Args:
        patience: the bounds.
        attempt: how many attempts were made, at least 1.
        elapsed: seconds since the first one.
        asked: what the server's `Retry-After` says, in seconds from now.
        jitter: a number in [0, 1): many clients must not come back at once.
    """
    if attempt >= patience.attempts:
        return None
    guess = min(patience.longest, patience.first * 2 ** (attempt - 1))
    wait = guess * (0.5 + jitter / 2) if asked is None else asked + jitter * patience.first
    return wait if elapsed + wait <= patience.total else None


def retry_after(value: str | None, *, now: float) -> float | None:
    """Seconds from now that a `Retry-After` header asks for (RFC 9110, 10.2.3), None when it says nothing readable."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 -- start-up counts, and a date is hardly ever told

    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    # A date that says "-0000" comes without a zone; HTTP dates are always in GMT.
    return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now)
