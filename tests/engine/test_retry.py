"""Trying again, giving up in time, and who begins; against a scripted builder."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.buildkit import CacheEntry, SolveRequest
from orchestrator.engine.host import PrepareExport
from orchestrator.engine.request import export_request, with_cache
from orchestrator.engine.retry import pause
from orchestrator.engine.run import Outcome, Run
from orchestrator.errors import (
    BuildFailedError,
    CacheLostError,
    DaemonLostError,
    DiskFullError,
    FleetpacksError,
    RegistryUnavailableError,
    StepCancelledError,
)
from orchestrator.events import AppCompleted, AppFailed, AppWarning, CacheExported, Event
from orchestrator.model import AppPlan, Plan
from tests.engine.test_run import RecordingPublisher, Script, ScriptedSolver, alone, nothing, plan_of, prepare

_BUSY = RegistryUnavailableError("503", hint="")
_CANCELLED = StepCancelledError("context canceled", hint="")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long: the decision is a function of its own."""
    monkeypatch.setattr("orchestrator.engine.retry._FIRST_SECONDS", 0.001)


async def execute(
    plan: Plan,
    script: Script,
    *,
    retries: int = 3,
    jobs: int = 2,
    expected: Mapping[str, float] | None = None,
    export: PrepareExport | None = None,
) -> tuple[Mapping[str, Outcome], list[Event], ScriptedSolver]:
    solver = ScriptedSolver(script)
    send, receive = anyio.create_memory_object_stream[Event](1000)
    run = Run(
        plan,
        hosts=[alone(solver, RecordingPublisher(), export=export)],
        events=send,
        jobs=jobs,
        fail_fast=False,
        retries=retries,
        expected=expected,
    )
    async with receive:
        with anyio.fail_after(10):
            outcomes = await run.execute()
        return outcomes, [event async for event in receive], solver


def failing(error: FleetpacksError, times: int) -> Script:
    left = [times]

    async def script(_ref: str) -> None:
        await anyio.lowlevel.checkpoint()
        left[0] -= 1
        if left[0] >= 0:
            raise error

    return script


@pytest.mark.parametrize("error", [_BUSY, _CANCELLED, CacheLostError("lease not found", hint="")])
async def test_a_registry_that_recovers_and_the_end_of_anothers_client_cost_only_time(error: FleetpacksError) -> None:
    outcomes, events, solver = await execute(plan_of("a"), failing(error, 2))

    assert isinstance(outcomes["a"], AppCompleted)
    assert solver.started == ["a", "a", "a"]
    said = [event.message for event in events if isinstance(event, AppWarning)]
    assert said == [f"trying again in 0s ({number} of 3): {error.message}" for number in (1, 2)]


@contextmanager
def export(plan: AppPlan) -> Generator[Sequence[SolveRequest]]:
    to = CacheEntry(type="registry", attrs={"ref": "r.example/cache"})
    with prepare(plan) as request:
        yield [export_request(request, ref="cache", to=to)]


@pytest.mark.parametrize(
    ("error", "times", "attempts", "said"),
    [
        (_CANCELLED, 2, ["cache", "cache-1", "cache-2"], None),
        (_CANCELLED, 9, ["cache", "cache-1", "cache-2", "cache-3"], "context canceled"),
        (_BUSY, 1, ["cache"], "503"),
    ],
)
async def test_a_cache_whose_writing_ended_with_another_client_is_written_again_so_many_times(
    error: FleetpacksError, times: int, attempts: list[str], said: str | None
) -> None:
    fails = failing(error, times)

    async def script(ref: str) -> None:
        if ref != "a":
            await fails(ref)

    outcomes, events, solver = await execute(plan_of("a"), script, export=export)

    assert isinstance(outcomes["a"], AppCompleted)
    assert solver.started == ["a", *attempts]
    assert [event.error for event in events if isinstance(event, CacheExported)] == [said]
    assert [event for event in events if isinstance(event, AppWarning)] == []


@pytest.mark.parametrize("retries", [0, 1, 5])
async def test_it_is_given_up_after_so_many_attempts(retries: int) -> None:
    outcomes, _, solver = await execute(plan_of("a"), failing(_BUSY, 100), retries=retries)

    outcome = outcomes["a"]
    assert isinstance(outcome, AppFailed)
    assert (outcome.transient, outcome.message) == (True, "503")
    assert len(solver.started) == retries + 1


@pytest.mark.parametrize("error", [BuildFailedError("no", hint=""), DaemonLostError("no", hint="")])
async def test_what_another_attempt_cannot_mend_is_not_tried_again(error: FleetpacksError) -> None:
    outcomes, _, solver = await execute(plan_of("a"), failing(error, 1))

    assert isinstance(outcomes["a"], AppFailed)
    assert solver.started == ["a"]


async def test_an_app_that_takes_too_long_fails_alone() -> None:
    plan = plan_of("slow", "fast")
    slow, fast = plan.apps
    plan = msgspec.structs.replace(plan, apps=(msgspec.structs.replace(slow, timeout=0.05), fast))

    async def script(ref: str) -> None:
        await (anyio.sleep_forever() if ref == "slow" else anyio.lowlevel.checkpoint())

    outcomes, _, solver = await execute(plan, script)

    outcome = outcomes["slow"]
    assert isinstance(outcome, AppFailed)
    assert (outcome.kind, outcome.transient) == ("timeout", False)
    assert isinstance(outcomes["fast"], AppCompleted)
    assert solver.running == set()


async def test_the_longest_known_begins_and_the_unknown_before_it() -> None:
    expected = {"a": 1.0, "b": 30.0, "c": 5.0}

    outcomes, _, solver = await execute(plan_of(*"abcde"), nothing, jobs=1, expected=expected)

    assert solver.started == ["d", "e", "b", "c", "a"]
    assert list(outcomes) == list("abcde")


@given(st.integers(1, 20), st.integers(0, 20), st.floats(0, 1, exclude_max=True))
def test_pauses_are_bounded_and_only_for_what_can_be_mended(failed: int, retries: int, jitter: float) -> None:
    wait = pause(_BUSY, failed=failed, retries=retries, jitter=jitter)

    assert (wait is None) == (failed > retries)
    assert wait is None or 0 < wait <= 60
    assert pause(DiskFullError("", hint=""), failed=failed, retries=retries, jitter=jitter) is None


def test_pauses_grow() -> None:
    waits = [pause(_BUSY, failed=failed, retries=9, jitter=0.5) or 0 for failed in range(1, 10)]

    assert waits == sorted(set(waits))


def test_what_was_executed_without_the_cache_is_not_executed_again() -> None:
    with prepare(plan_of("a").apps[0]) as request:
        without = msgspec.structs.replace(request, attrs={"no-cache": "", "filename": "x"})

    assert with_cache(without).attrs == {"filename": "x"}
