"""Which display shows a run, and what is told of it when it is over."""

from collections.abc import Callable, Coroutine, Generator, Mapping
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Literal, TextIO, assert_never

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from orchestrator.app.signals import Signals
from orchestrator.config.environment import Platform
from orchestrator.display import github, jsonlines
from orchestrator.display.github import GitHub
from orchestrator.display.output import show
from orchestrator.display.plain import Plain
from orchestrator.engine.run import Outcome, Run
from orchestrator.errors import FleetpacksError
from orchestrator.events import Event
from orchestrator.model import Plan
from orchestrator.report import summary

Kind = Literal["tty", "plain", "json"]
Display = Callable[[MemoryObjectReceiveStream[Event]], Coroutine[Any, Any, None]]
"""Shows events until their stream ends."""

Outcomes = Mapping[str, Outcome]

_SHOWN_WITHIN = 2.0
"""Seconds."""


@contextmanager
def display_on(stream: TextIO, kind: Kind, *, colour: bool, annotated: Plan | None = None) -> Generator[Display]:
    """A display, with what it holds until the run is over.

    Args:
        stream: where it writes.
        kind: what is shown.
        colour: whether a terminal may be coloured.
        annotated: the plan, where lines are read by GitHub's runner.
    """
    match kind:
        case "json":
            yield partial(show, render=jsonlines.render, stream=stream)
        case "plain":
            with closing(Plain()) as plain:
                render = plain.render if annotated is None else GitHub(plain, _dockerfiles(annotated)).render
                yield partial(show, render=render, stream=stream, silent=plain.silent)
        case "tty":
            from orchestrator.display.table.screen import show_table, table_on  # noqa: PLC0415 -- rich: only here

            with closing(table_on(stream, colour=colour)) as table:
                yield partial(show_table, table=table, stream=stream)
        case _:
            assert_never(kind)


async def execute(
    run: Run, display: Callable[[], Coroutine[Any, Any, None]], signals: Signals
) -> Mapping[str, Outcome]:
    """Execute a run while it is shown. After a signal, a display that nobody reads is waited for a short time only."""

    def hurry() -> None:
        displays.cancel_scope.deadline = anyio.current_time() + _SHOWN_WITHIN

    outcomes: Outcomes = {}
    with signals.handled_by(hurry):
        async with anyio.create_task_group() as displays:
            displays.start_soon(display)
            with signals.handled_by(lambda: run.interrupt(signals.exit_code)):
                outcomes = await run.execute()
            if signals.exit_code:
                hurry()
    return outcomes


def summarise(
    platform: Platform, plan: Plan, outcomes: Outcomes, failure: FleetpacksError | None, stream: TextIO
) -> None:
    """Tell a CI platform what became of a run, also of one that never began; a failure to do so is only told."""
    with suppress(OSError):
        if failure is not None and platform.annotates:
            stream.write(github.error({"title": f"fleetpacks: {failure.kind}"}, f"{failure.message}\n{failure.hint}"))
        if platform.summary is None:
            return
        try:
            text = summary.markdown(plan, outcomes, error=failure.message if failure else None)
            summary.append(platform.summary, text)
        except OSError as error:
            stream.write(f"warning: {platform.summary}: the job's summary cannot be written: {error.strerror}\n")


def _dockerfiles(plan: Plan) -> Mapping[str, Path]:
    return {
        each.app.name: (each.app.directory / each.build.dockerfile_path).absolute()
        for each in plan.apps
        if each.build.dockerfile_path is not None
    }
