"""The rounds: whose turn it is, the change that all sides get, and what is written down of it."""

import datetime as dt
import secrets
import sys
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks.images import rounds
from benchmarks.images.building import BuildFailedError, Contestant, problem
from benchmarks.images.cases import Compared
from benchmarks.images.preparing import Place, Standing, prepare
from benchmarks.images.rounds import Pair, Round, Tried
from orchestrator.bench.result import load
from tests.e2e.languages import Case, appended

_TRIES = 2


async def begin(place: Place, standing: Standing, peers: Sequence[str], *, ask: Collection[str]) -> tuple[Tried, ...]:
    """Build all sides for the first time, which is not counted, and ask their images.

    Args:
        place: where.
        standing: the app.
        peers: which take part.
        ask: those of them whose images are to be asked, and ours; others were, with these Dockerfiles.

    Raises:
        SystemExit: our own does not build, or answers wrongly: that is no comparison, but an error.
    """
    tried = {name: standing.rivals[name].tried for name in peers}
    if not _open(tried.values()):
        return tuple(tried.values())
    if wrong := await _built(standing.ours):
        raise SystemExit(f"{standing.name}: ours does not build: {wrong}")
    for each in _open(tried.values()):
        rival = standing.rivals[each.against]
        if rival.below is not None and (wrong := await _built(rival.below)):
            tried[each.against] = _without(each, f"What stands for its base image does not build here: {wrong}")
        elif wrong := await _built(rival.side):
            tried[each.against] = _without(each, f"Its Dockerfile does not build here: {wrong}")
    asked = [each for each in _open(tried.values()) if each.against in ask]
    if asked and (own := await problem(place.lab, standing.ours.image, standing.real)):
        raise SystemExit(f"{standing.name}: our image is wrong: {own}")
    for each in asked:
        if said := await problem(place.lab, standing.rivals[each.against].side.image, standing.real):
            tried[each.against] = _without(each, f"Its image does not answer: {said}")
    return tuple(tried.values())


async def go_round(standing: Standing, peers: Sequence[str], number: int) -> tuple[Round, ...]:
    """Both changes, each built by all sides; a round for each peer, in which ours is the same."""
    real = standing.real
    source = await _changed(standing, peers, real.source, real.append_source, number)
    lockfile = (
        await _changed(standing, peers, real.lockfile, real.append_lockfile, number)
        if real.lockfile
        else dict[str, Pair]()
    )
    return tuple(
        Round(
            app=standing.name,
            against=name,
            dockerfiles=standing.rivals[name].tried.dockerfiles,
            date=dt.datetime.now(tz=dt.UTC).date().isoformat(),
            commit=standing.rivals[name].tried.commit,
            source=source[name],
            lockfile=lockfile.get(name),
        )
        for name in peers
    )


async def go(
    place: Place,
    apps: Sequence[tuple[Compared, Case]],
    *,
    file: Path,
    times: int,
    minutes: float,
) -> None:
    """Make rounds until all apps have enough with all peers, or the time is over.

    Args:
        place: where.
        apps: which.
        file: where they are written down, those of earlier runs among them.
        times: rounds of each app with each peer.
        minutes: after which no round is begun.
    """
    ends = time.monotonic() + minutes * 60
    standings = await _prepared(place, apps, file)
    open_ = {app: list(standing.rivals) for app, standing in standings.items()}
    begun: set[tuple[str, str]] = set()
    while time.monotonic() < ends:
        lines = rounds.read(file)
        due = rounds.due(lines, open_, times)
        if due is None:
            return
        app, peers = due
        standing, known = standings[app], rounds.counted(lines)
        counts = {name: len(known.get((app, name), ())) for name in peers}
        if new := [name for name in peers if (app, name) not in begun]:
            begun |= {(app, name) for name in new}
            fresh = {name for name in new if not counts[name]}
            for tried in await begin(place, standing, new, ask=fresh):
                if tried.against in fresh:
                    rounds.append(file, tried)
                if tried.problem:
                    open_[app].remove(tried.against)
                _say(f"{app}: {tried.against}: {tried.problem or 'both answer'}")
            continue
        number = max(counts.values())
        try:
            made = await go_round(standing, peers, number)
        except BuildFailedError as error:
            # The network, most likely. Another run may have more luck.
            _say(f"{app}: round {number + 1}: {error}")
            del open_[app]
            continue
        for each in made:
            rounds.append(file, each)
            _say(
                f"{app}: {each.against}: round {counts[each.against] + 1}:{_short(each.source)}{_short(each.lockfile)}"
            )


async def _prepared(place: Place, apps: Sequence[tuple[Compared, Case]], file: Path) -> dict[str, Standing]:
    standings: dict[str, Standing] = {}
    known = rounds.latest(rounds.read(file))
    for compared, case in apps:
        made = standings[case.name] = await prepare(place, compared, case)
        for tried in (rival.tried for rival in made.rivals.values()):
            before = known.get((tried.app, tried.against))
            if before is not None and before.dockerfiles != tried.dockerfiles:
                # What was seen of others does not count any more.
                rounds.append(file, tried)
    return standings


async def _built(side: Contestant) -> str:
    """Why a side cannot be built, when it was tried twice; empty where it can."""
    said = ""
    for _ in range(_TRIES):
        try:
            await side.build()
        except BuildFailedError as error:
            said = str(error)
        else:
            return ""
    return said


async def _changed(
    standing: Standing, peers: Sequence[str], file: str, text: str | None, number: int
) -> Mapping[str, Pair]:
    """Change a file on all sides, and build them: each round is begun by the next one."""
    word = secrets.token_hex(6)
    theirs = {name: standing.rivals[name].side for name in peers}
    sides = [standing.ours, *theirs.values()]
    for side in sides:
        appended(side.source / file, text, word)
    began, first = load(), number % len(sides)
    built = {side: await side.build() for side in (*sides[first:], *sides[:first])}
    return {name: Pair(ours=built[standing.ours], theirs=built[side], load=began) for name, side in theirs.items()}


def _open(tried: Iterable[Tried]) -> list[Tried]:
    """Those of which nothing is known that makes them no comparison."""
    return [each for each in tried if not each.problem]


def _without(tried: Tried, problem: str) -> Tried:
    return msgspec.structs.replace(tried, problem=problem)


def _short(pair: Pair | None) -> str:
    if pair is None:
        return ""
    ours, theirs = pair.ours, pair.theirs
    return f" {ours.seconds:.1f}/{theirs.seconds:.1f} s ({ours.processor:.1f}/{theirs.processor:.1f} of processors)"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
