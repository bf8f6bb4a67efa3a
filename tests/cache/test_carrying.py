"""What is told of package caches that are not carried, and what is not even tried."""

from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest

from orchestrator.app.carrying import PackageCarrier
from orchestrator.app.keeping import Keeping
from orchestrator.app.mountruns import Builder
from orchestrator.buildkit import SolveRequest, SolveResult, UsageRecord
from orchestrator.buildkit.build import OnStatus
from orchestrator.cache.mounts import Store
from orchestrator.cache.refs import keys
from orchestrator.errors import ProtocolError
from orchestrator.events import AppWarning, Event, PackagesCarried, StepCompleted
from orchestrator.model import MountCache
from tests.cache.test_mounts import write
from tests.cache.test_mounts_of_apps import as_it_is, golden, planned, record
from tests.langs.test_apps import GENERATED

_RECORD = record('cached mount /root/.npm from exec npm ci with id "/fleetpacks-npm"', count=3, size=10)


class Answers:
    """A builder that tells of its caches, or does not."""

    def __init__(self, *records: UsageRecord, refusal: ProtocolError | None = None, forever: bool = False) -> None:
        self._records = records
        self._refusal = refusal
        self._forever = forever
        self.solved = 0

    async def solve(self, request: SolveRequest, *, on_status: OnStatus) -> SolveResult:
        self.solved += 1
        raise ProtocolError(f"{request.ref}: no", hint=f"Ask {on_status}.")

    async def disk_usage(self, *, filters: Sequence[str] = ()) -> tuple[UsageRecord, ...]:
        assert filters
        await anyio.lowlevel.checkpoint()
        if self._forever:
            await anyio.sleep_forever()
        if self._refusal:
            raise self._refusal
        return self._records

    async def prune(self, *, filters: Sequence[str] = (), everything: bool = False) -> tuple[UsageRecord, ...]:
        assert (bool(filters), everything) == (True, True)
        await anyio.lowlevel.checkpoint()
        return ()


async def taken(
    builder: Builder, root: Path, *tools: str, size: int = 1000, seconds: float = 60.0, ran: bool = False
) -> list[Event]:
    """What is told when the caches of a run are kept that has used these."""
    builds = {tuple(mount.id for mount in golden(case).cache): golden(case) for case in GENERATED}
    plan = planned(builds[tuple(f"fleetpacks-{tool}" for tool in tools)])
    said = MountCache(directory=root, size=size, seconds=seconds)
    carrier = PackageCarrier(builder, Keeping(said, root, plan), no_cache=True, ready=as_it_is)
    events: list[Event] = []

    async def tell(event: Event) -> None:
        events.append(event)

    await carrier.bring(plan.apps[0], tell)
    assert events == []
    for tool in tools if ran else ():
        name = f"RUN --mount=type=cache,id=fleetpacks-{tool},target=/c true"
        carrier.note(StepCompleted(time=0.0, app="app", step="s", name=name, cached=False, seconds=1.0))
    await carrier.take(tell)
    return events


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The store that such a run writes to."""
    return Store(tmp_path, "npm", keys("npm", name=None, scopes=(), alone=False)[0])


async def test_why_a_cache_is_not_kept_is_told_with_what_to_do(tmp_path: Path) -> None:
    [told] = await taken(Answers(refusal=ProtocolError("no", hint="Say yes.")), tmp_path, "npm")

    assert isinstance(told, PackagesCarried)
    assert (told.cache, told.to, told.error, told.hint) == ("npm", "directory", "no", "Say yes.")


async def test_a_builder_that_does_not_tell_of_a_cache_that_a_step_has_used_is_told_of(tmp_path: Path) -> None:
    cached = await taken(Answers(), tmp_path, "npm")
    [told] = await taken(Answers(), tmp_path, "npm", ran=True)

    # Whose steps were all cached elsewhere may have none.
    assert cached == []
    assert isinstance(told, PackagesCarried)
    assert told.error == "the builder does not tell what is in it"
    assert "BuildKit" in told.hint


async def test_when_there_is_no_more_time_one_warning_names_all_that_are_left(tmp_path: Path) -> None:
    first, *rest = await taken(Answers(forever=True), tmp_path, "go-mod", "go-build", seconds=0.01)

    assert isinstance(first, PackagesCarried)
    assert (first.cache, first.hint) == ("go-mod", "cache.mounts_time gives more.")
    assert [(each.message, each.hint) for each in rest if isinstance(each, AppWarning)] == [
        (
            "no time was left to keep what is new in the package caches of go-build",
            "cache.mounts_time gives more.",
        )
    ]
    assert len(rest) == 1


async def test_nothing_is_added_while_too_much_waits_for_its_readers(tmp_path: Path, store: Store) -> None:
    other = Store(tmp_path, "pip", "main")
    for number in range(4):
        write(other, f"{number}" * 100)
    builder = Answers(_RECORD)

    [few] = await taken(builder, tmp_path, "npm", size=299)
    assert builder.solved == 0
    [enough] = await taken(builder, tmp_path, "npm", size=300)

    assert isinstance(few, PackagesCarried)
    assert few.error == "300 B were replaced lately, and stay for those who read them"
    assert few.hint == "cache.mounts_size makes room for more."
    # It was tried.
    assert isinstance(enough, PackagesCarried)
    assert (enough.hint[:4], builder.solved) == ("Ask ", 1)
    assert store.current() is None


async def test_nothing_is_added_to_many_and_a_later_run_does(tmp_path: Path, store: Store) -> None:
    for number in range(9):
        write(store, f"{number}")
    builder = Answers(_RECORD)

    assert await taken(builder, tmp_path, "npm") == []
    assert builder.solved == 0
