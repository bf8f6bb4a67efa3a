"""A report as one page of HTML that needs nothing else: no script, no request, one style whose hash the page names.

Names and logs are foreign. Each is escaped, characters that are not seen are left out, and should one get through all
the same, the page's Content-Security-Policy lets it run, load and send nothing. Positions are attributes of SVG, since
the policy allows no `style` attribute.

Imports jinja2: imported itself only where a page is made.
"""

import base64
import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from markupsafe import Markup

from orchestrator.report.analysis import Report
from orchestrator.report.kinds import MEANINGS
from orchestrator.report.text import label, longest_parts, moment, paid
from orchestrator.report.timeline import TimedApp, Timeline
from orchestrator.report.trace import lanes_of
from orchestrator.text import inline, short, size

_LONGEST = 4000
"""Characters of one text."""
_NARROWEST = 0.02
"""Percent of the run's time below which nothing can be seen."""
_PARTS = 100
"""Parts of the critical path that are shown, at most."""
_TICKS = 5


class Rect(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a bar, in percent of its place."""

    looks: str
    x: float
    y: float
    width: float
    height: float
    says: str


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """An app on the timeline."""

    name: str
    parts: tuple[Rect, ...]


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """A mark on the time axis."""

    at: float
    label: str


def page(timed: Timeline, report: Report) -> str:
    """The page.

    Args:
        timed: the run's steps.
        report: the same run's figures.
    """
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    hosts = dict.fromkeys(app.host for app in timed.apps if app.host is not None)
    return _template().render(
        report=report,
        style=Markup(style),  # noqa: S704 -- our own file
        digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        hosts=[(host, [_bar(app, timed) for app in timed.apps if app.host == host]) for host in hosts],
        ticks=[
            Tick(at=100 * number / _TICKS, label=f"{timed.seconds * number / _TICKS:.1f}s") for number in range(_TICKS)
        ],
        path=[
            msgspec.structs.replace(part, name=label(part.name, part.kind)) for part in longest_parts(report, _PARTS)
        ],
        meanings=MEANINGS,
    )


def _bar(app: TimedApp, timed: Timeline) -> Bar:
    whole = timed.seconds or 1.0
    return Bar(name=app.name, parts=tuple(_rects(app, 100 / whole)))


def _rects(app: TimedApp, scale: float) -> Iterator[Rect]:
    if app.start is None:
        return
    if app.start > app.ready:
        says = f"waited {app.start - app.ready:.1f}s"
        yield _rect("waiting", app.ready, app.start, scale, says=says, lane=0, lanes=1)
    looks = "whole failed" if app.status == "failed" else "whole"
    says = f"{app.name}: {app.status}, {app.end - app.start:.1f}s, {app.cached} of {app.total} steps cached"
    yield _rect(looks, app.start, app.end, scale, says=says, lane=0, lanes=1)
    seen = tuple(step for step in app.steps if (step.end - step.start) * scale >= _NARROWEST)
    lanes = lanes_of(seen)
    for lane, steps in enumerate(lanes):
        for step in steps:
            looks = f"{step.kind} cached" if step.cached else step.kind
            says = f"{step.name}: {'CACHED, ' if step.cached else ''}{step.end - step.start:.1f}s"
            yield _rect(looks, step.start, step.end, scale, says=says, lane=lane, lanes=len(lanes))


def _rect(looks: str, start: float, end: float, scale: float, *, says: str, lane: int, lanes: int) -> Rect:
    return Rect(
        looks=looks,
        x=round(start * scale, 3),
        y=round(100 * lane / lanes, 1),
        width=round(max((end - start) * scale, _NARROWEST), 3),
        height=round(100 / lanes, 1),
        says=says,
    )


@functools.cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # jinja2 does not say what a filter is: its own table's inferred type fits only its own filters.
    filters: Any = environment.filters
    filters.update(seen=_seen, seconds=_seconds, short=short, size=size, moment=moment, paid=paid)
    return environment.get_template("page.html.j2")


def _seen(text: str) -> str:
    return inline(text, _LONGEST)


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f}s"
