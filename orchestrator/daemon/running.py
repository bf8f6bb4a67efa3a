"""Starting a daemon of our own, waiting for its answer, and its end. See `keeper` for the process in between."""

import stat
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

import anyio
import anyio.abc
import anyio.to_thread
import msgspec

from orchestrator.daemon import buildkitd, dockerd, refusal
from orchestrator.daemon.facts import search_path
from orchestrator.daemon.keeper.leftovers import DONE, clean_unless_used
from orchestrator.daemon.model import Facts, Settings, Ways
from orchestrator.errors import FleetpacksError, OwnDaemonError, TransientError
from orchestrator.model import DaemonKind
from remote.address import EngineAddress, UnixAddress
from remote.connect import dialer
from remote.errors import RemoteError

if TYPE_CHECKING:
    from orchestrator.daemon.keeper.task import Bridge, Task

GRACE: Mapping[DaemonKind, float] = {"buildkitd": 3.0, "dockerd": 10.0}
"""Seconds in which a daemon may end by itself: one waits for builds, the other for containers."""
LOCK_SECONDS = 20.0
"""For which the directory of an earlier daemon is waited for: that of a killed run is still being ended."""
_PATIENCE = 60.0
"""Seconds in which it must answer; both kinds need less than one on an idle machine."""
_KEEPER = "import sys; sys.path.append(sys.argv[1]); from keeper.program import main; sys.exit(main())"
"""The program, found beside this module: not as a part of ours, which would have to be imported for it."""
_PAUSE = 0.01
_USUAL = Ways()
_WRITABLE = "Choose a directory that may be written to: {directory}."
_EMPTY = frozenset({"log", "lost+found"})
"""What a directory may hold that no daemon has used: the log is there a moment before the lock."""
_USUAL_AUTHORITIES = "/etc/ssl/certs:/etc/pki/tls/certs"
_PASSED_ON = frozenset(
    {"LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
    | {"LD_LIBRARY_PATH", "XTABLES_LIBDIR"}
)
"""Whatever else is in our environment is none of a daemon's business: it may hold credentials."""


class _Line(msgspec.Struct, frozen=True):
    """What the keeper tells."""

    keeper: int = 0
    failed: str = ""
    number: int = 0
    said: str = ""


class Daemon:
    """A daemon that answers.

    Attributes:
        settings: what it was started with.
        pid: the process that ends it, and clears up, when it is ended itself (SIGTERM).
    """

    def __init__(self, settings: Settings, pid: int, *, over: "_Over") -> None:
        self.settings = settings
        self.pid = pid
        self._over = over

    async def over(self) -> None:
        """Wait until it has ended by itself.

        Raises:
            OwnDaemonError: it has.
        """
        raise await self._over.wait(answered=True)


@asynccontextmanager
async def running(
    of: Settings, facts: Facts, variables: Mapping[str, str], *, ways: Ways = _USUAL
) -> AsyncGenerator[Daemon]:
    """Run a daemon as long as the block lasts.

    Args:
        of: what it is started with.
        facts: where it is started.
        variables: the environment, a few variables of which it gets.
        ways: what hints name.

    Raises:
        OwnDaemonError: it cannot run here, or ended while it started.
        OwnDaemonBusyError: another run has one on its directory.
    """
    refusal.refuse(of, facts, ways)
    _refuse_others(of.root, ways)
    task = task_of(of, variables)
    try:
        of.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        log = of.log.open("ab")
    except OSError as error:
        hint = _WRITABLE.format(directory=ways.directory)
        raise OwnDaemonError(f"{of.root}: {error.strerror}", hint=hint) from error
    with log:
        process = await begun(log)
    over = _Over(process, of, facts, ways)
    try:
        yield Daemon(of, await _ready(process, task, over), over=over)
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process, task)


def _refuse_others(root: Path, ways: Ways) -> None:
    """Refuse a directory that holds something and was never a daemon's of ours: a part of it is deleted at a start.

    Raises:
        OwnDaemonError: it is, or cannot be looked into.
    """
    try:
        found = {each.name for each in root.iterdir()}
        ours = stat.S_ISREG(root.joinpath("lock").lstat().st_mode) if "lock" in found else found <= _EMPTY
    except FileNotFoundError:
        ours = not root.exists()
    except OSError as error:
        hint = _WRITABLE.format(directory=ways.directory)
        raise OwnDaemonError(f"{root}: {error.strerror}", hint=hint) from error
    if not ours:
        raise OwnDaemonError(
            f"{root}: expected an empty directory, or one of an earlier daemon: this one holds other things",
            hint=f"Name a directory that is not there yet: {ways.directory}.",
        )


def task_of(of: Settings, variables: Mapping[str, str]) -> "Task":
    """What the keeper is told."""
    commands, sockets = ([buildkitd.command(of)], [""]) if of.kind == "buildkitd" else dockerd.commands(of)
    files = {str(of.file): buildkitd.text(of) if of.kind == "buildkitd" else dockerd.text(of)}
    if of.kind == "dockerd":
        files[str(of.run / "containerd.toml")] = dockerd.containerd(of)
    if of.ca:
        files[str(of.run / "ca.pem")] = of.ca
    return {
        "commands": commands,
        "sockets": sockets,
        "environment": _environment(of, variables),
        "files": files,
        "root": str(of.root),
        "run": str(of.run),
        "overlay": of.storage == "overlay2",
        "group": of.name,
        "bridge": _bridge(of) if of.kind == "dockerd" else None,
        "patience": LOCK_SECONDS,
        "grace": GRACE[of.kind],
    }


