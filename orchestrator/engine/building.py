"""One app: looked at, built, published; again where that helps, and within its time.

An app's failure is an outcome, not an exception.
"""

import itertools
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, suppress

import anyio
import msgspec

from orchestrator.buildkit import (
    DirectoryDestination,
    FileDestination,
    OnStatus,
    SolveRequest,
    SolveResult,
    StatusUpdate,
)
from orchestrator.engine.exporting import Exporting
from orchestrator.engine.hedging import Hedge, Race
from orchestrator.engine.host import BuilderHost, Joiner, Lease
from orchestrator.engine.mirroring import Mirroring
from orchestrator.engine.progress import Progress
from orchestrator.engine.publish import Published
from orchestrator.engine.request import with_cache
from orchestrator.engine.retry import pause
from orchestrator.engine.skipping import Changed, Skipper
from orchestrator.engine.standing import Standing
from orchestrator.engine.stated import explained
from orchestrator.errors import (
    BuildTimeoutError,
    FailedStep,
    FleetpacksError,
    ProtocolError,
    TransientError,
)
from orchestrator.events import (
    AppCompleted,
    AppFailed,
    AppStarted,
    AppWarning,
    Event,
    ImagePart,
    MemoryMeasured,
)
from orchestrator.model import AppPlan
from orchestrator.text import duration
from orchestrator.workspace.files import text

_NO_IMAGES = frozenset({"local", "tar"})
"""Exporters of file trees."""
_MEASURE_SECONDS = 5.0
_jitter = random.random


class _Built(msgspec.Struct, frozen=True, kw_only=True):
    """What an app has become."""

    digest: str | None
    tags: tuple[str, ...]
    outputs: tuple[str, ...]
    sent_bytes: int
    ref: str
    """The build's, on the daemon."""
    progress: Progress
    """Of the build that counts."""
    platform: str
    """Of the builder."""


class _Solved(msgspec.Struct, frozen=True, kw_only=True):
    """What a builder has made."""

    host: BuilderHost
    request: SolveRequest
    result: SolveResult
    progress: Progress


