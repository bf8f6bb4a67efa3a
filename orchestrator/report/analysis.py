"""From a record to a report: where the time went, what held the run up, and what was different the last time. Pure.

*Client-caused idle* is the time in which a slot was free and an app could have begun, and did not: nobody but us was
the reason.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Literal

import msgspec

from orchestrator.events import AppCompleted, AppFailed, CacheExported, ImagePart, PackagesCarried
from orchestrator.report.criticalpath import Part, critical_path
from orchestrator.report.kinds import KINDS, Kind
from orchestrator.report.payoff import Payoff, payoff
from orchestrator.report.record import Record
from orchestrator.report.timeline import Status, TimedApp, Timeline, timeline

RunStatus = Literal["succeeded", "failed", "cancelled", "unfinished", "running"]
"""`unfinished`: its process is gone, and did not end it."""
_NOTHING: tuple[Kind, ...] = ("other",)
_SLOWEST = 10
"""Steps that a report names."""


class Slow(msgspec.Struct, frozen=True, kw_only=True):
    """A step that took long."""

    app: str
    name: str
    kind: Kind
    seconds: float
    moved_bytes: int


class AppReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one app."""

    name: str
    path: str
    language: str
    version: str | None
    reason: str
    status: Status
    host: str | None
    placed: str
    """Why there: `cached`, `drawn`, `home is busy`, `only one`; empty when it was not begun."""
    warm: tuple[str, ...]
    """What of it was known to lie there: `app`, `dependencies`, `mounts`, `base`."""
    image: str | None
    tags: tuple[str, ...]
    digest: str | None
    revision: str | None
    """What its image was built from."""
    waited: float
    """Seconds since the images that it needs were there until it began."""
    held: float
    """Those of them in which it waited for the builder's memory, with a slot free."""
    memory: int | None
    """Bytes that its steps held at once at the most; None: the builder's host does not measure it."""
    seconds: float | None
    """None when it was never begun."""
    cached: int
    steps: int
    sent_bytes: int
    parts: tuple[ImagePart, ...]
    """What each host has built of an image whose platforms were built on hosts of their own; empty of all others."""
    kinds: Mapping[Kind, float]
    """Seconds by what they were spent on; they add up to `seconds`."""
    running: tuple[str, ...]
    """The steps that it was at when the record ends, of a run that goes on or was killed."""
    failure: AppFailed | None
    cache: CacheExported | None
    """What became of its layer cache, which is written when it is published."""
    warnings: tuple[str, ...]


class AppChange(msgspec.Struct, frozen=True, kw_only=True):
    """An app that is in both runs and was built in both."""

    name: str
    seconds_before: float
    seconds: float
    cached_before: int
    steps_before: int


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The run of the same source before this one."""

    run: str
    seconds: float
    cached: int
    steps: int
    apps: tuple[AppChange, ...]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The document."""

    run: str
    version: str
    """Of fleetpacks."""
    source: str
    branch: str | None
    revision: str | None
    status: RunStatus
    exit_code: int | None
    """None when the run has not ended by itself."""
    error: str | None
    began: float
    """Seconds since the epoch."""
    seconds: float
    builder: str | None
    jobs: int
    memory: int
    """Bytes that the builder had to give when it was last measured; 0: not known, and nothing is limited by it."""
    succeeded: int
    """Apps with an image, those that were skipped among them."""
    skipped: int
    failed: int
    cancelled: int
    cached: int
    steps: int
    sent_bytes: int
    client_idle: float | None
    """Seconds; None when nobody said how many builds may run at once."""
    kinds: Mapping[Kind, float]
    """Of all apps: they are built at the same time, so that it may be more than `seconds`."""
    waited: float
    cache_seconds: float
    """Of all apps, for writing layer caches after their publication."""
    cache_payoff: Payoff | None
    """What layer caches cost and saved in the runs of this source until this one; None when none was in use."""
    packages: tuple[PackagesCarried, ...]
    """Package caches that were carried to the builder and back, or not."""
    critical_path: tuple[Part, ...]
    slowest: tuple[Slow, ...]
    apps: tuple[AppReport, ...]
    previous: Comparison | None
    warnings: tuple[str, ...]
    incomplete: bool
    """Whether a part of the record was not understood, or its end is missing."""


def report(
    record: Record, *, now: float | None = None, before: Record | None = None, earlier: Sequence[Record] = ()
) -> Report:
    """All there is to say of a run.

    Args:
        record: the run's.
        now: seconds since the epoch, of a run that goes on.
        before: the run of the same source before it.
        earlier: runs of the same source before it, the oldest first.
    """
    return of_timeline(record, timeline(record, now=now), running=now is not None, before=before, earlier=earlier)


def of_timeline(
    record: Record,
    timed: Timeline,
    *,
    running: bool,
    before: Record | None = None,
    earlier: Sequence[Record] = (),
) -> Report:
    """As `report`, of a timeline that is there already."""
    header, completed = record.header, timed.completed
    apps = tuple(_app(each, header.revision) for each in timed.apps)
    return Report(
        run=header.run,
        version=header.version,
        source=header.source,
        branch=header.branch,
        revision=header.revision,
        status=_status(timed, running=running),
        exit_code=completed.exit_code if completed else None,
        error=completed.error if completed else None,
        began=timed.began,
        seconds=timed.seconds,
        builder=timed.builder,
        jobs=timed.jobs,
        memory=timed.memory,
        succeeded=sum(each.status in {"succeeded", "skipped"} for each in apps),
        skipped=sum(each.status == "skipped" for each in apps),
        failed=sum(each.status == "failed" for each in apps),
        cancelled=sum(each.status == "cancelled" for each in apps),
        cached=sum(each.cached for each in apps),
        steps=sum(each.steps for each in apps),
        sent_bytes=sum(each.sent_bytes for each in apps),
        client_idle=client_idle(timed) if timed.jobs else None,
        kinds={kind: sum(each.kinds.get(kind, 0.0) for each in apps) for kind in KINDS},
        waited=sum(each.waited for each in apps),
        cache_seconds=sum(each.cache.seconds for each in apps if each.cache),
        cache_payoff=payoff([*map(timeline, earlier), timed]),
        packages=timed.carried,
        critical_path=critical_path(timed),
        slowest=_slowest(timed.apps),
        apps=apps,
        previous=_comparison(timed, before) if before else None,
        warnings=timed.warnings,
        incomplete=record.unknown > 0 or (record.torn and not running),
    )


