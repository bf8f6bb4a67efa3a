"""Where a daemon of our own cannot be, and what its words mean: each with what to do next."""

import errno
import re
from pathlib import Path

import msgspec
import pytest

from orchestrator.daemon import refusal
from orchestrator.daemon.model import Ways
from orchestrator.errors import EXIT_TRANSIENT, OwnDaemonError
from tests.daemon.values import FACTS, SAID, settings


def without(program: str) -> dict[str, object]:
    return {"programs": {name: path for name, path in FACTS.programs.items() if name != program}}


_REFUSED: list[tuple[dict[str, object], dict[str, object], str, str]] = [
    ({}, {"capabilities": frozenset[str]()}, "CAP_SYS_ADMIN", "Run it as root"),
    ({}, {"capabilities": frozenset[str](), "contained": True}, "CAP_SYS_ADMIN", "--privileged"),
    ({"kind": "dockerd"}, {"capabilities": frozenset({"sys_admin"})}, "CAP_NET_ADMIN", "as root"),
    ({}, without("buildkitd"), "no program buildkitd", "moby/buildkit/releases"),
    ({}, without("runc"), "no program runc", "apt-get install runc"),
    ({"kind": "dockerd"}, without("dockerd"), "no program dockerd", "apt-get install docker.io"),
    ({"kind": "dockerd"}, without("iptables"), "no program iptables", "buildkitd, which needs none"),
    ({"kind": "dockerd"}, without("containerd"), "no program containerd", "--host"),
    ({"storage": "fuse-overlayfs"}, without("fuse-overlayfs"), "no program fuse-overlayfs", "apt-get install"),
    ({"storage": "fuse-overlayfs"}, without("mount.fuse3"), "no program mount.fuse3", "install fuse3"),
    ({"storage": "fuse-overlayfs"}, {"fuse": False}, "/dev/fuse", "--device /dev/fuse"),
    ({}, {"groups": "none"}, "no control groups", "mount -t cgroup2"),
    ({}, {"groups": "read-only", "contained": True}, "read-only", "--privileged"),
    ({"root": Path("/" + "long/" * 20)}, {}, "too long", "--data-root"),
    # Where a buildkitd's sockets have room; 20.10 ends with `listen unix ...: bind: invalid argument`.
    ({"root": Path("/" + "r" * 69), "kind": "dockerd"}, {}, "too long", "--data-root"),
    ({"root": Path("/a:b")}, {}, "':' in the path of /a:b", "--data-root"),
    ({"root": Path("/a,b"), "kind": "dockerd"}, {}, "',' in the path of /a,b", "--data-root"),
    ({"root": Path("/a:b"), "storage": "fuse-overlayfs"}, {}, "':' in the path of /a:b", "--data-root"),
]


@pytest.mark.parametrize(("said", "machine", "message", "hint"), _REFUSED)
def test_where_a_daemon_cannot_run_it_is_refused_with_what_to_do(
    said: dict[str, object], machine: dict[str, object], message: str, hint: str
) -> None:
    wanted = msgspec.structs.replace(SAID, **said)
    facts = msgspec.structs.replace(FACTS, **machine)
    made = msgspec.structs.replace(settings(wanted, facts), root=wanted.root or Path("/var/lib/own"))

    with pytest.raises(OwnDaemonError) as caught:
        refusal.refuse(made, facts)

    assert message in caught.value.message
    assert hint in caught.value.hint
    assert wanted.kind in caught.value.message


@pytest.mark.parametrize(("said", "machine", "message", "hint"), _REFUSED)
def test_what_is_offered_instead_is_what_the_command_has(
    said: dict[str, object], machine: dict[str, object], message: str, hint: str
) -> None:
    wanted = msgspec.structs.replace(SAID, **said)
    facts = msgspec.structs.replace(FACTS, **machine)
    made = msgspec.structs.replace(settings(wanted, facts), root=wanted.root or Path("/var/lib/own"))
    ways = Ways(elsewhere="measure elsewhere", directory="--target")

    with pytest.raises(OwnDaemonError, match=re.escape(message)) as caught:
        refusal.refuse(made, facts, ways)

    expected = {"--host": "measure elsewhere", "--data-root": "--target"}.get(hint, hint)
    assert expected in caught.value.hint
    assert not any(option in caught.value.hint for option in ("--host", "--data-root"))


