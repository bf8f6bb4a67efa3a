"""What is wrong with a builder: each rule, just before and just behind its bound; and facts that nobody told."""

import msgspec
import pytest

from orchestrator.app import hostfacts
from orchestrator.app.hostfacts import Daemon, Host, Platform, locked, platforms, same, summary
from remote.probe import Disk, Machine, Socket

MACHINE = Machine(
    kernel="Linux",
    architecture="x86_64",
    user="deploy",
    cores=8,
    load=0.5,
    memory=1_000_000,
    memory_available=900_000,
    swap=500_000,
    swap_free=500_000,
    emulators=(),
    sockets=(),
    daemons=(),
)
DAEMON = Daemon(
    kind="buildkitd",
    version="v0.30.0",
    worker="w",
    snapshotter="overlayfs",
    platforms=(),
    latency_ms=1.0,
    running=0,
    cache=0,
)
DISK = Disk(
    kind="nvme",
    filesystem="ext",
    device="nvme0n1",
    backing=None,
    size=1_000_000,
    free=500_000,
    inodes=1000,
    inodes_free=500,
)
WELL = Host(
    address="ssh://a",
    state="well",
    slots=4,
    slots_said=True,
    daemon=DAEMON,
    machine=MACHINE,
    unknown=None,
    root="/r",
    disk=DISK,
    quota=4.0,
)


def change(path: str, value: object) -> Host:
    """The well one with another value in one place."""
    part, _, name = path.rpartition(".")
    if not part:
        return msgspec.structs.replace(WELL, **{name: value})
    return msgspec.structs.replace(WELL, **{part: msgspec.structs.replace(getattr(WELL, part), **{name: value})})


@pytest.mark.parametrize(
    ("path", "value", "kinds"),
    [
        ("slots", 4, []),
        ("slots", 5, ["quota"]),
        ("quota", 3.99, ["quota"]),
        ("quota", None, []),
        ("daemon", None, []),
        ("daemon.version", "v0.13.2", []),
        ("daemon.version", "v0.12.5", ["daemon-old"]),
        ("daemon.version", "9d1ed4d6", []),
        ("daemon.version", None, ["daemon-old"]),
        ("daemon.snapshotter", "native", ["snapshotter-native"]),
        ("daemon.snapshotter", None, []),
        ("disk", None, []),
        ("disk.free", 100_000, []),
        ("disk.free", 99_999, ["disk-full"]),
        ("disk.free", None, []),
        ("disk.size", None, []),
        ("disk.inodes_free", 99, ["disk-inodes"]),
        ("disk.inodes", 0, []),
        ("disk.kind", "network", ["disk-network"]),
        ("disk.kind", "loop", []),
        ("disk.backing", "ceph", ["disk-network"]),
        ("disk.backing", "ext", []),
        ("machine", None, []),
        ("machine.swap_free", 450_000, []),
        ("machine.swap_free", 449_999, ["swap"]),
        ("machine.swap_free", None, []),
        ("machine.memory", None, []),
    ],
)
def test_a_rule_speaks_behind_its_bound_and_of_what_is_known(path: str, value: object, kinds: list[str]) -> None:
    found = hostfacts.problems(change(path, value))

    assert [each.kind for each in found] == kinds
    assert all(each.message and each.hint for each in found)


def test_an_engine_that_does_not_say_its_version_is_none_too_old() -> None:
    engine = msgspec.structs.replace(DAEMON, kind="engine, graph driver", version=None, snapshotter=None)

    assert hostfacts.problems(msgspec.structs.replace(WELL, daemon=engine)) == ()


def test_addresses_of_one_daemon_are_told_but_for_the_first() -> None:
    hosts = [msgspec.structs.replace(WELL, address=name) for name in ("unix:///a", "ssh://b", "ssh://c")]
    other = msgspec.structs.replace(WELL, address="ssh://d", daemon=msgspec.structs.replace(DAEMON, worker="x"))

    found = same([*hosts, other, msgspec.structs.replace(WELL, address="ssh://e", daemon=None)])

    assert {address: each.message for address, each in found.items()} == {
        "ssh://b": "this is the daemon of unix:///a",
        "ssh://c": "this is the daemon of unix:///a",
    }


def test_engines_with_a_graph_driver_have_no_id_of_their_own() -> None:
    engine = msgspec.structs.replace(DAEMON, kind="engine, graph driver")
    hosts = [msgspec.structs.replace(WELL, address=name, daemon=engine) for name in ("docker:///a", "docker:///b")]

    assert same(hosts) == {}


NAMES = ("linux/amd64", "linux/amd64/v2", "linux/386", "linux/arm64", "linux/arm/v7")


@pytest.mark.parametrize(
    ("architecture", "emulators", "emulated"),
    [
        ("x86_64", (), [False, False, False, True, True]),
        ("x86_64", ("qemu-i386",), [False, False, True, True, True]),
        ("aarch64", (), [True, True, True, False, False]),
        ("aarch64", ("qemu-arm",), [True, True, True, False, True]),
        ("s390x", (), [True] * 5),
        (None, (), [None] * 5),
    ],
)
def test_a_platform_is_native_where_the_processor_runs_it(
    architecture: str | None, emulators: tuple[str, ...], emulated: list[bool | None]
) -> None:
    machine = msgspec.structs.replace(MACHINE, architecture=architecture, emulators=emulators)

    assert [each.emulated for each in platforms(NAMES, machine)] == emulated
    assert [each.emulated for each in platforms(NAMES, None)] == [None] * 5


def test_platforms_are_summed_up_without_their_variants() -> None:
    told = summary(platforms(NAMES, MACHINE))

    assert told == "linux/amd64, linux/386, linux/arm64 emulated, linux/arm emulated"
    assert summary((Platform(platform="linux/amd64/v2", emulated=None),)) == "linux/amd64"


@pytest.mark.parametrize(
    ("address", "named"),
    [
        ("ssh://a", "ssh://a?socket=/run/user/7/docker.sock"),
        ("ssh://a?slots=4", "ssh://a?socket=/run/user/7/docker.sock&slots=4"),
        ("ssh://a?socket=/x&slots=4", "ssh://a?socket=/run/user/7/docker.sock&slots=4"),
    ],
)
def test_sockets_that_are_shut_or_elsewhere_are_told(address: str, named: str) -> None:
    sockets = (
        Socket(path="/run/buildkit/buildkitd.sock", writable=True),
        Socket(path="/var/run/docker.sock", writable=False),
        Socket(path="/run/user/7/docker.sock", writable=True),
    )
    machine = msgspec.structs.replace(MACHINE, sockets=sockets)

    found = locked(address, machine, ("/run/buildkit/buildkitd.sock", "/var/run/docker.sock"))

    assert [each.kind for each in found] == ["socket-permission", "socket-elsewhere"]
    assert found[0].message == "deploy may not open /var/run/docker.sock there"
    assert found[1].hint.endswith(f": {named}")
