"""Shared keys for build contexts, with numbered slots.

A daemon keeps one copy of a build context per shared key and asks only for what differs from it. Two trees under one
key resend each other's files at every switch, and a copy in use by a running build is not waited for: the daemon
starts from an empty one. So the key names the app, and a slot number keeps two running builds of one app apart. The
lowest free slot is handed out, so that the next build finds the copy that the last one left.
"""

import hashlib
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager


class SharedKeys:
    """The slots in use, by app and by the filters that shape what is sent."""

    def __init__(self, repository: str) -> None:
        """Hand out keys for one monorepo.

        Args:
            repository: what tells this checkout from all others on the same daemon.
        """
        self._repository = repository
        self._taken: defaultdict[str, set[int]] = defaultdict(set)

    def name(self, app_path: str, filters: str) -> str:
        """What the keys of an app have in common: 32 hexadecimal digits.

        Args:
            app_path: see `slot`.
            filters: see `slot`.
        """
        # Lengths keep ("ab", "c") and ("a", "bc") apart.
        parts = (self._repository, app_path, filters)
        key = hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode(errors="surrogateescape"))
        return key.hexdigest()[:32]

    @contextmanager
    def slot(self, app_path: str, filters: str) -> Generator[str]:
        """Hold a key that no other running build has.

        Args:
            app_path: the app's path in the monorepo.
            filters: whatever decides which of the app's files are sent: the ignore rules, the Dockerfile's path.
        """
        base = self.name(app_path, filters)
        taken = self._taken[base]
        number = next(n for n in range(len(taken) + 1) if n not in taken)
        taken.add(number)
        try:
            yield f"{base}-{number}"
        finally:
            taken.discard(number)
