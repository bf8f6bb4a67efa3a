"""What was measured, written down as it is: a line of JSON for each app that was tried, and for each of its rounds.

A benchmark of an hour is run in pieces so. A round counts as long as both Dockerfiles are those that it was made with.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks.images.building import Measured

FILE = Path(__file__).parents[1] / "results" / "images.rounds.jsonl"
"""Where they are written down, unless something else is said."""


class Tried(msgspec.Struct, frozen=True, kw_only=True, tag="tried"):
    """Both Dockerfiles of an app were built, and both images asked."""

    app: str
    dockerfiles: tuple[str, str]
    """SHA-256 of ours and of theirs."""
    peer: str
    """The commit of its scripts."""
    date: str
    commit: str
    """Of our checkout."""
    said: Mapping[str, str] = {}
    """Variables of the peer's."""
    became: Mapping[str, str] = {}
    """Base images of the peer's that are not to be had -> those that stand for them."""
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


def latest(lines: Iterable[Line]) -> Mapping[str, Tried]:
    """App -> when it was tried the last time."""
    return {line.app: line for line in lines if isinstance(line, Tried)}


def counted(lines: Sequence[Line]) -> Mapping[str, tuple[Round, ...]]:
    """App -> its rounds with the Dockerfiles with which it was tried last; of those whose peer has answered."""
    return {
        app: tuple(
            line
            for line in lines
            if isinstance(line, Round) and (line.app, line.dockerfiles) == (app, tried.dockerfiles)
        )
        for app, tried in latest(lines).items()
        if not tried.problem
    }


def due(lines: Sequence[Line], apps: Sequence[str], times: int) -> str | None:
    """The app that wants a round most: the first of those with the fewest. None: all have enough.

    Args:
        lines: what was written down.
        apps: that are wanted.
        times: how many rounds of each.
    """
    tried, rounds = latest(lines), counted(lines)
    of = {app: len(rounds.get(app, ())) for app in apps if app not in tried or not tried[app].problem}
    wanting = [app for app, count in of.items() if count < times]
    return min(wanting, key=lambda app: of[app], default=None)
