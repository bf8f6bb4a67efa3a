"""The rounds: whose turn it is, the change that both sides get, and what is written down of it."""

import datetime as dt
import hashlib
import secrets
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.commands import fleetpacks, run
from benchmarks.images import peer, rounds
from benchmarks.images.building import BuildFailedError, Contestant, Daemon, digest_of, problem
from benchmarks.images.cases import Compared, real
from benchmarks.images.rounds import Pair, Round, Tried
from orchestrator.bench.result import load
from orchestrator.config import environment as variables
from orchestrator.registry.client import RegistryClient
from tests.e2e.languages import Case, Real, appended
from tests.lab import Lab

_KEY = "bench-images"
"""Of package caches: of ours."""
_TRIES = 2
OURS, THEIRS = "ours", "theirs"


class NoBaseError(Exception):
    """A base image was not made."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where is measured, and with what."""

    lab: Lab
    daemon: Daemon
    client: RegistryClient
    root: Path
    """An empty directory."""
    scripts: Path
    peer: str
    """The commit of the scripts."""
    commit: str
    """Of our checkout."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """An app with both Dockerfiles."""

    real: Real
    ours: Contestant
    theirs: Contestant
    tried: Tried
    """What is known before anything was built."""

    @property
    def name(self) -> str:
        """The app's."""
        return self.tried.app


async def prepare(place: Place, compared: Compared, case: Case) -> Standing:
    """Copy the app for both sides, and let each make its Dockerfile.

    Raises:
        NoBaseError: the lab has not made what ours stands on.
    """
    folder = place.root / case.name
    sources = {name: folder / name / case.name for name in (OURS, THEIRS)}
    for source in sources.values():
        shutil.copytree(case.source, source, symlinks=True)
    env = {"PATH": variables.read()["PATH"], "HOME": str(folder), "CACHE_KEY": _KEY}
    plan = [fleetpacks(), "plan", "-C", str(folder / OURS), "--dockerfile", str(folder / "files"), case.name]
    await run(plan, cwd=folder, env=env)
    files = {OURS: folder / "files" / case.name, THEIRS: folder / "their-files"}
    work = folder / "work"
    work.mkdir()
    files[THEIRS].mkdir()
    ours = peer.bases((files[OURS] / "Dockerfile").read_text(encoding="utf-8"))
    digests = {name: await digest_of(place.lab, place.client, name) for name in ours}
    if missing := [name for name, digest in digests.items() if digest is None]:
        raise NoBaseError(f"the lab has no {missing[0]}: `python -m tests.lab up --languages`")
    made, wrong, became, theirs = "", "", dict[str, str](), ours
    try:
        made = await peer.generate(place.scripts, sources[THEIRS], work, key=f"{_KEY}-{case.name}", said=compared.said)
        theirs = peer.bases(made)
        digests |= {name: await digest_of(place.lab, place.client, name) for name in theirs}
        became |= peer.replacements(theirs, ours, [name for name in theirs if digests[name] is not None])
    except LookupError as error:
        wrong = str(error)
    (files[THEIRS] / "Dockerfile").write_text(peer.replaced(made, became), encoding="utf-8")
    contestants = {
        name: Contestant(
            place.lab.buildctl,
            place.daemon,
            place.client,
            source=sources[name],
            files=files[name],
            image=f"{place.lab.registry}/bench/images-{name}/{case.name}:latest",
        )
        for name in (OURS, THEIRS)
    }
    runs_on = ours[-1], became.get(theirs[-1], theirs[-1])
    return Standing(
        real=real(case),
        ours=contestants[OURS],
        theirs=contestants[THEIRS],
        tried=Tried(
            app=case.name,
            dockerfiles=(_digest(contestants[OURS].dockerfile), _digest(contestants[THEIRS].dockerfile)),
            peer=place.peer,
            date=_today(),
            commit=place.commit,
            said=compared.said,
            became=became,
            on=runs_on,
            alike=digests.get(runs_on[0]) == digests.get(runs_on[1]),
            problem=wrong,
        ),
    )


