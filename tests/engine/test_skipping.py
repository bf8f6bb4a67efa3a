"""Apps that need not be built, in a run; against a scripted builder."""

from collections.abc import Mapping

import anyio

from orchestrator.engine.publish import Published
from orchestrator.engine.run import Outcome, Run
from orchestrator.engine.skipping import Changed, Unchanged
from orchestrator.errors import BuildFailedError
from orchestrator.events import AppCompleted, AppFailed, AppStarted, AppWarning, Event, RunCompleted
from orchestrator.model import AppPlan, Plan
from tests.engine.test_needs import failing, standing
from tests.engine.test_run import RecordingPublisher, ScriptedSolver, nothing, plan_of, prepare

_OLD = "sha256:" + "f" * 64


class ScriptedSkipper:
    """Knows some apps, and sees that files of others were changed."""

    def __init__(self, known: str = "", *, touched: str = "") -> None:
        self._known = known
        self._touched = touched
        self.looked: list[str] = []
        self.remembered: list[str] = []
        self.most = 0
        self._looking = 0

    async def look(self, plan: AppPlan) -> Unchanged | Changed:
        self.looked.append(plan.app.name)
        self._looking += 1
        self.most = max(self.most, self._looking)
        await anyio.lowlevel.checkpoint()
        self._looking -= 1
        if plan.app.name in self._known:
            return Unchanged(published=Published(digest=_OLD, references=(f"{plan.app.name}:latest",)), revision="r")
        return Changed(reason="changed: files", record=f"fp-{plan.app.name}")

    def built(self, plan: AppPlan, published: Published) -> None:
        assert published.references
        self.remembered.append(plan.app.name)

    async def is_as_it_was(self, plan: AppPlan) -> bool:
        return plan.app.name not in self._touched


async def execute(
    plan: Plan, solver: ScriptedSolver, skipper: ScriptedSkipper, publisher: RecordingPublisher | None = None
) -> tuple[Mapping[str, Outcome], list[Event]]:
    send, receive = anyio.create_memory_object_stream[Event](1000)
    run = Run(
        plan,
        solver=solver,
        publisher=publisher or RecordingPublisher(),
        prepare=prepare,
        events=send,
        jobs=2,
        fail_fast=False,
        skipper=skipper,
    )
    async with receive:
        with anyio.fail_after(10):
            outcomes = await run.execute()
        return outcomes, [event async for event in receive]


async def test_what_is_known_is_not_built_and_counts_as_succeeded() -> None:
    solver, publisher = ScriptedSolver(nothing), RecordingPublisher()

    outcomes, events = await execute(plan_of(*"abc"), solver, ScriptedSkipper("ac"), publisher)

    assert solver.started == ["b"]
    assert publisher.records == ["fp-b"]
    skipped = outcomes["a"]
    assert isinstance(skipped, AppCompleted)
    assert (skipped.skipped, skipped.digest, skipped.tags, skipped.revision) == (True, _OLD, ("a:latest",), "r")
    assert [(event.app, event.reason) for event in events if isinstance(event, AppStarted)] == [("b", "changed: files")]
    last = events[-1]
    assert isinstance(last, RunCompleted)
    assert (last.exit_code, last.succeeded, last.skipped) == (0, 3, 2)


async def test_many_are_looked_at_at_once_and_each_of_them_once() -> None:
    names = [f"app{number}" for number in range(100)]
    skipper = ScriptedSkipper()

    await execute(plan_of(*names), ScriptedSolver(nothing), skipper)

    assert sorted(skipper.looked) == sorted(names)
    assert skipper.most == 16


async def test_what_stands_on_a_skipped_image_gets_it_by_its_digest() -> None:
    skipper = ScriptedSkipper("base")

    outcomes, _ = await execute(standing({"web": {"base": "base"}}, "web", "base"), ScriptedSolver(nothing), skipper)

    assert skipper.looked == ["base", "web"]
    assert all(isinstance(outcome, AppCompleted) for outcome in outcomes.values())


async def test_a_file_that_changes_during_the_build_costs_the_record() -> None:
    publisher, skipper = RecordingPublisher(), ScriptedSkipper(touched="a")

    await execute(plan_of("a", "b"), ScriptedSolver(nothing), skipper, publisher)

    assert sorted(publisher.records, key=str) == [None, "fp-b"]
    assert skipper.remembered == ["b"]


async def test_a_record_that_cannot_be_put_is_a_warning() -> None:
    class Refusing(RecordingPublisher):
        async def publish(self, repository: str, digest: str, *args: object, **more: object) -> Published:
            published = await super().publish(repository, digest, *args, **more)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] -- passed on
            return Published(digest=published.digest, references=published.references, unrecorded="denied")

    skipper = ScriptedSkipper()

    outcomes, events = await execute(plan_of("a"), ScriptedSolver(nothing), skipper, Refusing())

    assert isinstance(outcomes["a"], AppCompleted)
    assert [event.message for event in events if isinstance(event, AppWarning)] == [
        "its record cannot be put, so it will be built again: denied"
    ]
    assert skipper.remembered == []


async def test_what_fails_is_not_remembered() -> None:
    skipper = ScriptedSkipper()

    outcomes, _ = await execute(plan_of("a"), ScriptedSolver(failing(a=BuildFailedError("no", hint=""))), skipper)

    assert isinstance(outcomes["a"], AppFailed)
    assert skipper.remembered == []
