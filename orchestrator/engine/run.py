"""One run: every app of a plan, built at once under a limit, published, each failing alone.

What need not be built is found out of each app by itself, and workers take those that have to be while others are
still looked at: the longest first, but for those that need the image of another, which wait until it is published,
and fail at once when it has failed. A build that loses its host goes to another one, where there are several. An app's
failure is an outcome, not an exception; an exception out of here is a defect of ours. Interruption and `--fail-fast`
cancel one scope, which cancels the solves on the daemons, and whatever has no outcome by then is reported as
cancelled: no app is ever left unsaid.
"""

import bisect
import itertools
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Literal

import anyio
import msgspec
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectSendStream

from orchestrator.engine.building import Building, failed_app
from orchestrator.engine.hedging import Hedge
from orchestrator.engine.host import Joiner, Lease
from orchestrator.engine.hosts import LOST, Hosts, Member
from orchestrator.engine.masking import Mask, unmasked
from orchestrator.engine.mirroring import Mirroring
from orchestrator.engine.parts import End, Parts
from orchestrator.engine.retry import RETRIES
from orchestrator.engine.skipping import Skipper
from orchestrator.errors import (
    EXIT_FAILED,
    EXIT_OK,
    EXIT_TRANSIENT,
    BuilderUnreachableError,
    FleetpacksError,
    NeededAppError,
)
from orchestrator.events import (
    INTERRUPTED,
    AppCancelled,
    AppCompleted,
    AppFailed,
    AppWarning,
    Event,
    RunCompleted,
    RunStarted,
    StepCompleted,
)
from orchestrator.model import AppPlan, Plan
from orchestrator.schedule.hedging import late_after
from orchestrator.schedule.jobs import job, lying
from orchestrator.schedule.order import GiveUp, Start, decide, images
from orchestrator.schedule.placement import AHEAD, PATIENT, ahead
from orchestrator.schedule.platforms import parts_of

if TYPE_CHECKING:
    from orchestrator.engine.carrying import Carrier

Outcome = AppCompleted | AppFailed | AppCancelled
_LOOKS_AT_ONCE = 16
"""Looks for what need not be built: requests to a registry, for the most part."""
_MOVES = 3
"""Hosts that a build may lose, after which it has failed."""
_TELLING_SECONDS = 2.0
"""How long an outcome waits, in an interrupted run, for a display that nobody reads."""


