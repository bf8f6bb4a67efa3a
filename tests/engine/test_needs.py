"""Apps that stand on the images of others: waiting, digests, failures; against a scripted builder."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from itertools import pairwise

import anyio
import msgspec
import pytest

from orchestrator.buildkit import SolveRequest
from orchestrator.engine.run import Outcome, Run
from orchestrator.errors import BuildFailedError, DaemonLostError, FleetpacksError
from orchestrator.events import AppCancelled, AppCompleted, AppFailed, AppStarted, Event, RunCompleted
from orchestrator.model import AppPlan, Plan
from tests.engine.test_run import RecordingPublisher, Script, ScriptedSolver, alone, nothing, plan_of

_DIGEST = "sha256:" + "0" * 64


def standing(needs: Mapping[str, Mapping[str, str]], *names: str) -> Plan:
    """A plan in which apps need images: app -> context -> app."""
    plan = plan_of(*names)
    apps = tuple(
        msgspec.structs.replace(app, app=msgspec.structs.replace(app.app, contexts=needs.get(app.app.name, {})))
        for app in plan.apps
    )
    return msgspec.structs.replace(plan, apps=apps)


class Ran(msgspec.Struct, frozen=True):
    outcomes: Mapping[str, Outcome]
    events: list[Event]
    solver: ScriptedSolver
    prepared: dict[str, AppPlan]


async def execute(plan: Plan, script: Script, *, jobs: int = 2, fail_fast: bool = False) -> Ran:
    prepared: dict[str, AppPlan] = {}

    @contextmanager
    def prepare(app: AppPlan) -> Generator[SolveRequest]:
        prepared[app.app.name] = app
        yield SolveRequest(ref=app.app.name, attrs={}, exporter=None, sources=(), shared_key="")

    solver = ScriptedSolver(script)
    send, receive = anyio.create_memory_object_stream[Event](1000)
    run = Run(
        plan,
        hosts=[alone(solver, RecordingPublisher(), prepare=prepare)],
        events=send,
        jobs=jobs,
        fail_fast=fail_fast,
    )
    async with receive:
        with anyio.fail_after(10):
            outcomes = await run.execute()
        return Ran(outcomes, [event async for event in receive], solver, prepared)


def failing(**errors: FleetpacksError) -> Script:
    async def script(ref: str) -> None:
        await anyio.lowlevel.checkpoint()
        if ref in errors:
            raise errors[ref]

    return script


async def test_an_app_waits_for_the_image_that_it_needs_and_gets_it_by_digest() -> None:
    ran = await execute(standing({"web": {"base": "base"}}, "web", "base"), nothing)

    assert ran.solver.started == ["base", "web"]
    assert ran.solver.most == 1
    assert ran.prepared["web"].build.contexts == {"base": f"docker-image://registry.example/base@{_DIGEST}"}
    assert ran.prepared["base"].build.contexts == {}
    ended = [event.app for event in ran.events if isinstance(event, AppCompleted)]
    started = [event.app for event in ran.events if isinstance(event, AppStarted)]
    assert (started, ended) == (["base", "web"], ["base", "web"])
    # The outcomes stand in the plan's order.
    assert list(ran.outcomes) == ["web", "base"]


async def test_what_waits_holds_no_slot() -> None:
    async def until_all_wait(_ref: str) -> None:
        await anyio.wait_all_tasks_blocked()

    ran = await execute(standing({"a": {"x": "d"}, "b": {"x": "d"}}, *"abcd"), until_all_wait, jobs=2)

    assert ran.solver.started[:2] == ["c", "d"]
    assert ran.solver.most == 2


@pytest.mark.parametrize("jobs", [1, 2, 8])
async def test_a_failure_reaches_whoever_needs_the_image_and_nobody_else(jobs: int) -> None:
    needs = {"web": {"base": "base"}, "admin": {"web": "web"}}
    plan = standing(needs, "admin", "web", "base", "other")

    ran = await execute(plan, failing(base=BuildFailedError("RUN make: exit code 2", hint="read its log")), jobs=jobs)

    assert sorted(ran.solver.started) == ["base", "other"]
    failures = {event.app: event for event in ran.events if isinstance(event, AppFailed)}
    assert {app: (event.kind, event.message) for app, event in failures.items()} == {
        "base": ("build", "RUN make: exit code 2"),
        "web": ("needed", "not built: it needs base, which failed"),
        "admin": ("needed", "not built: it needs web, which was not built"),
    }
    assert failures["web"].hint == "See why base has no image."
    assert isinstance(ran.outcomes["other"], AppCompleted)
    last = ran.events[-1]
    assert isinstance(last, RunCompleted)
    assert (last.exit_code, last.succeeded, last.failed) == (1, 1, 3)


async def test_an_app_is_given_up_while_others_are_still_being_built() -> None:
    given_up = anyio.Event()

    async def script(ref: str) -> None:
        if ref == "base":
            raise BuildFailedError("no", hint="yes")
        await given_up.wait()

    plan = standing({"web": {"base": "base"}}, "slow", "web", "base")
    prepared: list[str] = []

    @contextmanager
    def prepare(app: AppPlan) -> Generator[SolveRequest]:
        prepared.append(app.app.name)
        yield SolveRequest(ref=app.app.name, attrs={}, exporter=None, sources=(), shared_key="")

    send, receive = anyio.create_memory_object_stream[Event](1000)
    run = Run(
        plan,
        hosts=[alone(ScriptedSolver(script), RecordingPublisher(), prepare=prepare)],
        events=send,
        jobs=2,
        fail_fast=False,
    )
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks, receive:
            tasks.start_soon(run.execute)
            async for event in receive:
                if isinstance(event, AppFailed) and event.app == "web":
                    given_up.set()

    assert sorted(prepared) == ["base", "slow"]


async def test_what_failed_for_want_of_infrastructure_alone_can_be_tried_again() -> None:
    plan = standing({"web": {"base": "base"}}, "web", "base")

    ran = await execute(plan, failing(base=DaemonLostError("gone", hint="again")))

    last = ran.events[-1]
    assert isinstance(last, RunCompleted)
    assert last.exit_code == 75


async def test_fail_fast_cancels_what_waits() -> None:
    plan = standing({"web": {"base": "base"}}, "web", "base", "other")

    ran = await execute(plan, failing(base=BuildFailedError("no", hint="yes")), jobs=1, fail_fast=True)

    assert isinstance(ran.outcomes["base"], AppFailed)
    assert [isinstance(ran.outcomes[name], AppCancelled) for name in ("web", "other")] == [True, True]


async def test_an_interrupted_run_does_not_wait_for_images_that_do_not_come() -> None:
    plan = standing({"web": {"base": "base"}}, "web", "base")
    send, receive = anyio.create_memory_object_stream[Event](1000)
    entered = anyio.Event()

    async def script(_ref: str) -> None:
        entered.set()
        await anyio.sleep_forever()

    @contextmanager
    def prepare(app: AppPlan) -> Generator[SolveRequest]:
        yield SolveRequest(ref=app.app.name, attrs={}, exporter=None, sources=(), shared_key="")

    run = Run(
        plan,
        hosts=[alone(ScriptedSolver(script), RecordingPublisher(), prepare=prepare)],
        events=send,
        jobs=4,
        fail_fast=False,
    )
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks, receive:
            tasks.start_soon(run.execute)
            await entered.wait()
            run.interrupt(130)
            cancelled = {event.app async for event in receive if isinstance(event, AppCancelled)}
            assert cancelled == {"web", "base"}


@pytest.mark.parametrize("jobs", [1, 3, 50])
async def test_long_chains_and_many_that_share_a_need_come_to_an_end(jobs: int) -> None:
    chain = [f"c{number}" for number in range(30)]
    needs = {
        **{name: {"x": before} for before, name in pairwise(chain)},
        **{f"leaf{number}": {"x": "c29", "y": "c3"} for number in range(20)},
    }
    # The worst order: whoever needs most comes first.
    ran = await execute(
        standing(needs, *(f"leaf{number}" for number in range(20)), *reversed(chain)), nothing, jobs=jobs
    )

    assert ran.solver.started[:30] == chain
    assert all(isinstance(outcome, AppCompleted) for outcome in ran.outcomes.values())
    assert ran.solver.most <= jobs
