"""Apps that need not be built, in a run; against a scripted builder."""

from collections.abc import Awaitable, Callable, Mapping

import anyio

from orchestrator.buildkit import SolveRequest, SolveResult, StatusUpdate
from orchestrator.engine.publish import Published
from orchestrator.engine.run import Outcome, Run
from orchestrator.engine.skipping import Changed, Unchanged
from orchestrator.errors import BuildFailedError, FleetpacksError, ImageNotFoundError
from orchestrator.events import AppCancelled, AppCompleted, AppFailed, AppStarted, AppWarning, Event, RunCompleted
from orchestrator.model import AppPlan, Plan
from tests.engine.test_needs import failing, standing
from tests.engine.test_run import RecordingPublisher, ScriptedSolver, alone, nothing, plan_of

_OLD = "sha256:" + "f" * 64


class ScriptedSkipper:
    """Knows some apps, and sees that files of others were changed."""

    def __init__(self, known: str = "", *, touched: str = "", bases: Mapping[str, str] | None = None) -> None:
        self._known = known
        self._touched = touched
        self._bases = bases or {}
        self.looked: list[str] = []
        self.remembered: list[str] = []
        self.most = 0
        self._looking = 0

    async def look(self, plan: AppPlan) -> Unchanged | Changed:
        self.looked.append(plan.app.name)
        self._looking += 1
        self.most = max(self.most, self._looking)
        await self.wait(plan.app.name)
        self._looking -= 1
        if plan.app.name in self._known:
            published = Published(digest=_OLD, references=(f"{plan.app.name}:latest",))
            return Unchanged(published=published, revision="r", platforms=("linux/arm64",))
        return Changed(reason="changed: files", record=f"fp-{plan.app.name}", bases=self._bases)

    async def wait(self, _app: str) -> None:
        """Takes what time a look takes."""
        await anyio.lowlevel.checkpoint()

    def built(self, plan: AppPlan, published: Published) -> None:
        assert published.references
        self.remembered.append(plan.app.name)

    async def is_as_it_was(self, plan: AppPlan) -> bool:
        return plan.app.name not in self._touched


