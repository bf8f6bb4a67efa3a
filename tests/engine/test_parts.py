"""Images whose platforms are built on hosts of their own, against scripted builders."""

from collections.abc import Mapping, Sequence

import anyio
import msgspec
import pytest

from orchestrator.engine.hosts import Member
from orchestrator.engine.publish import Published
from orchestrator.engine.run import Outcome, Run
from orchestrator.errors import BuildFailedError, RegistryError, RegistryUnavailableError
from orchestrator.events import AppCompleted, AppFailed, AppStarted, Event
from orchestrator.model import AppPlan, Plan
from tests.engine.test_run import RecordingPublisher, Script, ScriptedSolver, alone, nothing, plan_of

_AMD, _ARM = "linux/amd64", "linux/arm64"
_JOINED = "sha256:" + "1" * 64


class _Joiner:
    """A registry that may fail first."""

    def __init__(self, *failures: Exception) -> None:
        self._failures = list(failures)
        self.joined: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = []

    async def join(
        self,
        repository: str,
        parts: Sequence[tuple[str, str]],
        tags: Sequence[str],
        *,
        record: str | None = None,  # noqa: ARG002 -- the Protocol's
    ) -> Published:
        if self._failures:
            raise self._failures.pop(0)
        self.joined.append((repository, tuple(platform for platform, _ in parts), tuple(tags)))
        return Published(digest=_JOINED, references=tuple(f"{repository}:{tag}" for tag in tags))


def _plan(*names: str) -> Plan:
    plan = plan_of(*names)

    def both(app: AppPlan) -> AppPlan:
        return msgspec.structs.replace(app, build=msgspec.structs.replace(app.build, platforms=(_AMD, _ARM)))

    return msgspec.structs.replace(plan, apps=tuple(map(both, plan.apps)))


async def _run(
    plan: Plan, scripts: Mapping[str, Script], joiner: _Joiner, *, fail_fast: bool = False, engines: Sequence[str] = ()
) -> tuple[Mapping[str, Outcome], list[Event], RecordingPublisher, dict[str, ScriptedSolver]]:
    publisher = RecordingPublisher()
    solvers: dict[str, ScriptedSolver] = {}

    def member_of(platform: str, script: Script) -> Member:
        solver = solvers[platform] = ScriptedSolver(script)
        solver.address = f"unix:///{platform}"
        member = alone(solver, publisher)
        facts = msgspec.structs.replace(member.facts, name=solver.address, platforms=frozenset({platform}))
        return msgspec.structs.replace(member, facts=facts)

    def engine_of(platform: str) -> Member:
        engine = member_of(platform, nothing)
        solvers[f"engine for {platform}"] = solvers.pop(platform)
        facts = msgspec.structs.replace(engine.facts, name="engine", by_digest=False, slots=8)
        return msgspec.structs.replace(engine, facts=facts)

    send, receive = anyio.create_memory_object_stream[Event](1000)
    run = Run(
        plan,
        hosts=[*map(engine_of, engines), *(member_of(*each) for each in scripts.items())],
        events=send,
        jobs=4,
        fail_fast=fail_fast,
        joiner=joiner,
        retries=1,
    )
    async with receive:
        with anyio.fail_after(10):
            outcomes = await run.execute()
        return outcomes, [event async for event in receive], publisher, solvers


async def test_each_platform_is_built_on_its_host_at_once_and_the_image_is_published_when_both_are() -> None:
    both = {_AMD: anyio.Event(), _ARM: anyio.Event()}

    def until_the_other(own: str, other: str) -> Script:
        async def script(_ref: str) -> None:
            both[own].set()
            await both[other].wait()

        return script

    joiner = _Joiner()
    scripts = {_AMD: until_the_other(_AMD, _ARM), _ARM: until_the_other(_ARM, _AMD)}
    outcomes, events, publisher, _ = await _run(_plan("a"), scripts, joiner)

    done = outcomes["a"]
    assert isinstance(done, AppCompleted)
    assert (done.digest, done.tags) == (_JOINED, ("registry.example/a:latest", "registry.example/a:v1"))
    assert [(part.platform, part.host) for part in done.parts] == [(each, f"unix:///{each}") for each in (_AMD, _ARM)]
    assert done.platforms == (_AMD, _ARM)
    assert done.sent_bytes == sum(part.sent_bytes for part in done.parts) == 14
    assert joiner.joined == [("registry.example/a", (_AMD, _ARM), ("latest", "v1"))]
    assert publisher.published == []
    began = [(event.platform, event.host) for event in events if isinstance(event, AppStarted)]
    assert sorted(began) == [(each, f"unix:///{each}") for each in (_AMD, _ARM)]


async def test_no_part_is_built_by_who_cannot_push_it_by_digest() -> None:
    joiner = _Joiner()

    outcomes, _, _, solvers = await _run(_plan("a", "b"), {_AMD: nothing, _ARM: nothing}, joiner, engines=[_ARM])

    assert all(isinstance(outcome, AppCompleted) for outcome in outcomes.values())
    assert {name: len(solver.started) for name, solver in solvers.items()} == {
        f"engine for {_ARM}": 0,
        _AMD: 2,
        _ARM: 2,
    }


async def test_when_a_part_fails_the_other_is_cancelled_and_nothing_is_published() -> None:
    began, ended = anyio.Event(), anyio.Event()

    async def forever(_ref: str) -> None:
        began.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    async def fail(_ref: str) -> None:
        await began.wait()
        raise BuildFailedError("make failed", hint="look")

    joiner = _Joiner()
    outcomes, events, publisher, solvers = await _run(_plan("a"), {_AMD: forever, _ARM: fail}, joiner)

    failed = outcomes["a"]
    assert isinstance(failed, AppFailed)
    assert (failed.kind, failed.message) == (BuildFailedError.kind, f"{_ARM}: make failed")
    assert ended.is_set()
    assert (joiner.joined, publisher.published) == ([], [])
    assert all(not solver.running for solver in solvers.values())
    assert [event for event in events if isinstance(event, AppFailed)] == [failed]


@pytest.mark.parametrize(
    ("failures", "kind"),
    [
        ((RegistryUnavailableError("busy", hint="wait"),), None),
        ((RegistryError("denied", hint="log in"),), RegistryError.kind),
    ],
    ids=["passes", "stays"],
)
async def test_a_publication_that_fails_is_tried_again_where_that_can_help(
    failures: tuple[Exception, ...], kind: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.engine.building._jitter", lambda: 0.0)
    joiner = _Joiner(*failures)

    outcomes, _, _, solvers = await _run(_plan("a"), {_AMD: nothing, _ARM: nothing}, joiner)

    outcome = outcomes["a"]
    assert (outcome.kind if isinstance(outcome, AppFailed) else None) == kind
    assert len(joiner.joined) == (kind is None)
    # What was built is not built again.
    assert [len(solver.started) for solver in solvers.values()] == [1, 1]


async def test_of_several_apps_one_that_fails_costs_no_other_its_image() -> None:
    async def fail_of_b(ref: str) -> None:
        if ref == "b":
            raise BuildFailedError("make failed", hint="look")

    joiner = _Joiner()
    outcomes, _, _, _ = await _run(_plan("a", "b", "c"), {_AMD: nothing, _ARM: fail_of_b}, joiner)

    assert {name: isinstance(outcome, AppCompleted) for name, outcome in outcomes.items()} == {
        "a": True,
        "b": False,
        "c": True,
    }
    assert sorted(repository for repository, _, _ in joiner.joined) == ["registry.example/a", "registry.example/c"]
