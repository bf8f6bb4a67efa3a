"""The program: from a task to the daemon's end."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import sys
import time

from .calls import KeeperError, call
from .first import live
from .leftovers import FAILED, clean, make_bridge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .task import Task

_NEW_PIDS = 0x20000000
"""CLONE_NEWPID: clone(2)."""
_PAUSE = 0.005


def main() -> int:
    """Do a task from standard input; returns 0 when the daemon was ended because we wanted it."""
    heard = _signals()
    task: Task = json.loads(_line())
    try:
        _lock(task["root"], task["patience"], heard)
    except KeeperError as error:
        return _failed(error)
    clean(task)
    try:
        _write(task)
        make_bridge(task)
        status = _lived(task, heard)
    except KeeperError as error:
        clean(task)
        return _failed(error)
    except Exception as error:  # noqa: BLE001 -- whatever it is, nothing may be left
        clean(task)
        return _failed(KeeperError("keeper", 0, repr(error)))
    clean(task)
    return 0 if status is None else _failed(KeeperError("ended", status))


def _lived(task: Task, heard: int) -> int | None:
    """Run the daemon to its end; returns what it ended with, or None when we wanted that."""
    first, told = _fork(task)
    try:
        said = _begun(told, heard)
        if said:
            raise KeeperError(*json.loads(said))
        if said is None:
            return None
        _tell({"keeper": os.getpid()})
        wanted = _until_over(first, heard)
        status = _ended(first, task["grace"])
        first = 0
        return None if wanted else status
    finally:
        if first:
            _kill(first)


def _write(task: Task) -> None:
    try:
        os.ftruncate(2, 0)
        os.makedirs(task["run"], mode=0o700, exist_ok=True)
        for path, text in task["files"].items():
            with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
    except OSError as error:
        raise KeeperError("files", error.errno or 0, f"{error.filename}: {error.strerror}") from error


def _lock(root: str, patience: float, heard: int) -> None:
    """Hold the lock of a daemon's directory, to the end of this process and of the first one of the namespaces."""
    try:
        lock = os.open(f"{root}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise KeeperError("files", error.errno or 0, f"{error.filename}: {error.strerror}") from error
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Who has it may be about to end; who has asked us may be gone, too.
            if time.monotonic() > deadline or select.select([0, heard], [], [], _PAUSE)[0]:
                raise KeeperError("busy", 0, root) from None
        else:
            return


def _fork(task: Task) -> tuple[int, int]:
    """Start the first process of new namespaces; returns its number here, and where it tells how that went."""
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    alive, told = os.pipe(), os.pipe()
    # Children are born in the new namespace until this process goes back; it could have none when that has ended.
    call("unshare", _NEW_PIDS, what="namespaces")
    first = os.fork()
    if first == 0:
        try:
            os.close(alive[1])
            os.close(told[0])
            live(task, alive[0], told[1])
        except KeeperError as error:
            os.write(told[1], json.dumps([error.what, error.number, error.said]).encode())
        except BaseException as error:  # noqa: BLE001 -- nobody is above a forked process to hear of it
            os.write(told[1], json.dumps(["keeper", 0, repr(error)]).encode())
        os._exit(1)
    # The end of `alive` that stays open here is what tells of this process.
    for number in (alive[0], told[1]):
        os.close(number)
    try:
        call("setns", own, _NEW_PIDS, what="namespaces")
    except KeeperError:
        _kill(first)
        raise
    os.close(own)
    return first, told[0]


def _begun(told: int, heard: int) -> bytes | None:
    """What went wrong while the daemon began; nothing when it has; None when it is to end before that."""
    said = b""
    waiting = _poll(told, heard, 0)
    while True:
        ready = {number for number, _ in waiting.poll()}
        if told in ready:
            part = os.read(told, 65536)
            if not part:
                return said
            said += part
        elif heard in ready or not os.read(0, 65536):
            return None


def _until_over(first: int, heard: int) -> bool:
    """Wait until the daemon is to end (True) or has ended (False)."""
    ended = os.pidfd_open(first)
    try:
        waiting = _poll(ended, heard, 0)
        while True:
            ready = {number for number, _ in waiting.poll()}
            if ended in ready:
                return False
            if heard in ready or not os.read(0, 65536):
                return True
    finally:
        os.close(ended)


def _ended(first: int, grace: float) -> int:
    """End the first process of the namespaces, and with it all others; returns what it ended with."""
    handle = os.pidfd_open(first)
    try:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGTERM)
        if not select.select([handle], [], [], grace)[0]:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    finally:
        os.close(handle)
    # Returns when the kernel has ended all of the namespace.
    return os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])


def _kill(first: int) -> None:
    """End it at once, and with it all others of its namespaces; returns when the kernel has."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(first, signal.SIGKILL)
    os.waitpid(first, 0)


def _poll(*numbers: int) -> select.poll:
    waiting = select.poll()
    for number in numbers:
        waiting.register(number, select.POLLIN)
    return waiting


def _signals() -> int:
    """A descriptor that can be read when somebody wants us to end."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: None)
    return reading


def _line() -> bytes:
    """The first line of standard input, behind which nobody sends anything."""
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(0, 65536)
        if not part:
            sys.exit(FAILED)
        line += part
    return line


def _tell(document: dict[str, object]) -> None:
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(document).encode() + b"\n")


def _failed(error: KeeperError) -> int:
    _tell({"failed": error.what, "number": error.number, "said": error.said})
    return FAILED