class Run:
    """The run of one plan."""

    def __init__(
        self,
        plan: Plan,
        *,
        hosts: Sequence[Member],
        events: MemoryObjectSendStream[Event],
        jobs: int,
        fail_fast: bool,
        warnings: Sequence[str] = (),
        record: Callable[[Event], None] | None = None,
        mask: Mask = unmasked,
        skipper: Skipper | None = None,
        retries: int = RETRIES,
        expected: Mapping[str, float] | None = None,
        cold: Mapping[str, float] | None = None,
        needed: Mapping[str, int] | None = None,
        platform: str = "",
        built_on: Mapping[str, Sequence[str]] | None = None,
        bases: Mapping[str, Sequence[str]] | None = None,
        absent: Mapping[str, FleetpacksError] | None = None,
        hedge: float | None = None,
        joiner: Joiner | None = None,
        mirrors: Mirroring | None = None,
        unable: Mapping[str, frozenset[str]] | None = None,
        closing: Callable[[], str | None] | None = None,
    ) -> None:
        """Get ready; nothing happens before `execute`.

        Args:
            plan: the apps, in the order in which they are started.
            hosts: the builders, at least one.
            events: where events go; closed by `execute`.
            jobs: builds at once on all hosts together, at least 1.
            fail_fast: whether the first failure cancels the rest.
            warnings: what is to be said of the whole run, once.
            record: hears of every event at once, whoever reads `events`, and as it is; must not wait.
            mask: what is told, through `events` and by the outcomes, is what it leaves.
            skipper: knows what need not be built; None: everything is.
            retries: attempts after a first one that failed in a way that trying again can mend.
            expected: how long apps took when they were built last, in seconds: the longest begin first, and those
                that are not known before them.
            cold: how long they took when nothing of them was cached, in seconds, as far as that is known.
            needed: bytes of memory that apps needed when they were built before; one without an entry is not known.
            platform: for which apps are built that name none; "": what their host is.
            built_on: the names of the hosts that apps were built on before.
            bases: the images that apps stand on, by the app's name.
            absent: the hosts that have not answered, by name, and why; they may `join`.
            hedge: how many times as long as expected an app may take before it is begun on another host, too; None:
                as long as it takes.
            joiner: publishes images whose platforms are built on hosts of their own; None: a host builds all of them.
            mirrors: know what mirrors of registries have; None: there are none.
            closing: what is to be said of the whole run when all apps have ended; None: nothing.
            unable: the hosts that cannot execute the steps of apps, by the app's name; not of those that are built in
                parts.
        """
        self._plan = plan
        self._events = events
        self._jobs = jobs
        self._fail_fast = fail_fast
        self._warnings = warnings
        self._record = record
        self._mask = mask
        self._scope = anyio.CancelScope()
        self._telling = anyio.CancelScope()
        self._last_words: set[anyio.CancelScope] = set()
        self._interrupted = 0
        self._reason: Literal["interrupted", "fail-fast"] = "interrupted"
        self._outcomes: dict[str, Outcome] = {}
        self._plans = {app.app.name: app for app in plan.apps}
        self._images = images(plan)
        self._needs = {name: tuple(contexts.values()) for name, contexts in self._images.items()}
        self._building = Building(
            emit=self._emit,
            at_last=self._at_last,
            push=plan.push,
            skipper=skipper,
            retries=retries,
            mirrors=mirrors,
        )
        self._joiner = joiner
        self._closing = closing
        self._places = {
            app.app.name: job(
                app,
                platform=platform,
                bases=(bases or {}).get(app.app.name, ()),
                memory=(needed or {}).get(app.app.name, 0),
                seconds=(cold or {}).get(app.app.name) or (expected or {}).get(app.app.name, 0.0),
                besides=(unable or {}).get(app.app.name, frozenset()),
            )
            for app in plan.apps
        }
        self._hearing: dict[str, list[Carrier]] = {}
        """Who hears of the steps of an app."""
        self._hosts = Hosts(
            hosts, limit=jobs, say=self._say, more=self._more, lies=lying(self._places, built_on or {}), absent=absent
        )
        self._workers: TaskGroup | None = None
        self._over = False
        self._carrying = anyio.CancelScope()
        self._hedging = hedge
        self._expected = known = expected or {}
        order = sorted(self._plans, key=lambda name: -known.get(name, math.inf))
        self._rank = {name: rank for rank, name in enumerate(order)}
        # What stands on the image of another app is made of that, too: it is looked at when that is known.
        self._unseen = [name for name in order if skipper is not None and name not in self._images]
        """Not looked at yet, or just being looked at."""
        self._waiting = [name for name in order if skipper is None or name in self._images]
        self._running: set[str] = set()
        self._succeeded: set[str] = set()
        self._failed: set[str] = set()
        self._moved = anyio.Event()

    def interrupt(self, exit_code: int) -> None:
        """Cancel what is running, and start nothing more. `execute` then returns soon.

        Args:
            exit_code: what the process is going to end with, for the last event.
        """
        self._interrupted = exit_code
        self._scope.cancel()
        self._carrying.cancel()
        self._hurry()

    @property
    def hosts(self) -> Hosts:
        """The builders, for whoever lets some come and go."""
        return self._hosts

    async def execute(self) -> Mapping[str, Outcome]:
        """Build everything.

        Returns:
            One outcome for every app of the plan, by name, in the plan's order.
        """
        began = time.monotonic()
        names = tuple(app.app.name for app in self._plan.apps)
        async with self._events:
            await self._emit(
                RunStarted(
                    time=time.time(),
                    apps=names,
                    builder=", ".join(self._hosts.names),
                    jobs=self._jobs,
                    memory=self._hosts.memory,
                )
            )
            for warning in self._warnings:
                await self._emit(AppWarning(time=time.time(), app=None, message=warning))
            with self._scope:
                async with self._hosts, anyio.create_task_group() as tasks:
                    self._workers = tasks
                    # Each takes the next one: those that take longest are looked at first, too.
                    looked_at = iter(tuple(self._unseen))
                    for _ in range(min(_LOOKS_AT_ONCE, len(self._unseen))):
                        tasks.start_soon(self._look, looked_at)
                    # More than there are places for: some wait for a host of theirs, or for memory, and others pass.
                    more = ahead(len(self._hosts.names)) if self._hosts.many or self._hosts.memory else 0
                    more += PATIENT if self._hosts.many else 0
                    for _ in range(min(self._jobs + more, len(names))):
                        tasks.start_soon(self._work, tasks)
            self._workers = None
            if not self._interrupted:
                # A run that failed fast has filled them, too; an interrupted one ends.
                with self._carrying:
                    async with anyio.create_task_group() as tasks:
                        for carrier in self._hosts.carriers:
                            tasks.start_soon(carrier.take, self._emit)
                said = self._closing() if self._closing is not None else None
                if said:
                    await self._emit(AppWarning(time=time.time(), app=None, message=said))
            cancelled = {
                name: AppCancelled(time=time.time(), app=name, reason=self._reason)
                for name in names
                if name not in self._outcomes
            }
            self._outcomes.update(cancelled)
            outcomes = {name: self._outcomes[name] for name in names}
            if self._interrupted:
                self._hurry()
            completed = RunCompleted(
                time=time.time(),
                exit_code=self._interrupted or exit_code(outcomes.values()),
                seconds=time.monotonic() - began,
                succeeded=sum(isinstance(outcome, AppCompleted) for outcome in outcomes.values()),
                skipped=sum(isinstance(outcome, AppCompleted) and outcome.skipped for outcome in outcomes.values()),
                failed=sum(isinstance(outcome, AppFailed) for outcome in outcomes.values()),
                cancelled=sum(isinstance(outcome, AppCancelled) for outcome in outcomes.values()),
                error=INTERRUPTED if self._interrupted else None,
            )
            self._over = True
            last: tuple[Event, ...] = (*cancelled.values(), completed)
            # Recorded before any is told: nobody may be reading.
            for event in last:
                self._note(event)
            with self._telling:
                for event in last:
                    await self._tell(event)
        return {name: self._mask(outcome) for name, outcome in outcomes.items()}

    def _hurry(self) -> None:
        for scope in (self._telling, *self._last_words):
            scope.deadline = anyio.current_time() + _TELLING_SECONDS

    def _more(self, slots: int) -> None:
        """A host has joined: more apps may be built at once."""
        if self._workers is not None:
            for _ in range(min(slots + AHEAD, len(self._plans))):
                self._workers.start_soon(self._work, self._workers)

    async def _say(self, message: str) -> None:
        # Who lets hosts come and go does so from outside, and may be late.
        if not self._over:
            with suppress(anyio.ClosedResourceError):
                await self._emit(AppWarning(time=time.time(), app=None, message=message))

    async def _look(self, names: Iterator[str]) -> None:
        """Look at apps, one after another: what is skipped takes no builder's slot."""
        for name in names:
            skipped = await self._building.look(self._plans[name])
            self._unseen.remove(name)
            if skipped is not None:
                await self._settle(skipped)
            else:
                bisect.insort(self._waiting, name, key=self._rank.__getitem__)
                self._wake()

    async def _work(self, tasks: TaskGroup) -> None:
        # An event that finds room takes no turn: a cancellation would not be noticed before the next solve.
        while (self._waiting or self._unseen) and not self._scope.cancel_called:
            told = self._decide()
            if told is None:
                await self._moved.wait()
                continue
            self._waiting.remove(told.app)
            if isinstance(told, GiveUp):
                await self._settle(self._given_up(told))
                continue
            self._running.add(told.app)
            try:
                plan = self._with_images(self._plans[told.app])
                skipped = await self._building.look(plan)
                if skipped is not None:
                    await self._settle(skipped)
                else:
                    await self._build(plan, tasks)
            finally:
                self._running.discard(told.app)
                self._wake()

    async def _build(self, plan: AppPlan, tasks: TaskGroup) -> None:
        """Build an app on a host, or each platform on one of its own, where that is the way to have all of them."""
        parts = parts_of(plan, self._hosts.platforms)
        if not parts or self._joiner is None:
            await self._place(plan, lambda outcome, lease: self._end(plan, outcome, lease, tasks))
            return
        split = Parts()
        await split.build(parts, self._place)
        for lease in split.leases:
            self._hosts.left(lease)
        failure = split.failure
        outcome = failure or await self._building.join(plan, split.built, self._joiner, seconds=split.seconds)
        await self._settle(outcome)
        if isinstance(outcome, AppCompleted):
            # They need no place: every step is cached.
            for part, lease in zip(parts, split.leases, strict=True):
                await self._export(part, lease)
        else:
            self._give_up()

    async def _place(self, plan: AppPlan, end: End) -> None:
        """Build an app or a part of it where the pool has room for it, and elsewhere when its host is lost."""
        place, rank = self._places[plan.app.name], self._rank[plan.app.name]
        if plan.part:
            place = msgspec.structs.replace(place, platform=plan.part, by_digest=True)
        for moves in itertools.count():
            try:
                async with self._hosts.lease(place, rank=rank) as lease, AsyncExitStack() as places:
                    hedge = self._hedge(plan, lease, places)
                    outcome = await self._built(plan, lease, hedge)
                    if isinstance(outcome, AppFailed) and outcome.kind in LOST and self._hosts.many:
                        await self._hosts.lost(lease, outcome)
                        if moves < _MOVES:
                            continue
                    elif isinstance(outcome, AppFailed) and moves < _MOVES:
                        other = self._hosts.elsewhere(lease, outcome)
                        if other is not None:
                            place, said = other, f"a step found no room on {lease.host.name}: built elsewhere"
                            await self._emit(AppWarning(time=time.time(), app=plan.app.name, message=said))
                            continue
                    await end(outcome, (hedge and hedge.won) or lease)
            except BuilderUnreachableError as error:
                await end(failed_app(plan.app.name, error, transient=True), None)
            return

    def _hedge(self, plan: AppPlan, lease: Lease, places: AsyncExitStack) -> Hedge | None:
        after = late_after(self._expected.get(plan.app.name), self._hedging)
        return None if after is None else Hedge(after=after, second=lambda: self._hosts.spare(lease), places=places)

    async def _built(self, plan: AppPlan, lease: Lease, hedge: Hedge | None) -> AppCompleted | AppFailed:
        build = partial(self._building.build, plan, lease, hedge)
        carrier = lease.host.carrier
        if carrier is None:
            return await build()
        await carrier.bring(plan, self._emit)
        self._hearing.setdefault(plan.app.name, []).append(carrier)
        try:
            return await build()
        finally:
            self._hearing[plan.app.name].remove(carrier)

    async def _end(
        self, plan: AppPlan, outcome: AppCompleted | AppFailed, lease: Lease | None, tasks: TaskGroup
    ) -> None:
        await self._settle(outcome)
        if lease is None:
            return
        if isinstance(outcome, AppCompleted):
            self._hosts.left(lease)
            tasks.start_soon(self._building.measure, outcome, lease.host)
            await self._export(plan, lease)
        else:
            self._give_up()

    async def _export(self, plan: AppPlan, lease: Lease) -> None:
        """Write the caches of a published app."""
        if lease.host.export is not None:
            with lease.host.export(plan) as requests:
                for request in requests:
                    await self._building.exporting.export(plan, request, lease.host)

    def _give_up(self) -> None:
        """An app has failed: that may be the end."""
        if self._fail_fast and not self._scope.cancel_called:
            self._reason = "fail-fast"
            self._scope.cancel()

    def _decide(self) -> Start | GiveUp | None:
        # Nobody is stuck while an app that is looked at may turn out to be there.
        going_on = self._running or self._unseen
        return decide(self._waiting, self._needs, running=going_on, succeeded=self._succeeded, failed=self._failed)

    def _given_up(self, told: GiveUp) -> AppFailed:
        because = self._outcomes[told.because]
        failed = isinstance(because, AppFailed) and because.kind != NeededAppError.kind
        error = NeededAppError(
            f"not built: it needs {told.because}, which {'failed' if failed else 'was not built'}",
            hint=f"See why {told.because} has no image.",
        )
        return failed_app(told.app, error, transient=isinstance(because, AppFailed) and because.transient)

    def _with_images(self, plan: AppPlan) -> AppPlan:
        """The plan with the images that it needs, by their digests."""
        images = {
            context: f"docker-image://{self._plans[app].repository}@{outcome.digest}"
            for context, app in self._images.get(plan.app.name, {}).items()
            if isinstance(outcome := self._outcomes[app], AppCompleted)
        }
        if not images:
            return plan
        build = msgspec.structs.replace(plan.build, contexts={**plan.build.contexts, **images})
        return msgspec.structs.replace(plan, build=build)

    async def _settle(self, outcome: Outcome) -> None:
        # Recorded before it is told: an outcome is a fact even when the telling is cancelled.
        self._outcomes[outcome.app] = outcome
        (self._succeeded if isinstance(outcome, AppCompleted) else self._failed).add(outcome.app)
        self._wake()
        with self._at_last():
            await self._emit(outcome)

    def _wake(self) -> None:
        """Have the workers that found nothing to do decide again, unless they have nothing to decide upon yet."""
        if self._waiting or not self._unseen:
            self._moved.set()
            self._moved = anyio.Event()

    @contextmanager
    def _at_last(self) -> Generator[None]:
        """Events are told although the run is cancelled; only an interrupted run does not wait for its display."""
        with anyio.CancelScope(shield=True) as scope:
            self._last_words.add(scope)
            if self._interrupted:
                scope.deadline = anyio.current_time() + _TELLING_SECONDS
            try:
                yield
            finally:
                self._last_words.discard(scope)

    async def _emit(self, event: Event) -> None:
        self._note(event)
        await self._tell(event)

    def _note(self, event: Event) -> None:
        if self._record is not None:
            self._record(event)
        if isinstance(event, StepCompleted):
            for carrier in self._hearing.get(event.app, ()):
                carrier.note(event)

    async def _tell(self, event: Event) -> None:
        event = self._mask(event)
        try:
            self._events.send_nowait(event)
        except anyio.WouldBlock:
            await self._events.send(event)


def exit_code(outcomes: Iterable[Outcome]) -> int:
    """What a run's outcomes mean for the process, interruption aside: 1 wins over 75.

    An app that `--fail-fast` cancelled adds nothing: the failure that caused it is there too.
    """
    failures = [outcome for outcome in outcomes if isinstance(outcome, AppFailed)]
    if not failures:
        return EXIT_OK
    return EXIT_TRANSIENT if all(failure.transient for failure in failures) else EXIT_FAILED