def _bridge(of: Settings) -> "Bridge":
    return {
        "name": of.name,
        "address": f"{of.network}.1",
        "network": f"{of.network}.0/24",
        "mtu": of.mtu,
        "iptables": of.programs.get("iptables", "iptables"),
    }


def _environment(of: Settings, variables: Mapping[str, str]) -> dict[str, str]:
    passed_on = {name: value for name, value in variables.items() if name.upper() in _PASSED_ON}
    if of.ca:
        # Go reads all files of these directories.
        passed_on["SSL_CERT_DIR"] = ":".join((passed_on.get("SSL_CERT_DIR") or _USUAL_AUTHORITIES, str(of.run)))
    # Programs that were found aside of the path find each other.
    folders = dict.fromkeys(str(Path(program).parent) for program in of.programs.values())
    path = ":".join((*folders, search_path(variables)))
    return {**passed_on, "PATH": path, "HOME": str(of.root), "TMPDIR": str(of.run)}


async def begun(log: IO[bytes]) -> anyio.abc.Process:
    """The keeper, which waits for its task; what it says goes into a log."""
    # Without anything that is installed Python starts in a third of the time.
    words = [sys.executable, "-I", "-S", "-c", _KEEPER, str(Path(__file__).parent)]
    # A session of its own: Ctrl-C at a terminal is for us alone.
    return await anyio.open_process(words, stderr=log, start_new_session=True, env={})


async def _ready(process: anyio.abc.Process, task: "Task", over: "_Over") -> int:
    """Wait until the daemon answers; returns the keeper's number."""
    assert process.stdin is not None  # noqa: S101 -- anyio opens pipes unless it is told otherwise
    try:
        await process.stdin.send(msgspec.json.encode(task) + b"\n")
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        raise await over.wait() from None
    line = await over.line()
    if not line.keeper:
        raise await over.told(line)
    with anyio.move_on_after(_PATIENCE):
        while process.returncode is None:
            if await _answers(over.settings):
                return line.keeper
            await anyio.sleep(_PAUSE)  # between two questions; what ends the wait is an answer, or the process
        raise await over.wait()
    raise await over.error("silent")


async def _answers(of: Settings) -> bool:
    """Whether BuildKit's API answers: that of an engine is served when all of it is there."""
    at = UnixAddress(path=str(of.socket))
    if not of.socket.exists():
        return False
    # While the daemon starts: these take as long to import.
    from orchestrator.buildkit import Client  # noqa: PLC0415

    address = at if of.kind == "buildkitd" else EngineAddress(at=at)
    try:
        async with Client(await dialer(address), address=of.url) as client:
            return bool(await client.workers())
    except (RemoteError, TransientError):
        return False


async def _end(process: anyio.abc.Process, task: "Task") -> None:
    assert process.stdin is not None  # noqa: S101 -- anyio opens pipes unless it is told otherwise
    await process.stdin.aclose()
    code = await process.wait()
    await process.aclose()
    if code not in DONE:
        # It was killed before it could clear up; the kernel ends all of the daemon then.
        await anyio.to_thread.run_sync(clean_unless_used, task)


class _Over:
    """What the keeper tells, and what it means when it tells nothing more."""

    def __init__(self, process: anyio.abc.Process, settings: Settings, facts: Facts, ways: Ways) -> None:
        self.settings = settings
        self._process = process
        self._facts = facts
        self._ways = ways
        self._rest = b""

    async def line(self) -> _Line:
        """The next thing that it tells; nothing when it is gone."""
        assert self._process.stdout is not None  # noqa: S101 -- anyio opens pipes unless it is told otherwise
        while b"\n" not in self._rest:
            try:
                self._rest += await self._process.stdout.receive()
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return _Line()
        line, _, self._rest = self._rest.partition(b"\n")
        return msgspec.json.decode(line, type=_Line)

    async def wait(self, *, answered: bool = False) -> FleetpacksError:
        """Wait for its end; returns the reason.

        Args:
            answered: whether the daemon has.
        """
        line = await self.line()
        while line.keeper:
            line = await self.line()
        return await self.told(line, answered=answered)

    async def told(self, line: _Line, *, answered: bool = False) -> FleetpacksError:
        """The error that a line tells of."""
        ended = "over" if answered else "ended"
        what = ended if line.failed in {"", "ended"} else line.failed
        return await self.error(what, number=line.number, said=line.said)

    async def error(self, what: str, *, number: int = 0, said: str = "") -> FleetpacksError:
        """An error with the end of the daemon's log."""
        try:
            log = await anyio.Path(self.settings.log).read_text(encoding="utf-8", errors="replace")
        except OSError:
            log = ""
        make = partial(refusal.failed, self.settings, self._facts, self._ways)
        return make(what=what, number=number, said=said, log=log)
