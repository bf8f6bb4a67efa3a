"""The lab's Ceph, in a lab of its own: written to, slowed down, broken, mended, and gone without a trace."""

import os
import re
import statistics
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from orchestrator.config import environment
from tests.lab import Lab
from tests.lab.ceph import Ceph, current, known
from tests.lab.ceph.network import link_of
from tests.lab.ceph.record import folder_of
from tests.lab.mounts import mount_points
from tests.lab.process import strays
from tests.lab.tools import run
from tests.lab_tests.test_commands import OwnLab, kill

pytestmark = [pytest.mark.real, pytest.mark.apart, pytest.mark.full]

_MIB = 1 << 20
_SLOW, _SLOW_BYTES = "80mbit", 10e6
"""A rate that no disk and no load of the machine goes below, and what it is in bytes per second."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def own(lab: Lab, anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[OwnLab]:
    """A lab with a Ceph that all tests of this module use; whoever breaks something mends it."""
    own = OwnLab(lab, tmp_path_factory.mktemp("c") / "lab")  # a socket's path must be short
    try:
        await up(own)
        yield own
    finally:
        await own.run("down")


async def up(own: OwnLab, *words: str) -> Ceph:
    status, output = await own.run("up", "--no-images", "--ceph", *words)
    assert status == 0, output
    found = current(own.layout)
    assert found is not None, output
    return found


def write(file: Path, size: int) -> float:
    """Write so many random bytes, down to the OSD; returns the seconds."""
    data = os.urandom(size)
    started = time.monotonic()
    with file.open("wb", buffering=0) as opened:
        opened.write(data)
        os.fsync(opened.fileno())
    return time.monotonic() - started


def milliseconds_of_a_small_write(folder: Path) -> float:
    """The median of 4 KiB with fsync."""
    taken: list[float] = []
    with (folder / "small").open("wb", buffering=0) as opened:
        for _ in range(21):
            started = time.monotonic()
            opened.write(os.urandom(4096))
            os.fsync(opened.fileno())
            taken.append(time.monotonic() - started)
    return statistics.median(taken) * 1000


async def remounted(own: OwnLab) -> Ceph:
    found = current(own.layout)
    assert found is not None
    await run(["umount", found.mount], doing="unmounting CephFS", hint="")
    status, said = await own.run("status")
    assert status == 1
    assert re.search("ceph +broken: .*mount ended by itself", said)
    return await up(own)


def traces(own: OwnLab) -> list[str]:
    """What is left of a Ceph, wherever it may be."""
    folder = folder_of(own.layout)
    places = [folder, Path("/sys/class/net", link_of(own.layout))]
    loops = [file for file in Path("/sys/block").glob("loop*/loop/backing_file") if str(folder) in file.read_text()]
    return [
        *(str(place) for place in places if place.exists()),
        *(str(daemon.pid) for daemon in strays(own.layout.root, files=["ceph/ceph.conf"])),
        *map(str, mount_points(own.layout.root)),
        *map(str, loops),
    ]


async def test_a_second_up_changes_nothing_and_says_nothing(own: OwnLab) -> None:
    first = current(own.layout)

    status, output = await own.run("up", "--no-images", "--ceph")

    assert first is not None
    assert current(own.layout) == first
    assert (status, "starting" in output) == (0, False)
    assert f"ceph       {first.mount}  link unlimited, no delay" in output


async def test_what_is_written_is_read_after_a_remount_and_neither_is_faster_than_the_link(own: OwnLab) -> None:
    ceph = await up(own, "--ceph-rate", _SLOW)
    data = os.urandom(24 * _MIB)

    seconds_written = await anyio.to_thread.run_sync(write, ceph.mount / "large", len(data))
    (ceph.mount / "known").write_bytes(data)
    ceph = await remounted(own)
    started = time.monotonic()
    found = await anyio.Path(ceph.mount / "known").read_bytes()
    seconds_read = time.monotonic() - started
    ceph = await up(own, "--ceph-rate", "none")
    seconds_unlimited = await anyio.to_thread.run_sync(write, ceph.mount / "large", len(data))

    assert found == data
    for seconds in (seconds_written, seconds_read):
        assert 0.4 * _SLOW_BYTES < len(data) / seconds < 1.1 * _SLOW_BYTES
    assert seconds_unlimited < seconds_written / 2


async def test_the_osd_answers_later_by_what_it_is_told_and_no_longer_when_it_is_told_so(own: OwnLab) -> None:
    ceph = await up(own)

    before = await anyio.to_thread.run_sync(milliseconds_of_a_small_write, ceph.mount)
    delayed = await up(own, "--ceph-delay", "30ms")
    during = await anyio.to_thread.run_sync(milliseconds_of_a_small_write, ceph.mount)
    await up(own, "--ceph-delay", "none")
    after = await anyio.to_thread.run_sync(milliseconds_of_a_small_write, ceph.mount)

    assert delayed.shape.delay == 30_000
    assert during - before > 30
    assert during - after > 30


async def test_a_killed_osd_is_seen_and_mended_with_its_data_and_its_delay(own: OwnLab) -> None:
    ceph = await up(own, "--ceph-delay", "30ms")
    await anyio.to_thread.run_sync(write, ceph.mount / "kept", _MIB)
    kept = await anyio.Path(ceph.mount / "kept").read_bytes()
    kill(ceph.daemons["osd.0"])

    status, said = await own.run("status")
    broken = known(own.layout)
    mended = await up(own)
    during = await anyio.to_thread.run_sync(milliseconds_of_a_small_write, mended.mount)
    await up(own, "--ceph-delay", "none")

    assert status == 1
    assert "ceph       broken: osd.0 ended by itself; `up --ceph` mends it" in said
    assert broken is not None
    assert broken.ended == ("osd.0",)
    assert {name for name in ceph.daemons if ceph.daemons[name] != mended.daemons[name]} == {"osd.0"}
    assert (mended.mount / "kept").read_bytes() == kept
    assert during > 30


async def test_a_killed_client_is_replaced_and_the_next_one_need_not_wait_for_its_files(own: OwnLab) -> None:
    ceph = await up(own)
    held = os.open(ceph.mount / "held", os.O_WRONLY | os.O_CREAT)
    os.write(held, b"held")
    os.fsync(held)
    kill(ceph.daemons["client"])
    with pytest.raises(OSError, match="not connected"):
        os.close(held)
    mended = await up(own)

    started = time.monotonic()
    found = await anyio.Path(mended.mount / "held").read_bytes()
    (mended.mount / "held").write_bytes(b"mine")

    assert found == b"held"
    assert time.monotonic() - started < 20


async def test_down_leaves_a_file_alone_that_is_in_use_and_says_so(own: OwnLab) -> None:
    ceph = await up(own)

    with (ceph.mount / "used").open("wb") as opened:
        status, output = await own.run("down")
        opened.write(b"still")

    assert status == 1
    assert f"{ceph.mount} is still mounted and cannot be unmounted" in output
    assert current(own.layout) == ceph
    assert (ceph.mount / "used").read_bytes() == b"still"


@pytest.mark.parametrize("moment", ["starting ceph-mon", "starting ceph-osd", "starting ceph-mds"])
async def test_an_up_that_is_killed_halfway_is_mended_and_down_leaves_nothing_of_it(
    lab: Lab, tmp_path_factory: pytest.TempPathFactory, moment: str
) -> None:
    own = OwnLab(lab, tmp_path_factory.mktemp("k") / "lab")
    command = [sys.executable, "-m", "tests.lab", "up", "--no-images", "--ceph"]
    env = {**environment.read(), "FLEETPACKS_LAB": str(own.layout.root)}
    try:
        async with await anyio.open_process(command, env=env, cwd=Path(__file__).parents[2]) as killed:
            assert killed.stderr is not None
            said = ""
            async for chunk in killed.stderr:
                said += chunk.decode()
                if moment in said:
                    break
            killed.kill()
        left = traces(own)
        ceph = await up(own)
        await _use_as_a_loop_device(ceph)
        before = traces(own)
        first = await own.run("down")
        after = traces(own)
        second = await own.run("down")
    finally:
        await own.run("down")

    assert moment in said
    assert left
    assert any("backing_file" in trace for trace in before)
    assert after == []
    assert (first[0], second[0]) == (0, 0), (first, second)
    assert "ended Ceph" not in second[1]


async def test_down_ends_a_half_made_one_and_one_that_does_not_answer(
    lab: Lab, tmp_path_factory: pytest.TempPathFactory
) -> None:
    own = OwnLab(lab, tmp_path_factory.mktemp("d") / "lab")
    try:
        ceph = await up(own)
        await _use_as_a_loop_device(ceph)
        kill(ceph.daemons["osd.0"])
        kill(ceph.daemons["mon.a"])
        status, output = await own.run("down")
        after = traces(own)
    finally:
        await own.run("down")

    assert (status, after) == (0, []), output


async def _use_as_a_loop_device(ceph: Ceph) -> None:
    """As a builder's root has to be used: by a file system of its own, mounted anywhere."""
    image, point = ceph.mount / "image", ceph.mount.parent.parent / "point"
    with image.open("wb") as opened:
        opened.truncate(200 * _MIB)
    point.mkdir(exist_ok=True)
    for command in (["mkfs.ext4", "-q", str(image)], ["mount", "-o", "loop", str(image), str(point)]):
        await run(command, doing="mounting a file of CephFS", hint="")
    (point / "file").write_bytes(os.urandom(_MIB))
