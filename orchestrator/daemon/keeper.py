"""The process between us and a daemon: it starts the daemon, ends it when we are gone, and clears away what it leaves.

Run as a program of its own (`python -I -S keeper.py`), and imported for `clean`; so it knows nothing but Python's own
modules, and only those that are quick to import. Its standard input brings one line of JSON, a `Task`, and is our
lifeline from then on: at its end, which the kernel makes also when we are killed, the daemon is ended. On its standard
output it tells in lines of JSON what has become of that; the daemon's output goes to its standard error.

The daemon runs below a first process in a namespace of processes and one of mounts. When that one ends the kernel kills
all others in it, build steps and containers too, and every mount of theirs is gone with them; it is killed when this
process is (PR_SET_PDEATHSIG, which counts here: there is one thread). What the kernel does not take back is a bridge
with its rules, control groups and a directory of sockets: they have names that follow from the daemon's directory, so
that the next start finds what was left where this process was killed, too.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal
import struct
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    class Bridge(TypedDict):
        """A network bridge for containers."""

        name: str
        address: str
        network: str
        mtu: int | None
        iptables: str

    class Task(TypedDict):
        """What is to be done; `orchestrator.daemon.running` makes it."""

        commands: list[list[str]]
        """Words; the last one is the daemon."""
        sockets: list[str]
        """For each command what the next one waits for, or ""."""
        environment: dict[str, str]
        files: dict[str, str]
        """By path, below `run`: what the commands read."""
        root: str
        """The daemon's directory, which is locked."""
        run: str
        """The one below it that goes away."""
        overlay: bool
        """Whether overlay is tried first."""
        group: str
        """Name of its control groups."""
        bridge: Bridge | None
        grace: float
        """Seconds in which the daemon may end by itself."""


