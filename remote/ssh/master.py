"""A running `ssh` that holds one connection to a host, and does what it is asked at its control socket.

It is a process of ours: it ends with us, however we end (`lifeline`), and its sockets lie in a directory that goes with
it. That it is connected is told by the control socket, which it makes then; what goes wrong, by what it writes to its
standard error, and before it does anything else about it: who finds a socket closed finds the reason there.
"""

import itertools
import os
import re
import socket
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import anyio
import anyio.abc
import anyio.to_thread

from remote.errors import AddressError, RemoteError, UnreachableError
from remote.ssh import failures
from remote.ssh.folder import Folder
from remote.ssh.forwarded import ForwardedStream
from remote.ssh.lifeline import Lifeline
from remote.ssh.processes import REPLY, Reply, ended
from remote.ssh.requests import NOBODY, ask
from remote.ssh.said import Said
from remote.ssh.settings import Settings, takes
from remote.unix import UnixStream

_LOGIN_SECONDS = 20.0
_PAUSE = 0.01
"""Seconds between two looks whether it is connected: it tells nobody."""
_REQUEST_SECONDS = 10.0
_AT_ONCE = 65536
_NO_SESSION = re.compile(r"session request failed: (.*)")
_FAILED = 255
"""What `ssh` ends with because of itself; a command may end with it, too."""


class LoginError(Exception):
    """It has ended before it was connected.

    Attributes:
        lines: what it said.
    """

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


_FLAGS = 6
"""Position in /proc/PID/stat behind the command's name (proc(5) counts this field as 9)."""
_PF_EXITING = 0x4
"""The kernel's include/linux/sched.h."""


