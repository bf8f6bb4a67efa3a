"""What is told of a run, against what is noted of it: the one is masked, with what was learned meanwhile."""

from collections.abc import Awaitable, Callable

import anyio

from orchestrator.buildkit import Log, SolveRequest, SolveResult, StatusUpdate
from orchestrator.engine.run import Run
from orchestrator.errors import BuildFailedError, FailedStep
from orchestrator.events import AppFailed, AppWarning, Event, StepLog
from orchestrator.report.redaction import Redactor
from tests.engine.test_run import RecordingPublisher, ScriptedSolver, alone, nothing, plan_of

_SECRET = "learned-meanwhile"


async def test_what_a_step_prints_of_a_secret_that_it_has_just_read_is_masked_and_so_is_its_failure() -> None:
    redactor = Redactor()

    class Solver(ScriptedSolver):
        async def solve(
            self,
            request: SolveRequest,  # noqa: ARG002 -- the Protocol's
            *,
            on_status: Callable[[StatusUpdate], Awaitable[None]],
        ) -> SolveResult:
            await on_status(StatusUpdate(logs=(Log(vertex="sha256:v", data=b"before\n", stream=1),)))
            redactor.learn(_SECRET)
            # Cut anywhere, as daemons do.
            for piece in (f"it is {_SECRET[:4]}", f"{_SECRET[4:]}\nand again {_SECRET}"):
                await on_status(StatusUpdate(logs=(Log(vertex="sha256:v", data=piece.encode(), stream=1),)))
            at = FailedStep(command=f"echo {_SECRET}", log=(f"it is {_SECRET}",))
            raise BuildFailedError(f"echo {_SECRET}: exit code: 1", hint=f"not {_SECRET}", at=at)

    noted: list[Event] = []
    send, receive = anyio.create_memory_object_stream[Event](1000)
    run = Run(
        plan_of("a"),
        hosts=[alone(Solver(nothing), RecordingPublisher())],
        events=send,
        jobs=1,
        fail_fast=False,
        warnings=["strange"],
        record=noted.append,
        mask=redactor.event,
    )

    async with receive:
        with anyio.fail_after(10):
            outcomes = await run.execute()
        events = [event async for event in receive]

    [failed] = [event for event in events if isinstance(event, AppFailed)]
    assert [event.text for event in events if isinstance(event, StepLog)] == ["before", "it is ***", "and again ***"]
    assert (failed.message, failed.hint) == ("echo ***: exit code: 1", "not ***")
    assert (failed.command, failed.log) == ("echo ***", ("it is ***",))
    assert outcomes == {"a": failed}
    assert [event.message for event in events if isinstance(event, AppWarning)] == ["strange"]
    # Whoever records masks when it is written, and goes by the names of steps.
    assert [event.text for event in noted if isinstance(event, StepLog)][1:] == [
        f"it is {_SECRET}",
        f"and again {_SECRET}",
    ]
