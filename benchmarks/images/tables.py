"""The results as tables: one for each peer, above it what it comes to, and each figure in which the peer is better.

Those are bold in the table, and stand above it with the reason, as far as it is known (`benchmarks.images.reasons`).
"""

from collections.abc import Iterator, Mapping

from benchmarks.images.reasons import why
from benchmarks.images.telling import FIGURES, SETTING
from orchestrator.bench.markdown import rendered
from orchestrator.bench.result import Report, Result
from orchestrator.bench.tables import Table, figure
from orchestrator.text import inline

_LONGEST = 600
_DIGITS = "1.00"
"""What a ratio looks like that two digits do not tell from 1."""

_Apps = Mapping[str, Mapping[str, Result]]


def table(report: Report) -> str:
    """All that is told of a report."""
    peers: dict[str, dict[str, dict[str, Result]]] = {}
    for result in report.results:
        peer, app, name = result.name.split(": ")
        peers.setdefault(peer, {}).setdefault(app, {})[name] = result
    for note in report.notes:
        peers.setdefault(note.partition(": ")[0], {})
    return "\n".join(line for peer, apps in peers.items() for line in _peer(report, peer, apps))


def _peer(report: Report, peer: str, apps: _Apps) -> Iterator[str]:
    every = [(app, name, result) for app, of in apps.items() for name, result in of.items()]
    worse = [each for each in every if _worse(each[2])]
    met = sum(result.met and not _once(result) for _, _, result in every)
    title = f"{peer} {report.settings.get(f'{SETTING}{peer}', '')}".rstrip()
    yield f"**{title}**: ours is at least as good in {met} of {len(every)} figures, {peer} is better in {len(worse)}."
    yield ""
    yield from (
        f"- {peer} is better: `{app}`, {name}, {_share(result)}. {why(peer, app, name)}" for app, name, result in worse
    )
    if worse:
        yield ""
    made = Table(
        head=("app", *FIGURES, "rounds", "load"),
        rows=tuple((f"`{app}`", *(_cell(of.get(name)) for name in FIGURES), *_made(of)) for app, of in apps.items()),
    )
    if apps:
        yield rendered(made)
    mine = [note.removeprefix(f"{peer}: ") for note in report.notes if note.startswith(f"{peer}: ")]
    yield from (f"- {inline(note, _LONGEST)}" for note in mine)
    if mine:
        yield ""


def _cell(result: Result | None) -> str:
    if result is None:
        return ""
    values = f"{figure(result.ours.median)} / {figure(result.theirs.median)} {result.unit}"
    if _worse(result):
        return f"{values}: **{_share(result)}, MISSED**"
    return f"{values}: {_share(result)}{'' if result.met and not _once(result) else ', open'}"


def _share(result: Result) -> str:
    """The ratio and its interval; of sizes that is as narrow as they are alike."""
    ends = [_ratio(end) for end in result.interval]
    middle = _ratio(result.ratio)
    if ends[0] != ends[1]:
        return f"{middle} ({ends[0]} to {ends[1]})"
    more = result.ours.median - result.theirs.median
    return f"{middle}, by {figure(more)} {result.unit}" if _worse(result) and middle == _DIGITS else middle


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"  # noqa: PLR2004 -- two digits are enough


def _worse(result: Result) -> bool:
    return result.interval[0] > result.bar and not _once(result)


def _once(result: Result) -> bool:
    """Whether it is a time of a single round, of which nothing is concluded."""
    return result.unit == "s" and result.rounds == 1


def _made(of: Mapping[str, Result]) -> tuple[str, str]:
    counts = sorted({each.rounds for each in of.values()})
    loads = [end for each in of.values() for end in each.load]
    rounds = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    return rounds, f"{min(loads):.1f} to {max(loads):.1f}"
