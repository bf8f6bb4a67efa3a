"""Stragglers: begun once more elsewhere, built once in the end, published once by whoever was first."""

from collections.abc import Mapping, Sequence

import anyio
import anyio.lowlevel
import msgspec
import pytest

from orchestrator.engine.publish import Published
from orchestrator.engine.run import Outcome, Run
from orchestrator.errors import BuildFailedError, DaemonLostError, FleetpacksError, RegistryUnavailableError
from orchestrator.events import AppCompleted, AppFailed, AppStarted, AppWarning, Event
from orchestrator.schedule.placement import Host
from tests.engine.test_run import RecordingPublisher, Script, ScriptedSolver, alone, nothing, plan_of


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build is late soon."""
    monkeypatch.setattr("orchestrator.schedule.hedging._LEAST_SECONDS", 0.01)
    monkeypatch.setattr("orchestrator.engine.building._jitter", lambda: 0.0)


class Hosting:
    """A host of the pool, with all that it has done."""

    def __init__(self, name: str, script: Script, publisher: RecordingPublisher | None = None) -> None:
        self.solver = ScriptedSolver(script)
        self.solver.address = name
        self.publisher = publisher or RecordingPublisher()
        self.member = msgspec.structs.replace(alone(self.solver, self.publisher), facts=Host(name=name, slots=1))


async def execute(
    apps: Sequence[str], *hosts: Hosting, hedge: float | None = 2.0, retries: int = 0
) -> tuple[Mapping[str, Outcome], Sequence[Event]]:
    send, receive = anyio.create_memory_object_stream[Event](1000)
    run = Run(
        plan_of(*apps),
        hosts=[host.member for host in hosts],
        events=send,
        jobs=8,
        fail_fast=False,
        retries=retries,
        expected=dict.fromkeys(apps, 0.01),
        built_on={app: ["slow"] for app in apps},
        hedge=hedge,
    )
    async with receive:
        with anyio.fail_after(20):
            outcomes = await run.execute()
        return outcomes, [event async for event in receive]


async def never(_ref: str) -> None:
    await anyio.sleep_forever()


def failing(error: FleetpacksError, *, after: anyio.Event | None = None) -> Script:
    async def script(_ref: str) -> None:
        await (after.wait() if after else anyio.lowlevel.checkpoint())
        raise error

    return script


def _said(events: Sequence[Event]) -> Sequence[str]:
    return [event.message for event in events if isinstance(event, AppWarning)]


async def test_a_straggler_is_built_by_whoever_is_first_and_published_once_by_that_one() -> None:
    slow, fast = Hosting("slow", never), Hosting("fast", nothing)

    outcomes, events = await execute(["app"], slow, fast)

    outcome = outcomes["app"]
    assert isinstance(outcome, AppCompleted)
    assert outcome.host == "fast"
    assert 0 < outcome.host_seconds < outcome.seconds, "it began late"
    assert (slow.publisher.published, len(fast.publisher.published)) == ([], 1)
    assert slow.solver.running == set(), "it was cancelled"
    assert [event.host for event in events if isinstance(event, AppStarted)] == ["slow"]
    assert [message.endswith("begun on fast, too") for message in _said(events)] == [True]


async def test_one_that_ends_where_it_began_after_all_cancels_the_other() -> None:
    begun = anyio.Event()

    async def late(_ref: str) -> None:
        await begun.wait()

    async def second(_ref: str) -> None:
        begun.set()
        await anyio.sleep_forever()

    slow, other = Hosting("slow", late), Hosting("other", second)

    outcomes, _ = await execute(["app"], slow, other)

    outcome = outcomes["app"]
    assert isinstance(outcome, AppCompleted)
    assert (outcome.host, outcome.host_seconds) == ("", 0)
    assert (len(slow.publisher.published), other.publisher.published) == (1, [])
    assert other.solver.running == set()


async def test_a_second_build_waits_as_long_as_anybody_waits_for_a_place_and_gives_its_own_back() -> None:
    done = anyio.Event()

    async def script(ref: str) -> None:
        if ref == "app-0" and slow.solver.running == {"app-0"} and not done.is_set():
            await anyio.sleep_forever()
        await anyio.sleep(0.02)
        if len(fast.solver.started) == 5:
            done.set()

    slow, fast = Hosting("slow", script), Hosting("fast", script)
    apps = [f"app-{index}" for index in range(6)]

    outcomes, _ = await execute(apps, slow, fast)

    assert all(isinstance(outcome, AppCompleted) for outcome in outcomes.values())
    assert slow.solver.most == fast.solver.most == 1
    assert fast.solver.started[-1] == "app-0", "all others went first"
    assert len(fast.publisher.published) + len(slow.publisher.published) == len(apps)


@pytest.mark.parametrize("hedge", [None, 1000.0])
async def test_a_build_that_is_not_late_or_may_be_late_is_begun_once(hedge: float | None) -> None:
    async def some(_ref: str) -> None:
        await anyio.sleep(0.1)

    slow, other = Hosting("slow", some), Hosting("other", nothing)

    outcomes, events = await execute(["app"], slow, other, hedge=hedge)

    assert isinstance(outcomes["app"], AppCompleted)
    assert (other.solver.started, _said(events)) == ([], [])


async def test_a_second_build_that_fails_leaves_the_first_one_alone() -> None:
    failed = anyio.Event()

    async def late(_ref: str) -> None:
        await failed.wait()
        await anyio.wait_all_tasks_blocked()

    async def second(_ref: str) -> None:
        failed.set()
        raise DaemonLostError("gone", hint="")

    slow, other = Hosting("slow", late), Hosting("other", second)

    outcomes, _ = await execute(["app"], slow, other)

    assert isinstance(outcomes["app"], AppCompleted)
    assert len(slow.publisher.published) == 1


@pytest.mark.parametrize(
    ("error", "ends"), [(BuildFailedError("no", hint=""), AppFailed), (DaemonLostError("gone", hint=""), AppCompleted)]
)
async def test_a_first_build_that_fails_ends_both_unless_the_other_may_do_better(
    error: FleetpacksError, ends: type[Outcome]
) -> None:
    begun = anyio.Event()

    async def second(_ref: str) -> None:
        begun.set()
        await anyio.wait_all_tasks_blocked()
        if ends is AppFailed:
            await anyio.sleep_forever()

    slow, other = Hosting("slow", failing(error, after=begun)), Hosting("other", second)

    outcomes, _ = await execute(["app"], slow, other)

    assert isinstance(outcomes["app"], ends)
    assert len(other.publisher.published) == (ends is AppCompleted)
    assert slow.solver.running == other.solver.running == set()


async def test_a_publication_that_is_tried_again_stays_with_the_host_that_was_first() -> None:
    class Refusing(RecordingPublisher):
        async def publish(self, *words: object, **more: object) -> Published:
            if len(fast.solver.started) == 1:
                raise RegistryUnavailableError("busy", hint="")
            return await super().publish(*words, **more)  # type: ignore[arg-type]  # as they came

    slow, fast = Hosting("slow", never), Hosting("fast", nothing, Refusing())

    outcomes, _ = await execute(["app"], slow, fast, retries=1)

    outcome = outcomes["app"]
    assert isinstance(outcome, AppCompleted)
    assert (outcome.host, slow.solver.started, fast.solver.started) == ("fast", ["app"], ["app", "app"])
    assert len(fast.publisher.published) == 1
