"""The run, against a scripted builder: order, limits, failures, interruption."""

import os
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import anyio
import msgspec
import pytest

from orchestrator.buildkit import (
    Exporter,
    FileDestination,
    Log,
    OnStatus,
    SolveRequest,
    SolveResult,
    StatusUpdate,
    Vertex,
)
from orchestrator.engine.carrying import Carrier
from orchestrator.engine.host import BuilderHost, Measure, Prepare, PrepareExport, Publisher, Solver
from orchestrator.engine.hosts import Member, Probe
from orchestrator.engine.publish import Published
from orchestrator.engine.run import Outcome, Run
from orchestrator.errors import BuildFailedError, DaemonLostError
from orchestrator.events import (
    AppCancelled,
    AppCompleted,
    AppFailed,
    AppStarted,
    AppWarning,
    Event,
    RunCompleted,
    RunStarted,
    StepLog,
)
from orchestrator.model import AppPlan, Plan
from orchestrator.schedule.placement import Host
from tests.planned import ROOT, build_of, planned

_DIGEST = "sha256:" + "0" * 64
Script = Callable[[str], Awaitable[None]]


def plan_of(*names: str, push: bool = True) -> Plan:
    apps = tuple(planned(name, build_of(), tags=("latest", "v1")) for name in names)
    return Plan(root=ROOT, apps=apps, push=push)


class ScriptedSolver:
    """Does what a script says, and remembers who ran with whom."""

    address = "unix:///scripted.sock"

    def __init__(self, script: Script) -> None:
        self._script = script
        self.started: list[str] = []
        self.running: set[str] = set()
        self.most = 0

    async def solve(
        self, request: SolveRequest, *, on_status: Callable[[StatusUpdate], Awaitable[None]]
    ) -> SolveResult:
        self.started.append(request.ref)
        self.running.add(request.ref)
        self.most = max(self.most, len(self.running))
        try:
            vertex = Vertex(
                digest="sha256:v", name="RUN make", inputs=(), started=1.0, completed=None, cached=False, error=None
            )
            await on_status(StatusUpdate(vertexes=(vertex,), logs=(Log(vertex="sha256:v", data=b"a\nb", stream=1),)))
            await self._script(request.ref)
        finally:
            self.running.discard(request.ref)
        return SolveResult(digest=_DIGEST, exporter_response={}, sent_bytes=7)


class RecordingPublisher:
    def __init__(self) -> None:
        self.published: list[tuple[str, str]] = []
        self.records: list[str | None] = []

    async def publish(
        self,
        repository: str,
        digest: str,
        tags: Sequence[str],
        *,
        record: str | None = None,
        on_status: OnStatus | None = None,  # noqa: ARG002 -- the Protocol's
    ) -> Published:
        self.published.append((repository, digest))
        self.records.append(record)
        return Published(digest=digest, references=tuple(f"{repository}:{tag}" for tag in tags))


@contextmanager
def prepare(plan: AppPlan) -> Generator[SolveRequest]:
    yield SolveRequest(ref=plan.app.name, attrs={}, exporter=None, sources=(), shared_key="")


async def well() -> None:
    await anyio.lowlevel.checkpoint()


def alone(
    solver: Solver,
    publisher: Publisher,
    *,
    prepare: Prepare = prepare,
    export: PrepareExport | None = None,
    carrier: Carrier | None = None,
    measure: Measure | None = None,
    memory: int = 0,
    probe: Probe = well,
) -> Member:
    """A host of its own, with room for all."""
    host = BuilderHost(
        solver=solver, publisher=publisher, prepare=prepare, export=export, carrier=carrier, measure=measure
    )
    return Member(facts=Host(name=solver.address, slots=99, memory=memory), host=host, probe=probe)


async def execute(
    plan: Plan,
    solver: ScriptedSolver,
    *,
    jobs: int = 2,
    fail_fast: bool = False,
    publisher: RecordingPublisher | None = None,
    carrier: Carrier | None = None,
    meanwhile: Callable[[Run], Coroutine[object, object, None]] | None = None,
) -> tuple[Mapping[str, Outcome], list[Event]]:
    send, receive = anyio.create_memory_object_stream[Event](1000)
    run = Run(
        plan,
        hosts=[alone(solver, publisher or RecordingPublisher(), carrier=carrier)],
        events=send,
        jobs=jobs,
        fail_fast=fail_fast,
    )
    outcomes: Mapping[str, Outcome] = {}
    async with receive:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                if meanwhile is not None:
                    tasks.start_soon(meanwhile, run)
                outcomes = await run.execute()
        return outcomes, [event async for event in receive]


async def nothing(_ref: str) -> None:
    await anyio.lowlevel.checkpoint()


