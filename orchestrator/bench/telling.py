"""What a report's reader is told in words: where it was measured, what is concluded, why, and with which doubts."""

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.bench.causes import causes
from orchestrator.bench.measured import placed
from orchestrator.bench.result import Report
from orchestrator.bench.tables import amount, figure, times
from orchestrator.bench.verdict import Against, Placement, Role, verdict

_ROLES: Mapping[Role, str] = {
    "layers": "layers (the daemon's directory)",
    "packages": "package caches (BUILD_CACHE_DIR)",
    "registry": "blobs of layer caches and registries",
}


def head(report: Report) -> Iterator[str]:
    """What was measured where."""
    yield f"{report.benchmark}, {report.date}, fleetpacks {report.commit}"
    yield report.machine
    if report.settings:
        yield ", ".join(f"{name} {value}" for name, value in report.settings.items())


def conclusions(report: Report) -> Iterator[str]:
    """The verdict, what explains it, and the notes. Details are indented."""
    for placement in (placements := verdict(report)):
        yield from _placement(placement)
    layers = next((each for each in placements if each.role == "layers"), None)
    if layers is not None:
        dearer = {each.storage for each in layers.dearer}
        for cause in causes(report, layers.best[0]):
            if cause.storage in dearer:
                yield f"on {cause.storage}, beside {cause.than}:"
                yield from (f"  {reason}" for reason in cause.reasons)
    yield from report.notes


def _placement(placement: Placement) -> Iterator[str]:
    what = _ROLES[placement.role]
    if placement.decided:
        yield f"{what}: on {placement.best[0]}"
    else:
        yield f"{what}: nothing is concluded between {_listed(placement.best)}"
    for each in placement.against:
        if each in placement.dearer:
            yield f"  {each.storage} takes {times(each.ratio)} times as long, in {_rounds(each)}"
            yield from (f"  {line}" for line in _costs(each))
        else:
            yield f"  {each.storage}: {_doubt(each)}"


def _doubt(each: Against) -> str:
    if each.ratio.interval is None:
        return f"{figure(each.ratio.value)} times as long in one round, which says nothing: measure at least three"
    return f"{times(each.ratio)} times as long in {_rounds(each)}: the interval is wider than the difference"


def _costs(each: Against) -> Iterator[str]:
    for one in each.scenarios:
        before, after = (amount(median, one.unit) for median in one.medians)
        apart = not (placed(one.first).plain and placed(one.second).plain)
        where = f" ({one.second} beside {one.first})" if apart else ""
        doubt = "" if one.ratio.decided else ", which is no difference that is shown"
        yield f"{one.scenario}{where}: {after} instead of {before}{doubt}"


def _rounds(each: Against) -> str:
    return f"{each.ratio.pairs} round{'' if each.ratio.pairs == 1 else 's'}"


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
