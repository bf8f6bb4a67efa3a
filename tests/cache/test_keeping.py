"""Which builder of several has the package cache that is kept, and what is noted of the others."""

from collections.abc import Sequence
from pathlib import Path

import anyio
import msgspec
import pytest

from orchestrator.app.carrying import PackageCarrier
from orchestrator.app.keeping import Keeping
from orchestrator.buildkit import DirectoryDestination, Log, SolveRequest, SolveResult, StatusUpdate, UsageRecord
from orchestrator.buildkit.build import OnStatus
from orchestrator.cache.mounts import Store
from orchestrator.cache.refs import keys
from orchestrator.errors import ProtocolError
from orchestrator.events import Event, PackagesCarried
from orchestrator.model import MountCache
from tests.cache.test_mounts_of_apps import as_it_is, golden, planned, record
from tests.langs.test_apps import GENERATED

_WORDS = 'cached mount /root/.npm from exec npm ci with id "/fleetpacks-npm"'


class Builder:
    """Has one cache, which can be read: its content is its name."""

    def __init__(self, name: str, *, size: int, count: int = 3, refuses: bool = False) -> None:
        self.name = name
        self._record = msgspec.structs.replace(record(_WORDS, count=count, size=size), id=name)
        self._refuses = refuses
        self.read = 0

    async def solve(self, request: SolveRequest, *, on_status: OnStatus) -> SolveResult:
        if self._refuses:
            raise ProtocolError("no", hint="Say yes.")
        self.read += 1
        [exporter] = request.exporters
        assert isinstance(exporter.destination, DirectoryDestination)
        place = anyio.Path(exporter.destination.path / "npm")
        await place.mkdir(parents=True)
        await (place / "name").write_text(self.name)
        await on_status(StatusUpdate(logs=(Log(vertex="v", data=b"npm taken\n", stream=1),)))
        return SolveResult(digest=None, exporter_response={}, sent_bytes=0)

    async def disk_usage(self, *, filters: Sequence[str] = ()) -> tuple[UsageRecord, ...]:
        assert filters
        await anyio.lowlevel.checkpoint()
        return (self._record,)

    async def prune(self, *, filters: Sequence[str] = (), everything: bool = False) -> tuple[UsageRecord, ...]:
        assert (bool(filters), everything) == (True, True)
        await anyio.lowlevel.checkpoint()
        return ()


async def _taken(root: Path, *builders: Builder) -> list[PackagesCarried]:
    """What is told when a run ends that has used the cache on all these builders."""
    case = next(case for case in GENERATED if [mount.id for mount in golden(case).cache] == ["fleetpacks-npm"])
    plan = planned(golden(case))
    keeping = Keeping(MountCache(directory=root, size=1000, seconds=60.0), root, plan)
    carriers = [
        PackageCarrier(builder, keeping, no_cache=True, ready=as_it_is, name=builder.name) for builder in builders
    ]
    events: list[Event] = []

    async def tell(event: Event) -> None:
        events.append(event)

    for carrier in carriers:
        await carrier.bring(plan.apps[0], tell)
    async with anyio.create_task_group() as tasks:
        for carrier in carriers:
            tasks.start_soon(carrier.take, tell)
    assert all(isinstance(event, PackagesCarried) for event in events)
    return [event for event in events if isinstance(event, PackagesCarried)]


def _kept(root: Path) -> str | None:
    """Whose content is current."""
    source = Store(root, "npm", keys("npm", name=None, scopes=(), alone=False)[0]).source()
    return None if source is None else (source.root / "npm/name").read_text()


@pytest.mark.parametrize("sizes", [(10, 30, 20), (30, 30, 20)], ids=["the largest", "the first of them"])
async def test_the_largest_is_kept_and_those_that_are_not_in_it_are_named(
    tmp_path: Path, sizes: tuple[int, ...]
) -> None:
    builders = [Builder(name, size=size) for name, size in zip("abc", sizes, strict=True)]
    winner = builders[sizes.index(30)].name

    [told] = await _taken(tmp_path, *builders)

    assert (told.host, told.error, set(told.passed)) == (winner, None, set("abc") - {winner})
    assert _kept(tmp_path) == winner
    assert [builder.read for builder in builders] == [builder.name == winner for builder in builders]


async def test_who_was_passed_over_is_read_again_only_when_it_was_used_again(tmp_path: Path) -> None:
    await _taken(tmp_path, Builder("a", size=30), Builder("b", size=20))

    unused = await _taken(tmp_path, Builder("a", size=30), Builder("b", size=20))
    before = _kept(tmp_path)
    used = await _taken(tmp_path, Builder("a", size=30), Builder("b", size=20, count=4))

    assert (unused, before) == ([], "a")
    assert [(told.host, told.passed) for told in used] == [("b", ())]
    assert _kept(tmp_path) == "b"


async def test_when_the_largest_cannot_be_read_the_next_one_is_kept(tmp_path: Path) -> None:
    told = await _taken(tmp_path, Builder("a", size=30, refuses=True), Builder("b", size=20))

    assert [(each.host, each.error) for each in told] == [("a", "no"), ("b", None)]
    assert _kept(tmp_path) == "b"
