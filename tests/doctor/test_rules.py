"""Each symptom by a table: when it is told, when it is not, and with which cure."""

from typing import Any

import pytest

from orchestrator.doctor.facts import Answer, Builder, Built, Facts, Interface, Pressure, Problem
from orchestrator.doctor.rules import problems
from remote.probe import Disk, Kind


def disk(kind: Kind, *, backing: str | None = None) -> Disk:
    return Disk(
        kind=kind, filesystem="ext", device=None, backing=backing, size=1, free=1, inodes=None, inodes_free=None
    )


def builder(**said: Any) -> Builder:  # noqa: ANN401 -- any field
    fields: dict[str, Any] = {
        "address": "unix:///b",
        "is_here": True,
        "is_engine": False,
        "snapshotter": "overlayfs",
        "root": "/r",
    }
    fields |= {"disk": disk("ssd"), "platforms": ("linux/amd64", "linux/arm/v7")}
    return Builder(**{**fields, **said})


def builds(*seconds_and_cached: tuple[float, int], **said: Any) -> tuple[Built, ...]:  # noqa: ANN401 -- as above
    return tuple(Built(app="api", seconds=each, cached=cached, steps=10, **said) for each, cached in seconds_and_cached)


WELL = Facts(
    builders=(builder(),),
    pressure=Pressure(iowait=0.05, stalled=0.1),
    interfaces=(
        Interface(name="docker0", mtu=1450, is_bridge=True),
        Interface(name="eth0", mtu=1450, is_default=True),
        Interface(name="lo", mtu=65536),
    ),
    overlay=True,
    answers=(Answer(host="docker.io", seconds=0.2, ahead=2.0, limit=100, remaining=60, window=21600),),
    builds=builds((20.0, 0), (3.0, 9)),
    wanted={"linux/amd64": "api"},
)
NETWORK_ROOT = builder(disk=disk("loop", backing="ceph"))
ENGINE = builder(address="docker:///d", is_engine=True, disk=disk("hdd"), snapshotter=None)


def seen(**said: Any) -> Facts:  # noqa: ANN401 -- as above
    return Facts(**{**{name: getattr(WELL, name) for name in WELL.__struct_fields__}, **said})


def test_nothing_is_told_of_what_is_well_or_was_not_seen() -> None:
    assert problems(WELL) == ()
    assert problems(Facts()) == ()


