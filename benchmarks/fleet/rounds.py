"""Rounds of faults, written down as they are made: a benchmark of hours is run in pieces.

One line of JSON for each round. A round in which no build has felt the fault is void: it is made again with another
seed. One that went wrong counts, and stays.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.fleet.watching import Drawn
from benchmarks.result import Figure

_VOID = 4
"""Runs of a class that nobody felt, besides two for each that is wanted, after which no more are made."""


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One run in which something broke."""

    fault: str
    """Its class."""
    seed: int
    """Of all that was drawn."""
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
    """Builds that began again, on the same host or on another."""
    wrong: tuple[str, ...] = ()

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


def append(file: Path, made: Round) -> None:
    """Write a round down."""
    with file.open("ab") as lines:
        lines.write(msgspec.json.encode(made) + b"\n")


def due(made: Sequence[Round], faults: Sequence[str], *, times: int, seed: int) -> tuple[str, int] | None:
    """The next round: a fault of the class of which there are the fewest, and its seed. None: there are enough.

    Args:
        made: those that were made.
        faults: the classes.
        times: how many of each are wanted.
        seed: of all.
    """
    of = {fault: [each for each in made if each.fault == fault] for fault in faults}
    counted = {fault: sum(not each.void for each in of[fault]) for fault in faults}
    # One that is never felt ends some time, too.
    wanting = [
        fault for fault in faults if counted[fault] < times and len(of[fault]) - counted[fault] < 2 * times + _VOID
    ]
    if not wanting:
        return None
    fault = min(wanting, key=lambda each: (counted[each], len(of[each])))
    return fault, random.Random(f"{seed} {fault} {len(of[fault])}").randrange(1, 1 << 31)  # noqa: S311 -- reproducible


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
                note=f"of {of_all}; {sum(each.felt for each in counted)} builds have felt it, at least "
                f"{min(each.felt for each in counted)} in a run, {sum(each.again for each in counted)} began again; "
                f"{len(of) - len(counted)} runs that nobody felt are not counted",
            )
        )
    return rows
