"""Which hosts of a pool are left out, and what is said of them: one that fails costs no figures of others."""

from collections.abc import Sequence

from orchestrator.errors import FleetpacksError


class Lost:
    """Those that have failed.

    Args:
        names: all hosts.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._left = set(names)
        self._lost: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._lost

    def __bool__(self) -> bool:
        return bool(self._lost)

    def add(self, name: str, error: FleetpacksError, *, number: int | None) -> str:
        """Leave a host out; returns what is to be said of it.

        Args:
            name: its.
            error: why.
            number: the round in which it failed, from 0; None: it was never ready.

        Raises:
            FleetpacksError: the same error; no host is left.
        """
        self._left.discard(name)
        self._lost.add(name)
        if not self._left:
            raise error
        since = "" if number is None else f" from round {number + 1} on"
        return f"{name} is left out{since}: {error.message}"
