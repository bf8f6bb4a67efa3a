"""What was reported of builds on local NVMe and on CephFS, beside what was measured here."""

from collections.abc import Iterator

import msgspec

from orchestrator.bench.markdown import rendered
from orchestrator.bench.measured import Measured, measured
from orchestrator.bench.result import Report
from orchestrator.bench.tables import Table, figure, taken, times
from orchestrator.bench.verdict import compared

LOCAL, CEPHFS = "local", "cephfs"

Range = tuple[int, int]


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """A row of what was reported, in seconds, and what was measured for it."""

    name: str
    local: Range
    cephfs: Range
    scenarios: tuple[str, ...]

    @property
    def ratios(self) -> tuple[float, float]:
        """Of the ranges' lower and upper ends."""
        ends = [cephfs / local for local, cephfs in zip(self.local, self.cephfs, strict=True)]
        return min(ends), max(ends)

    @property
    def possible(self) -> tuple[float, float]:
        """Between which a ratio of any two values in the ranges lies."""
        return self.cephfs[0] / self.local[1], self.cephfs[1] / self.local[0]


REPORTED = (
    Reported(name="no cache, first build", local=(30, 120), cephfs=(60, 300), scenarios=("no-cache/first",)),
    Reported(name="no cache, subsequent", local=(10, 30), cephfs=(20, 60), scenarios=("no-cache/again",)),
    Reported(name="with cache, first build", local=(20, 60), cephfs=(40, 120), scenarios=("cache/first",)),
    Reported(
        name="with cache, subsequent",
        local=(5, 15),
        cephfs=(10, 30),
        scenarios=("cache/source", "cache/lockfile", "cache/same"),
    ),
)
"""For migetpacks on self-hosted runners."""


def table(report: Report) -> str:
    """Both as a Markdown table."""
    told = measured(report)
    head = ("scenario", "reported local", "reported CephFS", "ratio", "measured as", "local", "CephFS", "ratio (90 %)")
    return rendered(Table(head=head, rows=tuple(_rows(told))))


def _rows(told: Measured) -> Iterator[tuple[str, ...]]:
    for each in REPORTED:
        for number, scenario in enumerate(each.scenarios):
            ends = ("", "", "", "") if number else (each.name, _range(each.local), _range(each.cephfs), _ratios(each))
            local, cephfs = told.get(scenario, LOCAL), told.get(scenario, CEPHFS)
            both = compared(told, scenario, LOCAL, CEPHFS)
            if local is None or cephfs is None or both is None:
                yield *ends, f"`{scenario}`", "", "", "not measured"
                continue
            place = "" if _lies(both.ratio.value, each) else ", out of the range"
            yield *ends, f"`{scenario}`", taken(local), taken(cephfs), times(both.ratio) + place


def _lies(ratio: float, each: Reported) -> bool:
    least, most = each.possible
    return least <= ratio <= most


def _range(ends: Range) -> str:
    return f"{ends[0]} to {ends[1]} s"


def _ratios(each: Reported) -> str:
    low, high = each.ratios
    return figure(low) if low == high else f"{figure(low)} to {figure(high)}"