class Building:
    """Builds the apps of one run.

    Args:
        emit: tells what happens.
        at_last: a block in which it is told although the run is cancelled.
        push: whether images are published.
        skipper: knows what need not be built; None: everything is.
        retries: attempts after a first one that failed in a way that trying again can mend.
        mirrors: know what mirrors have; None: there are none.

    Attributes:
        exporting: writes the caches of what was built.
    """

    def __init__(
        self,
        *,
        emit: Callable[[Event], Awaitable[None]],
        at_last: Callable[[], AbstractContextManager[None]],
        push: bool,
        skipper: Skipper | None,
        retries: int,
        mirrors: Mirroring | None = None,
    ) -> None:
        self._emit = emit
        self._at_last = at_last
        self._push = push
        self._skipper = skipper
        self._retries = retries
        self._standing = Standing(emit, mirrors)
        self.exporting = Exporting(emit, self._standing, retries=retries)
        self._refs: dict[str, str] = {}

    async def look(self, plan: AppPlan) -> AppCompleted | None:
        """The outcome of an app that need not be built."""
        if self._skipper is None or plan.app.name in self._standing.changed:
            return None
        began = time.monotonic()
        look = await self._skipper.look(plan)
        # Where all is skipped nobody else asks mirrors.
        await self._standing.tell(plan.app.name)
        if isinstance(look, Changed):
            self._standing.changed[plan.app.name] = look
            return None
        return AppCompleted(
            time=time.time(),
            app=plan.app.name,
            image=plan.repository,
            tags=look.published.references,
            digest=look.published.digest,
            seconds=time.monotonic() - began,
            steps=0,
            cached=0,
            sent_bytes=0,
            skipped=True,
            revision=look.revision,
            platforms=look.platforms,
        )

    async def build(self, plan: AppPlan, lease: Lease, hedge: Hedge | None = None) -> AppCompleted | AppFailed:
        """Build and publish an app within its time, at its place; a part of an image is not published.

        Args:
            plan: the app's.
            lease: its place.
            hedge: what it may do when it takes too long; None: nothing.
        """
        host = lease.host
        began = time.monotonic()
        name = plan.app.name
        progress = Progress(name)

        async def on_status(update: StatusUpdate) -> None:
            for event in progress.feed(update):
                await self._emit(event)

        changed = self._standing.changed.get(name)
        await self._emit(
            AppStarted(
                time=time.time(),
                app=name,
                host=host.name,
                image=plan.repository,
                language=plan.build.language,
                reason=changed.reason if changed else "",
                memory=lease.placed.job.memory,
                worker=host.worker,
                held=lease.held,
                placed=lease.placed.reason,
                warm=lease.placed.warm,
                platform=plan.part,
            )
        )
        for warning in plan.build.warnings:
            await self._emit(AppWarning(time=time.time(), app=name, message=warning))
        built: _Built | None = None
        failure: FleetpacksError = BuildTimeoutError(
            f"not done within {duration(plan.timeout or 0)}",
            hint="Give it more time: timeout = ... in fleetpacks.toml, or --timeout.",
        )
        with anyio.move_on_after(plan.timeout):
            try:
                built = await self._attempts(plan, lease, hedge, progress, on_status)
            except FleetpacksError as error:
                failure = explained(plan, error)
        # What is published is never said to be cancelled.
        with self._at_last():
            for event in progress.close():
                await self._emit(event)
        if built is None:
            return failed_app(name, failure, seconds=time.monotonic() - began)
        if not plan.part:
            self._refs[name] = built.ref
        now, won = time.monotonic(), hedge.won if hedge is not None else None
        return AppCompleted(
            time=time.time(),
            app=name,
            image=plan.repository,
            tags=built.tags,
            digest=built.digest,
            outputs=built.outputs,
            seconds=now - began,
            steps=built.progress.steps,
            cached=built.progress.cached,
            sent_bytes=built.sent_bytes,
            platforms=plan.build.platforms or ((built.platform,) if built.platform else ()),
            host="" if won is None else won.host.name,
            host_seconds=now - hedge.began if hedge is not None and won is not None else 0.0,
        )

    async def join(
        self, plan: AppPlan, parts: tuple[ImagePart, ...], joiner: Joiner, *, seconds: float
    ) -> AppCompleted | AppFailed:
        """Publish an image whose parts were built.

        Args:
            plan: the app's.
            parts: all of them, in the order of its platforms.
            joiner: publishes it.
            seconds: how long that took.
        """
        began = time.monotonic()
        digests = [(part.platform, part.digest) for part in parts if part.digest is not None]
        try:
            published = await self._joined(plan, digests, joiner)
        except FleetpacksError as error:
            return failed_app(plan.app.name, error, seconds=seconds + time.monotonic() - began)
        return AppCompleted(
            time=time.time(),
            app=plan.app.name,
            image=plan.repository,
            tags=published.references,
            digest=published.digest,
            seconds=seconds + time.monotonic() - began,
            steps=sum(part.steps for part in parts),
            cached=sum(part.cached for part in parts),
            sent_bytes=sum(part.sent_bytes for part in parts),
            parts=parts,
            platforms=tuple(part.platform for part in parts),
        )

    async def _joined(self, plan: AppPlan, digests: Sequence[tuple[str, str]], joiner: Joiner) -> Published:
        """Publish an image's parts as one, again when that can help.

        Raises:
            FleetpacksError: the last attempt's failure.
        """
        record = await self._record_of(plan)
        for failed in itertools.count(1):
            try:
                published = await joiner.join(plan.repository, digests, plan.tags, record=record)
            except FleetpacksError as error:
                wait = pause(error, failed=failed, retries=self._retries, jitter=_jitter())
                if wait is None:
                    raise
                message = f"trying again in {wait:.0f}s ({failed} of {self._retries}): {error.message}"
                await self._emit(AppWarning(time=time.time(), app=plan.app.name, message=message))
            else:
                with self._at_last():
                    await self._recorded(plan, published, record)
                return published
            await anyio.sleep(wait)
        raise AssertionError

    async def _attempts(
        self, plan: AppPlan, lease: Lease, hedge: Hedge | None, progress: Progress, on_status: OnStatus
    ) -> _Built:
        """Build and publish an app, again when that can help.

        Raises:
            FleetpacksError: the last attempt's failure.
        """
        # That an image is not in a mirror is no failure to be counted: of each this happens once.
        failed = 0
        while True:
            lost = self._standing.lost
            try:
                # A first attempt has exported nothing.
                solved = await self._raced(plan, lease, hedge, progress, on_status, again=progress.exporting)
                return await self._published(plan, solved, on_status)
            except FleetpacksError as error:
                if self._standing.lost_mirror(error, since=lost):
                    # What becomes of it is told where the build begins again.
                    continue
                failed += 1
                wait = pause(error, failed=failed, retries=self._retries, jitter=_jitter())
                gone = self._standing.gone(plan, error) if wait is None else None
                if gone is not None:
                    wait, message = 0.0, f"{gone} cannot be had as it was looked up: building on what its tag gives now"
                elif wait is not None:
                    message = f"trying again in {wait:.0f}s ({failed} of {self._retries}): {error.message}"
                else:
                    raise
                await self._emit(AppWarning(time=time.time(), app=plan.app.name, message=message))
            await anyio.sleep(wait)

    async def _raced(
        self,
        plan: AppPlan,
        lease: Lease,
        hedge: Hedge | None,
        progress: Progress,
        on_status: OnStatus,
        *,
        again: bool,
    ) -> _Solved:
        """Have an app built at its place, or on another host if that is sooner."""

        async def first() -> _Solved:
            return await self._solve(plan, lease.host, progress, on_status, again=again)

        async def second(at: Lease) -> _Solved:
            # Told would be a mixture of both.
            other = Progress(plan.app.name)

            async def quiet(update: StatusUpdate) -> None:
                for _ in other.feed(update):
                    pass

            return await self._solve(plan, at.host, other, quiet, again=again)

        async def begun(at: Lease) -> None:
            message = f"not done within {duration(hedge.after if hedge else 0)}: begun on {at.host.name}, too"
            await self._emit(AppWarning(time=time.time(), app=plan.app.name, message=message))

        if hedge is None:
            return await first()
        # Another attempt is made where the one before it came to its end.
        return await second(hedge.won) if hedge.won is not None else await Race(first, second, begun).run(hedge)

    async def _solve(
        self, plan: AppPlan, host: BuilderHost, progress: Progress, on_status: OnStatus, *, again: bool
    ) -> _Solved:
        with host.prepare(plan) as prepared:
            request = await self._standing.held(plan, prepared, host)
            # What was executed without the cache is in it now.
            result = await host.solver.solve(with_cache(request) if again else request, on_status=on_status)
        return _Solved(host=host, request=request, result=result, progress=progress)

    async def _published(self, plan: AppPlan, solved: _Solved, on_status: OnStatus) -> _Built:
        host, request, result = solved.host, solved.request, solved.result
        for warning in result.warnings:
            await self._emit(AppWarning(time=time.time(), app=plan.app.name, message=warning))
        if result.digest is None and _makes_image(request):
            raise ProtocolError(
                f"{host.name}: the build ended well without an image digest",
                hint="is the daemon older than buildkitd 0.13? `buildctl debug info` shows its version",
            )
        digest = result.digest
        tags: tuple[str, ...] = ()
        if self._push and digest is not None and not plan.part:
            record = await self._record_of(plan)
            published = await host.publisher.publish(
                plan.repository, digest, plan.tags, record=record, on_status=on_status
            )
            digest, tags = published.digest, published.references
            with self._at_last():
                await self._recorded(plan, published, record)
        return _Built(
            digest=digest,
            tags=tags,
            outputs=_written(request),
            sent_bytes=result.sent_bytes,
            ref=request.ref,
            progress=solved.progress,
            platform=host.platform,
        )

    async def measure(self, built: AppCompleted, host: BuilderHost) -> None:
        """Find out what a build needed of the builder's memory, where it executed something and the builder says so."""
        ref = self._refs.pop(built.app, None)
        if host.measure is None or ref is None or built.cached == built.steps:
            return
        with anyio.move_on_after(_MEASURE_SECONDS), suppress(FleetpacksError):
            use = await host.measure(ref)
            if use.needed is not None:
                measured = MemoryMeasured(
                    time=time.time(),
                    app=built.app,
                    needed=use.needed,
                    available=use.available or 0,
                    whole=built.cached == 0,
                )
                await self._emit(measured)

    async def _record_of(self, plan: AppPlan) -> str | None:
        """The tag that vouches for what was built: none when a file was changed since it was looked at."""
        changed = self._standing.changed.get(plan.app.name)
        if self._skipper is None or changed is None or changed.record is None:
            return None
        return changed.record if await self._skipper.is_as_it_was(plan) else None

    async def _recorded(self, plan: AppPlan, published: Published, record: str | None) -> None:
        if published.unrecorded is not None:
            message = f"its record cannot be put, so it will be built again: {published.unrecorded}"
            await self._emit(AppWarning(time=time.time(), app=plan.app.name, message=message))
        elif record is not None and self._skipper is not None:
            self._skipper.built(plan, published)


def failed_app(app: str, error: FleetpacksError, *, seconds: float = 0.0, transient: bool | None = None) -> AppFailed:
    """The outcome of an app.

    Args:
        app: its name.
        error: why.
        seconds: how long it was tried.
        transient: whether the same build can end well later, where the error's type does not say it.
    """
    return AppFailed(
        time=time.time(),
        app=app,
        kind=error.kind,
        message=error.message,
        hint=error.hint,
        transient=isinstance(error, TransientError) if transient is None else transient,
        seconds=seconds,
        **msgspec.structs.asdict(error.at or FailedStep()),
    )


def _makes_image(request: SolveRequest) -> bool:
    return any(exporter.type not in _NO_IMAGES for exporter in request.exporters)


def _written(request: SolveRequest) -> tuple[str, ...]:
    places = (exporter.destination for exporter in request.exporters)
    there = [place.path for place in places if isinstance(place, (DirectoryDestination, FileDestination))]
    return tuple(text(str(path)) for path in there)
