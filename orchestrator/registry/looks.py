"""What a registry says of itself beside its answers: the time, and how many pulls it still allows. Pure.

Docker Hub tells its limits in headers of every manifest, as `ratelimit-remaining: 76;w=21600`: a number, and the
seconds of the window (https://docs.docker.com/docker-hub/usage/pulls/). A HEAD is no pull, and is not counted.
"""

import re
from collections.abc import Callable
from datetime import UTC

import msgspec

_LIMIT = re.compile(r"\s*([0-9]{1,9})\s*(?:;\s*w=([0-9]{1,9}))?.*", re.DOTALL)


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer's headers say; None: nothing."""

    date: float | None = None
    """Seconds since the epoch."""
    limit: int | None = None
    """Pulls within the window."""
    remaining: int | None = None
    window: int | None = None
    """Seconds."""


def of(header: Callable[[str], str]) -> Look:
    """Read an answer's headers.

    Args:
        header: a header's value by its name in lower case, or nothing.
    """
    limit, window = _amount(header("ratelimit-limit"))
    remaining, other = _amount(header("ratelimit-remaining"))
    return Look(date=_date(header("date")), limit=limit, remaining=remaining, window=window or other)


def _amount(text: str) -> tuple[int | None, int | None]:
    found = _LIMIT.fullmatch(text) if text.isascii() else None
    if found is None:
        return None, None
    return int(found[1]), int(found[2]) if found[2] else None


def _date(text: str) -> float | None:
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 -- start-up counts

    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError, TypeError):
        return None
    # A date that says "-0000" comes without a zone; HTTP dates are always in GMT.
    return (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
