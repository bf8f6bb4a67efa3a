"""What was measured so far, and the report of it."""

import sys
from collections.abc import Mapping, Sequence

from orchestrator.bench.ground import Ground, Raw
from orchestrator.bench.result import Figure, Report, Sample, Series, machine
from orchestrator.bench.work.clock import Clock

OWN_BAR = 2.0
"""Percent of the wall time that the harness may take."""
BUILDS = "builds"
"""The activity of the clock that is measured."""


class Record:
    """Samples by scenario and target, and notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self._samples: dict[tuple[str, str], list[Sample]] = {}
        self._units: dict[str, str] = {}
        self._probes: set[str] = set()

    def add(self, scenario: str, target: str, sample: Sample) -> None:
        """Keep a run."""
        self._samples.setdefault((scenario, target), []).append(sample)

    def add_raw(self, raw: Raw, target: str, sample: Sample) -> None:
        """Keep a raw figure."""
        self._units[raw.scenario] = raw.unit
        self._probes.add(raw.by)
        self.add(raw.scenario, target, sample)

    def report(
        self, *, commit: str, date: str, settings: Mapping[str, str], grounds: Sequence[Ground], clock: Clock
    ) -> Report:
        """All of it.

        Args:
            commit: what has measured.
            date: today.
            settings: what was asked.
            grounds: on what.
            clock: of the whole.
        """
        loads = [sample.load for samples in self._samples.values() for sample in samples]
        return Report(
            benchmark="storage",
            date=date,
            commit=commit,
            machine=machine(),
            series=tuple(
                Series(
                    scenario=scenario,
                    target=target,
                    unit=self._units.get(scenario, "s"),
                    better="more" if scenario in self._units else "less",
                    samples=tuple(samples),
                )
                for (scenario, target), samples in self._samples.items()
            ),
            figures=_figures(clock, (min(loads), max(loads)), runs=len(loads)),
            settings={
                **settings,
                "probe": ", ".join(sorted(self._probes)),
                **{f"target:{each.target.name}": _carried(each) for each in grounds},
                **{f"path.{each.target.name}": str(each.target.path) for each in grounds},
            },
            notes=(
                *(f"{each.target.name}: a loop image, because {each.looped}" for each in grounds if each.looped),
                *self.notes,
            ),
        )


def own_python() -> str:
    """The base image that we make, for settings."""
    return f"own, Python {'.'.join(map(str, sys.version_info[:3]))}"


def _carried(ground: Ground) -> str:
    return f"{ground.kind or 'unknown'}, layers {'in an ext4 image on it' if ground.looped else 'on it'}"


def _figures(clock: Clock, loads: tuple[float, float], *, runs: int) -> tuple[Figure, ...]:
    wall = clock.wall
    spent = "; ".join(f"{name} {seconds:.1f} s" for name, seconds in clock.seconds.items())
    return (
        Figure(
            name="what the harness took of the wall time",
            unit="%",
            value=100 * clock.own / wall,
            bar=OWN_BAR,
            runs=runs,
            load=loads,
            note=f"{clock.own:.2f} s between activities, of {wall:.1f} s; {spent}",
        ),
        Figure(
            name="processor seconds of fleetpacks itself: between activities, and in builds",
            unit="s",
            value=clock.own_processor,
            runs=runs,
            load=loads,
            note=f"{clock.processor.get(BUILDS, 0.0):.2f} s more in builds, where it is their client",
        ),
    )
