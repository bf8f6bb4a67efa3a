"""Package caches within a run: filled before an app is built, kept when all have ended, and told of."""

import anyio
import pytest

from orchestrator.display.plain import Plain
from orchestrator.engine.carrying import Tell
from orchestrator.engine.run import Run
from orchestrator.errors import BuildFailedError
from orchestrator.events import AppCompleted, AppStarted, Event, PackagesCarried, RunCompleted
from orchestrator.model import AppPlan
from orchestrator.report.analysis import report
from orchestrator.report.record import Header, Record
from orchestrator.report.text import lines
from tests.engine.test_run import ScriptedSolver, execute, nothing, plan_of


def carried(name: str, *, back: bool = False, error: str | None = None, hint: str = "") -> PackagesCarried:
    size = 0 if error else 2_000_000
    return PackagesCarried(
        time=1.0, cache=name, to="directory" if back else "builder", seconds=1.5, size=size, error=error, hint=hint
    )


class Carries:
    """Carries what is named after an app."""

    def __init__(self, *, forever: bool = False) -> None:
        self._forever = forever
        self.begun = anyio.Event()
        self.heard: list[Event] = []

    def note(self, event: Event) -> None:
        self.heard.append(event)

    async def bring(self, plan: AppPlan, tell: Tell) -> None:
        await tell(carried(plan.app.name))

    async def take(self, tell: Tell) -> None:
        self.begun.set()
        if self._forever:
            await anyio.sleep_forever()
        await tell(carried("all", back=True))


def order(events: list[Event]) -> list[str]:
    said: list[str] = []
    for event in events:
        match event:
            case PackagesCarried():
                said.append(f"{event.to} {event.cache}")
            case AppStarted() | AppCompleted():
                said.append(f"{type(event).__name__} {event.app}")
            case RunCompleted():
                said.append("end")
            case _:
                pass
    return said


async def test_caches_are_filled_before_an_app_is_built_and_kept_before_the_run_ends() -> None:
    _, events = await execute(plan_of("a", "b"), ScriptedSolver(nothing), jobs=1, carrier=Carries())

    assert order(events) == [
        "builder a",
        "AppStarted a",
        "AppCompleted a",
        "builder b",
        "AppStarted b",
        "AppCompleted b",
        "directory all",
        "end",
    ]


@pytest.mark.parametrize("fail_fast", [False, True])
async def test_what_failed_builds_have_downloaded_is_kept_too(*, fail_fast: bool) -> None:
    async def fail(_ref: str) -> None:
        await anyio.lowlevel.checkpoint()
        raise BuildFailedError("no", hint="")

    _, events = await execute(plan_of("a", "b"), ScriptedSolver(fail), jobs=1, fail_fast=fail_fast, carrier=Carries())

    assert order(events)[-2:] == ["directory all", "end"]


async def test_an_interruption_ends_it_and_changes_no_outcome() -> None:
    carrier = Carries(forever=True)

    async def interrupt(run: Run) -> None:
        await carrier.begun.wait()
        run.interrupt(130)

    outcomes, events = await execute(
        plan_of("a"), ScriptedSolver(nothing), jobs=1, carrier=carrier, meanwhile=interrupt
    )

    assert isinstance(outcomes["a"], AppCompleted)
    assert order(events)[-2:] == ["AppCompleted a", "end"]
    last = events[-1]
    assert isinstance(last, RunCompleted)
    assert last.exit_code == 130


async def test_an_interruption_before_the_end_keeps_nothing() -> None:
    carrier = Carries()
    stuck = anyio.Event()

    async def stay(_ref: str) -> None:
        stuck.set()
        await anyio.sleep_forever()

    async def interrupt(run: Run) -> None:
        await stuck.wait()
        run.interrupt(130)

    _, events = await execute(plan_of("a"), ScriptedSolver(stay), jobs=1, carrier=carrier, meanwhile=interrupt)

    assert "directory all" not in order(events)


_CARRIED = (
    carried("npm"),
    carried("pip", error="it has 3.0 GB, and 2.0 GB are the most", hint="Say more."),
    carried("npm", back=True),
    carried("pip", back=True),
)


def test_each_is_a_line_and_what_was_not_carried_is_a_warning() -> None:
    display = Plain()

    text = ["".join(display.render(event)).strip() for event in _CARRIED]

    assert text == [
        "| package cache npm filled: 2.0 MB in 1.5s",
        "| warning: the package cache pip was not filled: it has 3.0 GB, and 2.0 GB are the most (hint: Say more.)",
        "| package cache npm kept: 2.0 MB in 1.5s",
        "| package cache pip kept: 2.0 MB in 1.5s",
    ]


def test_the_report_says_what_it_cost() -> None:
    header = Header(time=0.0, run="r", version="0", source="/s", revision=None, branch=None, apps=())

    made = report(Record(header=header, events=_CARRIED))

    assert made.packages == _CARRIED
    said = list(lines(made))
    assert "package caches filled before builds: npm; 2.0 MB in 3.0s" in said
    assert "package cache pip not carried: it has 3.0 GB, and 2.0 GB are the most (hint: Say more.)" in said
    assert "package caches kept after them: npm, pip; 4.0 MB in 3.0s" in said