class Master:
    """One such process.

    Args:
        settings: how it is called.
        name: the host's address in messages.

    Attributes:
        lost: whether it is of no use any more.
        left: whether it was we who ended it.
    """

    def __init__(self, settings: Settings, *, name: str) -> None:
        self._settings = settings
        self._name = name
        self._folder = Path()
        self._leave = anyio.Event()
        self._ended = anyio.Event()
        self._forwarding = anyio.Lock()
        self._forwards: dict[str, Path] = {}
        self._names = itertools.count()
        self._source = -1
        self._pid = 0
        self._said = Said()
        self.lost = False
        self.left = False

    async def live(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Be there until `close` or a cancellation, or until the connection is lost. Started once it is connected.

        Raises:
            LoginError: it does not come to that.
            OSError: it cannot be run.
        """
        connected = False
        try:
            with await anyio.to_thread.run_sync(Folder) as folder, closing(Lifeline()) as lifeline:
                self._folder = folder
                connected = await self._live(lifeline, task_status)
        finally:
            self._ended.set()
        if not connected:
            raise LoginError(tuple(self._said.lines))

    async def open(self, path: str) -> ForwardedStream:
        """See `Connection`."""
        local = await self._forwarded(path)
        self.hear()
        before = self._said.refusals(path).number
        try:
            raw = await UnixStream.connect(str(local))
        except OSError as error:
            self.gone()
            raise self._broken() from error
        return ForwardedStream(raw, self, path, before=before)

    async def run(self, script: bytes, *, most: int) -> bytes:
        """See `Connection`."""
        try:
            done = await self._asked("-T", "--", NOBODY, "sh -s", given=script, most=most)
        except OSError as error:
            raise self._broken() from error
        if done.code == _FAILED and (found := _NO_SESSION.search(done.problems)):
            raise failures.no_session(self._name, found[1].strip())
        if done.code == _FAILED and self.gone():
            raise self._broken()
        return done.output

    async def close(self) -> None:
        """End it, and with it its streams."""
        self._leave.set()
        await self._ended.wait()

    def gone(self) -> bool:
        """Whether it has ended: known here when its sockets are closed, which is before anybody is told."""
        if not self.lost:
            try:
                tried = socket.socket(socket.AF_UNIX)
            except OSError:
                # Too many are open here: nothing is said of it.
                return False
            with tried:
                tried.setblocking(False)
                try:
                    tried.connect(str(self._control))
                except BlockingIOError:
                    pass
                except OSError:
                    self.lost = True
            # The socket that was tried may be closed behind those of its streams.
            self.lost = self.lost or _exiting(self._pid)
        return self.lost

    def refused(self, path: str, *, before: int) -> RemoteError | None:
        """Why a stream ends that has brought nothing, when that is because nobody took it.

        Args:
            path: where it should have led.
            before: how many that should have led there had not been opened before.
        """
        self.hear()
        refusals = self._said.refusals(path)
        if refusals.number == before:
            return None
        if refusals.last.startswith(("administratively prohibited", "unknown channel type")):
            return failures.no_forwarding(self._name, refusals.last)
        return failures.no_daemon(self._name, path, refusals.last)

    def hear(self) -> bool:
        """Take what it has said by now; False: it will say no more."""
        while self._source >= 0:
            try:
                data = os.read(self._source, _AT_ONCE)
            except BlockingIOError:
                return True
            if not data:
                break
            self._said.take(data)
        return False

    @property
    def words(self) -> str:
        """The last that it said."""
        self.hear()
        return self._said.lines[-1] if self._said.lines else "ssh has ended"

    @property
    def _control(self) -> Path:
        return self._folder / "control"

    async def _live(self, lifeline: Lifeline, task_status: anyio.abc.TaskStatus[None]) -> bool:
        """Returns whether it was connected."""
        self._source, problems = os.pipe()
        os.set_blocking(self._source, False)
        words = [self._settings.program, *self._settings.words, "-NTxaM", "-S", str(self._control)]
        try:
            try:
                process = await anyio.open_process(
                    lifeline.command(*words, "--", self._settings.host),
                    stdin=lifeline.gate,
                    stdout=lifeline.fileno(),
                    stderr=problems,
                    start_new_session=True,
                )
            finally:
                os.close(problems)
            try:
                lifeline.tie(process.pid)
                self._pid = process.pid
                return await self._accompany(process, task_status)
            finally:
                self.left, self.lost = not self.gone(), True
                # All of its session at once: the lifeline ends ssh alone, and once that is collected, on trio by a look
                # at it, nobody would end its ProxyCommand.
                await ended(process)
                lifeline.close()
                self.hear()
        finally:
            os.close(self._source)
            self._source = -1

    async def _accompany(self, process: anyio.abc.Process, task_status: anyio.abc.TaskStatus[None]) -> bool:
        connected = False
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._until_it_ends, process, tasks.cancel_scope)
            tasks.start_soon(self._listen)
            with anyio.move_on_after(_LOGIN_SECONDS):
                while not self._is_there():  # noqa: ASYNC110 -- there is no event of it
                    await anyio.sleep(_PAUSE)
                connected = True
                task_status.started()
            if connected:
                await self._leave.wait()
            tasks.cancel_scope.cancel()
        return connected

    def _is_there(self) -> bool:
        return self._control.exists()

    async def _until_it_ends(self, process: anyio.abc.Process, scope: anyio.CancelScope) -> None:
        await process.wait()
        self.lost = True
        scope.cancel()

    async def _listen(self) -> None:
        while self.hear():
            await anyio.wait_readable(self._source)

    async def _forwarded(self, path: str) -> Path:
        """The socket here that leads to one of the host."""
        if not takes(path):
            raise AddressError(
                f"{self._name}: `ssh` cannot be told of the socket {path!r}", hint="give it a plain name"
            )
        async with self._forwarding:
            if path not in self._forwards:
                # Never a name again: a request that nobody waited for may have been granted.
                local = self._folder / str(next(self._names))
                try:
                    with anyio.fail_after(_REQUEST_SECONDS):
                        done = await self._asked("-O", "forward", "-L", f"{local}:{path}", "--", NOBODY)
                except (OSError, TimeoutError) as error:
                    raise self._broken() from error
                if done.code:
                    self.gone()
                    raise failures.broken(self._name, done.problems.strip() or self.words)
                self._forwards[path] = local
            return self._forwards[path]

    async def _asked(self, *words: str, given: bytes = b"", most: int = REPLY) -> Reply:
        return await ask(self._settings.program, self._control, *words, given=given, most=most)

    def _broken(self) -> UnreachableError:
        return failures.broken(self._name, self.words)


def _exiting(pid: int) -> bool:
    """Whether a process of ours is on its way out: the kernel says so before it closes the first of its files."""
    try:
        fields = Path("/proc", str(pid), "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return False
    return bool(int(fields[_FLAGS]) & _PF_EXITING)
