"""When a build has taken so long that it is begun once more elsewhere. Pure.

Dean and Barroso, "The Tail at Scale" (2013): a second request, sent when the first is late by what is known of others.
"""

_LEAST_SECONDS = 10.0
"""A build that is late by less is not worth another one."""


def late_after(expected: float | None, factor: float | None) -> float | None:
    """The seconds after which a build is a straggler; None: never.

    Args:
        expected: seconds that it took before, when something of it had to be executed; None: not known.
        factor: how many times as long it may take; None: nobody wants to know.
    """
    if expected is None or factor is None:
        return None
    return max(expected * factor, expected + _LEAST_SECONDS)
