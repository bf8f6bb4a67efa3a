"""The storage benchmark around its builds: what becomes of the report, and of what lies on the storages."""

import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.bench.ground import sync
from orchestrator.bench.model import Target
from orchestrator.bench.result import Report
from orchestrator.bench.work import rounds, running
from orchestrator.bench.work.builder import Daemons, PackageCache, Ready
from orchestrator.bench.work.doing import do
from orchestrator.bench.work.running import Asked, Progress, measure
from orchestrator.bench.work.sizes import TINY
from orchestrator.bench.work.solves import Inputs, Solves
from orchestrator.buildkit import SolveRequest, SolveResult
from orchestrator.buildkit.build import OnStatus
from orchestrator.buildkit.capabilities import TABLE
from orchestrator.errors import BuildFailedError, DiskFullError, OwnDaemonError, StorageError, UsageError
from tests.bench.ground.real import ROOT

LONG_AGO = 1000.0
ONCE = pytest.mark.parametrize("anyio_backend", ["asyncio"])
"""`test_storage` runs the same on both."""


class Idle:
    """A daemon that has nothing to do: what is measured here is around it."""

    can = TABLE["buildkitd"]
    version = "idle"
    pid = os.getpid()

    async def solve(self, request: SolveRequest, *, on_status: OnStatus) -> SolveResult:  # noqa: ARG002 -- a protocol's
        return SolveResult(digest=None, exporter_response={}, sent_bytes=0)

    async def keep(self, cache: PackageCache, directory: Path, ready: Ready) -> None:
        pass

    async def fill(self, cache: PackageCache, directory: Path, ready: Ready) -> None:
        pass


class Failing(Idle):
    """One on which every build fails."""

    async def solve(self, request: SolveRequest, *, on_status: OnStatus) -> SolveResult:  # noqa: ARG002 -- as above
        raise BuildFailedError("a step has failed", hint="mend it")


class Started:
    """Daemons that are up at once.

    Attributes:
        roots: where.
        marks: how long ago somebody said of the storage that it is in use, each time.
    """

    def __init__(self) -> None:
        self.roots: list[Path] = []
        self.marks: list[float] = []

    @asynccontextmanager
    async def started(self, root: Path) -> AsyncGenerator[Idle]:
        self.roots.append(root)
        await anyio.Path(root).mkdir()
        for mark in root.parent.parent.glob(".fleetpacks-*"):
            self.marks.append(mark.stat().st_mtime)
            os.utime(mark, (LONG_AGO, LONG_AGO))
        yield Idle()


