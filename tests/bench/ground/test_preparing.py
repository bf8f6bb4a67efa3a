"""Storages made ready: what of it lies where, and that all of it is gone afterwards, whoever ends it."""

import os
import secrets
import signal
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import anyio.abc
import pytest
from anyio import to_thread

from orchestrator.bench.ground import image, metered, place, prepared, tools, unmounting
from orchestrator.bench.model import Ground, Need, Target
from orchestrator.config import environment
from orchestrator.errors import StorageError, UsageError
from tests.bench.ground.real import ROOT, left, memory, stacked
from tests.lab.ceph import current

MIB = 1024 * 1024
ONCE = pytest.mark.parametrize("anyio_backend", ["asyncio"])
"""What is held to it runs in a process of its own."""
_MEASURING = """\
import sys
from pathlib import Path
import anyio
from orchestrator.bench.ground import prepared
from orchestrator.bench.model import Target
from orchestrator.cli import loop
from orchestrator.interrupts import interrupts

async def measure():
    async with prepared(Target(name="t", path=Path(sys.argv[1])), size=64 << 20, need="layers") as ground:
        (ground.path / "data").write_bytes(bytes(1 << 20))
        (ground.files / "data").write_bytes(bytes(1 << 20))
        print(ground.path, flush=True)
        await anyio.sleep_forever()

interrupts.install()
try:
    loop.run(measure)
except KeyboardInterrupt:
    sys.exit(interrupts.exit_code)
"""


def target(path: Path) -> Target:
    return Target(name="t", path=path)


@asynccontextmanager
async def measuring(path: Path) -> AsyncGenerator[tuple[anyio.abc.Process, Path]]:
    """A process that measures a storage until it is ended, and the path that it measures on."""
    root = str(Path(__file__).parents[3])
    words = [sys.executable, "-c", _MEASURING, str(path)]
    process = await anyio.open_process(words, env={**environment.read(), "PYTHONPATH": root}, stderr=None)
    try:
        assert process.stdout is not None
        line = b""
        with anyio.fail_after(60):
            while not line.endswith(b"\n"):
                line += await process.stdout.receive()
        yield process, Path(os.fsdecode(line.strip()))
    finally:
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.aclose()


@pytest.mark.parametrize("needs", ["layers", "files"])
@ROOT
async def test_a_storage_that_carries_overlay_is_measured_as_it_is(tmp_path: Path, needs: Need) -> None:
    with memory(tmp_path / "m") as disk:
        async with prepared(target(disk), size=MIB, need=needs) as ground:
            (ground.path / "x").write_text("x")
            (ground.files / "y").write_text("y")
            shown = ground

        assert (shown.kind, shown.looped, shown.device) == ("tmpfs", "", "")
        assert (shown.path == shown.files) == (needs == "files")
        assert shown.path.is_relative_to(disk)
        assert left(disk) == []


@ROOT
async def test_one_that_does_not_gets_an_image_with_the_reason_told(tmp_path: Path) -> None:
    with stacked(tmp_path / "s") as disk:
        async with prepared(target(disk), size=64 * MIB, need="layers") as ground:
            free = os.statvfs(ground.path)
            (ground.path / "x").write_bytes(bytes(MIB))
            taken = (ground.files.parent / "image").stat()
            shown = ground

        assert shown.kind == "overlay"
        # A path of a daemon's does not lead through the storage.
        assert not shown.path.is_relative_to(disk)
        assert shown.looped.startswith("overlay ")
        assert shown.device.startswith("7:")
        assert free.f_bavail * free.f_frsize >= 48 * MIB
        # Sparse: far less than its size.
        assert taken.st_blocks * 512 < taken.st_size / 2
        assert left(disk) == []


@ROOT
async def test_for_plain_files_no_image_is_made(tmp_path: Path) -> None:
    with stacked(tmp_path / "s") as disk:
        async with prepared(target(disk), size=MIB, need="files") as ground:
            shown = ground

    assert (shown.path, shown.looped, shown.device) == (shown.files, "", "")


@ROOT
async def test_nothing_is_left_of_a_measurement_that_fails_and_its_error_comes_out(tmp_path: Path) -> None:
    with stacked(tmp_path / "s") as disk:
        with pytest.raises(RuntimeError, match="broken"):
            await _measured(disk, 64 * MIB, _break)

        assert left(disk) == []


@ROOT
async def test_nothing_is_left_of_one_that_is_cancelled(tmp_path: Path) -> None:
    with stacked(tmp_path / "s") as disk:
        with anyio.CancelScope() as scope:
            async with prepared(target(disk), size=64 * MIB, need="layers") as ground:
                (ground.path / "x").write_bytes(bytes(8 * MIB))
                scope.cancel()
                await anyio.sleep_forever()

        assert scope.cancelled_caught
        assert left(disk) == []


