"""Why a storage takes longer than another, as far as counters and raw figures tell it. It decides nothing."""

from collections.abc import Iterator, Sequence

import msgspec

from orchestrator.bench.measured import RAW, Measured, fact, measured, placed, steps
from orchestrator.bench.result import Report, Sample
from orchestrator.bench.verdict import compared

_MULTIPLES = {
    "fsync": "an fsync took {:.3g} times as long beside the builds",
    "device-written": "{:.3g} times as many bytes reached the device",
    "cpu": "everything together took {:.3g} times as much processor time",
}
"""Facts of runs -> what is said of their ratio."""
_RAW = {
    "raw/fsync": "{:.3g} times fewer small writes with fsync a second",
    "raw/small-files": "{:.3g} times fewer small files a second",
    "raw/sequential-write": "{:.3g} times less written a second",
    "raw/sequential-read": "{:.3g} times less read a second",
}
_NOTABLE = 1.3
"""What differs by less explains nothing."""
_NOTABLE_WAITING = 0.05
"""The same of a share of all processors."""


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """What is different on a storage."""

    storage: str
    than: str
    reasons: tuple[str, ...]


def causes(report: Report, than: str) -> tuple[Cause, ...]:
    """What is different on each storage.

    Args:
        report: of plain targets; where layers and package caches were apart is left out.
        than: the target that the others are held against.
    """
    told = measured(report)
    others = [target for target in told.targets if target != than and placed(target).plain]
    made = (Cause(storage=each, than=than, reasons=tuple(_reasons(told, than, each))) for each in others)
    return tuple(each for each in made if each.reasons)


def _reasons(told: Measured, than: str, storage: str) -> Iterator[str]:
    for scenario, said in _RAW.items():
        both = compared(told, scenario, than, storage)
        if both is not None and both.ratio.decided and both.ratio.value >= _NOTABLE:
            yield said.format(both.ratio.value)
    builds = [each for each in told.scenarios if not each.startswith(RAW) and told.pairs(each, than, storage)]
    mine, theirs = _samples(told, builds, storage), _samples(told, builds, than)
    for name, said in _MULTIPLES.items():
        more, less = fact(mine, name), fact(theirs, name)
        if more and less and more / less >= _NOTABLE:
            yield said.format(more / less)
    waited, before = fact(mine, "iowait"), fact(theirs, "iowait")
    if waited is not None and before is not None and waited - before >= _NOTABLE_WAITING:
        yield f"processors waited for storage {waited:.0%} of the time, instead of {before:.0%}"
    if (longest := _longest(told, builds, than, storage)) is not None:
        yield longest


def _samples(told: Measured, scenarios: Sequence[str], target: str) -> Sequence[Sample]:
    found = (told.get(scenario, target) for scenario in scenarios)
    return [sample for series in found if series is not None for sample in series.samples]


def _longest(told: Measured, scenarios: Sequence[str], than: str, storage: str) -> str | None:
    """The build step that lost the most seconds."""
    lost: list[tuple[float, str]] = []
    for scenario in scenarios:
        before = steps(_samples(told, [scenario], than))
        for name, seconds in steps(_samples(told, [scenario], storage)).items():
            if name in before:
                lost.append(
                    (seconds - before[name], f"{name} ({scenario}): {seconds:.3g} s instead of {before[name]:.3g} s")
                )
    if not lost:
        return None
    seconds, said = max(lost)
    return f"most is lost in {said}" if seconds > 0 else None
