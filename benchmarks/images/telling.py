"""What the rounds have shown: a result for each figure of an app beside a peer, and what the reader must know of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from benchmarks.images.building import Measured
from benchmarks.images.rounds import Line, Pair, Round, Tried, counted, latest
from benchmarks.rest import MOST_LOAD
from orchestrator.bench.result import Result, Steps, paired, side

SETTING = "told."
"""How settings begin that say which peer it was."""
_BAR = 1.0
_MEGABYTE = 1_000_000
_COMMAND = ("buildctl", "build", "--frontend", "dockerfile.v0", "--output", "type=image,push=true,oci-mediatypes=true")


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
FIGURES = tuple(each.name for each in _FIGURES)
"""What is measured of each app, in the order in which it is told."""


def name_of(peer: str, app: str, figure: str) -> str:
    """By which name a result is known."""
    return f"{peer}: {app}: {figure}"


def results(lines: Sequence[Line], apps: Sequence[str]) -> tuple[Result, ...]:
    """The figures of all apps that have rounds, in the order given, beside one peer after the other."""
    rounds = counted(lines)
    return tuple(
        result
        for peer in _peers(lines)
        for app in apps
        for each in _FIGURES
        for result in _result(name_of(peer, app, each.name), each, rounds.get((app, peer), ()))
    )


def settings(lines: Sequence[Line]) -> Mapping[str, str]:
    """Which peers they were."""
    found: dict[str, set[str]] = {}
    for (_, peer), tried in latest(lines).items():
        found.setdefault(f"{SETTING}{peer}", set()).add(tried.peer)
    return {name: ", ".join(sorted(versions)) for name, versions in sorted(found.items())}


def notes(lines: Sequence[Line], apps: Sequence[str]) -> tuple[str, ...]:
    """What the reader must know: why an app is not compared, what a peer was told, what the Dockerfiles stand on.

    Each begins with the name of its peer. What is to be said of several apps is said once.
    """
    tried, said = latest(lines), dict[tuple[str, str], list[str]]()
    for peer in _peers(lines):
        for app in apps:
            for note in _notes(tried[app, peer]) if (app, peer) in tried else ():
                said.setdefault((peer, note), []).append(f"`{app}`")
    return tuple(f"{peer}: {', '.join(of)}: {note}" for (peer, note), of in said.items())


def _peers(lines: Sequence[Line]) -> tuple[str, ...]:
    return tuple(sorted({line.against for line in lines}))


def _result(name: str, each: _Figure, rounds: Sequence[Round]) -> Iterator[Result]:
    pairs = [pair for round_ in rounds if (pair := each.after(round_)) is not None]
    if not pairs:
        return
    # Times of a busy machine count only where there are no others.
    quiet = [pair for pair in pairs if pair.load <= MOST_LOAD]
    used = quiet if each.timed and quiet else pairs
    yield paired(
        name,
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
        yield f"not compared. {tried.problem}"
        return
    if tried.said:
        told = ", ".join(f"`{name}={value}`" for name, value in tried.said.items())
        yield f"{tried.against} was told {told}."
    for theirs, ours in tried.became.items():
        yield f"{theirs}, which {tried.against} asks for, is not here, and {ours} stands for it."
    for theirs, instead in tried.spared.items():
        yield f"`{theirs}` in {tried.against}'s Dockerfile reaches nothing here, and is `{instead}` instead."
    if not tried.alike:
        yield f"ours runs on {tried.on[0]}, theirs on {tried.on[1]}."
