"""A run on several hosts, against scripted ones: losses move builds, and never lose one."""

from collections.abc import Callable, Coroutine, Mapping, Sequence

import anyio
import msgspec
import pytest

from orchestrator.engine.hosts import Hosts, Member, Probe
from orchestrator.engine.run import Outcome, Run
from orchestrator.errors import (
    BuilderUnreachableError,
    BuildFailedError,
    DaemonLostError,
    DiskFullError,
    FailedStep,
    FleetpacksError,
)
from orchestrator.events import AppCompleted, AppFailed, AppStarted, AppWarning, Event
from orchestrator.model import Plan
from orchestrator.schedule.placement import Host
from tests.engine.test_run import RecordingPublisher, Script, ScriptedSolver, alone, nothing, plan_of, well

_LOST = DaemonLostError("gone", hint="again")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long."""
    monkeypatch.setattr("orchestrator.engine.hosts._FIRST_SECONDS", 0.001)
    monkeypatch.setattr("orchestrator.engine.hosts._FULL_SECONDS", 0.001)
    monkeypatch.setattr("orchestrator.engine.hosts._PATIENCE_SECONDS", 0.05)


class Scripted(ScriptedSolver):
    """One of several."""

    def __init__(self, name: str, script: Script) -> None:
        super().__init__(script)
        self.address = name


async def _dead() -> None:
    await anyio.lowlevel.checkpoint()
    raise BuilderUnreachableError("still gone", hint="wait")


def member(
    name: str,
    script: Script = nothing,
    *,
    slots: int = 1,
    platform: str = "",
    probe: Probe = well,
) -> tuple[Scripted, Member]:
    solver = Scripted(name, script)
    made = alone(solver, RecordingPublisher(), probe=probe)
    facts = Host(name=name, slots=slots, platforms=frozenset({platform} if platform else ()))
    return solver, msgspec.structs.replace(made, facts=facts)


Meanwhile = Callable[[Hosts], Coroutine[object, object, None]]


async def execute(
    plan: Plan,
    *members: Member,
    jobs: int = 8,
    built_on: Mapping[str, Sequence[str]] | None = None,
    absent: Mapping[str, FleetpacksError] | None = None,
    meanwhile: Meanwhile | None = None,
    expected: Mapping[str, float] | None = None,
) -> tuple[Mapping[str, Outcome], Sequence[Event]]:
    send, receive = anyio.create_memory_object_stream[Event](10_000)
    run = Run(
        plan,
        hosts=members,
        events=send,
        jobs=jobs,
        fail_fast=False,
        built_on=built_on,
        absent=absent,
        expected=expected,
        platform="p",
    )
    outcomes: Mapping[str, Outcome] = {}
    async with receive:
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                if meanwhile is not None:
                    tasks.start_soon(meanwhile, run.hosts)
                outcomes = await run.execute()
        return outcomes, [event async for event in receive]


def failing_with(error: FleetpacksError) -> Script:
    async def script(_ref: str) -> None:
        await anyio.lowlevel.checkpoint()
        raise error

    return script


def _warnings(events: Sequence[Event]) -> str:
    return "\n".join(event.message for event in events if isinstance(event, AppWarning))


async def test_builds_are_spread_over_hosts_within_the_slots_of_each_and_the_limit_of_all() -> None:
    most = 0

    async def script(_ref: str) -> None:
        nonlocal most
        most = max(most, sum(len(solver.running) for solver, _ in members))
        await anyio.lowlevel.checkpoint()

    members = [member("a", script), member("b", script, slots=2), member("c", script)]
    solvers = [solver for solver, _ in members]
    names = [f"app-{index}" for index in range(40)]

    outcomes, events = await execute(plan_of(*names), *(each for _, each in members), jobs=3)

    assert all(isinstance(outcome, AppCompleted) for outcome in outcomes.values())
    assert sorted(ref for solver in solvers for ref in solver.started) == sorted(names)
    assert [solver.most <= slots for solver, slots in zip(solvers, (1, 2, 1), strict=True)] == [True] * 3
    assert all(solver.started for solver in solvers)
    assert most == 3
    assert {event.host for event in events if isinstance(event, AppStarted)} == {"a", "b", "c"}


@pytest.mark.parametrize("error", [_LOST, BuilderUnreachableError("no", hint=""), DiskFullError("full", hint="")])
async def test_a_host_that_is_lost_is_set_aside_and_its_builds_move(error: FleetpacksError) -> None:
    lost, bad = member("bad", failing_with(error), slots=4, probe=_dead)
    well, good = member("good", slots=4)
    names = [f"app-{index}" for index in range(20)]

    outcomes, events = await execute(plan_of(*names), bad, good)

    assert all(isinstance(outcome, AppCompleted) for outcome in outcomes.values())
    assert sorted(well.started) == sorted(names)
    assert 1 <= len(lost.started) <= 4
    assert _warnings(events).count("bad is set aside") == 1
    assert sum(isinstance(event, AppFailed) for event in events) == 0


def _full(*log: str, exit_code: int | None = 1) -> BuildFailedError:
    return BuildFailedError("exit code: 1", hint="", at=FailedStep(exit_code=exit_code, log=log))


_SAID = ("writing", "cat: /data: No space left on device", "make: *** 1")


async def test_a_build_whose_step_finds_no_room_goes_to_other_hosts_and_its_own_stays() -> None:
    full, bad = member("bad", failing_with(_full(*_SAID)), slots=4)
    fuller, worse = member("worse", failing_with(_full(*_SAID)), slots=4)
    well, good = member("good", slots=4)

    outcomes, events = await execute(plan_of("app"), bad, worse, good, built_on={"app": ["bad"]})

    assert isinstance(outcomes["app"], AppCompleted)
    assert (full.started, well.started) == (["app"], ["app"])
    assert len(fuller.started) <= 1, "nowhere twice"
    assert "a step found no room on bad: built elsewhere" in _warnings(events)
    assert "set aside" not in _warnings(events)


@pytest.mark.parametrize(
    ("error", "hosts"),
    [(_full(*_SAID), "a"), (_full("echo", "no"), "ab"), (_full(*_SAID, exit_code=None), "ab")],
    ids=["no other host", "other words", "no step"],
)
async def test_what_finds_no_room_fails_where_no_other_host_is_or_nobody_says_so(
    error: BuildFailedError, hosts: str
) -> None:
    members = [member(name, failing_with(error)) for name in hosts]

    outcomes, _ = await execute(plan_of("app"), *(each for _, each in members))

    assert isinstance(outcomes["app"], AppFailed)
    assert sum(len(solver.started) for solver, _ in members) == 1


async def test_what_finds_no_room_anywhere_has_failed_after_each_host() -> None:
    members = [member(name, failing_with(_full(*_SAID))) for name in "abc"]

    outcomes, _ = await execute(plan_of("app"), *(each for _, each in members))

    outcome = outcomes["app"]
    assert isinstance(outcome, AppFailed)
    assert (outcome.kind, outcome.exit_code) == (BuildFailedError.kind, 1)
    assert [len(solver.started) for solver, _ in members] == [1, 1, 1]


async def test_a_failure_that_is_the_apps_own_moves_nothing() -> None:
    members = [member(name, failing_with(BuildFailedError("no", hint="yes"))) for name in "ab"]

    outcomes, events = await execute(plan_of("app"), *(each for _, each in members))

    assert isinstance(outcomes["app"], AppFailed)
    assert sum(len(solver.started) for solver, _ in members) == 1
    assert _warnings(events) == ""


async def test_a_host_that_answers_again_takes_builds_again() -> None:
    asked, again = 0, anyio.Event()

    async def probe() -> None:
        nonlocal asked
        asked += 1
        await anyio.lowlevel.checkpoint()
        if asked < 3:
            raise BuilderUnreachableError("still gone", hint="wait")
        again.set()

    async def script(_ref: str) -> None:
        await anyio.lowlevel.checkpoint()
        if not asked:
            raise _LOST

    async def slow(_ref: str) -> None:
        # It has one slot: the others wait for the host that comes back.
        await again.wait()

    back, coming = member("back", script, probe=probe)
    _, other = member("other", slow)

    outcomes, events = await execute(plan_of(*(f"app-{index}" for index in range(12))), coming, other)

    assert all(isinstance(outcome, AppCompleted) for outcome in outcomes.values())
    assert len(back.started) > 1, "it was lost at first"
    assert asked == 3
    assert "back answers again" in _warnings(events)


async def test_an_app_that_loses_host_after_host_has_failed_and_so_have_those_that_find_none() -> None:
    members = [member(f"host-{index}", failing_with(_LOST), probe=_dead) for index in range(6)]

    outcomes, _ = await execute(plan_of("a", "b", "c"), *(each for _, each in members))

    assert all(isinstance(outcome, AppFailed) and outcome.transient for outcome in outcomes.values())
    assert all(len(solver.started) == 1 for solver, _ in members)
    assert any("set aside for" in outcome.message for outcome in outcomes.values() if isinstance(outcome, AppFailed))


async def test_an_app_for_a_platform_of_no_host_fails_at_once() -> None:
    plan = plan_of("app")
    (app,) = plan.apps
    build = msgspec.structs.replace(app.build, platforms=("linux/riscv64",))
    plan = msgspec.structs.replace(plan, apps=(msgspec.structs.replace(app, build=build),))
    members = [member(name, platform="linux/amd64") for name in "ab"]

    outcomes, _ = await execute(plan, *(each for _, each in members))

    failed = outcomes["app"]
    assert isinstance(failed, AppFailed)
    assert failed.message == "no host builds for linux/riscv64"


async def test_a_single_host_is_never_set_aside() -> None:
    lost = True

    async def script(_ref: str) -> None:
        nonlocal lost
        await anyio.lowlevel.checkpoint()
        if lost:
            lost = False
            raise _LOST

    solver, only = member("only", script)

    outcomes, _ = await execute(plan_of("a", "b", "c"), only, jobs=1)

    assert [type(outcome) for outcome in outcomes.values()] == [AppFailed, AppCompleted, AppCompleted]
    assert solver.started == ["a", "b", "c"]


async def test_apps_go_back_to_where_they_were_built() -> None:
    members = [member(name, slots=9) for name in "abc"]
    built_on = {f"app-{index}": ["abc"[index % 3], "gone"] for index in range(9)}

    _, events = await execute(plan_of(*built_on), *(each for _, each in members), jobs=27, built_on=built_on)

    places = {event.app: event.host for event in events if isinstance(event, AppStarted)}
    assert places == {app: hosts[0] for app, hosts in built_on.items()}


async def test_an_app_that_has_waited_long_enough_for_its_home_goes_elsewhere_though_nothing_ends() -> None:
    elsewhere = anyio.Event()

    async def at_home(_ref: str) -> None:
        await elsewhere.wait()

    async def there(_ref: str) -> None:
        await anyio.lowlevel.checkpoint()
        elsewhere.set()

    apps = ("first", "second")
    _, events = await execute(
        plan_of(*apps),
        *(member(name, script)[1] for name, script in (("a", at_home), ("b", there))),
        built_on={app: ["a"] for app in apps},
        expected=dict.fromkeys(apps, 0.05),
    )

    assert sorted(_on(events).values()) == ["a", "b"]


async def test_however_many_wait_for_their_home_others_are_begun_where_there_is_room() -> None:
    begun = anyio.Event()

    async def at_home(_ref: str) -> None:
        await begun.wait()

    async def there(_ref: str) -> None:
        await anyio.lowlevel.checkpoint()
        begun.set()

    apps = [f"app-{number:02}" for number in range(20)]
    _, events = await execute(
        plan_of(*apps, "other"),
        member("a", at_home, slots=3)[1],
        *(member(name, there)[1] for name in "bc"),
        jobs=5,
        built_on={app: ["a"] for app in apps},
        expected={**dict.fromkeys(apps, 1000.0), "other": 1.0},
    )

    assert _on(events)["other"] in {"b", "c"}


def _on(events: Sequence[Event]) -> Mapping[str, str]:
    return {event.app: event.host for event in events if isinstance(event, AppStarted)}


async def test_a_host_that_joins_late_takes_builds_and_adds_to_what_runs_at_once() -> None:
    all_run = anyio.Event()

    async def script(_ref: str) -> None:
        if len(here.running) + len(late.running) == 3:
            all_run.set()
        # As long as there are fewer, none ends.
        await all_run.wait()

    async def join(hosts: Hosts) -> None:
        await hosts.join(coming, limit=3)

    (here, first), (late, coming) = member("here", script), member("late", script, slots=2)
    names = [f"app-{index}" for index in range(12)]

    outcomes, events = await execute(
        plan_of(*names), first, jobs=1, absent={"late": BuilderUnreachableError("no", hint="")}, meanwhile=join
    )

    assert all(isinstance(outcome, AppCompleted) for outcome in outcomes.values())
    assert set(_on(events).values()) == {"here", "late"}
    assert "late answers, and takes builds" in _warnings(events)


async def test_an_app_that_only_a_host_that_has_not_answered_may_build_waits_for_it_for_a_while() -> None:
    plan = plan_of("app")
    (app,) = plan.apps
    build = msgspec.structs.replace(app.build, platforms=("arm",))
    plan = msgspec.structs.replace(plan, apps=(msgspec.structs.replace(app, build=build),))
    _, here = member("here", platform="p")
    _, there = member("there", platform="arm")
    absent = {"there": BuilderUnreachableError("nobody there", hint="start it")}

    async def join(hosts: Hosts) -> None:
        await anyio.wait_all_tasks_blocked()
        await hosts.join(there, limit=2)

    built, _ = await execute(plan, here, absent=absent, meanwhile=join)
    failed, _ = await execute(plan, here, absent=absent)

    assert isinstance(built["app"], AppCompleted)
    outcome = failed["app"]
    assert isinstance(outcome, AppFailed)
    assert (outcome.transient, "nobody there" in outcome.message) == (True, True)


async def test_a_drained_host_ends_what_it_builds_and_gets_no_more_until_it_is_restored() -> None:
    drained, restored = anyio.Event(), anyio.Event()

    async def slow(ref: str) -> None:
        await drained.wait()
        # The one that began before goes on; whoever comes later waits until both hosts are there again.
        if len(going.started) > 1 or ref in staying.started[1:]:
            await restored.wait()

    async def operate(hosts: Hosts) -> None:
        await anyio.wait_all_tasks_blocked()
        await hosts.drain("going", BuilderUnreachableError("going is drained", hint=""))
        drained.set()
        await anyio.wait_all_tasks_blocked()
        before.extend(going.started)
        await hosts.restore("going")
        restored.set()

    (staying, first), (going, second) = member("staying", slow), member("going", slow)
    before: list[str] = []
    names = [f"app-{index}" for index in range(8)]

    outcomes, events = await execute(plan_of(*names), first, second, meanwhile=operate)

    assert all(isinstance(outcome, AppCompleted) for outcome in outcomes.values())
    assert len(before) == 1
    assert len(going.started) > 1
    assert sum(isinstance(event, AppStarted) for event in events) == len(names), "nothing was built twice"


async def test_a_host_that_is_drained_while_it_is_lost_stays_away_when_it_answers() -> None:
    drained, holding = anyio.Event(), list[Hosts]()

    async def probe() -> None:
        await holding[0].drain("bad", BuilderUnreachableError("bad is drained", hint=""))
        drained.set()

    async def wait(_ref: str) -> None:
        await drained.wait()
        await anyio.wait_all_tasks_blocked()

    async def hold(hosts: Hosts) -> None:
        holding.append(hosts)
        await anyio.lowlevel.checkpoint()

    (bad, first), (_, second) = member("bad", failing_with(_LOST), probe=probe), member("good", wait)
    names = [f"app-{index}" for index in range(4)]

    outcomes, events = await execute(plan_of(*names), first, second, built_on={"app-0": ["bad"]}, meanwhile=hold)

    assert all(isinstance(outcome, AppCompleted) for outcome in outcomes.values())
    assert len(bad.started) == 1
    assert "answers again" not in _warnings(events)