_TAKEN: list[tuple[dict[str, object], dict[str, object]]] = [
    ({}, {}),
    ({}, {"capabilities": frozenset({"sys_admin"})}),
    ({}, without("iptables")),
    ({}, without("fuse-overlayfs")),
    ({"root": Path("/" + "r" * 68), "kind": "dockerd"}, {}),
    ({"root": Path("/" + "r" * 69)}, {}),
    ({}, {"fuse": False}),
    ({"storage": "fuse-overlayfs"}, {"disk": "overlay"}),
    ({"kind": "dockerd"}, {"groups": "v1"}),
    ({"root": Path("/a:b"), "storage": "vfs"}, {}),
]


@pytest.mark.parametrize(("said", "machine"), _TAKEN)
def test_what_a_daemon_does_not_need_may_be_missing(said: dict[str, object], machine: dict[str, object]) -> None:
    wanted = msgspec.structs.replace(SAID, **said)
    facts = msgspec.structs.replace(FACTS, **machine)

    made = settings(wanted, facts)

    refusal.refuse(msgspec.structs.replace(made, root=wanted.root or made.root), facts)


@pytest.mark.parametrize(
    ("what", "number", "said", "disk", "message", "hint"),
    [
        ("overlay", errno.EINVAL, "mount: Invalid argument", "overlay", "(on overlay)", "docker run -v"),
        ("overlay", errno.EINVAL, "mount: Invalid argument", "ceph", "(on ceph)", "STORAGE_DRIVER=fuse-overlayfs"),
        ("namespaces", errno.EPERM, "unshare: Operation not permitted", "ext4", "not permitted", "as root"),
        ("namespaces", errno.EINVAL, "unshare: Invalid argument", "ext4", "Invalid", "kernel"),
        ("iptables", 0, "can't initialize iptables table `nat'", "ext4", "no network", "Use buildkitd"),
        ("bridge", errno.EEXIST, "fpd-1: File exists", "ext4", "File exists", "Use buildkitd"),
        ("files", errno.ENOSPC, "/x: No space left on device", "ext4", "No space left", "Mend that"),
        ("ended", 1, "", "ext4", "ended while it started (exit status 1)", "The whole log is /var/lib/own/log"),
        ("ended", 0, "containerd", "ext4", "ended while it started: containerd;", "The whole log"),
        ("over", 2, "", "ext4", "buildkitd ended (exit status 2);", "The whole log"),
        ("over", 0, "", "ext4", "buildkitd ended;", "The whole log"),
        ("keeper", 0, "OSError()", "ext4", "OSError()", "The whole log"),
        ("silent", 0, "", "ext4", "does not answer", "The whole log"),
    ],
)
def test_what_went_wrong_is_told_with_what_to_do(
    *, what: str, number: int, said: str, disk: str, message: str, hint: str
) -> None:
    facts = msgspec.structs.replace(FACTS, disk=disk)

    error = refusal.failed(settings(), facts, what=what, number=number, said=said, log="first words\nlast words\n")

    assert message in error.message
    assert hint in error.hint
    assert ("last words" in error.message) is (what in {"ended", "over", "silent", "keeper"})


@pytest.mark.parametrize(
    ("log", "hint"),
    [
        ("failed to start daemon: invalid mirror: path, query, or fragment", "mirror with a path"),
        ("write /x: no space left on device", "another disk (--data-root)"),
        ("fuse: device not found, try 'modprobe fuse' first", "--device /dev/fuse"),
        ('level=fatal msg="something else"', "The whole log"),
    ],
)
def test_a_daemons_last_words_tell_what_to_do(log: str, hint: str) -> None:
    lines = "\n".join([*(f"line {number}" for number in range(50)), log])

    error = refusal.failed(settings(), FACTS, what="ended", number=1, said="", log=lines)

    assert hint in error.hint
    assert log in error.message
    assert "line 10" not in error.message


def test_a_directory_in_use_is_something_that_waiting_can_mend() -> None:
    error = refusal.failed(settings(), FACTS, what="busy", number=0, said="", log="")

    assert error.exit_code == EXIT_TRANSIENT
    assert "--data-root" in error.hint
