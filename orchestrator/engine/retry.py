"""Whether a build is tried again on the same builder, and when. Pure.

Only what another attempt can mend is tried: a registry that cannot be reached, answers 5xx or asks us to come back;
work that a daemon does once for all builds that want it, and ended with the client of another one; and a part of its
cache that a collection took away meanwhile. A daemon that is lost, or whose disk is full, will be so in a few seconds,
too. The daemon has tried pushes a few times by itself; what has run is in its cache, so another attempt executes
nothing again.

How long a registry asked the daemon to stay away (`Retry-After`) nobody knows here: the error that the daemon makes of
an answer keeps its status, URL, method and body, and no header (containerd v2.2.3, core/remotes/errors), and the daemon
itself sends such a request again at once (core/remotes/docker/resolver.go). So waiting doubles instead.
"""

from orchestrator.errors import CacheLostError, FleetpacksError, RegistryUnavailableError, StepCancelledError

RETRIES = 3
"""Attempts after the first one, unless something else is said."""
_MENDED = (CacheLostError, RegistryUnavailableError, StepCancelledError)
_FIRST_SECONDS = 2.0
_LONGEST_SECONDS = 60.0


def pause(error: FleetpacksError, *, failed: int, retries: int, jitter: float) -> float | None:
    """Seconds to wait before the next attempt, or None when there is none.

    Args:
        error: why the last one failed.
        failed: how many have failed, at least 1.
        retries: how many there may be after the first.
        jitter: a number in [0, 1): apps that failed together should not come back together.
    """
    if failed > retries or not isinstance(error, _MENDED):
        return None
    return min(_LONGEST_SECONDS, _FIRST_SECONDS * (1 << failed - 1)) * (0.5 + jitter / 2)
