"""The first process of the namespaces: prepares what the daemon sees, starts it, and buries whoever ends."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time

from .calls import KeeperError, call, mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .task import Task

_NEW_MOUNTS = 0x00020000
"""CLONE_NEWNS: clone(2)."""
_RECURSIVE, _PRIVATE, _BIND = 0x4000, 1 << 18, 0x1000
"""MS_REC, MS_PRIVATE, MS_BIND: mount(2)."""
_LAZY = 2
"""MNT_DETACH: umount(2)."""
_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG: prctl(2). It counts from the thread that has forked, of which its process has no other."""
_PAUSE = 0.005
_SOCKET_SECONDS = 30.0
_OF_DAEMONS = frozenset({"runc", "docker", "containerd", "docker.sock", "docker.pid", "buildkit"})
"""What other daemons of this machine have in /run: ours neither sees nor touches it."""


def live(task: Task, alive: int, told: int) -> None:
    """Be the first process of a namespace of processes. Does not return.

    Args:
        task: what is to be done.
        alive: readable when the process is gone that has forked this one.
        told: closed when the daemon has begun.

    Raises:
        KeeperError: something that has to be there is not.
    """
    signal.set_wakeup_fd(-1)
    call("prctl", _DEATH_SIGNAL, signal.SIGKILL.value, 0, 0, 0, what="namespaces")
    if select.select([alive], [], [], 0)[0]:
        os._exit(1)  # nobody is left whose death could be told
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(2, 1)
    call("unshare", _NEW_MOUNTS, what="namespaces")
    mount("none", "/", "", _RECURSIVE | _PRIVATE)
    mount("proc", "/proc", "proc", 0)
    _own_run()
    if task["overlay"]:
        _try_overlay(f"{task['run']}/overlay")
    begun: list[int] = []

    def end(_number: int, _frame: object) -> None:
        if not begun:
            os._exit(1)
        with contextlib.suppress(ProcessLookupError):
            os.kill(begun[-1], signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    for command, path in zip(task["commands"], task["sockets"], strict=True):
        begun.append(_spawn(command, task["environment"]))
        if path:
            _await(path, begun[-1], command[0])
    os.close(told)
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == begun[-1]:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def _spawn(command: list[str], environment: dict[str, str]) -> int:
    defaults = [signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ]
    try:
        return os.posix_spawn(command[0], command, environment, setsigdef=defaults)
    except OSError as error:
        raise KeeperError("program", error.errno or 0, command[0]) from error


def _await(path: str, pid: int, name: str) -> None:
    deadline = time.monotonic() + _SOCKET_SECONDS
    while not os.path.exists(path):
        if os.waitpid(pid, os.WNOHANG)[0] or time.monotonic() > deadline:
            raise KeeperError("ended", 0, name)
        time.sleep(_PAUSE)


def _own_run() -> None:
    """Give the namespace a /run of its own: what it adds there at fixed places (/run/runc, /run/docker) is nobody's.

    What is there already stays visible, entry by entry.
    """
    machine = os.open("/run", os.O_RDONLY | os.O_DIRECTORY)
    mount("tmpfs", "/run", "tmpfs", 0, b"mode=755")
    with os.scandir(machine) as entries:
        for entry in entries:
            if entry.name not in _OF_DAEMONS:
                # What cannot be shown is not there: no daemon needs any of it by name.
                with contextlib.suppress(OSError, KeeperError):
                    _show(machine, entry)
    os.close(machine)


def _show(machine: int, entry: os.DirEntry[str]) -> None:
    place = f"/run/{entry.name}"
    if entry.is_symlink():
        os.symlink(os.readlink(entry.name, dir_fd=machine), place)
        return
    if entry.is_dir():
        os.mkdir(place)
    else:
        os.close(os.open(place, os.O_CREAT | os.O_WRONLY, 0o600))
    mount(f"/proc/self/fd/{machine}/{entry.name}", place, "", _BIND | _RECURSIVE)


def _try_overlay(folder: str) -> None:
    for name in ("lower", "upper", "work", "merged"):
        os.makedirs(f"{folder}/{name}", exist_ok=True)
    with open(f"{folder}/lower/gone", "wb"):
        pass
    options = f"lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work".encode()
    mount("overlay", f"{folder}/merged", "overlay", 0, options, what="overlay")
    try:
        # As a build step that deletes a file of its base: some file systems take the mount, and then refuse this.
        os.unlink(f"{folder}/merged/gone")
    except OSError as error:
        raise KeeperError("overlay", error.errno or 0, f"unlink: {error.strerror}") from error
    finally:
        call("umount2", f"{folder}/merged".encode(), _LAZY, what="overlay")
