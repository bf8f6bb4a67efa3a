"""What was measured, written down as it is: a line of JSON for each app that was tried, and for each of its rounds.

A benchmark of an hour is run in pieces so. A round counts as long as both Dockerfiles are those that it was made with.
There is a line for each peer, so that one can be added to what was measured of another: where several are measured at
once, our own build stands in the lines of all.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks.images.building import Measured

FIRST = "migetpacks"
"""Whom lines mean that name nobody: there was one peer alone."""
FILE = Path(__file__).parents[1] / "results" / "images.rounds.jsonl"
"""Where they are written down, unless something else is said."""


class Tried(msgspec.Struct, frozen=True, kw_only=True, tag="tried"):
    """Both Dockerfiles of an app were built, and both images asked."""

    app: str
    against: str = FIRST
    """The peer's name."""
    dockerfiles: tuple[str, str]
    """SHA-256 of ours and of theirs."""
    peer: str
    """Its commit, or its release."""
    date: str
    commit: str
    """Of our checkout."""
    said: Mapping[str, str] = {}
    """Variables of the peer's."""
    became: Mapping[str, str] = {}
    """Base images of the peer's that are not to be had -> those that stand for them."""
    spared: Mapping[str, str] = {}
    """Commands of its Dockerfile that reach nothing here -> what became of them."""
    on: tuple[str, str]
    """What the images run on."""
    alike: bool = True
    """Whether that is the same."""
    problem: str = ""
    """Why the peer's cannot be compared: it does not build, or not answer."""


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Builds of both sides after the same change."""

    ours: Measured
    theirs: Measured
    load: float
    """The machine's one-minute load when they began."""


class Round(msgspec.Struct, frozen=True, kw_only=True, tag="round"):
    """Both changes of one app."""

    app: str
    against: str = FIRST
    dockerfiles: tuple[str, str]
    date: str
    commit: str
    source: Pair
    lockfile: Pair | None = None
    """None: nothing is installed."""


Line = Tried | Round


def read(file: Path) -> list[Line]:
    """All that was written down."""
    if not file.exists():
        return []
    return [msgspec.json.decode(line, type=Line) for line in file.read_bytes().splitlines()]


def append(file: Path, line: Line) -> None:
    """Write one down."""
    with file.open("ab") as lines:
        lines.write(msgspec.json.encode(line) + b"\n")


def latest(lines: Iterable[Line]) -> Mapping[tuple[str, str], Tried]:
    """App and peer -> when they were tried the last time."""
    return {(line.app, line.against): line for line in lines if isinstance(line, Tried)}


def counted(lines: Sequence[Line]) -> Mapping[tuple[str, str], tuple[Round, ...]]:
    """App and peer -> the rounds with the Dockerfiles that were tried last; of those whose peer has answered."""
    return {
        key: tuple(
            line
            for line in lines
            if isinstance(line, Round) and (line.app, line.against, line.dockerfiles) == (*key, tried.dockerfiles)
        )
        for key, tried in latest(lines).items()
        if not tried.problem
    }


def due(lines: Sequence[Line], apps: Mapping[str, Collection[str]], times: int) -> tuple[str, tuple[str, ...]] | None:
    """The app that wants a round most, and the peers that it wants it with. None: all have enough.

    It is the first of those with the fewest rounds with any peer. All peers whose rounds are not enough take part.

    Args:
        lines: what was written down.
        apps: that are wanted -> the peers.
        times: how many rounds of each.
    """
    tried, rounds = latest(lines), counted(lines)
    of = {
        (app, peer): len(rounds.get((app, peer), ()))
        for app, peers in apps.items()
        for peer in peers
        if (app, peer) not in tried or not tried[app, peer].problem
    }
    wanting = {key: count for key, count in of.items() if count < times}
    if not wanting:
        return None
    app, _ = min(wanting, key=lambda key: wanting[key])
    return app, tuple(peer for each, peer in wanting if each == app)
