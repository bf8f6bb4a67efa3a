"""A run as Chrome's trace events, which Perfetto and chrome://tracing show.

Source: the "Trace Event Format". Builders are processes, apps are threads of theirs. Slices of one thread must lie
within one another, and steps of an app overlap: those that do get threads of their own below the app's.
"""

from collections.abc import Iterator
from typing import Any

from orchestrator.report.timeline import Step, Timeline

_MICROSECONDS = 1e6


def trace(timed: Timeline) -> dict[str, Any]:
    """The document: one slice for each app and each step, from the run's beginning on."""
    return {"displayTimeUnit": "ms", "traceEvents": list(_events(timed))}


def _events(timed: Timeline) -> Iterator[dict[str, Any]]:
    hosts = dict.fromkeys(app.host for app in timed.apps if app.host is not None)
    for process, host in enumerate(hosts, 1):
        yield _named("process_name", process, 0, host)
        thread = 0
        for app in timed.apps:
            if app.host != host or app.start is None:
                continue
            lanes = lanes_of(app.steps)
            for lane in range(max(1, len(lanes)) + 1):
                yield _named("thread_name", process, thread + lane, app.name if lane == 0 else f"{app.name} {lane}")
            said = {"status": app.status, "digest": app.digest, "cached": app.cached, "steps": app.total}
            yield {**_slice(app.name, "app", app.start, app.end), "pid": process, "tid": thread, "args": said}
            for lane, steps in enumerate(lanes, 1):
                for step in steps:
                    facts = {"cached": step.cached, "bytes": step.moved_bytes, "error": step.error}
                    told = _slice(step.name, step.kind, step.start, step.end)
                    yield {**told, "pid": process, "tid": thread + lane, "args": facts}
            thread += len(lanes) + 2


def lanes_of(steps: tuple[Step, ...]) -> list[list[Step]]:
    """Steps so that none overlaps another one of its lane: each in the first that is free."""
    lanes: list[list[Step]] = []
    for step in sorted(steps, key=lambda each: (each.start, each.end)):
        for lane in lanes:
            if lane[-1].end <= step.start:
                lane.append(step)
                break
        else:
            lanes.append([step])
    return lanes


def _named(what: str, process: int, thread: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": process, "tid": thread, "args": {"name": name}}


def _slice(name: str, kind: str, start: float, end: float) -> dict[str, Any]:
    return {"ph": "X", "name": name, "cat": kind, "ts": start * _MICROSECONDS, "dur": (end - start) * _MICROSECONDS}
