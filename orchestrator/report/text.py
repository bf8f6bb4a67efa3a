"""A report for people, as lines. Names and logs are foreign: whoever prints a line makes it fit for where it goes."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from orchestrator.events import PackagesCarried
from orchestrator.report.analysis import AppReport, Comparison, Report
from orchestrator.report.criticalpath import Part
from orchestrator.report.kinds import KINDS, MEANINGS
from orchestrator.report.payoff import Payoff
from orchestrator.text import inline, short, size

_LONGEST = 90
"""Characters of a step's name."""
_WORTH = 200
"""A part of the critical path that is shorter than one of so many of the run is not shown."""
_PARTS = 12
"""Parts of the critical path that are shown: the longest ones, in their order."""
_CHANGED = 10
"""Apps whose change is shown."""
_PLACED = {"cached": "where it was cached", "drawn": "drawn", "home is busy": "away from a busy host"}
_DIGEST = len("sha256:") + 12


def lines(report: Report) -> Iterator[str]:
    """The whole report."""
    yield from _head(report)
    if report.apps:
        yield ""
        yield from _table(
            ("app", "language", "result", "waited", "time", "cached", "sent", "digest"), map(_row, report.apps)
        )
    if any(app.seconds for app in report.apps):
        yield from _spent(report)
        yield from _path(report)
    if report.slowest:
        yield from _slowest(report)
    if report.previous is not None:
        yield from _compared(report, report.previous)
    for app in report.apps:
        if app.running:
            yield ""
            yield f"{app.name} {'is' if report.status == 'running' else 'was'} at"
            yield from (f"  {inline(name, _LONGEST)}" for name in app.running)
        if app.failure is not None:
            yield from _failure(app)


def moment(seconds: float) -> str:
    """A time of day, in UTC."""
    return f"{dt.datetime.fromtimestamp(seconds, tz=dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


def label(name: str, kind: str) -> str:
    """What a part of the critical path is called, that may have no step."""
    return name or {"waiting": "(not begun yet)", "push": "(putting tags)"}.get(kind, "(no step)")


def longest_parts(report: Report, most: int) -> list[Part]:
    """The parts of the critical path that are worth a line, in their order.

    Args:
        report: the run's.
        most: how many.
    """
    worth = [part for part in report.critical_path if part.seconds >= report.seconds / _WORTH]
    return sorted(sorted(worth, key=lambda part: -part.seconds)[:most], key=lambda part: part.start)


def _head(report: Report) -> Iterator[str]:
    revision = f" at {short(report.revision)}" if report.revision else ""
    branch = f" ({report.branch})" if report.branch else ""
    yield f"run {report.run}, {moment(report.began)}"
    yield f"{report.source}{revision}{branch}, by fleetpacks {report.version}"
    skipped = f" ({report.skipped} skipped)" if report.skipped else ""
    counts = f"{report.succeeded} succeeded{skipped}, {report.failed} failed, {report.cancelled} cancelled"
    code = "" if report.exit_code is None else f", exit code {report.exit_code}"
    yield f"{report.status}{code}: {counts} in {report.seconds:.1f}s"
    if report.builder is not None:
        yield f"built on {report.builder}, {report.jobs} at once"
    if report.error is not None:
        yield f"error: {inline(report.error, 1000)}"
    if report.incomplete:
        yield "a part of the record is missing or was not understood"
    for warning in report.warnings:
        yield f"warning: {inline(warning, 1000)}"
    yield f"{report.cached} of {report.steps} steps cached, {size(report.sent_bytes)} sent"
    if written := [app.cache for app in report.apps if app.cache is not None]:
        failed = sum(cache.error is not None for cache in written)
        ran = sum(cache.executed for cache in written)
        yield (
            f"{len(written) - failed} of {len(written)} layer caches written after publication in "
            f"{report.cache_seconds:.1f}s, {ran} steps run once more for it"
        )
    if report.cache_payoff is not None:
        yield paid(report.cache_payoff)
    yield from _places(report)
    yield from _memory(report)
    yield from _packages(report.packages)
    if report.client_idle is not None:
        share = 100 * report.client_idle / report.seconds if report.seconds else 0.0
        yield f"client-caused idle: {report.client_idle:.1f}s ({share:.1f} % of the run)"


def paid(payoff: Payoff) -> str:
    """Whether layer caches pay, as a sentence."""
    cost = f"writing {payoff.written} took {payoff.write_seconds:.1f}s, as far as runs are known ({payoff.runs})"
    if not payoff.read:
        nobody = "no build has found steps in them that its builder did not have"
        return f"whether layer caches pay is not known yet: {cost}, and {nobody}"
    saved = (
        f"{payoff.steps} steps of {payoff.saved_seconds:.1f}s were found that builders did not have, "
        f"and reading took {payoff.read_seconds:.1f}s"
    )
    if payoff.unknown_steps:
        saved += f" ({payoff.unknown_steps} of them of unknown length)"
    verdict = {
        "pays": "layer caches pay",
        "costs": "layer caches have cost more than they saved",
        "unknown": "whether layer caches pay is not known yet",
    }[payoff.verdict]
    return f"{verdict}: {saved}; {cost}"