async def test_every_app_is_built_published_and_reported_in_the_plans_order() -> None:
    solver = ScriptedSolver(nothing)
    publisher = RecordingPublisher()

    outcomes, events = await execute(plan_of("a", "b", "c"), solver, publisher=publisher)

    assert list(outcomes) == ["a", "b", "c"]
    assert sorted(publisher.published) == [(f"registry.example/{name}", _DIGEST) for name in "abc"]
    first = outcomes["a"]
    assert isinstance(first, AppCompleted)
    assert first.tags == ("registry.example/a:latest", "registry.example/a:v1")
    assert first.sent_bytes == 7
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], RunCompleted)
    assert events[-1].exit_code == 0


async def test_apps_start_in_the_plans_order() -> None:
    solver = ScriptedSolver(nothing)

    await execute(plan_of(*"abcdefgh"), solver, jobs=1)

    assert solver.started == list("abcdefgh")


async def test_never_more_builds_run_at_once_than_the_limit() -> None:
    async def until_all_wait(_ref: str) -> None:
        await anyio.wait_all_tasks_blocked()

    solver = ScriptedSolver(until_all_wait)

    await execute(plan_of(*"abcdefgh"), solver, jobs=3)

    assert solver.most == 3


async def test_output_is_told_by_whole_lines_also_when_a_build_ends_within_one() -> None:
    _, events = await execute(plan_of("a"), ScriptedSolver(nothing))

    assert [event.text for event in events if isinstance(event, StepLog)] == ["a", "b"]


async def test_what_could_not_be_written_is_a_warning_of_its_app() -> None:
    class Solver(ScriptedSolver):
        async def solve(
            self, request: SolveRequest, *, on_status: Callable[[StatusUpdate], Awaitable[None]]
        ) -> SolveResult:
            result = await super().solve(request, on_status=on_status)
            return msgspec.structs.replace(result, warnings=("2 device files were left out",))

    _, events = await execute(plan_of("a"), Solver(nothing))

    [warning] = [event for event in events if isinstance(event, AppWarning)]
    assert (warning.app, warning.message) == ("a", "2 device files were left out")


async def test_an_output_whose_name_is_no_text_is_told_in_escapes() -> None:
    @contextmanager
    def to_file(plan: AppPlan) -> Generator[SolveRequest]:
        place = FileDestination(path=Path(os.fsdecode(b"/caf\xe9/a.tar")))
        with prepare(plan) as request:
            yield msgspec.structs.replace(request, exporter=Exporter(type="oci", attrs={}, destination=place))

    send, receive = anyio.create_memory_object_stream[Event](1000)
    hosts = [alone(ScriptedSolver(nothing), RecordingPublisher(), prepare=to_file)]
    async with receive:
        outcomes = await Run(plan_of("a"), hosts=hosts, events=send, jobs=1, fail_fast=False).execute()

    outcome = outcomes["a"]
    assert isinstance(outcome, AppCompleted)
    assert outcome.outputs == ("/caf\\xe9/a.tar",)


async def test_what_is_strange_about_an_app_is_told_when_its_build_starts() -> None:
    plan = plan_of("a", "b")
    strange = msgspec.structs.replace(plan.apps[1].build, warnings=("there is no lockfile",))
    plan = msgspec.structs.replace(plan, apps=(plan.apps[0], msgspec.structs.replace(plan.apps[1], build=strange)))

    _, events = await execute(plan, ScriptedSolver(nothing), jobs=1)

    [warning] = [event for event in events if isinstance(event, AppWarning)]
    assert (warning.app, warning.message) == ("b", "there is no lockfile")
    started = next(event for event in events if isinstance(event, AppStarted) and event.app == "b")
    assert events[events.index(started) + 1] is warning


async def test_without_push_nothing_is_published() -> None:
    publisher = RecordingPublisher()

    outcomes, _ = await execute(plan_of("a", push=False), ScriptedSolver(nothing), publisher=publisher)

    assert publisher.published == []
    assert isinstance(outcomes["a"], AppCompleted)
    assert outcomes["a"].tags == ()


async def test_a_failure_stops_only_its_own_app() -> None:
    async def script(ref: str) -> None:
        if ref == "b":
            raise BuildFailedError("RUN make: exit code 2", hint="read its log")

    outcomes, events = await execute(plan_of("a", "b", "c"), ScriptedSolver(script), jobs=1)

    assert isinstance(outcomes["b"], AppFailed)
    assert outcomes["b"].kind == "build"
    assert isinstance(outcomes["c"], AppCompleted)
    assert isinstance(events[-1], RunCompleted)
    assert (events[-1].exit_code, events[-1].succeeded, events[-1].failed) == (1, 2, 1)


