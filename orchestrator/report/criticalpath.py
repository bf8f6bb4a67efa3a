"""What held a run up, followed backwards from its end. Pure.

The step that ended last, what it waited for, and before an app's beginning the app whose end made room for it. The
parts follow one another without a gap, so that they add up to the run's time: what is not on it cost nothing.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from orchestrator.report.timeline import Step, TimedApp, Timeline

_CACHE = "writing the layer cache"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of the critical path."""

    app: str | None
    """None: no app was being built."""
    name: str
    """The step's, or what there was instead of one."""
    kind: str
    """A kind of steps, or `waiting`."""
    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.end - self.start


def critical_path(timed: Timeline) -> tuple[Part, ...]:
    """What the run's time was made of, from its beginning to its end."""
    begun = [app for app in timed.apps if app.start is not None]
    parts: list[Part] = []
    end = timed.seconds
    app = max(begun, key=lambda each: each.freed, default=None)
    while app is not None and app.start is not None:
        begun.remove(app)
        if end > app.freed:
            kind = "waiting" if parts else "other"
            parts.append(Part(app=parts[-1].app if parts else None, name="", kind=kind, start=app.freed, end=end))
        # Who depends on an app needs its image, and not its slot.
        freed = min(app.freed, end)
        parts.append(Part(app=app.name, name=_CACHE, kind="export", start=app.end, end=freed))
        parts += _backwards(app, app.start)
        end = app.start
        # A slot became free, or what it depends on was done; else it was there from the run's beginning.
        app = _cause(begun, app) if end > 0 else None
    if end > 0:
        parts.append(Part(app=parts[-1].app if parts else None, name="", kind="waiting", start=0.0, end=end))
    return tuple(part for part in reversed(parts) if part.end > part.start)


def _cause(others: Iterable[TimedApp], app: TimedApp) -> TimedApp | None:
    """The app whose end let another one begin."""
    known = [(when, number, each) for number, each in enumerate(others) if (when := _made_room(each, app)) is not None]
    return max(known, default=(0.0, 0, None))[2]


def _made_room(cause: TimedApp, app: TimedApp) -> float | None:
    """When an app's end let another one begin; None when it did not."""
    when = cause.end if cause.name in app.needs else cause.freed
    return when if app.start is not None and app.ready <= when <= app.start else None


def _backwards(app: TimedApp, start: float) -> Iterator[Part]:
    by_digest = {step.step: step for step in app.steps}
    left = [step for step in app.steps if step.end > step.start]
    now = app.end
    current: Step | None = None
    while left := [step for step in left if step.start < now]:
        needed = _needed(current, by_digest) if current else set[str]()
        chosen = _last([step for step in left if step.step in needed] or left, now)
        end = min(chosen.end, now)
        if now > end:
            yield _gap(app, end, now, last=current is None)
        middle = max(chosen.start, end - chosen.pushed)
        yield Part(app=app.name, name=chosen.name, kind="push", start=middle, end=end)
        yield Part(app=app.name, name=chosen.name, kind=chosen.kind, start=chosen.start, end=middle)
        now, current = chosen.start, chosen
    if now > start:
        yield _gap(app, start, now, last=current is None)


def _last(steps: Iterable[Step], now: float) -> Step:
    return max(steps, key=lambda step: (min(step.end, now), step.start))


def _gap(app: TimedApp, start: float, end: float, *, last: bool) -> Part:
    return Part(app=app.name, name="", kind="push" if last and app.tags else "other", start=start, end=end)


def _needed(step: Step, by_digest: Mapping[str, Step]) -> set[str]:
    """All that a step needed, also by way of steps that took no time."""
    found: set[str] = set()
    ahead = list(step.inputs)
    while ahead:
        digest = ahead.pop()
        if digest not in found:
            found.add(digest)
            ahead += by_digest[digest].inputs if digest in by_digest else ()
    return found
