"""What the rounds have shown: a result for each figure of an app, and all of them in one table."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from benchmarks.images.building import Measured
from benchmarks.images.rounds import Line, Pair, Round, Tried, counted, latest
from benchmarks.rest import MOST_LOAD
from orchestrator.bench.markdown import rendered
from orchestrator.bench.result import Report, Result, Steps, paired, side
from orchestrator.bench.tables import Table, figure
from orchestrator.text import inline

_BAR = 1.0
_MEGABYTE = 1_000_000
_COMMAND = ("buildctl", "build", "--frontend", "dockerfile.v0", "--output", "type=image,push=true,oci-mediatypes=true")
_LONGEST = 400


class _Figure(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    unit: str
    of: Callable[[Measured], float]
    after: Callable[[Round], Pair | None]
    timed: bool = False


def _source(each: Round) -> Pair | None:
    return each.source


def _lockfile(each: Round) -> Pair | None:
    return each.lockfile


def _seconds(each: Measured) -> float:
    return each.seconds


def _processor(each: Measured) -> float:
    return each.processor


_FIGURES = (
    _Figure(name="image", unit="MB", of=lambda each: each.size / _MEGABYTE, after=_source),
    _Figure(name="pushed after a source change", unit="MB", of=lambda each: each.pushed / _MEGABYTE, after=_source),
    _Figure(name="source change", unit="s", of=_seconds, after=_source, timed=True),
    _Figure(name="source change, processor", unit="s", of=_processor, after=_source, timed=True),
    _Figure(name="lockfile change", unit="s", of=_seconds, after=_lockfile, timed=True),
    _Figure(name="lockfile change, processor", unit="s", of=_processor, after=_lockfile, timed=True),
)


def results(lines: Sequence[Line], apps: Sequence[str]) -> tuple[Result, ...]:
    """The figures of all apps that have rounds, in the order given."""
    rounds = counted(lines)
    return tuple(result for app in apps for each in _FIGURES for result in _result(app, each, rounds.get(app, ())))


def notes(lines: Sequence[Line], apps: Sequence[str]) -> tuple[str, ...]:
    """What the reader must know of each app: why it is not compared, and what its Dockerfiles stand on."""
    tried = latest(lines)
    return tuple(note for app in apps if app in tried for note in _notes(tried[app]))


def table(report: Report) -> str:
    """A row for each app, and the notes below."""
    apps: dict[str, dict[str, Result]] = {}
    for result in report.results:
        app, _, name = result.name.partition(": ")
        apps.setdefault(app, {})[name] = result
    names = [each.name for each in _FIGURES]
    made = Table(
        head=("app", *names, "rounds", "load"),
        rows=tuple((f"`{app}`", *(_cell(of.get(name)) for name in names), *_made(of)) for app, of in apps.items()),
    )
    return "\n".join([rendered(made), *(f"- {inline(note, _LONGEST)}" for note in report.notes), ""])


def _result(app: str, each: _Figure, rounds: Sequence[Round]) -> Iterator[Result]:
    pairs = [pair for round_ in rounds if (pair := each.after(round_)) is not None]
    if not pairs:
        return
    # Times of a busy machine count only where there are no others.
    quiet = [pair for pair in pairs if pair.load <= MOST_LOAD]
    used = quiet if each.timed and quiet else pairs
    yield paired(
        f"{app}: {each.name}",
        [(each.of(pair.ours), each.of(pair.theirs)) for pair in used],
        unit=each.unit,
        bar=_BAR,
        ours=side(_COMMAND, 1, _steps(used[-1].ours)),
        theirs=side(_COMMAND, 1, _steps(used[-1].theirs)),
        loads=[pair.load for pair in used],
        void=len(pairs) - len(used),
    )


def _steps(each: Measured) -> Steps:
    return Steps(executed=each.executed, cached=each.cached)


def _notes(tried: Tried) -> Iterator[str]:
    if tried.problem:
        yield f"`{tried.app}`: not compared. {tried.problem}"
        return
    if tried.said:
        told = ", ".join(f"`{name}={value}`" for name, value in tried.said.items())
        yield f"`{tried.app}`: migetpacks was told {told}."
    for theirs, ours in tried.became.items():
        yield f"`{tried.app}`: {theirs}, which migetpacks asks for, is not here, and {ours} stands for it."
    if not tried.alike:
        yield f"`{tried.app}`: ours runs on {tried.on[0]}, theirs on {tried.on[1]}."


def _cell(result: Result | None) -> str:
    if result is None:
        return ""
    low, high = result.interval
    values = f"{figure(result.ours.median)} / {figure(result.theirs.median)} {result.unit}"
    # An interval of sizes is as narrow as they are alike.
    ratio = (
        _ratio(result.ratio)
        if _ratio(low) == _ratio(high)
        else f"{_ratio(result.ratio)} ({_ratio(low)} to {_ratio(high)})"
    )
    return f"{values}: {ratio}{_verdict(result)}"


def _ratio(value: float) -> str:
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"  # noqa: PLR2004 -- two digits are enough


def _verdict(result: Result) -> str:
    if result.met:
        return ""
    return ", MISSED" if result.interval[0] > result.bar else ", open"


def _made(of: Mapping[str, Result]) -> tuple[str, str]:
    counts = sorted({each.rounds for each in of.values()})
    loads = [end for each in of.values() for end in each.load]
    rounds = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    return rounds, f"{min(loads):.1f} to {max(loads):.1f}"