def client_idle(timed: Timeline) -> float:
    """Seconds in which a slot was free and an app could have begun, and did not."""
    changes: list[tuple[float, int, int]] = []
    for app in timed.apps:
        begins = app.end if app.start is None else app.start
        # Who waits for memory cannot begin.
        could = max(app.ready, begins - app.held)
        changes += [(app.ready, 0, 1), (could, 0, -1)]
        if app.start is not None:
            changes += [(app.start, 1, 0), (app.freed, -1, 0)]
    changes.sort()
    idle, building, waiting = 0.0, 0, 0
    for (now, built, waited), (then, _, _) in pairwise(changes):
        building, waiting = building + built, waiting + waited
        if building < timed.jobs and waiting > 0:
            idle += then - now
    return idle


def seconds_by_kind(app: TimedApp) -> dict[Kind, float]:
    """What an app's time was spent on; what happens at the same time shares it."""
    if app.start is None:
        return {}
    spans = list(_spans(app))
    edges = sorted({app.start, app.end, *(edge for _, start, end in spans for edge in (start, end))})
    spent: dict[Kind, float] = {}
    for low, high in pairwise(edges):
        active: list[Kind] = [kind for kind, start, end in spans if start <= low and high <= end]
        for kind in active or _NOTHING:
            spent[kind] = spent.get(kind, 0.0) + (high - low) / (len(active) or 1)
    return spent


def _spans(app: TimedApp) -> Iterator[tuple[Kind, float, float]]:
    for step in app.steps:
        middle = step.end - step.pushed
        yield step.kind, step.start, middle
        if step.pushed:
            yield "push", middle, step.end
    last = max((step.end for step in app.steps), default=None)
    if app.tags and last is not None:
        # Tags are put when all steps are done.
        yield "push", last, app.end


def _app(app: TimedApp, revision: str | None) -> AppReport:
    begins = app.end if app.start is None else app.start
    return AppReport(
        name=app.name,
        path=app.path,
        language=app.language,
        version=app.version,
        reason=app.reason,
        status=app.status,
        host=app.host,
        placed=app.placed,
        warm=app.warm,
        image=app.image,
        tags=app.tags,
        digest=app.digest,
        revision=app.revision if app.status == "skipped" else revision if app.start is not None else None,
        waited=begins - app.ready,
        held=min(app.held, begins - app.ready),
        memory=app.memory,
        seconds=app.seconds,
        cached=app.cached,
        steps=app.total,
        sent_bytes=app.sent_bytes,
        parts=app.parts,
        kinds=seconds_by_kind(app),
        running=tuple(step.name for step in app.steps if not step.ended),
        failure=app.failure,
        cache=app.cache,
        warnings=app.warnings,
    )


def _status(timed: Timeline, *, running: bool) -> RunStatus:
    completed = timed.completed
    if completed is None:
        return "running" if running else "unfinished"
    if completed.exit_code == 0:
        return "succeeded"
    return "cancelled" if completed.cancelled and not completed.failed else "failed"


def _slowest(apps: Iterable[TimedApp]) -> tuple[Slow, ...]:
    steps = [(step.end - step.start, app.name, step) for app in apps for step in app.steps if not step.cached]
    steps.sort(key=lambda each: -each[0])
    return tuple(
        Slow(app=app, name=step.name, kind=step.kind, seconds=seconds, moved_bytes=step.moved_bytes)
        for seconds, app, step in steps[:_SLOWEST]
        if seconds > 0
    )


def _comparison(timed: Timeline, before: Record) -> Comparison:
    earlier = timeline(before)
    known = {app.name: app for app in earlier.apps if app.status == "succeeded" and app.seconds is not None}
    changes = [
        AppChange(
            name=app.name,
            seconds_before=known[app.name].seconds or 0.0,
            seconds=app.seconds,
            cached_before=known[app.name].cached,
            steps_before=known[app.name].total,
        )
        for app in timed.apps
        if app.seconds is not None and app.status == "succeeded" and app.name in known
    ]
    return Comparison(
        run=before.header.run,
        seconds=earlier.seconds,
        cached=sum(app.cached for app in earlier.apps),
        steps=sum(app.total for app in earlier.apps),
        apps=tuple(changes),
    )


def previous(record: Record, earlier: Iterable[Record]) -> Record | None:
    """The newest of earlier runs, newest first, that built something of the same source."""
    return next((each for each in of_its_source(record, earlier) if _built_something(each)), None)


def of_its_source(record: Record, earlier: Iterable[Record]) -> Iterator[Record]:
    """Those of earlier runs that were of the same source, and of some of its apps."""
    names = {app.name for app in record.header.apps}
    for each in earlier:
        if each.header.source == record.header.source and names & {app.name for app in each.header.apps}:
            yield each


def _built_something(record: Record) -> bool:
    return any(isinstance(event, AppCompleted) for event in record.events)