@ROOT
async def test_cancelled_while_it_is_made_it_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with stacked(tmp_path / "s") as disk:
        with anyio.CancelScope() as scope:
            made = image.mounted

            async def mounted(*words: Path, size: int) -> None:
                await made(*words, size=size)
                scope.cancel()
                await anyio.lowlevel.checkpoint()

            monkeypatch.setattr(image, "mounted", mounted)
            async with prepared(target(disk), size=64 * MIB, need="layers"):
                raise AssertionError

        assert scope.cancelled_caught
        assert left(disk) == []


@ROOT
async def test_what_is_still_in_use_at_the_end_goes_with_its_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unmounting, "_BUSY_SECONDS", 0.05)
    with stacked(tmp_path / "s") as disk:
        async with prepared(target(disk), size=64 * MIB, need="layers") as ground:
            user = (ground.path / "x").open("wb")
        while_used = os.listdir(disk)  # noqa: PTH208 -- names alone
        user.close()

        assert while_used == []
        with anyio.fail_after(10):
            while left(disk):  # noqa: ASYNC110 -- the kernel tells no one
                await anyio.sleep(0.01)


@ROOT
async def test_a_full_disk_fails_what_is_measured_and_leaves_nothing(tmp_path: Path) -> None:
    with stacked(tmp_path / "s", size="80m") as disk:
        with pytest.raises(OSError, match=r"No space left|Input/output error|Read-only"):
            await _measured(disk, 40 * MIB, _fill)

        assert left(disk) == []
        assert os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize > 70 * MIB


async def _measured(disk: Path, size: int, what: Callable[[Ground], None]) -> None:
    async with prepared(target(disk), size=size, need="layers") as ground:
        what(ground)


def _break(ground: Ground) -> None:
    # Unwritten: it would have to go to the storage first.
    (ground.path / "x").write_bytes(bytes(8 * MIB))
    raise RuntimeError("broken")


def _fill(ground: Ground) -> None:
    with suppress(OSError):
        _write(ground.files / "others")
    _write(ground.path / "ours")


def _write(path: Path) -> None:
    with path.open("wb") as file:
        while True:
            file.write(bytes(MIB))
            file.flush()
            os.fsync(file.fileno())


@ROOT
async def test_too_little_space_is_told_before_anything_is_made(tmp_path: Path) -> None:
    with memory(tmp_path / "m", size="16m") as disk:
        with pytest.raises(StorageError, match=r"t: 16\.8 MB are free at .*, and 1\.1 GB are needed") as caught:
            async with prepared(target(disk), size=1024 * MIB, need="layers"):
                raise AssertionError

        assert "Make room" in caught.value.hint
        assert left(disk) == []


@ROOT
@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("device", "no loop devices here"),
        ("mkfs.ext4", "no mkfs.ext4 to make"),
        ("mount", "no mount to make"),
    ],
)
async def test_what_an_image_needs_and_is_not_there_is_told_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str, message: str
) -> None:
    if missing == "device":
        monkeypatch.setattr(image, "_CONTROL", tmp_path / "none")
    else:

        def found(name: str) -> str | None:
            return None if name == missing else name

        monkeypatch.setattr(tools, "find", found)
    with stacked(tmp_path / "s") as disk:
        with pytest.raises(StorageError, match=message):
            async with prepared(target(disk), size=64 * MIB, need="layers"):
                raise AssertionError

        assert left(disk) == []