async def begin(place: Place, standing: Standing, *, ask: bool) -> Tried:
    """Build both for the first time, which is not counted, and ask both images.

    Args:
        place: where.
        standing: the app.
        ask: whether they are to be asked; they were, with these Dockerfiles.

    Raises:
        SystemExit: our own does not build, or answers wrongly: that is no comparison, but an error.
    """
    if standing.tried.problem:
        return standing.tried
    if wrong := await _built(standing.ours):
        raise SystemExit(f"{standing.name}: ours does not build: {wrong}")
    if wrong := await _built(standing.theirs):
        return msgspec.structs.replace(standing.tried, problem=f"Its Dockerfile does not build here: {wrong}")
    if not ask:
        return standing.tried
    if own := await problem(place.lab, standing.ours.image, standing.real):
        raise SystemExit(f"{standing.name}: our image is wrong: {own}")
    said = await problem(place.lab, standing.theirs.image, standing.real)
    return msgspec.structs.replace(standing.tried, problem=f"Its image does not answer: {said}" if said else "")


async def go_round(standing: Standing, number: int) -> Round:
    """Both changes, each built by both sides. Odd rounds are begun by theirs."""
    lockfile = standing.real.lockfile
    return Round(
        app=standing.name,
        dockerfiles=standing.tried.dockerfiles,
        date=_today(),
        commit=standing.tried.commit,
        source=await _changed(standing, standing.real.source, standing.real.append_source, number),
        lockfile=await _changed(standing, lockfile, standing.real.append_lockfile, number) if lockfile else None,
    )


async def go(
    place: Place,
    apps: Sequence[tuple[Compared, Case]],
    *,
    file: Path,
    times: int,
    minutes: float,
) -> None:
    """Make rounds until all apps have enough, or the time is over.

    Args:
        place: where.
        apps: which.
        file: where they are written down, those of earlier runs among them.
        times: rounds of each app.
        minutes: after which no round is begun.
    """
    ends = time.monotonic() + minutes * 60
    standings = await _prepared(place, apps, file)
    begun: set[str] = set()
    while time.monotonic() < ends:
        lines = rounds.read(file)
        name = rounds.due(lines, tuple(standings), times)
        if name is None:
            return
        standing, number = standings[name], len(rounds.counted(lines).get(name, ()))
        if name not in begun:
            begun.add(name)
            tried = await begin(place, standing, ask=not number)
            if not number:
                rounds.append(file, tried)
            _say(f"{name}: {tried.problem or 'both answer'}")
            if tried.problem:
                del standings[name]
            continue
        try:
            made = await go_round(standing, number)
        except BuildFailedError as error:
            # The network, most likely. Another run may have more luck.
            _say(f"{name}: round {number + 1}: {error}")
            del standings[name]
            continue
        rounds.append(file, made)
        _say(f"{name}: round {number + 1}:{_short(made.source)}{_short(made.lockfile)}")


async def _prepared(place: Place, apps: Sequence[tuple[Compared, Case]], file: Path) -> dict[str, Standing]:
    standings: dict[str, Standing] = {}
    known = rounds.latest(rounds.read(file))
    for compared, case in apps:
        try:
            made = await prepare(place, compared, case)
        except NoBaseError as error:
            _say(f"{case.name}: {error}")
            continue
        standings[case.name] = made
        if case.name in known and known[case.name].dockerfiles != made.tried.dockerfiles:
            # What was seen of others does not count any more.
            rounds.append(file, made.tried)
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


async def _changed(standing: Standing, file: str, text: str | None, number: int) -> Pair:
    word = secrets.token_hex(6)
    sides = [standing.ours, standing.theirs]
    for side in sides:
        appended(side.source / file, text, word)
    began = load()
    built = {side: await side.build() for side in (sides if number % 2 == 0 else reversed(sides))}
    return Pair(ours=built[standing.ours], theirs=built[standing.theirs], load=began)


def _short(pair: Pair | None) -> str:
    if pair is None:
        return ""
    ours, theirs = pair.ours, pair.theirs
    return f" {ours.seconds:.1f}/{theirs.seconds:.1f} s ({ours.processor:.1f}/{theirs.processor:.1f} of processors)"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _today() -> str:
    return dt.datetime.now(tz=dt.UTC).date().isoformat()
