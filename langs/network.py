"""What stands between build steps and the world: the operator's proxies, and an authority of certificates of their own.

A step that may fetch something gets both as secrets: a script that exports what tools read, and the files that it
speaks of. Addresses of proxies may hold passwords, and another proxy or another certificate makes no other layer.
Nothing of either is in an image; of a step in the stage that runs, the history has the words below.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from langs.indexes import INDEXES

SCRIPT: Final = "fleetpacks-network"
"""The secret that is read by the shell of a step."""
CA: Final = "fleetpacks-ca"
"""Certificates in PEM, those of the operator and all that are usual; users' own Dockerfiles may mount it, too."""
KEY_STORE: Final = "fleetpacks-ca-java"
"""The same for Java."""
_JAVA: Final = frozenset(key for key, index in INDEXES.items() if index.name == "maven")


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """What a step sees of it: a neighbour of `indexes.Index`."""

    secrets: tuple[str, ...]

    @property
    def mounts(self) -> tuple[str, ...]:
        """The options of a RUN that sees it."""
        return tuple(f"--mount=type=secret,id={name},required=true" for name in self.secrets)

    @property
    def exports(self) -> str:
        """What stands before the command."""
        return f". {path(SCRIPT)} && "


def path(secret: str) -> str:
    """Where a step finds a secret."""
    return f"/run/secrets/{secret}"


def seen(secrets: Sequence[str], asked: Iterable[str]) -> tuple[Network, ...]:
    """What a language's steps get of the operator's network: nothing where there is none to speak of.

    Args:
        secrets: what there is.
        asked: the keys of the package indexes that they ask.
    """
    if not secrets:
        return ()
    java = not _JAVA.isdisjoint(asked)
    return (Network(secrets=tuple(name for name in secrets if java or name != KEY_STORE)),)