@pytest.mark.parametrize(("name", "message"), [("file", "is no directory"), ("none", "is not there")])
async def test_a_target_is_a_directory_that_is_there(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(UsageError, match=message) as caught:
        async with prepared(target(tmp_path / name), size=MIB, need="files"):
            raise AssertionError

    assert "mkdir -p" in caught.value.hint


@ROOT
@pytest.mark.parametrize(("mode", "owner"), [(0o777, 0), (0o775, 0), (0o755, 65534), (0o1777, 65534)])
async def test_one_that_others_may_write_to_is_refused(tmp_path: Path, mode: int, owner: int) -> None:
    disk = tmp_path / "theirs"
    disk.mkdir()
    os.chown(disk, owner, owner)
    disk.chmod(mode)

    with pytest.raises(UsageError, match="others may put what they like"):
        async with prepared(target(disk), size=MIB, need="files"):
            raise AssertionError


@ROOT
def test_the_mounts_of_one_who_lives_are_not_taken_for_those_of_one_who_is_gone(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    ours = place.make(tmp_path / "one")
    try:
        layers = place.make_layers(ours)
        (tmp_path / "other" / ours.name).mkdir(parents=True)

        place.sweep(tmp_path / "other")
        stayed = layers.is_dir()
    finally:
        place.remove(ours)

    assert stayed
    assert not layers.parent.exists()


@ROOT
async def test_one_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    with (
        memory(tmp_path / "m", options="ro") as disk,
        pytest.raises(UsageError, match="Read-only file system"),
    ):
        async with prepared(target(disk), size=MIB, need="files"):
            raise AssertionError


@ROOT
@ONCE
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_without_a_trace(tmp_path: Path, number: signal.Signals) -> None:
    with stacked(tmp_path / "s") as disk:
        async with measuring(disk) as (process, there):
            while_measured = there.is_mount()
            process.send_signal(number)
            code = await process.wait()

        assert while_measured
        assert code == 128 + number
        assert left(disk) == []


@ROOT
@ONCE
async def test_what_a_killed_one_leaves_is_swept_by_the_next_on_the_same_storage(tmp_path: Path) -> None:
    with stacked(tmp_path / "s") as disk:
        async with measuring(disk) as (process, there):
            process.kill()
            await process.wait()
        before = left(disk)
        async with prepared(target(disk), size=MIB, need="files") as ground:
            during = left(disk)
            ours = ground.path.parent.name

        assert str(there) in before
        assert during == [ours]
        assert left(disk) == []


@ROOT
@ONCE
async def test_what_is_mounted_is_swept_also_by_one_on_another_storage(tmp_path: Path) -> None:
    with stacked(tmp_path / "s") as first, memory(tmp_path / "m") as second:
        async with measuring(first) as (process, _):
            process.kill()
            await process.wait()
        before = left(first)
        async with prepared(target(second), size=MIB, need="files"):
            after = left(first)

    assert len(before) > 1
    assert after == []


@ROOT
@ONCE
async def test_another_measurement_that_lives_is_left_alone(tmp_path: Path) -> None:
    with stacked(tmp_path / "s") as disk:
        async with measuring(disk) as (_, there), prepared(target(disk), size=MIB, need="files"):
            kept = (there / "data").read_bytes()

    assert len(kept) == MIB


@ROOT
@pytest.mark.full
async def test_cephfs_by_fuse_gets_an_image_and_keeps_nothing() -> None:
    ceph = current()
    if ceph is None:
        pytest.skip("the lab has no Ceph up: `python -m tests.lab up --ceph`")
    disk = ceph.mount / f"g{secrets.token_hex(4)}"
    disk.mkdir()
    try:
        async with prepared(target(disk), size=256 * MIB, need="layers") as ground, metered(ground) as meter:
            meter.start()
            await to_thread.run_sync((ground.path / "x").write_bytes, bytes(16 * MIB))
            facts = await meter.stop()
            # Not written out when all of it goes.
            (ground.path / "y").write_bytes(bytes(64 * MIB))
            shown = ground

        assert shown.kind == "fuse.ceph-fuse"
        assert shown.looped.startswith("overlay cannot be mounted on it")
        assert 16 * MIB <= facts["device-written"] <= 24 * MIB
        assert left(disk) == []
    finally:
        disk.rmdir()


def test_a_directory_of_ours_without_a_mark_is_left_over_when_it_is_empty_alone(tmp_path: Path) -> None:
    (tmp_path / ".fpb-000001").mkdir()
    (tmp_path / ".fpb-000002").mkdir()
    (tmp_path / ".fpb-000002/somebody's").write_text("")
    (tmp_path / ".fpb-0000031").mkdir()

    place.sweep(tmp_path)

    assert sorted(os.listdir(tmp_path)) == [".fpb-000002", ".fpb-0000031"]  # noqa: PTH208 -- names alone


def test_a_link_that_looks_like_ours_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "target").mkdir()
    (tmp_path / "target/.fpb-000001").symlink_to(tmp_path / "elsewhere")

    place.sweep(tmp_path / "target")

    assert (tmp_path / "elsewhere").is_dir()


def test_the_path_of_a_daemons_socket_has_room(tmp_path: Path) -> None:
    ours = place.make(tmp_path)

    name = ours.relative_to(tmp_path)
    place.remove(ours)

    # 107 bytes are a socket's; `layers/d/run/buildkitd.sock` goes behind this one, the operator's path before it.
    assert len(str(name)) <= 12


async def test_a_ground_says_what_it_is_of(tmp_path: Path) -> None:
    async with prepared(target(tmp_path), size=MIB, need="files") as ground:
        shown: Ground = ground

    assert shown.target == target(tmp_path)
    assert shown.kind
