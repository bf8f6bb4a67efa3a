"""What everybody on this machine can read of a process while it runs, looked at again and again.

A process that lives for less than one look is not seen: it is a sample. Looked at are processes that began meanwhile.
"""

import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import anyio.to_thread

_PROC = Path("/proc")
_PAUSE = 0.04
"""Seconds between two looks: they shall not be what the machine does."""
_LARGEST = 1 << 20


class Watch:
    """What was seen.

    Attributes:
        commands: arguments of processes, each with NUL behind it.
        environments: of processes, with the session of each.
        files: what was in temporary files.
        looks: how many there were.
    """

    def __init__(self, temporary: Path) -> None:
        self.commands: set[bytes] = set()
        self.environments: set[tuple[int, bytes]] = set()
        self.files: set[bytes] = set()
        self.looks = 0
        self.ended = threading.Event()
        self._temporary = temporary
        self._before = frozenset(_PROC.iterdir())

    def run(self) -> None:
        """Look until it is over."""
        while True:
            self._look()
            if self.ended.wait(_PAUSE):
                return

    def _look(self) -> None:
        self.looks += 1
        for process in _PROC.iterdir():
            if process in self._before or not process.name.isdigit():
                continue
            # It may end between any two of these.
            with suppress(OSError, IndexError, ValueError):
                self.commands.add((process / "cmdline").read_bytes())
                session = int((process / "stat").read_bytes().rpartition(b")")[2].split()[3])
                self.environments.add((session, (process / "environ").read_bytes()))
        with suppress(OSError):
            for file in self._temporary.rglob("*"):
                with suppress(OSError):
                    if file.is_file() and file.stat().st_size < _LARGEST:
                        self.files.add(file.read_bytes())


@asynccontextmanager
async def watching(temporary: Path) -> AsyncGenerator[Watch]:
    """Watch processes, and the files below a directory, for the block."""
    watch = Watch(temporary)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.to_thread.run_sync, watch.run)
        try:
            yield watch
        finally:
            watch.ended.set()