async def execute(
    plan: Plan,
    solver: ScriptedSolver,
    skipper: ScriptedSkipper,
    publisher: RecordingPublisher | None = None,
    *,
    jobs: int = 2,
    fail_fast: bool = False,
    expected: Mapping[str, float] | None = None,
) -> tuple[Mapping[str, Outcome], list[Event]]:
    send, receive = anyio.create_memory_object_stream[Event](1000)
    run = Run(
        plan,
        hosts=[alone(solver, publisher or RecordingPublisher())],
        events=send,
        jobs=jobs,
        fail_fast=fail_fast,
        skipper=skipper,
        expected=expected,
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
    assert skipped.platforms == ("linux/arm64",)
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


async def test_an_app_is_built_while_others_are_still_looked_at() -> None:
    begun = anyio.Event()

    async def script(_ref: str) -> None:
        begun.set()

    class Slow(ScriptedSkipper):
        async def wait(self, app: str) -> None:
            if app != "a":
                await begun.wait()

    outcomes, events = await execute(plan_of(*"abc"), ScriptedSolver(script), Slow("c"))

    assert all(isinstance(outcome, AppCompleted) for outcome in outcomes.values())
    assert [event.app for event in events if isinstance(event, AppStarted)] == ["a", "b"]


async def test_the_longest_are_looked_at_first_and_of_those_that_were_looked_at_the_longest_is_built_first() -> None:
    looked = {name: anyio.Event() for name in "abcd"}
    begun = anyio.Event()

    async def script(ref: str) -> None:
        # While the first one is built, all the others are looked at, the shortest before the rest.
        if ref == "d":
            begun.set()
            await looked["c"].wait()
            await anyio.wait_all_tasks_blocked()

    class InTurn(ScriptedSkipper):
        async def wait(self, app: str) -> None:
            if app != "d":
                await (begun if app == "a" else looked[chr(ord(app) - 1)]).wait()
            looked[app].set()

    solver, skipper = ScriptedSolver(script), InTurn()
    await execute(plan_of(*"abcd"), solver, skipper, jobs=1, expected={"a": 1.0, "b": 2.0, "c": 3.0})

    assert skipper.looked == list("dcba")
    assert solver.started == list("dcba")


async def test_what_needs_an_image_waits_for_the_look_at_it() -> None:
    built = anyio.Event()

    async def script(_ref: str) -> None:
        built.set()

    class Slow(ScriptedSkipper):
        async def wait(self, app: str) -> None:
            if app == "base":
                await built.wait()
                await anyio.wait_all_tasks_blocked()

    solver, skipper = ScriptedSolver(script), Slow("base")
    plan = standing({"web": {"base": "base"}}, "web", "base", "other")

    outcomes, _ = await execute(plan, solver, skipper)

    assert solver.started == ["other", "web"]
    assert skipper.looked[-1] == "web"
    assert all(isinstance(outcome, AppCompleted) for outcome in outcomes.values())


async def test_a_failure_ends_the_looks_of_a_run_that_is_to_end_with_it() -> None:
    class Endless(ScriptedSkipper):
        async def wait(self, app: str) -> None:
            if app != "a":
                await anyio.sleep_forever()

    solver = ScriptedSolver(failing(a=BuildFailedError("no", hint="")))
    outcomes, _ = await execute(plan_of(*"abc"), solver, Endless(), fail_fast=True)

    assert [type(outcomes[name]) for name in "abc"] == [AppFailed, AppCancelled, AppCancelled]


class PolicySolver(ScriptedSolver):
    """Remembers which base images it was told to take."""

    def __init__(self, *failures: FleetpacksError) -> None:
        super().__init__(nothing)
        self._failures = list(failures)
        self.policies: list[list[tuple[str, str]]] = []

    async def solve(
        self, request: SolveRequest, *, on_status: Callable[[StatusUpdate], Awaitable[None]]
    ) -> SolveResult:
        self.policies.append([(rule.identifier, rule.to) for rule in request.source_policy])
        result = await super().solve(request, on_status=on_status)
        if self._failures:
            raise self._failures.pop(0)
        return result


async def test_an_app_is_built_on_the_base_images_that_were_looked_up() -> None:
    solver = PolicySolver()
    bases = {"debian:trixie": _OLD, "docker.io/library/debian:trixie": _OLD, f"r.example/a:1@{_OLD}": _OLD}

    await execute(plan_of("a"), solver, ScriptedSkipper(bases={**bases, "r.example:5000/x/y": _OLD}))

    debian, other = "docker-image://docker.io/library/debian:trixie", "docker-image://r.example:5000/x/y:latest"
    assert solver.policies == [[(debian, f"{debian}@{_OLD}"), (other, f"{other}@{_OLD}")]]


async def test_a_base_image_that_is_gone_costs_the_record_and_not_the_build() -> None:
    gone = ImageNotFoundError(f"failed to resolve docker.io/library/debian:1@{_OLD}: not found", hint="")
    solver, publisher = PolicySolver(gone), RecordingPublisher()

    outcomes, events = await execute(
        plan_of("a"), solver, ScriptedSkipper(bases={"debian:1": _OLD, "alpine:3": "sha256:1"}), publisher
    )

    assert isinstance(outcomes["a"], AppCompleted)
    assert [len(policy) for policy in solver.policies] == [2, 0]
    assert publisher.records == [None]
    [warning] = [event.message for event in events if isinstance(event, AppWarning)]
    assert warning.startswith("debian:1 cannot be had as it was looked up")


async def test_another_image_that_is_missing_is_a_failure_at_once() -> None:
    solver = PolicySolver(ImageNotFoundError("failed to resolve docker.io/library/other:1: not found", hint=""))

    outcomes, _ = await execute(plan_of("a"), solver, ScriptedSkipper(bases={"debian:1": _OLD}))

    assert isinstance(outcomes["a"], AppFailed)
    assert len(solver.policies) == 1


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
