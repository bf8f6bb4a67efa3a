"""A run as spans of OpenTelemetry, in the JSON of OTLP: the run, its apps, their steps. Pure.

Source: opentelemetry-proto 1.5, trace/v1/trace.proto, by the JSON rules of the OTLP specification: ids are hexadecimal,
64-bit integers are strings, enumerations are numbers.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.report.analysis import Report
from orchestrator.report.timeline import Step, TimedApp, Timeline
from orchestrator.text import DIRTY

_AT_ONCE = 2000
"""Spans of one request."""
_INTERNAL = 1
_OK, _ERROR = 1, 2
_NANOSECONDS = 1e9
_LONGEST = 4000
"""Characters of one attribute."""

Value = str | int | float | bool | None


def requests(
    timed: Timeline, report: Report, *, resource: Mapping[str, str], parent: tuple[str, str] | None
) -> Iterator[dict[str, Any]]:
    """The documents that tell a collector of a run.

    Args:
        timed: its steps.
        report: its figures.
        resource: attributes of whatever sends this, `service.name` among them.
        parent: the trace's and the span's id within which the run takes place, in hexadecimal.
    """
    trace = parent[0] if parent else _id(report.run, size=16)
    spans = [{"traceId": trace, **span} for span in _spans(timed, report, parent[1] if parent else "")]
    scope = {"name": "fleetpacks", "version": report.version}
    for first in range(0, len(spans), _AT_ONCE):
        scoped = {"scope": scope, "spans": spans[first : first + _AT_ONCE]}
        yield {"resourceSpans": [{"resource": {"attributes": _attributes(resource)}, "scopeSpans": [scoped]}]}


def _spans(timed: Timeline, report: Report, parent: str) -> Iterator[dict[str, Any]]:
    run = _id(report.run, size=8)
    said: dict[str, Value] = {
        "fleetpacks.run": report.run,
        "fleetpacks.status": report.status,
        "fleetpacks.jobs": report.jobs,
        "fleetpacks.client_idle": report.client_idle,
        # The commit that is checked out, whatever was changed after (OpenTelemetry's VCS attributes).
        "vcs.ref.head.revision": report.revision and report.revision.removesuffix(DIRTY),
        "vcs.ref.head.name": report.branch,
        "process.exit.code": report.exit_code,
    }
    error = report.error or ("" if report.status in {"succeeded", "running"} else report.status)
    span = _span("fleetpacks build", timed, 0.0, timed.seconds, said, error=error)
    yield {**span, "spanId": run, "parentSpanId": parent}
    for app in timed.apps:
        if app.start is not None:
            yield from _app(app, app.start, timed, run)


def _app(app: TimedApp, start: float, timed: Timeline, run: str) -> Iterator[dict[str, Any]]:
    own = _id(run, app.name, size=8)
    said: dict[str, Value] = {
        "fleetpacks.app": app.name,
        "fleetpacks.language": app.language,
        "fleetpacks.builder": app.host,
        "fleetpacks.waited": start - app.ready,
        "fleetpacks.steps": app.total,
        "fleetpacks.steps.cached": app.cached,
        "fleetpacks.sent_bytes": app.sent_bytes,
        "container.image.name": app.image,
        "oci.manifest.digest": app.digest,
    }
    error = app.failure.message if app.failure else ("" if app.status in {"succeeded", "skipped"} else app.status)
    yield {**_span(app.name, timed, start, app.end, said, error=error), "spanId": own, "parentSpanId": run}
    for number, step in enumerate(app.steps):
        facts: dict[str, Value] = {
            "fleetpacks.app": app.name,
            "fleetpacks.kind": step.kind,
            "fleetpacks.cached": step.cached,
            "fleetpacks.moved_bytes": step.moved_bytes,
            "fleetpacks.vertex": step.step,
        }
        span = _span(_name(step), timed, step.start, step.end, facts, error=step.error or "")
        yield {**span, "spanId": _id(own, str(number), size=8), "parentSpanId": own}


def _span(
    name: str, timed: Timeline, start: float, end: float, said: Mapping[str, Value], *, error: str
) -> dict[str, Any]:
    return {
        "name": name,
        "kind": _INTERNAL,
        "startTimeUnixNano": str(round((timed.began + start) * _NANOSECONDS)),
        "endTimeUnixNano": str(round((timed.began + end) * _NANOSECONDS)),
        "attributes": _attributes(said),
        "status": {"code": _ERROR, "message": error[:_LONGEST]} if error else {"code": _OK},
    }


def _name(step: Step) -> str:
    """Names of spans are to be few: what stands behind an instruction differs in every Dockerfile."""
    return " ".join(step.name.split()[:3])[:_LONGEST]


def _attributes(said: Mapping[str, Value]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _value(value)} for key, value in said.items() if value is not None]


def _value(value: Value) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case _:
            return {"stringValue": str(value)[:_LONGEST]}


def _id(*parts: str, size: int) -> str:
    """An id that is the same whenever the same record is told again; never zero."""
    return hashlib.blake2b("\0".join(parts).encode(errors="surrogatepass"), digest_size=size).hexdigest()
