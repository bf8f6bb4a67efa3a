"""The engine for programs: `import orchestrator`. On asyncio and on trio; cancelling it cancels the builds.

What the command is told by options stands in `Flags` and `Request`, what it prints as events and results are the same
values. Left out is what belongs to a terminal: displays, signals, the result file.
"""

import datetime as dt
import time
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import anyio.to_thread
import msgspec
from anyio.streams.memory import MemoryObjectReceiveStream

from orchestrator import app
from orchestrator.config import Config, Flags, environment, load
from orchestrator.errors import EXIT_OK
from orchestrator.events import Event
from orchestrator.model import App, Plan
from orchestrator.plan.outputs import parse, place
from orchestrator.plan.planner import Request
from orchestrator.report.result import Outcome, Result, result

OnEvent = Callable[[Event], Awaitable[None]]

_EVERYTHING = Request()


class Monorepo:
    """A directory with apps.

    Its files are read by each call: what was changed between two of them counts.

    Args:
        source: the directory.
        flags: what was said of all that is done with it.
        variables: the environment that counts; None: the process's. Nothing else of the process does.
    """

    def __init__(
        self, source: str | Path, *, flags: Flags | None = None, variables: Mapping[str, str] | None = None
    ) -> None:
        self._source = Path(source)
        self._flags = flags or Flags()
        self._variables = variables

    async def apps(self) -> tuple[App, ...]:
        """Find the apps.

        Raises:
            UsageError: there is no such directory.
            ConfigError: a configuration file, or an app's own file, is wrong.
            ContextError: the source cannot be read.
        """
        return (await app.discover_apps(await self._config())).apps

    async def plan(self, request: Request = _EVERYTHING) -> Plan:
        """Plan what would be built; no builder and no registry is asked.

        Args:
            request: which apps, and under which tags.

        Raises:
            UsageError: there is no app, or names cannot be.
            ConfigError: a configuration file, or an app's own file, is wrong.
            ContextError: the source cannot be read.
        """
        return await app.make_plan(await self._config(), request)

    async def build(
        self,
        request: Request = _EVERYTHING,
        *,
        on_event: OnEvent | None = None,
        keep_going: bool = True,
        outputs: Sequence[str] = (),
    ) -> Result:
        """Build apps and publish them.

        Args:
            request: which apps, under which tags, and whether they are pushed; with outputs they are not, unless that
                is said.
            on_event: hears of everything in its order; builds wait for one that is slow. What it raises ends the run,
                and is raised here.
            keep_going: whether other apps are built when one fails.
            outputs: what else is made of each app: `type=oci,dest=out/{app}.tar`.

        Returns:
            What became of each app. A failed one is no exception: `status`, `exit_code`, and its `error`.

        Raises:
            UsageError: as `plan`; the builder's address is wrong; or no builder can do what is asked for.
            ConfigError, ContextError: as `plan`, or a secret has no source.
            TransientError: nothing answers at the builder's address.
        """
        # h2, protobuf, h11: only where something is built.
        from orchestrator.app.display import Display  # noqa: PLC0415
        from orchestrator.app.execution import BuildOptions, checked_out, executed  # noqa: PLC0415
        from orchestrator.app.recording import Recording  # noqa: PLC0415
        from orchestrator.app.signals import Cancellation  # noqa: PLC0415
        from orchestrator.engine.run import exit_code  # noqa: PLC0415

        began = time.monotonic()
        config = await self._config()
        asked = parse(outputs)
        pushed = False if asked and request.push is None else request.push
        plan = await app.make_plan(config, msgspec.structs.replace(request, push=pushed, secrets_needed=True))
        if not plan.apps:
            return _ended(plan, {}, exit_code=EXIT_OK, began=began, config=config)
        config = await checked_out(config)
        options = BuildOptions(
            keep_going=keep_going,
            placed=place(asked, [each.app.name for each in plan.apps], root=plan.root),
            load=any(each.place is None for each in asked),
        )
        cancellation = Cancellation()
        hearing = _Hearing(on_event, cancellation.end)

        @contextmanager
        def shown(_plan: Plan) -> Generator[Display]:
            yield hearing.hear

        record = Recording(config)
        made = await executed(config, plan, options, record=record, signals=cancellation, shown=shown)
        if hearing.raised is not None:
            raise hearing.raised
        await record.send_trace()
        if made.failure is not None:
            raise made.failure
        return _ended(made.plan, made.outcomes, exit_code=exit_code(made.outcomes.values()), began=began, config=config)

    async def _config(self) -> Config:
        variables = environment.read() if self._variables is None else self._variables
        return await anyio.to_thread.run_sync(load, self._source, variables, self._flags)


class _Hearing:
    """Hands events on, to somebody who may fail; the run is told all the same."""

    def __init__(self, on_event: OnEvent | None, end: Callable[[], None]) -> None:
        self._on_event = on_event
        self._end = end
        self.raised: Exception | None = None

    async def hear(self, events: MemoryObjectReceiveStream[Event]) -> None:
        async with events:
            async for event in events:
                if self._on_event is not None and self.raised is None:
                    try:
                        await self._on_event(event)
                    except Exception as error:  # noqa: BLE001 -- whoever began the run gets it, when that has ended
                        self.raised = error
                        self._end()


def _ended(plan: Plan, outcomes: Mapping[str, Outcome], *, exit_code: int, began: float, config: Config) -> Result:
    return result(
        plan,
        outcomes,
        exit_code=exit_code,
        seconds=time.monotonic() - began,
        timestamp=dt.datetime.now(tz=dt.UTC).isoformat(timespec="seconds"),
        custom=config.environment.custom_data,
    )
