"""Rounds of faults, written down as they are made: a benchmark of hours is run in pieces.

One line of JSON for each fault of a run. One that no build has felt is void: it is made again with another seed. What
was begun in a run that went wrong counts, and stays.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.fleet.breaking import Fault
from benchmarks.fleet.drawing import Drawn, Link
from orchestrator.bench.result import Figure

_VOID = 4
"""Faults of a class that nobody felt, besides two for each that is wanted, after which no more are made."""
CHAIN = ""
"""Stands for a class: of a run that meets one fault of each."""


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One fault, and the run that met it."""

    fault: str
    """Its class."""
    seed: int
    """Of all that was drawn."""
    place: int = 0
    """Which of its run's faults it was, from 1; 0: the only one."""
    hosts: int
    builds: int
    commit: str
    date: str
    seconds: float
    load: float
    """The machine's one-minute load when it began."""
    drawn: Drawn
    felt: int
    """Builds that have felt the fault."""
    again: int
    """Builds that began again, on the same host or on another; where there were several faults, because of this."""
    wrong: tuple[str, ...] = ()
    """What was wrong with the run, where the fault had begun or was the only one."""

    @property
    def void(self) -> bool:
        """Whether it shows nothing."""
        return not self.felt and not self.wrong


def read(file: Path, *, hosts: int, builds: int) -> list[Round]:
    """The rounds of one size that were made so far."""
    if not file.exists():
        return []
    made = [msgspec.json.decode(line, type=Round) for line in file.read_bytes().splitlines()]
    return [each for each in made if (each.hosts, each.builds) == (hosts, builds)]


def append(file: Path, made: Sequence[Round]) -> None:
    """Write the rounds of a run down."""
    with file.open("ab") as lines:
        lines.write(b"".join(msgspec.json.encode(each) + b"\n" for each in made))


def due(
    made: Sequence[Round], faults: Sequence[str], *, times: int, seed: int, chained: bool = False
) -> tuple[str, int] | None:
    """The next run: the class of its fault, and its seed. None: there are enough.

    Args:
        made: the rounds that were made.
        faults: the classes.
        times: how many of each are wanted.
        seed: of all.
        chained: whether each run meets one of each (`CHAIN`); else the one of which there are the fewest.
    """
    of = {fault: [each for each in made if each.fault == fault] for fault in faults}
    counted = {fault: sum(not each.void for each in of[fault]) for fault in faults}
    # One that is never felt ends some time, too.
    wanting = [
        fault for fault in faults if counted[fault] < times and len(of[fault]) - counted[fault] < 2 * times + _VOID
    ]
    if not wanting:
        return None
    if chained:
        runs = len({each.seed for each in made if each.place})
        return CHAIN, random.Random(f"{seed} {runs}").randrange(1, 1 << 31)  # noqa: S311 -- reproducible
    fault = min(wanting, key=lambda each: (counted[each], len(of[each])))
    return fault, random.Random(f"{seed} {fault} {len(of[fault])}").randrange(1, 1 << 31)  # noqa: S311 -- reproducible


def of_run(ran: Round, links: Sequence[Link], faults: Sequence[Fault]) -> list[Round]:
    """The rounds of a run, one for each of its faults.

    Args:
        ran: what they have in common.
        links: what was drawn.
        faults: what came of it.
    """
    if len(faults) == 1:
        return [msgspec.structs.replace(ran, felt=len(faults[0].felt))]
    # What went wrong must count, also where nothing had begun.
    to_blame = {fault.name for fault in faults if fault.begun} or {fault.name for fault in faults}
    return [
        msgspec.structs.replace(
            ran,
            fault=link.fault,
            place=place,
            drawn=link.drawn,
            felt=len(fault.felt),
            again=fault.again,
            wrong=ran.wrong if fault.name in to_blame else (),
        )
        for place, (link, fault) in enumerate(zip(links, faults, strict=True), 1)
    ]


def figures(made: Sequence[Round], faults: Sequence[str], *, times: int) -> list[Figure]:
    """What the rounds have shown, a row for each class.

    Args:
        made: those that were made, all of one size.
        faults: the classes.
        times: how many of each are wanted.
    """
    rows: list[Figure] = []
    for fault in faults:
        of = [each for each in made if each.fault == fault]
        counted = [each for each in of if not each.void]
        if not counted:
            continue
        of_all = len(counted) if len(counted) >= times else f"{len(counted)} (of {times} that are wanted)"
        rows.append(
            Figure(
                name=f"{fault}: runs of {counted[0].builds} builds on {counted[0].hosts} hosts that went wrong",
                unit="",
                value=sum(bool(each.wrong) for each in counted),
                bar=0,
                runs=len(counted),
                load=(min(each.load for each in counted), max(each.load for each in counted)),
                note=f"of {of_all}{_together(counted)}; "
                f"{sum(each.felt for each in counted)} builds have felt it, at least "
                f"{min(each.felt for each in counted)} in a run, {sum(each.again for each in counted)} began again; "
                f"{len(of) - len(counted)} runs that nobody felt are not counted",
            )
        )
    return rows


def _together(counted: Sequence[Round]) -> str:
    several = sum(bool(each.place) for each in counted)
    return f", {several} of them with the other faults in one run" if several else ""
