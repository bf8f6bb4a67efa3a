"""Where a daemon of our own cannot be, and what to do then: from facts before it is started, from its words after.

The table of what daemons say is the border: nothing else reads their logs.
"""

import errno
import re
from collections.abc import Iterator, Sequence

from orchestrator.daemon.model import Facts, Settings, Ways
from orchestrator.errors import FleetpacksError, OwnDaemonBusyError, OwnDaemonError

_LONGEST_SOCKET = 107
"""Bytes of a unix socket's path: sun_path of unix(7) without its final zero."""
_LONGEST_NAMES = {"buildkitd": len("/run/buildkitd.sock"), "dockerd": len("/run/exec/libnetwork/0123456789ab.sock")}
_LAST_LINES = 12
_USUAL = Ways()
_INSTALL = {
    "buildkitd": "install it from https://github.com/moby/buildkit/releases, or use dockerd",
    "dockerd": "install it (Debian and Ubuntu: apt-get install docker.io), or use buildkitd",
    "containerd": "install it (Debian and Ubuntu: apt-get install containerd)",
    "containerd-shim-runc-v2": "install it; it comes with containerd",
    "runc": "install it (Debian and Ubuntu: apt-get install runc)",
    "iptables": "install it (Debian and Ubuntu: apt-get install iptables), or use buildkitd, which needs none",
    "fuse-overlayfs": "install it (Debian and Ubuntu: apt-get install fuse-overlayfs)",
    "mount.fuse3": "install it (Debian and Ubuntu: apt-get install fuse3)",
}
_SAYS = (
    (r"invalid mirror", "A dockerd before 28 takes no mirror with a path: leave it out, or use buildkitd."),
    (
        r"no space left on device",
        "Make room, or put its directory on another disk ({directory}). `fleetpacks cache prune` deletes what is old.",
    ),
    (r"fuse: device not found|/dev/fuse", "Give the container the device: docker run --device /dev/fuse."),
    (r"iptables|nf_tables", "Use buildkitd, which needs no rules."),
    (r"could not lock|timeout.*(boltdb|database)|boltdb.*timeout", "Another daemon uses its directory: {directory}."),
    (r"address already in use", "Another program listens there: choose another directory ({directory})."),
)
"""What daemons say when they do not start, and what to do; with what `Ways` names."""


def refuse(of: Settings, facts: Facts, ways: Ways = _USUAL) -> None:
    """Let a daemon pass that can be expected to run.

    Raises:
        OwnDaemonError: it cannot.
    """
    for message, hint in _problems(of, facts, ways):
        raise OwnDaemonError(f"{of.kind} cannot be started here: {message}", hint=hint)


def _problems(of: Settings, facts: Facts, ways: Ways) -> Iterator[tuple[str, str]]:
    """What stands against it, and what to do; what has to be mended first comes first."""
    missing = [name for name in _needed(of) if name not in of.programs]
    if "sys_admin" not in facts.capabilities:
        yield "this process may not mount anything (it lacks CAP_SYS_ADMIN)", _privilege(facts, ways)
    if of.kind == "dockerd" and "net_admin" not in facts.capabilities:
        yield "this process may not make a network bridge (it lacks CAP_NET_ADMIN)", _privilege(facts, ways)
    if missing:
        yield f"there is no program {missing[0]}", f"To mend that, {_INSTALL[missing[0]]}, or {ways.elsewhere}."
    if facts.groups == "none":
        hint = f"Mount them (mount -t cgroup2 none /sys/fs/cgroup), or {ways.elsewhere}."
        yield "no control groups are mounted", hint
    if facts.groups == "read-only":
        yield "control groups are mounted read-only", _privilege(facts, ways)
    if of.storage == "fuse-overlayfs" and not facts.fuse:
        hint = "Give the container the device (docker run --device /dev/fuse), or load the module: modprobe fuse."
        yield "fuse-overlayfs needs /dev/fuse, which cannot be opened", hint
    if len(bytes(of.root)) + _LONGEST_NAMES[of.kind] > _LONGEST_SOCKET:
        hint = f"Choose a directory with a shorter path: {ways.directory}."
        yield f"paths of sockets in {of.root} would be too long", hint
    if of.storage != "vfs" and (found := [sign for sign in ":,\\" if sign in str(of.root)]):
        hint = f"Choose a directory without it: {ways.directory}."
        yield f"{found[0]!r} in the path of {of.root} divides the directories of an overlay", hint


