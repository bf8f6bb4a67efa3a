"""What of a daemon the kernel does not take back: a bridge with ports and rules, control groups, sockets."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import time

from .calls import KeeperError, run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .task import Bridge, Task

_ADD_BRIDGE, _DELETE_BRIDGE = 0x89A0, 0x89A1
_GET_FLAGS, _SET_FLAGS, _SET_ADDRESS, _SET_MASK, _SET_MTU = 0x8913, 0x8914, 0x8916, 0x891C, 0x8922
"""linux/sockios.h."""
_INET, _DATAGRAMS = 2, 2
_NETLINK, _RAW = 16, 3
_DELETE_LINK, _REQUEST, _ACKNOWLEDGE = 17, 1, 4
"""RTM_DELLINK, NLM_F_REQUEST, NLM_F_ACK: rtnetlink(7), netlink(7)."""
_UP = 1
_PAUSE = 0.005
DONE = frozenset({0, 3})
"""What a keeper ends with that has left nothing to clear away: the daemon was ended, or failed, or was never begun."""
FAILED = 3
"""The second of them: no interpreter ends with it by itself."""
_WAIT = ("--wait", "10")
"""For whoever else changes rules, and not for ever."""
_LOCKED, _LOCK = 4, "xtables lock"
"""What iptables ends with, and speaks of, when somebody else changed rules all that time (iptables/xshared.c)."""
_END_SECONDS = 5.0
_GROUPS_SECONDS = 5.0
"""The kernel counts ended processes to their control group for a moment."""


def make_bridge(task: Task) -> None:
    """Make the bridge and its rules, where the daemon has one.

    Raises:
        KeeperError: it cannot be; what was made is for `clean`.
    """
    bridge = task["bridge"]
    if bridge is None:
        return
    try:
        _add_bridge(bridge)
    except OSError as error:
        raise KeeperError("bridge", error.errno or 0, f"{bridge['name']}: {error.strerror}") from error
    status, there = run([bridge["iptables"], "--list-rules", "FORWARD", *_WAIT], task["environment"])
    if status:
        raise KeeperError("iptables", 0, there)
    for rule in rules(bridge):
        # The place is none of the rule's when it is deleted.
        status, said = run(
            [*rule[:3], str(place_of(there)), *rule[3:]] if rule[1] == "--insert" else rule, task["environment"]
        )
        if status:
            raise KeeperError("iptables", 0, said)


def clean(task: Task) -> None:
    """Take away what is left of a daemon whose processes are gone: bridge, rules, control groups, sockets."""
    bridge = task["bridge"]
    # Rules come after the bridge, and go before it: without one there are none. Where they cannot go now it stays, and
    # the next start finds both.
    if bridge is not None and os.path.exists(f"/sys/class/net/{bridge['name']}"):
        gone = all(_delete_rule(rule, task["environment"]) for rule in rules(bridge))
        _delete_ports(bridge["name"])
        if gone:
            _delete_bridge(bridge["name"])
    _remove_groups(task["group"])
    _delete(task["run"])


def clean_unless_used(task: Task) -> None:
    """Do that for a keeper that was killed, unless another one has the directory by now, which has done it then."""
    with contextlib.suppress(OSError):
        lock = os.open(f"{task['root']}/lock", os.O_RDWR | os.O_CLOEXEC)
        try:
            # The first process of the namespaces holds it, too, until the kernel has ended all of them.
            deadline = time.monotonic() + _END_SECONDS
            while not _is_locked(lock) and time.monotonic() < deadline:
                time.sleep(_PAUSE)
            if _is_locked(lock):
                clean(task)
        finally:
            os.close(lock)


def _delete_rule(rule: list[str], environment: dict[str, str]) -> bool:
    """Delete a rule as often as it is there; whether that could be done."""
    while True:
        status, said = run([rule[0], "--delete", *rule[2:]], environment)
        if status:
            return status != _LOCKED or _LOCK not in said


def _is_locked(lock: int) -> bool:
    """Whether it is ours, now or already."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def rules(bridge: Bridge) -> list[list[str]]:
    """What leaves the bridge gets our address, and may be forwarded: program, verb, the rule.

    Two of them come before those of whoever forwards nothing by default.
    """
    name, network, program = bridge["name"], bridge["network"], bridge["iptables"]
    out = ["--source", network, "!", "--out-interface", name, "--jump", "MASQUERADE"]
    back = ["--out-interface", name, "--match", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "--jump", "ACCEPT"]
    return [
        [program, "--append", "POSTROUTING", *_WAIT, "--table", "nat", *out],
        [program, "--insert", "FORWARD", *_WAIT, "--in-interface", name, "--jump", "ACCEPT"],
        [program, "--insert", "FORWARD", *_WAIT, *back],
    ]


def place_of(there: str) -> int:
    """Where rules are put into a chain: first, but behind those that a machine's owner has for all containers.

    Args:
        there: the chain's own rules, as `iptables --list-rules` says them.
    """
    present = [line for line in there.splitlines() if line.startswith("-A ")]
    return next((place for place, line in enumerate(present, 2) if line.endswith(" -j DOCKER-USER")), 1)


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
    turn_on("/proc/sys/net/ipv4/ip_forward")


def turn_on(switch: str) -> None:
    """Have the kernel do something that it may do already: only then the switch has to be one that we may move."""
    with open(switch, "rb", buffering=0) as file:
        on = file.read().strip() != b"0"
    if not on:
        with open(switch, "wb", buffering=0) as file:
            file.write(b"1")


def _delete_ports(name: str) -> None:
    """Delete what a daemon has joined to the bridge, and its peers: it takes these away some time after a step.

    An end that lies in a container's own namespace goes with that, and takes the other one along.
    """
    import _socket  # noqa: PLC0415 -- as above

    kernel = _socket.socket(_NETLINK, _RAW)
    for port in os.listdir(f"/sys/class/net/{name}/brif"):
        with contextlib.suppress(OSError):
            with open(f"/sys/class/net/{port}/ifindex", "rb") as file:
                index = int(file.read())
            # A header, and a struct ifinfomsg; the answer is awaited, for the link is gone then.
            kernel.sendall(
                struct.pack("=IHHIIBxHiII", 32, _DELETE_LINK, _REQUEST | _ACKNOWLEDGE, 1, 0, 0, 0, index, 0, 0)
            )
            kernel.recv(4096)
    kernel.close()


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
