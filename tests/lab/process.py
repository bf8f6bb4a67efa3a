"""Daemons that outlive the command which started them, and are ended by nothing but their own identity.

A daemon is remembered by pid, start time and boot; a pid that the kernel has given to somebody else since then
matches none of the three. Signals go through a pidfd opened before the identity is checked, so that not even a pid
reused between check and signal is hit.
"""

import os
import signal
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import anyio
import msgspec

CONFIGURATIONS = ("registry.yml", "buildkitd.toml")
"""Names of the files in the state directory that our daemons are started with."""
_STATE = 0
_START_TIME = 19
"""Positions in /proc/PID/stat behind the command's name (proc(5) counts these fields as 3 and 22)."""


class Daemon(msgspec.Struct, frozen=True, kw_only=True):
    """One running daemon, told apart from every other process this machine has had."""

    pid: int
    started: int
    """Clock ticks between boot and its start."""
    boot: str
    """The kernel's id of this boot."""

    def alive(self) -> bool:
        """Whether this very process runs; one that has ended and is not yet collected does not."""
        return self.boot == _boot() and _start_time(self.pid) == self.started


def identify(pid: int) -> Daemon | None:
    """Who has a pid now, or None when nobody has."""
    started = _start_time(pid)
    return None if started is None else Daemon(pid=pid, started=started, boot=_boot())


def spawn(command: Sequence[str], *, log: Path, environment: Mapping[str, str]) -> Daemon:
    """Start a daemon in a session of its own: no terminal's Ctrl-C and no end of the caller reaches it.

    Args:
        command: the program's absolute path, and its arguments.
        log: receives both output streams; an older log is replaced.
        environment: all of the daemon's environment.
    """
    pid = os.posix_spawn(
        command[0],
        list(command),
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    return Daemon(pid=pid, started=_start_time(pid) or 0, boot=_boot())


async def end(daemon: Daemon, *, grace: float = 10) -> None:
    """End a daemon: SIGTERM, and after `grace` seconds SIGKILL. Returns when it is gone, also when it was before."""
    try:
        handle = os.pidfd_open(daemon.pid)
    except ProcessLookupError:
        return
    try:
        if not daemon.alive():
            return
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        with anyio.move_on_after(grace) as patience:
            await anyio.wait_readable(handle)
        if patience.cancelled_caught:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            await anyio.wait_readable(handle)
    finally:
        os.close(handle)


def strays(
    directory: Path, *, known: Iterable[Daemon] = (), files: Sequence[str] = CONFIGURATIONS
) -> tuple[Daemon, ...]:
    """Daemons started with a file in a directory by a command killed before it wrote them down.

    Args:
        directory: where the files are.
        known: daemons that are none.
        files: which of them make a process one of ours when its command line names one.
    """
    found: list[Daemon] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it ended while we looked
            continue
        started = _start_time(int(entry.name))
        if started is not None and any(os.fsencode(directory / name) in words for name in files):
            found.append(Daemon(pid=int(entry.name), started=started, boot=_boot()))
    remembered = frozenset(daemon.pid for daemon in known)
    return tuple(daemon for daemon in found if daemon.pid not in remembered)


def _start_time(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return None if fields[_STATE] in "ZX" else int(fields[_START_TIME])


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