_NEW_MOUNTS, _NEW_PIDS = 0x00020000, 0x20000000
"""CLONE_NEWNS and CLONE_NEWPID: clone(2)."""
_RECURSIVE, _PRIVATE, _BIND = 0x4000, 1 << 18, 0x1000
_LAZY = 2
"""MNT_DETACH: umount(2)."""
_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG: prctl(2)."""
_ADD_BRIDGE, _DELETE_BRIDGE = 0x89A0, 0x89A1
_GET_FLAGS, _SET_FLAGS, _SET_ADDRESS, _SET_MASK, _SET_MTU = 0x8913, 0x8914, 0x8916, 0x891C, 0x8922
"""linux/sockios.h."""
_INET, _DATAGRAMS = 2, 2
_UP = 1
_PAUSE = 0.005
_LOCK_SECONDS = 20.0
"""For which the directory of an earlier daemon is waited for: that of a killed run is still being ended."""
_SOCKET_SECONDS = 30.0
_GROUPS_SECONDS = 5.0
"""The kernel counts ended processes to their control group for a moment."""
_OF_DAEMONS = frozenset({"runc", "docker", "containerd", "docker.sock", "docker.pid", "buildkit"})
"""What other daemons of this machine have in /run: ours neither sees nor touches it."""


class KeeperError(Exception):
    """Something that has to be there is not.

    Attributes:
        what: which part, a word for `refusal.told`.
        number: the system's error, or 0.
        said: more of it.
    """

    def __init__(self, what: str, number: int = 0, said: str = "") -> None:
        super().__init__(said)
        self.what, self.number, self.said = what, number, said


def main() -> int:
    """Do a task from standard input; returns 0 when the daemon was ended because we wanted it."""
    heard = _signals()
    task: Task = json.loads(_line())
    try:
        _lock(task["root"])
    except KeeperError as error:
        return _failed(error)
    clean(task)
    try:
        _write(task)
        _make_bridge(task)
        first = _fork(task)
        _tell({"keeper": os.getpid()})
        wanted = _until_over(first, heard)
        status = _ended(first, task["grace"])
    except KeeperError as error:
        clean(task)
        return _failed(error)
    clean(task)
    return 0 if wanted else _failed(KeeperError("ended", status))


def clean(task: Task) -> None:
    """Take away what is left of a daemon whose processes are gone: bridge, rules, control groups, sockets."""
    bridge = task["bridge"]
    # Rules come after the bridge, and go before it: without one there are none.
    if bridge is not None and os.path.exists(f"/sys/class/net/{bridge['name']}"):
        for rule in _rules(bridge):
            while _run([rule[0], "--delete", *rule[2:]], task["environment"])[0] == 0:
                pass
        _delete_bridge(bridge["name"])
    _remove_groups(task["group"])
    _delete(task["run"])


# --- the daemon's processes


def _fork(task: Task) -> int:
    """Start the first process of new namespaces; returns its number here."""
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    alive, told = os.pipe(), os.pipe()
    # Children are born in the new namespace until this process goes back; it could have none when that has ended.
    _call("unshare", _NEW_PIDS, what="namespaces")
    first = os.fork()
    if first == 0:
        try:
            os.close(alive[1])
            os.close(told[0])
            _first(task, alive[0], told[1])
        except KeeperError as error:
            os.write(told[1], json.dumps([error.what, error.number, error.said]).encode())
        except BaseException as error:  # noqa: BLE001 -- nobody is above a forked process to hear of it
            os.write(told[1], json.dumps(["keeper", 0, repr(error)]).encode())
        os._exit(1)
    _call("setns", own, _NEW_PIDS, what="namespaces")
    # The end of `alive` that stays open here is what tells of this process.
    for number in (own, alive[0], told[1]):
        os.close(number)
    said = _all(told[0])
    if said:
        os.waitpid(first, 0)
        raise KeeperError(*json.loads(said))
    return first


def _first(task: Task, alive: int, told: int) -> None:
    """Be the first process of the namespaces: prepare the mounts, start the commands, bury whoever ends."""
    signal.set_wakeup_fd(-1)
    _call("prctl", _DEATH_SIGNAL, signal.SIGKILL.value, 0, 0, 0, what="namespaces")
    if select.select([alive], [], [], 0)[0]:
        os._exit(1)  # nobody is left whose death could be told
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(2, 1)
    _call("unshare", _NEW_MOUNTS, what="namespaces")
    _mount("none", "/", "", _RECURSIVE | _PRIVATE)
    _mount("proc", "/proc", "proc", 0)
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
    _mount("tmpfs", "/run", "tmpfs", 0, b"mode=755")
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
    _mount(f"/proc/self/fd/{machine}/{entry.name}", place, "", _BIND | _RECURSIVE)


def _try_overlay(folder: str) -> None:
    for name in ("lower", "upper", "work", "merged"):
        os.makedirs(f"{folder}/{name}", exist_ok=True)
    with open(f"{folder}/lower/gone", "wb"):
        pass
    options = f"lowerdir={folder}/lower,upperdir={folder}/upper,workdir={folder}/work".encode()
    _mount("overlay", f"{folder}/merged", "overlay", 0, options, what="overlay")
    try:
        # As a build step that deletes a file of its base: some file systems take the mount, and then refuse this.
        os.unlink(f"{folder}/merged/gone")
    except OSError as error:
        raise KeeperError("overlay", error.errno or 0, f"unlink: {error.strerror}") from error
    finally:
        _call("umount2", f"{folder}/merged".encode(), _LAZY, what="overlay")


def _until_over(first: int, heard: int) -> bool:
    """Wait until the daemon is to end (True) or has ended (False)."""
    ended = os.pidfd_open(first)
    try:
        waiting = select.poll()
        for number in (ended, heard, 0):
            waiting.register(number, select.POLLIN)
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


# --- what the kernel does not take back


def _write(task: Task) -> None:
    try:
        os.ftruncate(2, 0)
        os.makedirs(task["run"], mode=0o700, exist_ok=True)
        for path, text in task["files"].items():
            with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
                file.write(text)
    except OSError as error:
        raise KeeperError("files", error.errno or 0, f"{error.filename}: {error.strerror}") from error


def _make_bridge(task: Task) -> None:
    bridge = task["bridge"]
    if bridge is None:
        return
    try:
        _add_bridge(bridge)
    except OSError as error:
        raise KeeperError("bridge", error.errno or 0, f"{bridge['name']}: {error.strerror}") from error
    for rule in _rules(bridge):
        status, said = _run(rule, task["environment"])
        if status:
            raise KeeperError("iptables", 0, said)


def _rules(bridge: Bridge) -> list[list[str]]:
    """What leaves the bridge gets our address, and may be forwarded: program, verb, the rule.

    Two of them come before those of whoever forwards nothing by default.
    """
    name, network, program = bridge["name"], bridge["network"], bridge["iptables"]
    out = ["--source", network, "!", "--out-interface", name, "--jump", "MASQUERADE"]
    back = ["--out-interface", name, "--match", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "--jump", "ACCEPT"]
    return [
        [program, "--append", "POSTROUTING", "--wait", "--table", "nat", *out],
        [program, "--insert", "FORWARD", "--wait", "--in-interface", name, "--jump", "ACCEPT"],
        [program, "--insert", "FORWARD", "--wait", *back],
    ]


def _add_bridge(bridge: Bridge) -> None:
    import _socket  # noqa: PLC0415 -- only here; `socket` itself takes longer to import than all the rest

    name = bridge["name"].encode()
    control = _socket.socket(_INET, _DATAGRAMS)
    try:
        fcntl.ioctl(control.fileno(), _ADD_BRIDGE, name.ljust(16, b"\0"))
        for request, address in ((_SET_ADDRESS, bridge["address"]), (_SET_MASK, "255.255.255.0")):
            packed = struct.pack("16sHH4s8x", name, _INET, 0, bytes(map(int, address.split("."))))
            fcntl.ioctl(control.fileno(), request, packed)
        if bridge["mtu"] is not None:
            fcntl.ioctl(control.fileno(), _SET_MTU, struct.pack("16si20x", name, bridge["mtu"]))
        _set_up(control.fileno(), name, up=True)
    finally:
        control.close()
    with open("/proc/sys/net/ipv4/ip_forward", "rb+", buffering=0) as forward:
        if forward.read().strip() == b"0":
            forward.write(b"1")


def _delete_bridge(name: str) -> None:
    import _socket  # noqa: PLC0415 -- as above

    if not os.path.exists(f"/sys/class/net/{name}"):
        return
    control = _socket.socket(_INET, _DATAGRAMS)
    with contextlib.suppress(OSError):
        _set_up(control.fileno(), name.encode(), up=False)
        fcntl.ioctl(control.fileno(), _DELETE_BRIDGE, name.encode().ljust(16, b"\0"))
    control.close()


def _set_up(control: int, name: bytes, *, up: bool) -> None:
    flags = struct.unpack("16sH22x", fcntl.ioctl(control, _GET_FLAGS, struct.pack("16sH22x", name, 0)))[1]
    fcntl.ioctl(control, _SET_FLAGS, struct.pack("16sH22x", name, flags | _UP if up else flags & ~_UP))


def _remove_groups(name: str) -> None:
    deadline = time.monotonic() + _GROUPS_SECONDS
    for hierarchy in _hierarchies():
        for folder, _, _ in os.walk(f"{hierarchy}/{name}", topdown=False):
            while os.path.exists(folder) and time.monotonic() < deadline:
                try:
                    os.rmdir(folder)
                except OSError:
                    time.sleep(_PAUSE)


def _hierarchies() -> list[str]:
    """Where control groups are mounted, of both versions."""
    found: list[str] = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mounts:
        for line in mounts:
            before, _, after = line.partition(" - ")
            if after.split(" ", 1)[0] in {"cgroup", "cgroup2"}:
                found.append(before.split()[4])
    return found


def _delete(folder: str) -> None:
    """Delete a directory of ours, as far as it can be."""
    for path, folders, files in os.walk(folder, topdown=False):
        for name in files:
            with contextlib.suppress(OSError):
                os.unlink(f"{path}/{name}")
        for name in folders:
            with contextlib.suppress(OSError):
                (os.unlink if os.path.islink(f"{path}/{name}") else os.rmdir)(f"{path}/{name}")
    with contextlib.suppress(OSError):
        os.rmdir(folder)


def _lock(root: str) -> None:
    """Hold the lock of a daemon's directory, to the end of this process and of the first one of the namespaces."""
    lock = os.open(f"{root}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Who has it may be about to end; who has asked us may be gone, too.
            if time.monotonic() > deadline or select.select([0], [], [], _PAUSE)[0]:
                raise KeeperError("busy", 0, root) from None
        else:
            return


# --- calls


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
            sys.exit(1)
        line += part
    return line


def _tell(document: dict[str, object]) -> None:
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(document).encode() + b"\n")