@pytest.mark.parametrize(
    ("facts", "kind", "about", "message", "cure"),
    [
        (
            seen(pressure=Pressure(iowait=0.34), builders=(NETWORK_ROOT,)),
            *("iowait", "unix:///b", "34% of the time; /r lies on loop on ceph (ext)", 'root = "/LOCAL-DISK/buildkit"'),
        ),
        (seen(pressure=Pressure(iowait=0.0, stalled=0.5)), *("iowait", "unix:///b", "50% of it", "--jobs 2")),
        (
            seen(pressure=Pressure(iowait=0.3), builders=(ENGINE,)),
            *("iowait", "docker:///d", "/r lies on hdd", '"data-root": "/LOCAL-DISK/docker"'),
        ),
        (seen(pressure=Pressure(iowait=0.3), builders=()), "iowait", "this machine", "30%", "iostat"),
        (
            seen(overlay=False, builders=(builder(snapshotter="native"),)),
            *("overlay-missing", "this machine", "no overlayfs", "apt-get install linux-modules-extra-$(uname -r)"),
        ),
        (
            seen(interfaces=(Interface(name="docker0", mtu=1500, is_bridge=True), *WELL.interfaces[1:])),
            *("mtu", "docker0", "may have 1500 bytes, and the way out takes 1450", "ip link set dev docker0 mtu 1450"),
        ),
        (
            seen(interfaces=(Interface(name="br-0123456789ab", mtu=1500, is_bridge=True), *WELL.interfaces[1:])),
            *(
                "mtu",
                "br-0123456789ab",
                "1500 bytes",
                "docker network create -o com.docker.network.driver.mtu=1450 NAME",
            ),
        ),
        (
            seen(answers=(Answer(host="a", seconds=1.0, ahead=-400.0),)),
            *("clock", "this machine", "6m40s behind that of a", "timedatectl set-ntp true"),
        ),
        (
            seen(answers=(Answer(host="a", seconds=1.0, ahead=90.0), Answer(host="b", seconds=0.0, ahead=90.0))),
            *("clock", "this machine", "1m30s before that of a", "timedatectl set-ntp true"),
        ),
        (
            seen(answers=(Answer(host="docker.io", seconds=0.0, limit=100, remaining=3, window=21600),)),
            *("registry-limit", "docker.io", "3 of 100 pulls in 6h00m are left", "docker login docker.io"),
        ),
        (
            seen(answers=(Answer(host="h", seconds=0.0, limit=100, remaining=3, known=True),)),
            *("registry-limit", "h", "3 of 100 pulls are left", "REGISTRY_MIRROR="),
        ),
        (
            seen(answers=(Answer(host="h", seconds=0.0, limit=9, remaining=0, known=True),), mirror="m"),
            *("registry-limit", "h", "0 of 9", "fleetpacks cache warm"),
        ),
        (
            seen(builds=builds((60.0, 9), pulled=60_000_000, pulling=30.0)),
            *("pull-slow", "base images", "2.0 MB a second to api", "fleetpacks cache warm"),
        ),
        (
            seen(builds=builds((60.0, 9), pulled=60_000_000, pulling=1.0, unpacking=40.0), builders=(NETWORK_ROOT,)),
            *("unpack-slow", "unix:///b", "1.5 MB a second for api; /r lies on loop on ceph", "rsync -aHAX /r/"),
        ),
        (
            seen(
                builds=builds((60.0, 9), pulled=60_000_000, pulling=1.0, unpacking=40.0),
                builders=(NETWORK_ROOT, builder(address="ssh://b", is_here=False)),
            ),
            *("unpack-slow", "builders", "1.5 MB a second for api", "fleetpacks hosts check"),
        ),
        (
            seen(builds=builds((80.0, 0), (100.0, 1), (9.0, 8), (10.0, 9))),
            *(
                "first-build",
                "api",
                "takes 1m30s, later 9s: 9 times",
                "CACHE_IMAGE=registry.example/cache CACHE_MODE=max BUILD_",
            ),
        ),
        (
            seen(builds=builds((80.0, 0), (10.0, 9)), layers=True),
            *("first-build", "api", "8 times", "export BUILD_CACHE_DIR="),
        ),
        (
            seen(wanted={"linux/arm64": "api"}),
            *("platform-missing", "api", "built for linux/arm64", "binfmt --install arm64"),
        ),
    ],
)
def test_a_symptom_is_told_with_its_cure(facts: Facts, kind: str, about: str, message: str, cure: str) -> None:
    [found] = problems(facts)

    assert (found.kind, found.about) == (kind, about)
    assert message in found.message
    assert cure in found.cure


@pytest.mark.parametrize(
    "facts",
    [
        # The daemon uses it, wherever the kernel has it from.
        seen(overlay=False),
        # Nobody builds here.
        seen(overlay=False, builders=(builder(is_here=False, snapshotter=None),)),
        seen(overlay=False, builders=()),
        seen(interfaces=(Interface(name="docker0", mtu=9000, is_bridge=True),)),
        seen(
            interfaces=(
                Interface(name="eth0", mtu=9000, is_default=True),
                Interface(name="docker0", mtu=1500, is_bridge=True),
            )
        ),
        # An answer that took its time, and a registry with a clock of its own.
        seen(answers=(Answer(host="a", seconds=70.0, ahead=100.0),)),
        seen(answers=(Answer(host="a", seconds=0.1, ahead=900.0), Answer(host="b", seconds=0.1, ahead=1.0))),
        seen(answers=(Answer(host="a", seconds=0.1, limit=0, remaining=0),)),
        # Small, quick, and with caches: a first build is what it is.
        seen(builds=builds((9.0, 9), pulled=1_000_000, pulling=9.0)),
        seen(builds=builds((9.0, 9), pulled=60_000_000, pulling=1.0, unpacking=20.0)),
        seen(builds=builds((9.0, 9), pulled=600_000_000, pulling=1.0, unpacking=60.0)),
        seen(builds=builds((29.0, 0), (1.0, 9))),
        seen(builds=builds((80.0, 0), (20.0, 9))),
        seen(builds=builds((80.0, 0), (10.0, 9)), layers=True, packages=True),
        seen(builds=builds((80.0, 0))),
        seen(wanted={"linux/arm/v7": "api", "linux/arm": "web"}),
        seen(wanted={"linux/arm64": "api"}, builders=()),
    ],
)
def test_what_looks_like_a_symptom_and_is_none_is_not_told(facts: Facts) -> None:
    assert problems(facts) == ()


def test_what_was_told_comes_first() -> None:
    told = Problem(kind="disk-full", about="b", message="m", cure="c")

    assert problems(seen(told=(told,), wanted={"linux/arm64": "a"}))[0] is told