def _needed(of: Settings) -> Sequence[str]:
    more = ["fuse-overlayfs"] if of.storage == "fuse-overlayfs" else []
    if of.kind == "buildkitd":
        # Its snapshotter mounts through libfuse's helper; dockerd's driver does without.
        return ["buildkitd", "runc", *more, *(["mount.fuse3"] if more else [])]
    return ["dockerd", "containerd", "containerd-shim-runc-v2", "runc", "iptables", *more]


def _privilege(facts: Facts, ways: Ways) -> str:
    if facts.contained:
        return (
            "Start the container with privileges (docker run --privileged, or securityContext.privileged in "
            f"Kubernetes), or {ways.elsewhere}."
        )
    return f"Run it as root, or {ways.elsewhere}: a rootless daemon of your own, say."


def failed(
    of: Settings, facts: Facts, ways: Ways = _USUAL, *, what: str, number: int, said: str, log: str
) -> FleetpacksError:
    """What went wrong while a daemon was started, as an error.

    Args:
        of: what it was started with.
        facts: where.
        ways: what hints name.
        what: the part that failed, in the keeper's words; "silent" where the daemon gives no answer; "over" where it
            has ended after it had answered.
        number: the system's error, or what the daemon ended with; 0: neither.
        said: more of it.
        log: what the daemon has said.
    """
    match what:
        case "busy":
            return OwnDaemonBusyError(
                f"{of.root}: another run has a {of.kind} there",
                hint=f"Wait for it, or give this one a directory of its own: {ways.directory}.",
            )
        case "overlay":
            return OwnDaemonError(
                f"{of.kind} cannot be started here: overlay does not work in {of.root}{_on(facts)}: {said}",
                hint=_instead_of_overlay(facts, ways),
            )
        case "namespaces" | "mounts":
            why = f"{of.kind} cannot be started here: {said}"
            denied = number in (errno.EPERM, errno.EACCES)
            hint = _privilege(facts, ways) if denied else f"Look at the kernel, or {ways.elsewhere}."
            return OwnDaemonError(why, hint=hint)
        case "bridge" | "iptables":
            return OwnDaemonError(
                f"{of.kind} cannot be started here: no network for its containers: {said or 'iptables fails'}",
                hint="Use buildkitd, whose steps share this machine's network.",
            )
        case "files" | "program":
            return OwnDaemonError(f"{of.kind} cannot be started: {said}", hint=f"Mend that, or {ways.elsewhere}.")
        case _:
            return _silent(of, what, number, said, log, ways=ways)


def _silent(of: Settings, what: str, number: int, said: str, log: str, *, ways: Ways) -> FleetpacksError:
    lines = log.splitlines()[-_LAST_LINES:]
    end = f" (exit status {number})" if what in {"ended", "over"} and number else ""
    happened = {"silent": "does not answer", "over": f"ended{end}"}.get(what, f"ended while it started{end}")
    more = f": {said}" if said else ""
    hint = next((hint for pattern, hint in _SAYS if re.search(pattern, "\n".join(lines), re.IGNORECASE)), "")
    return OwnDaemonError(
        "\n".join([f"{of.kind} {happened}{more}; the end of its log:", *(f"  {line}" for line in lines)]),
        hint=hint.format(directory=ways.directory) or f"The whole log is {of.log}.",
    )


def _on(facts: Facts) -> str:
    return f" (on {facts.disk})" if facts.disk else ""


def _instead_of_overlay(facts: Facts, ways: Ways) -> str:
    volume = f"Put its directory on a volume (docker run -v fleetpacks:/data, with {ways.directory} /data)"
    elsewhere = volume if facts.disk == "overlay" else f"Put its directory on another disk ({ways.directory})"
    return f"{elsewhere}, or set STORAGE_DRIVER=fuse-overlayfs (or vfs, which copies everything)."