def _failed(error: KeeperError) -> int:
    _tell({"failed": error.what, "number": error.number, "said": error.said})
    return 1


def _run(command: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """Run a program to its end; returns what it ended with, and what it said."""
    reading, writing = os.pipe()
    outputs = [(os.POSIX_SPAWN_DUP2, writing, 1), (os.POSIX_SPAWN_DUP2, writing, 2)]
    try:
        pid = os.posix_spawn(command[0], command, environment, file_actions=outputs)
    except OSError as error:
        os.close(reading)
        return 1, f"{command[0]}: {error.strerror}"
    finally:
        os.close(writing)
    said = _all(reading)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.decode(errors="replace").strip()


def _all(reading: int) -> bytes:
    said = b""
    while part := os.read(reading, 65536):
        said += part
    os.close(reading)
    return said


def _mount(source: str, target: str, kind: str, flags: int, data: bytes | None = None, *, what: str = "mounts") -> None:
    _call("mount", os.fsencode(source), os.fsencode(target), kind.encode() or None, flags, data, what=what)


def _call(name: str, *arguments: object, what: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*(ctypes.c_ulong(each) if isinstance(each, int) else each for each in arguments)) != 0:
        number = ctypes.get_errno()
        raise KeeperError(what, number, f"{name}: {os.strerror(number)}")


if __name__ == "__main__":
    sys.exit(main())