async def test_fail_fast_cancels_the_rest_and_says_so() -> None:
    async def script(ref: str) -> None:
        if ref == "b":
            raise BuildFailedError("no", hint="yes")
        await anyio.sleep_forever()

    solver = ScriptedSolver(script)
    outcomes, events = await execute(plan_of("a", "b", "c"), solver, fail_fast=True)

    assert isinstance(outcomes["b"], AppFailed)
    for name in ("a", "c"):
        outcome = outcomes[name]
        assert isinstance(outcome, AppCancelled)
        assert outcome.reason == "fail-fast"
    assert sorted(solver.started) == ["a", "b"]
    assert solver.running == set()
    assert isinstance(events[-1], RunCompleted)


async def test_an_interrupted_run_cancels_its_solves_and_leaves_no_app_unsaid() -> None:
    entered = anyio.Event()

    async def script(_ref: str) -> None:
        entered.set()
        await anyio.sleep_forever()

    async def interrupt(run: Run) -> None:
        await entered.wait()
        run.interrupt(130)

    solver = ScriptedSolver(script)
    outcomes, events = await execute(plan_of("a", "b", "c"), solver, meanwhile=interrupt)

    assert all(isinstance(outcome, AppCancelled) for outcome in outcomes.values())
    assert solver.running == set()
    assert isinstance(events[-1], RunCompleted)
    assert events[-1].cancelled == 3


async def test_a_run_interrupted_before_it_began_builds_nothing() -> None:
    solver = ScriptedSolver(nothing)
    send, receive = anyio.create_memory_object_stream[Event](100)
    run = Run(
        plan_of("a"),
        hosts=[alone(solver, RecordingPublisher())],
        events=send,
        jobs=1,
        fail_fast=False,
    )
    run.interrupt(130)

    outcomes = await run.execute()

    receive.close()
    assert solver.started == []
    assert isinstance(outcomes["a"], AppCancelled)


@pytest.mark.parametrize(
    ("failures", "code"),
    [
        ({}, 0),
        ({"a": "build"}, 1),
        ({"a": "lost"}, 75),
        ({"a": "lost", "b": "lost"}, 75),
        ({"a": "lost", "b": "build"}, 1),
    ],
)
async def test_a_real_failure_wins_over_a_transient_one(failures: Mapping[str, str], code: int) -> None:
    async def script(ref: str) -> None:
        match failures.get(ref):
            case "build":
                raise BuildFailedError("no", hint="yes")
            case "lost":
                raise DaemonLostError("gone", hint="again")
            case _:
                return

    _, events = await execute(plan_of("a", "b", "c"), ScriptedSolver(script))

    assert isinstance(events[-1], RunCompleted)
    assert events[-1].exit_code == code


async def test_a_display_that_nobody_reads_does_not_keep_an_interrupted_run() -> None:
    send, receive = anyio.create_memory_object_stream[Event](0)
    run = Run(
        plan_of("a"),
        hosts=[alone(ScriptedSolver(nothing), RecordingPublisher())],
        events=send,
        jobs=1,
        fail_fast=False,
    )

    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run.execute)
            await receive.receive()
            run.interrupt(130)
            # Nobody reads, until every task waits for it: the run has given up telling what it could not tell.
            await anyio.wait_all_tasks_blocked()
            async with receive:
                async for _ in receive:
                    pass


async def test_a_display_that_is_slow_hears_every_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.engine.run._TELLING_SECONDS", 0.0)
    send, receive = anyio.create_memory_object_stream[Event](0)
    run = Run(
        plan_of("a", "b"),
        hosts=[alone(ScriptedSolver(nothing), RecordingPublisher())],
        events=send,
        jobs=1,
        fail_fast=False,
    )

    heard: list[Event] = []
    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run.execute)
            async with receive:
                async for event in receive:
                    heard.append(event)
                    # Everybody else waits for this one.
                    await anyio.wait_all_tasks_blocked()

    assert [event.app for event in heard if isinstance(event, AppCompleted)] == ["a", "b"]


async def test_what_is_published_is_no_cancelled_app_when_its_last_step_cannot_be_told() -> None:
    send, receive = anyio.create_memory_object_stream[Event](0)

    class Interrupting(RecordingPublisher):
        async def publish(self, *args: object, **more: object) -> Published:
            published = await super().publish(*args, **more)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- passed on
            run.interrupt(130)
            return published

    run = Run(
        plan_of("a"),
        hosts=[alone(ScriptedSolver(nothing), Interrupting())],
        events=send,
        jobs=1,
        fail_fast=False,
    )
    outcomes: dict[str, Outcome] = {}

    async def execute() -> None:
        outcomes.update(await run.execute())

    with anyio.fail_after(15):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(execute)
            async with receive:
                async for _ in receive:
                    pass

    assert isinstance(outcomes["a"], AppCompleted)
