"""How fast hosts are, told from how long the same apps took on several of them. Pure.

Only builds of which nothing was cached are compared, and each app with itself. Few comparisons say little, and count
for little. Speeds are rounded to steps in which a place is worth changing: what is left of chance moves no app, and
orchestrators that have measured about the same draw the same hosts.
"""

import math
from collections.abc import Mapping
from typing import Final

_DOUBT = 2.0
"""So many comparisons without a difference are thought beside those that were made."""
_STEPS = 2
"""Between a speed and its double."""
_MOST: Final = 2.0
"""Doublings, up and down: whatever was measured, a host is not forsaken for it."""


def speeds(took: Mapping[str, Mapping[str, float]]) -> Mapping[str, float]:
    """How many times as fast as others hosts are; who is not in it has been compared with none.

    Args:
        took: seconds that whole builds took, by app and host.
    """
    ahead: dict[str, list[float]] = {}
    for by_host in took.values():
        logarithms = {host: math.log2(seconds) for host, seconds in by_host.items() if seconds > 0}
        if len(logarithms) < 2:  # noqa: PLR2004 -- no comparison of one
            continue
        middle = sum(logarithms.values()) / len(logarithms)
        for host, logarithm in logarithms.items():
            ahead.setdefault(host, []).append(middle - logarithm)
    if not ahead:
        return {}
    from statistics import median  # noqa: PLC0415 -- brings decimal and fractions, for pools alone

    return {host: 2.0 ** _step(median(found) * len(found) / (len(found) + _DOUBT)) for host, found in ahead.items()}


def _step(doublings: float) -> float:
    return round(max(-_MOST, min(_MOST, doublings)) * _STEPS) / _STEPS
