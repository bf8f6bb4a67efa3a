"""What is known of a builder host, and which of this machine's processes are its own."""

import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import anyio
import msgspec

from tests.lab.process import Daemon

BUILDKITD_SOCKET = "/run/buildkit/buildkitd.sock"
"""Where buildkitd listens on every host: in a directory that no other host and not this machine sees."""


_PARENT = 1
"""Position in /proc/PID/stat behind the command's name (proc(5) counts this field as 4)."""


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A builder host that was started."""

    number: int
    folder: Path
    """Everything of it that is a file: keys, settings, logs, buildkitd's root."""
    init: Daemon
    """Its first process."""
    address: str
    """IPv4, reachable from this machine and from other hosts."""
    registry: str
    """`ADDRESS:PORT` of the lab's registry: one name for this machine and for all hosts. Plain HTTP."""
    client: Path
    """Folder with `config` (for `ssh -F`), `known_hosts` and `id_ed25519`."""
    link: str
    """This machine's end of its network link."""
    limited_disk: bool = False
    """Whether buildkitd's root is a small file system of its own, which may be filled."""

    @property
    def name(self) -> str:
        """What `ssh -F` calls it, and what it calls itself."""
        return f"host-{self.number}"

    @property
    def url(self) -> str:
        """As a list of builders wants it."""
        return f"ssh://root@{self.address}"

    @property
    def root(self) -> Path:
        """Its file system as it sees it. Gone with the host."""
        return Path(f"/proc/{self.init.pid}/root")

    @property
    def buildkitd(self) -> Path:
        """Its daemon's socket without SSH and network: for a test that looks behind the scenes."""
        return self.root / BUILDKITD_SOCKET.removeprefix("/")

    @property
    def cgroup(self) -> str:
        """Name of its control group, in every hierarchy."""
        return self.link

    def enter(self, *command: str) -> list[str]:
        """The command that runs another one on the host, without SSH."""
        spaces = ("--mount", "--net", "--pid", "--uts", "--ipc")
        return ["nsenter", "--target", str(self.init.pid), *spaces, *command]

    def enter_network(self, *command: str) -> list[str]:
        """The same in its network alone: for programs that may lie where the host has files of its own."""
        return ["nsenter", "--target", str(self.init.pid), "--net", *command]

    def processes(self, program: str | None = None) -> Mapping[int, str]:
        """Its processes, build steps too: pid on this machine, and the name of the program.

        Args:
            program: only those of this name, e.g. `sshd`, which is the listener and every session.
        """
        if not self.init.alive():
            return {}
        named = {pid: _program(pid) for pid in _family(self.init.pid)}
        return {pid: name for pid, name in named.items() if name is not None and program in (None, name)}

    async def kill(self, program: str) -> None:
        """SIGKILL to all processes of a program. Returns when they are gone."""
        for pid in self.processes(program):
            await self.signal(pid, signal.SIGKILL, wait=True)

    async def signal(self, pid: int, number: signal.Signals, *, wait: bool = False) -> None:
        """Send a signal to one of its processes; nothing when it has ended.

        Args:
            pid: on this machine.
            number: the signal.
            wait: for the process' end.
        """
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        try:
            # The handle is of whoever has the pid now: of one of the host's?
            if pid in self.processes():
                signal.pidfd_send_signal(handle, number)
                if wait:
                    await anyio.wait_readable(handle)
        except ProcessLookupError:
            return
        finally:
            os.close(handle)


def _family(oldest: int) -> tuple[int, ...]:
    """A process with all that it started and that those started. The first of a namespace inherits its orphans."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it ended while we looked
                fields = (entry / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
                children.setdefault(int(fields[_PARENT]), []).append(int(entry.name))
    family = [oldest]
    for pid in family:
        family.extend(children.get(pid, ()))
    return tuple(family)


def _program(pid: int) -> str | None:
    """The name of its program's file, or None when it has ended. It may be a file of another root than ours."""
    try:
        return Path(f"/proc/{pid}/exe").readlink().name.removesuffix(" (deleted)")
    except OSError:
        return None
