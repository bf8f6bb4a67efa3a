"""The solves that copy between cache mounts and a directory of this machine, one mount at a time."""

import secrets
from pathlib import Path

from orchestrator.app.mountruns import CONTEXT, Builder, Ready, Runs
from orchestrator.app.mountsteps import Mount, Word, copy_in, copy_out, look
from orchestrator.buildkit import DirectoryDestination, DirectorySource, Exporter


class Copies:
    """Copies of cache mounts.

    Args:
        builder: where the mounts are.
        ready: see `Ready`.
    """

    def __init__(self, builder: Builder, ready: Ready) -> None:
        self._runs = Runs(builder, ready)

    async def is_empty(self, mount: Mount) -> bool:
        """Whether there is nothing in a mount; where there was none, there is one then.

        Raises:
            FleetpacksError: the builder's answer.
        """
        nonce = secrets.token_hex(8)
        return await self._runs.once(mount, look([mount], mount.image, nonce=nonce), nonce) == "empty"

    async def fill(self, mount: Mount, root: Path, *, ignore: str) -> Word:
        """Copy a directory's content into a mount, if that is empty.

        Args:
            mount: which.
            root: holds the content in a directory by the mount's name.
            ignore: what is left out of it, in the words of a .dockerignore.

        Raises:
            FleetpacksError: the builder's answer, or the directory cannot be read.
        """
        nonce = secrets.token_hex(8)
        text = copy_in([mount], mount.image, None, nonce=nonce)
        source = DirectorySource(name=CONTEXT, root=root)
        return await self._runs.once(mount, text, nonce, ignore=ignore, source=source)

    async def read(self, mount: Mount, place: Path, *, base: Path | None, limit: int) -> Word:
        """Copy a mount's content into a directory by the mount's name.

        Args:
            mount: which.
            place: the directory that holds that one; it is made, if there is anything.
            base: an earlier such directory, of which unchanged files are taken.
            limit: bytes.

        Raises:
            FleetpacksError: the builder's answer, or the directory cannot be written.
        """
        nonce = secrets.token_hex(8)
        text = copy_out([mount], mount.image, nonce=nonce, limit=limit)
        to = DirectoryDestination(path=place, base=base, limit=limit)
        return await self._runs.once(mount, text, nonce, exporter=Exporter(type="local", attrs={}, destination=to))
