"""The builder's memory: apps that wait for it, and what a build is found to have needed; against a scripted builder."""

from collections.abc import Awaitable, Callable, Mapping

import anyio
import pytest

from orchestrator.buildkit import MemoryUse, SolveRequest, SolveResult, StatusUpdate, Vertex
from orchestrator.engine.host import Measure
from orchestrator.engine.run import Outcome, Run
from orchestrator.errors import ProtocolError
from orchestrator.events import AppCompleted, AppStarted, Event, MemoryMeasured, RunCompleted, RunStarted
from tests.engine.test_run import RecordingPublisher, Script, ScriptedSolver, alone, nothing, plan_of

_USE = MemoryUse(needed=5, available=9)


class SteppingSolver(ScriptedSolver):
    """Ends steps: one of the Dockerfile for every letter of the app's name, of which the capitals were cached."""

    async def solve(
        self, request: SolveRequest, *, on_status: Callable[[StatusUpdate], Awaitable[None]]
    ) -> SolveResult:
        result = await super().solve(request, on_status=on_status)
        steps = tuple(
            Vertex(
                digest=f"sha256:{number}",
                name=f"[{number}/9] RUN make",
                inputs=(),
                started=1.0,
                completed=2.0,
                cached=letter.isupper(),
                error=None,
            )
            for number, letter in enumerate(request.ref)
        )
        await on_status(StatusUpdate(vertexes=steps))
        return result


async def execute(
    *names: str,
    script: Script = nothing,
    available: int = 0,
    needed: Mapping[str, int] | None = None,
    measure: Measure | None = None,
) -> tuple[Mapping[str, Outcome], list[Event], SteppingSolver]:
    solver = SteppingSolver(script)
    send, receive = anyio.create_memory_object_stream[Event](1000)
    run = Run(
        plan_of(*names),
        hosts=[alone(solver, RecordingPublisher(), measure=measure, memory=available)],
        events=send,
        jobs=4,
        fail_fast=False,
        needed=needed,
    )
    async with receive:
        with anyio.fail_after(10):
            outcomes = await run.execute()
        return outcomes, [event async for event in receive], solver


async def test_what_does_not_fit_together_is_not_built_together() -> None:
    running: set[str] = set()
    together: list[frozenset[str]] = []
    needed = {"a": 6, "b": 6, "c": 4, "d": 11}

    async def script(ref: str) -> None:
        running.add(ref)
        together.append(frozenset(running))
        await anyio.lowlevel.checkpoint()
        running.discard(ref)

    outcomes, events, solver = await execute("a", "b", "c", "d", script=script, available=10, needed=needed)

    assert all(isinstance(outcome, AppCompleted) for outcome in outcomes.values())
    assert all(sum(needed[app] for app in apps) <= 10 or apps == {"d"} for apps in together)
    # Whoever fits passes those that do not.
    assert solver.started[:2] == ["a", "c"]
    began = {event.app: event for event in events if isinstance(event, AppStarted)}
    assert {name: event.memory for name, event in began.items()} == needed
    assert {name for name, event in began.items() if event.held > 0} == {"b", "d"}
    assert isinstance(events[0], RunStarted)
    assert events[0].memory == 10


async def test_what_builds_needed_is_told_before_the_run_ends() -> None:
    async def measure(ref: str) -> MemoryUse:
        await anyio.lowlevel.checkpoint()
        return MemoryUse(needed=len(ref), available=9)

    _, events, _ = await execute("a", "bB", measure=measure)

    told = {event.app: event for event in events if isinstance(event, MemoryMeasured)}
    assert {name: (each.needed, each.available, each.whole) for name, each in told.items()} == {
        "a": (1, 9, True),
        "bB": (2, 9, False),
    }
    assert isinstance(events[-1], RunCompleted)


@pytest.mark.parametrize("use", [None, MemoryUse(needed=None, available=9)])
async def test_a_builder_that_does_not_say_is_no_failure(use: MemoryUse | None) -> None:
    async def measure(_ref: str) -> MemoryUse:
        await anyio.lowlevel.checkpoint()
        if use is None:
            raise ProtocolError("unknown service containerd.services.content.v1.Content", hint="")
        return use

    outcomes, events, _ = await execute("a", measure=measure)

    assert isinstance(outcomes["a"], AppCompleted)
    assert not [event for event in events if isinstance(event, MemoryMeasured)]


async def test_a_builder_that_does_not_answer_holds_up_nobody_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.engine.building._MEASURE_SECONDS", 0.01)

    async def measure(_ref: str) -> MemoryUse:
        await anyio.sleep_forever()
        raise AssertionError

    outcomes, events, _ = await execute("a", measure=measure)

    assert isinstance(outcomes["a"], AppCompleted)
    assert isinstance(events[-1], RunCompleted)


async def test_nobody_is_asked_of_a_build_that_executed_nothing() -> None:
    asked: list[str] = []

    async def measure(ref: str) -> MemoryUse:
        await anyio.lowlevel.checkpoint()
        asked.append(ref)
        return _USE

    await execute("A", measure=measure)

    assert asked == []
