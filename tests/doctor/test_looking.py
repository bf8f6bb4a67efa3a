"""The kernel's files as they are, as they are not, and with anything in them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.doctor import looking
from orchestrator.doctor.facts import Interface
from orchestrator.registry import looks

_ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
wg0\t00000000\t00000000\t0000\t0\t0\t0\t00000000\t0\t0\t0
eth1\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""
_NO = "0" * 32
_ROUTES_6 = f"""\
{_NO} 00 {_NO} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth2
{_NO} 00 {_NO} 00 {_NO} ffffffff 00000001 00000000 00200200       lo
fe800000000000000000000000000000 40 {_NO} 00 {_NO} 00000100 00000001 00000000 00000001     eth0
"""


def plant(root: Path, **files: str) -> None:
    for name, text in files.items():
        file = root / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_the_files_of_a_kernel_are_read(tmp_path: Path) -> None:
    plant(
        tmp_path,
        proc__stat="cpu  100 0 50 800 40 5 5 0 0 0\ncpu0 1 2 3 4\n",
        proc__pressure__io="some avg10=1.00 avg60=42.50 avg300=3.00 total=9\nfull avg10=0.00 avg60=1.00 total=1\n",
        proc__filesystems="nodev\tsysfs\nnodev\toverlay\n\text4\n",
        proc__net__route=_ROUTES,
        proc__net__ipv6_route=_ROUTES_6,
    )
    for name, mtu in {"eth0": "1450", "docker0": "1500", "br-0123456789ab": "1500", "br-lan": "9000"}.items():
        plant(tmp_path / "sys/class/net" / name, mtu=f"{mtu}\n")

    assert looking.times(tmp_path) == (40, 1000)
    assert looking.stalled(tmp_path) == 0.425
    assert looking.overlay(tmp_path) is True
    assert looking.interfaces(tmp_path) == (
        Interface(name="br-0123456789ab", mtu=1500, is_bridge=True),
        Interface(name="br-lan", mtu=9000),
        Interface(name="docker0", mtu=1500, is_bridge=True),
        Interface(name="eth0", mtu=1450, is_default=True),
    )
    assert looking.parse_routes(_ROUTES, _ROUTES_6) == {"eth0", "eth2"}


def test_a_machine_without_these_files_tells_nothing(tmp_path: Path) -> None:
    assert (looking.times(tmp_path), looking.stalled(tmp_path), looking.overlay(tmp_path)) == (None, None, None)
    assert looking.interfaces(tmp_path) == ()


@pytest.mark.parametrize(
    ("modules", "told"),
    [("kernel/fs/overlayfs/overlay.ko.xz: kernel/x.ko\n", True), ("kernel/fs/ext4/ext4.ko:\n", False), (None, None)],
)
def test_a_module_that_is_loaded_when_it_is_needed_counts(
    tmp_path: Path, modules: str | None, *, told: bool | None
) -> None:
    plant(tmp_path, proc__filesystems="\text4\n", proc__sys__kernel__osrelease="6.1.0-x\n")
    if modules is not None:
        plant(tmp_path / "lib/modules/6.1.0-x", **{"modules.dep": modules})

    assert looking.overlay(tmp_path) is told


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [((10, 100), (30, 200), 0.2), ((30, 100), (10, 200), 0.0), ((1, 100), (1, 100), None), (None, (1, 1), None)],
)
def test_the_time_between_two_looks_is_what_counts(
    before: tuple[int, int] | None, after: tuple[int, int] | None, told: float | None
) -> None:
    assert looking.share(before, after) == told


@given(st.text())
def test_anything_may_stand_in_these_files(text: str) -> None:
    looking.parse_times(text)
    looking.parse_times(f"cpu  {text}")
    looking.parse_stalled(text)
    looking.parse_stalled(f"some avg60={text}")
    looking.parse_routes(text, text)


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        (
            {
                "date": "Sun, 22 Nov 2026 14:00:00 GMT",
                "ratelimit-limit": "100;w=21600",
                "ratelimit-remaining": "76;w=21600",
            },
            looks.Look(date=1795356000.0, limit=100, remaining=76, window=21600),
        ),
        ({"ratelimit-remaining": " 5 "}, looks.Look(remaining=5)),
        ({"date": "yesterday", "ratelimit-limit": "many", "ratelimit-remaining": "-1"}, looks.Look()),
    ],
)
def test_what_a_registry_says_of_itself(headers: dict[str, str], told: looks.Look) -> None:
    assert looks.of(lambda name: headers.get(name, "")) == told


@given(st.text())
def test_a_registry_may_say_anything(text: str) -> None:
    looks.of(lambda _: text)
