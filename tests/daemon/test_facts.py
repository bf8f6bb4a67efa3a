"""What is read of the machine, from the texts of the kernel and of programs."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.daemon import facts
from orchestrator.daemon.model import Groups
from orchestrator.model import DaemonKind

_ROUTE = """\
Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
ens5\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
"""
_ROUTE6 = """\
fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth7
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe80000000000000000000000000000b 00000400 00000001 00000000 00000003     eth6
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
"""  # noqa: E501 -- as the kernel writes it
_V1 = "32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
_V2 = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"


@pytest.mark.parametrize(
    ("route", "route6", "interface"),
    [(_ROUTE, _ROUTE6, "ens5"), ("", _ROUTE6, "eth6"), ("Iface\n", "", None), ("", "", None)],
)
def test_the_default_route_tells_the_interface(route: str, route6: str, interface: str | None) -> None:
    assert facts.default_interface(route, route6) == interface


@pytest.mark.parametrize(
    ("mounts", "groups"),
    [
        (_V1 + _V2, "v1"),
        (_V2, "v2"),
        (_V2.replace("rw,relatime -", "ro,relatime -"), "read-only"),
        (_V1.replace("rw,relatime -", "ro,relatime -") + _V2, "v2"),
        ("27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n", "none"),
        ("", "none"),
    ],
)
def test_control_groups_are_told_by_their_mounts(mounts: str, groups: Groups) -> None:
    assert facts.parse_groups(mounts) == groups


@pytest.mark.parametrize(
    ("status", "capabilities"),
    [
        ("CapPrm:\t000001ffffffffff\nCapEff:\t000001ffffffffff\n", {"sys_admin", "net_admin"}),
        # What a container gets that has no privileges.
        ("CapEff:\t00000000a80425fb\n", set[str]()),
        ("CapEff:\t0000000000001000\n", {"net_admin"}),
        ("Name:\tx\n", set[str]()),
    ],
)
def test_capabilities_are_those_that_have_effect(status: str, capabilities: set[str]) -> None:
    assert facts.parse_capabilities(status) == capabilities


@pytest.mark.parametrize(
    ("said", "version"),
    [
        (b"Docker version 20.10.24+dfsg1, build 297e128\n", (20, 10)),
        (b"Docker version 29.0.1, build eedd969\n", (29, 0)),
        (b"Docker version v2.0.0-beta.24, build HEAD\n", (2, 0)),
        (b"dockerd: not found", None),
        (b"", None),
    ],
)
def test_an_engines_version_is_what_it_says(said: bytes, version: tuple[int, int] | None) -> None:
    assert facts.parse_version(said) == version


def test_the_disk_below_a_directory_is_that_of_the_deepest_mount(tmp_path: Path) -> None:
    mounts = (
        "27 1 254:0 / / rw,relatime - overlay overlay rw\n"
        f"28 27 254:1 / {str(tmp_path).replace(' ', chr(92) + '040')} rw - ext4 /dev/vdb rw\n"
        f"29 28 0:40 / {tmp_path}/other rw - tmpfs tmpfs rw\n"
        f"30 27 254:1 / {tmp_path} rw - xfs /dev/vdc rw\n"
    )

    assert facts.disk_of(tmp_path / "not" / "yet", mounts) == "xfs"
    assert facts.disk_of(Path("/"), mounts) == "overlay"
    assert facts.disk_of(Path("/"), "") == ""
    # A place that cannot even be asked for, as one below a directory that is closed to us.
    assert facts.disk_of(tmp_path / ("x" * 300) / "y", mounts) == "xfs"


async def test_an_engine_that_cannot_be_run_has_no_version(tmp_path: Path) -> None:
    (tmp_path / "dockerd").write_bytes(b"\x7fELF of another machine")
    (tmp_path / "dockerd").chmod(0o755)

    found = await facts.gather("dockerd", tmp_path, {"PATH": str(tmp_path)})

    assert found.programs["dockerd"] == f"{tmp_path}/dockerd"
    assert found.version is None


def test_what_serves_in_a_programs_place_is_found(tmp_path: Path) -> None:
    for name in ("buildkitd", "crun", "buildkit-runc"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)

    found = facts.find("buildkitd", str(tmp_path))

    assert found == {"buildkitd": f"{tmp_path}/buildkitd", "runc": f"{tmp_path}/buildkit-runc"}


def test_programs_are_looked_for_where_daemons_lie_too() -> None:
    assert facts.search_path({"PATH": "/opt/bin:/usr/bin"}).split(":")[:2] == ["/opt/bin", "/usr/bin"]
    assert facts.search_path({}) == facts.SYSTEM_PATH
    assert "/usr/sbin" in facts.search_path({"PATH": "/bin"}).split(":")


@pytest.mark.parametrize("path", ["/usr/bin:", ":/usr/bin", "/usr/bin::/bin", ".:/usr/bin", "bin:/usr/bin:./x", ""])
def test_nothing_is_looked_for_in_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    for place in (tmp_path, tmp_path / "bin", tmp_path / "x"):
        place.mkdir(exist_ok=True)
        (place / "mount.fuse3").write_text("")
        (place / "mount.fuse3").chmod(0o755)
    monkeypatch.chdir(tmp_path)

    found = facts.search_path({"PATH": path})

    assert all(folder.startswith("/") for folder in found.split(":"))
    assert str(tmp_path) not in facts.find("buildkitd", found).get("mount.fuse3", "")


@given(st.text())
def test_no_text_makes_a_parser_fail(text: str) -> None:
    line = text.replace("\n", " ")

    facts.default_interface(text, text)
    facts.parse_version(text.encode(errors="replace"))
    assert facts.parse_groups(f"1 2 3 / {line.replace(' ', '_') or 'x'} rw - ext4 x rw") == "none"


@pytest.mark.parametrize("kind", ["buildkitd", "dockerd"])
async def test_this_machine_can_be_looked_at(kind: DaemonKind, tmp_path: Path) -> None:
    found = await facts.gather(kind, tmp_path / "x", {"PATH": "/nowhere"})

    assert found.disk
    assert found.interface is None or found.mtu
    assert set(found.programs) <= set(facts.PROGRAMS[kind])