def _places(report: Report) -> Iterator[str]:
    """Which hosts were used for what, where there were several."""
    if len({host for app in report.apps for host in _hosts(app)}) < 2:  # noqa: PLR2004 -- several
        return
    reasons = Counter(app.placed for app in report.apps if app.placed)
    why = ", ".join(f"{count} {_PLACED.get(reason, reason)}" for reason, count in reasons.most_common())
    hosts = Counter(host for app in report.apps for host in _hosts(app))
    each = ", ".join(f"{inline(host, _LONGEST)} {count}" for host, count in sorted(hosts.items()))
    yield f"apps by host: {each}" + (f" ({why})" if why else "")
    for app in report.apps:
        for part in app.parts:
            done = f"{part.cached}/{part.steps} steps cached, {part.seconds:.1f}s"
            where = inline(part.host, _LONGEST)
            yield f"{app.name} for {part.platform}: {where}, {done}, {(part.digest or '')[:_DIGEST]}"


def _hosts(app: AppReport) -> Iterator[str]:
    """Where it was built."""
    yield from (part.host for part in app.parts) if app.parts else [app.host] if app.host is not None else []


def _memory(report: Report) -> Iterator[str]:
    measured = [(app.memory, app.name) for app in report.apps if app.memory is not None]
    if measured:
        most, name = max(measured)
        yield f"memory that steps needed at the most: {size(most)} ({name})"
    if held := [app.held for app in report.apps if app.held]:
        had = f", which had {size(report.memory)}" if report.memory else ""
        yield f"waited for the builder's memory{had}: {len(held)} apps, {sum(held):.1f}s in all"


def _packages(carried: Sequence[PackagesCarried]) -> Iterator[str]:
    for to, done in (("builder", "filled before builds"), ("directory", "kept after them")):
        those = [each for each in carried if each.to == to]
        if those:
            names = ", ".join(f"{each.cache}{_of(each)}" for each in those if each.error is None) or "none"
            seconds, moved = sum(each.seconds for each in those), sum(each.size for each in those)
            yield f"package caches {done}: {names}; {size(moved)} in {seconds:.1f}s"
        for each in those:
            if each.error is not None:
                hint = f" (hint: {inline(each.hint, 1000)})" if each.hint else ""
                yield f"package cache {each.cache}{_of(each)} not carried: {inline(each.error, 1000)}{hint}"


def _of(carried: PackagesCarried) -> str:
    """Whose it is, where there are several builders."""
    return f" ({inline(carried.host, _LONGEST)})" if carried.host else ""


def _row(app: AppReport) -> tuple[str, ...]:
    built = app.seconds is not None
    return (
        app.name,
        app.language,
        f"{app.status}, as {short(app.revision)}" if app.status == "skipped" and app.revision else app.status,
        f"{app.waited:.1f}s" if built else "",
        f"{app.seconds:.1f}s" if app.seconds is not None else "",
        f"{app.cached}/{app.steps}" if built else "",
        size(app.sent_bytes) if app.sent_bytes else "",
        (app.digest or "")[:_DIGEST],
    )


def _spent(report: Report) -> Iterator[str]:
    total = sum(report.kinds.values()) + report.waited
    rows = [("waiting for a slot", report.waited), *((MEANINGS[kind], report.kinds.get(kind, 0.0)) for kind in KINDS)]
    yield ""
    yield "what the time of all apps was spent on"
    yield from _table(
        (), ((f"  {name}", f"{spent:.1f}s", f"{100 * spent / total:.0f} %") for name, spent in rows if spent)
    )


def _path(report: Report) -> Iterator[str]:
    parts = longest_parts(report, _PARTS)
    shown = sum(part.seconds for part in parts)
    yield ""
    yield f"critical path: {report.seconds:.1f}s; of these {shown:.1f}s in its longest parts, in their order"
    yield from _table(
        (),
        (
            (
                f"  {part.seconds:.1f}s",
                part.app or "",
                part.kind,
                inline(label(part.name, part.kind), _LONGEST),
            )
            for part in parts
        ),
    )


def _slowest(report: Report) -> Iterator[str]:
    yield ""
    yield "slowest steps"
    yield from _table(
        (),
        (
            (
                f"  {each.seconds:.1f}s",
                each.app,
                each.kind,
                inline(each.name, _LONGEST) + (f" ({size(each.moved_bytes)})" if each.moved_bytes else ""),
            )
            for each in report.slowest
        ),
    )


def _compared(report: Report, before: Comparison) -> Iterator[str]:
    yield ""
    yield f"the run before, {before.run}: {before.seconds:.1f}s, {before.cached} of {before.steps} steps cached"
    now = {app.name: app for app in report.apps}
    most = sorted(before.apps, key=lambda each: -abs(each.seconds - each.seconds_before))[:_CHANGED]
    yield from _table(
        (),
        (
            (
                f"  {each.name}",
                f"{each.seconds_before:.1f}s -> {each.seconds:.1f}s",
                f"{each.cached_before}/{each.steps_before} -> {now[each.name].cached}/{now[each.name].steps} cached",
            )
            for each in most
        ),
    )


def _failure(app: AppReport) -> Iterator[str]:
    failure = app.failure
    if failure is None:
        return
    yield ""
    first, *more = failure.message.splitlines() or [""]
    yield f"{app.name} failed: {first}"
    yield from (f"  {line}" for line in more)
    for number, text in enumerate(failure.source, failure.line or 1):
        yield f"  {failure.file}:{number} | {text}"
    yield from (f"  | {line}" for line in failure.log)
    yield f"  hint: {inline(failure.hint, 1000)}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Columns as wide as their widest cell."""
    cells = [[inline(cell, 200) for cell in row] for row in ((head, *rows) if head else rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