class Broken:
    """Daemons of which none starts."""

    @asynccontextmanager
    async def started(self, root: Path) -> AsyncGenerator[Idle]:
        raise OwnDaemonError(f"{root}: none starts", hint="mend it")
        yield Idle()  # what makes it a generator


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a directory that cannot be removed, as NFS has some while a file in it is open."""
    remove: Any = shutil.rmtree

    def removed(path: Any, **words: Any) -> None:  # noqa: ANN401 -- rmtree's
        if path == "files":
            raise OSError(39, "Directory not empty", path)
        remove(path, **words)

    monkeypatch.setattr(shutil, "rmtree", removed)


class Full(Idle):
    """One on which a build finds its disk full."""

    async def solve(self, request: SolveRequest, *, on_status: OnStatus) -> SolveResult:  # noqa: ARG002 -- as above
        raise DiskFullError("the daemon's disk is full", hint="prune its cache")


class Filled(Started):
    """Daemons on disks that are full."""

    @asynccontextmanager
    async def started(self, root: Path) -> AsyncGenerator[Idle]:
        async with super().started(root):
            yield Full()


async def measured(
    home: Path, daemons: Daemons, heard: list[Progress], *, count: int = 1, drop_caches: bool = False
) -> Report:
    for name in ("one", "two", "work"):
        (home / name).mkdir()
    targets = tuple(Target(name=name, path=home / name) for name in ("one", "two"))
    asked = Asked(targets=targets, sizes=TINY, rounds=count, base="localhost/none", drop_caches=drop_caches)
    return await measure(asked, daemons, work=home / "work", commit="1", date="2026-11-22", hear=heard.append)


@ROOT
@ONCE
@pytest.mark.usefixtures("stuck")
async def test_what_cannot_be_removed_is_told_in_the_report_which_is_not_lost(tmp_path: Path) -> None:
    home = tmp_path / "a b"
    home.mkdir()

    heard: list[Progress] = []

    report = await measured(home, Started(), heard)

    left = [note for note in report.notes if "could not be deleted (Directory not empty)" in note]
    assert [note.partition(":")[0] for note in left] == ["two", "one"]
    assert f"rm -rf '{home}/two/.fpb-" in left[0]
    assert {"export", "raw/fsync"} <= {each.scenario for each in report.series}
    assert not any(each.stays for each in heard)
    # What is left says that it is: the next measurement tries again.
    (place,) = (home / "one").iterdir()
    assert [name[:5] for name in sorted(os.listdir(place))] == [".flee", "files"]  # noqa: PTH208 -- names alone


@ROOT
@ONCE
@pytest.mark.usefixtures("stuck")
async def test_of_what_fails_it_is_told_where_people_read_it(tmp_path: Path) -> None:
    heard: list[Progress] = []

    with pytest.raises(OwnDaemonError, match="none starts"):
        await measured(tmp_path, Broken(), heard)

    said = [each.what for each in heard if each.stays]
    assert [each.partition(":")[0] for each in said] == ["two", "one"]
    assert all("could not be deleted" in each for each in said)


@ROOT
@ONCE
async def test_each_round_begins_elsewhere_and_says_that_it_lives_and_nobody_pays_for_what_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Progress] = []
    daemons = Started()
    synced: list[tuple[str, bool]] = []

    def seen(directory: Path) -> None:
        deleted = not any(root.exists() for root in daemons.roots if root.parent == directory)
        synced.append((directory.parent.parent.name + "/" + directory.name, deleted))
        sync(directory)

    monkeypatch.setattr(running, "sync", seen)

    await measured(tmp_path, daemons, heard, count=2)

    raw = [each.what.rpartition(" ")[2] for each in heard if each.what.startswith("raw figures")]
    assert raw == ["one", "two", "two", "one"]
    # Of the first storage once when it is made ready, and of both in each round.
    assert len([at for at in daemons.marks if at > LONG_AGO]) == 1 + 2 * 2
    assert {name for name, _ in synced} == {"one/layers", "two/layers", "one/files", "two/files"}
    assert all(deleted for _, deleted in synced)


async def test_a_page_cache_that_cannot_be_emptied_is_told_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "_DROP", tmp_path / "none")
    heard: list[Progress] = []

    with pytest.raises(UsageError, match=r"--drop-caches: .*/none: No such file"):
        await measured(tmp_path, Broken(), heard, drop_caches=True)

    assert heard == []


@ROOT
@ONCE
async def test_storages_and_daemons_are_looked_at_before_anything_is_made(tmp_path: Path) -> None:
    heard: list[Progress] = []

    with pytest.raises(OwnDaemonError, match="none starts"):
        await measured(tmp_path, Broken(), heard)

    assert [each.what for each in heard] == ["getting one ready", "getting two ready", "starting a daemon"]
    assert list((tmp_path / "work").iterdir()) == []


@ROOT
@ONCE
async def test_a_storage_that_has_become_full_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=f"^one: {tmp_path}/one is full: the daemon's disk is full") as caught:
        await measured(tmp_path, Filled(), [])

    assert "--quick" in caught.value.hint


async def test_of_builds_at_once_the_one_that_fails_is_the_error_itself(tmp_path: Path) -> None:
    inputs = Inputs(states={"first": tmp_path}, layout=tmp_path, base="localhost/none", pulled_digest="sha256:0")
    solves = Solves(Failing(), inputs, copy="a")

    with pytest.raises(BuildFailedError, match="a step has failed"):
        await do(rounds.PARALLEL, solves, tmp_path, apps=3)
