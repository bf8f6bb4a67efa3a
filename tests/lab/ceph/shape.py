"""How slow the cluster is told to be: the rate of its link, and how late its OSD answers; as people write them."""

import re

import msgspec

NONE = "none"
"""How people write that there is no limit."""
_RATE = re.compile(r"(\d+(?:\.\d+)?)([kmg])bit", re.IGNORECASE | re.ASCII)
_DELAY = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s)", re.IGNORECASE | re.ASCII)
_BITS = {"g": 1_000_000_000, "m": 1_000_000, "k": 1_000}
_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}
_SLOWEST = 1_000_000
_LATEST = 1_000_000
"""Beyond these the daemons take each other for dead: bits per second, microseconds."""


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """How slow a cluster is told to be."""

    rate: int = 0
    """Bits per second that the link carries in each direction; 0 is as many as it can."""
    delay: int = 0
    """Microseconds that the OSD waits before it works on an operation; 0 is none."""

    def __str__(self) -> str:
        link = rate_text(self.rate) if self.rate else "unlimited"
        return f"link {link}, {delay_text(self.delay) if self.delay else 'no'} delay"


def rate(text: str) -> int:
    """Read a rate as `tc` has it, e.g. `1gbit`, `2.5mbit`; `none` is 0.

    Raises:
        ValueError: it is none, or one at which no cluster works.
    """
    bits = _amount(text, _RATE, _BITS, "a rate such as 1gbit or 100mbit, or none")
    if 0 < bits < _SLOWEST:
        raise ValueError(f"{text}: no cluster works at less than {rate_text(_SLOWEST)}")
    return bits


def delay(text: str) -> int:
    """Read a delay, e.g. `2ms`, `500us`; `none` is 0.

    Raises:
        ValueError: it is none, or one with which no cluster works.
    """
    microseconds = _amount(text, _DELAY, _MICROSECONDS, "a delay such as 2ms or 500us, or none")
    if microseconds > _LATEST:
        raise ValueError(f"{text}: no cluster works with more than {delay_text(_LATEST)}")
    return microseconds


def rate_text(bits: int) -> str:
    """Write a rate as `rate` reads it."""
    for unit, size in _BITS.items():
        if bits >= size:
            return f"{_number(bits, size)}{unit}bit"
    return NONE


def delay_text(microseconds: int) -> str:
    """Write a delay as `delay` reads it."""
    for unit, size in _MICROSECONDS.items():
        if microseconds >= size:
            return f"{_number(microseconds, size)}{unit}"
    return NONE


def _amount(text: str, pattern: re.Pattern[str], units: dict[str, int], wanted: str) -> int:
    if text.lower() == NONE:
        return 0
    found = pattern.fullmatch(text)
    if found is None:
        raise ValueError(f"{text} is not {wanted}")
    return round(float(found[1]) * units[found[2].lower()])


def _number(amount: int, size: int) -> str:
    # In whole numbers: a float would write the largest ones with an exponent.
    whole, rest = divmod(amount, size)
    digits = str(rest).zfill(len(str(size)) - 1).rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)
