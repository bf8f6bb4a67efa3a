"""An app as it is before its first round: a copy for each side, with the Dockerfile that each makes of it."""

import datetime as dt
import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec

from benchmarks.commands import fleetpacks, run
from benchmarks.images import peer
from benchmarks.images.building import Contestant, Daemon, digest_of
from benchmarks.images.cases import Compared, real
from benchmarks.images.peer import Made, Peer, StandIn
from benchmarks.images.rounds import Tried
from orchestrator.config import environment as variables
from orchestrator.registry.client import RegistryClient
from tests.e2e.languages import Case, Real
from tests.lab import Lab

_KEY = "bench-images"
"""Of package caches: of ours."""
_OURS = "ours"


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where is measured, and with what."""

    lab: Lab
    daemon: Daemon
    client: RegistryClient
    root: Path
    """An empty directory."""
    peers: tuple[Peer, ...]
    commit: str
    """Of our checkout."""

    def contestant(
        self, source: Path, files: Path, image: str, arguments: Mapping[str, str] | None = None
    ) -> Contestant:
        """A Dockerfile that is built here, and pushed under a name in the lab's registry."""
        return Contestant(
            self.lab.buildctl,
            self.daemon,
            self.client,
            source=source,
            files=files,
            image=f"{self.lab.registry}/{image}",
            arguments=arguments,
        )


class Rival(msgspec.Struct, frozen=True, kw_only=True):
    """A peer's side."""

    side: Contestant
    below: Contestant | None
    """What stands for its base image, and is built before it."""
    tried: Tried
    """What is known before anything was built."""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """An app with all Dockerfiles."""

    name: str
    real: Real
    ours: Contestant
    rivals: Mapping[str, Rival]
    """Peer -> its side."""


async def prepare(place: Place, compared: Compared, case: Case) -> Standing:
    """Copy the app for all sides, and let each make its Dockerfile."""
    folder = place.root / case.name
    source, files = folder / _OURS / case.name, folder / "files"
    shutil.copytree(case.source, source, symlinks=True)
    env = {"PATH": variables.read()["PATH"], "HOME": str(folder), "CACHE_KEY": _KEY}
    plan = [fleetpacks(), "plan", "-C", str(source.parent), "--dockerfile", str(files), case.name]
    await run(plan, cwd=folder, env=env)
    ours = place.contestant(source, files / case.name, _image(_OURS, case))
    digests = {name: await digest_of(place.lab, place.client, name) for name in peer.bases(ours.dockerfile)}
    return Standing(
        name=case.name,
        real=real(case),
        ours=ours,
        rivals={
            each.name: await _rival(place, compared, case, each, ours=ours.dockerfile, known=digests)
            for each in place.peers
        },
    )


async def _rival(
    place: Place, compared: Compared, case: Case, each: Peer, *, ours: str, known: Mapping[str, str | None]
) -> Rival:
    folder = place.root / case.name / each.name
    source, files, work = folder / case.name, folder / "files", folder / "work"
    shutil.copytree(case.source, source, symlinks=True)
    for empty in (files, work):
        empty.mkdir()
    made, became, built = Made(dockerfile=""), dict[str, str](), dict[str, str]()
    missing = [name for name, digest in known.items() if digest is None]
    wrong = f"Ours cannot be built: there is no {missing[0]} here." if missing else ""
    below: Contestant | None = None
    mine, digests = peer.bases(ours), dict(known)
    theirs = mine
    try:
        made = await each.make(compared, source, work, key=f"{_KEY}-{case.name}", ours=ours)
        theirs = peer.bases(made.dockerfile)
        digests |= {name: await digest_of(place.lab, place.client, name) for name in theirs}
        became |= made.became
        if made.stand_in is not None:
            became[made.stand_in.base] = made.stand_in.on
            built[made.stand_in.base] = made.stand_in.image
            below = _written(place, made.stand_in, folder / "stand-in")
        there = [name for name in theirs if digests[name] is not None or name in became]
        became |= peer.replacements(theirs, mine, there)
    except LookupError as error:
        wrong = str(error)
    (files / "Dockerfile").write_text(peer.replaced(made.dockerfile, {**became, **built}), encoding="utf-8")
    side = place.contestant(source, files, _image(each.name, case), made.arguments)
    runs_on = mine[-1], became.get(theirs[-1], theirs[-1])
    return Rival(
        side=side,
        below=below,
        tried=Tried(
            app=case.name,
            against=each.name,
            # Another one when what it stands on is there: then it is tried.
            dockerfiles=("" if missing else _digest(ours), _digest(side.dockerfile)),
            peer=each.version,
            date=dt.datetime.now(tz=dt.UTC).date().isoformat(),
            commit=place.commit,
            said=each.said(compared),
            became=became,
            spared=made.spared,
            on=runs_on,
            alike=digests.get(runs_on[0]) == digests.get(runs_on[1]),
            problem=wrong,
        ),
    )


def _written(place: Place, stand_in: StandIn, folder: Path) -> Contestant:
    source, files = folder / "source", folder / "files"
    for each in (source, files):
        each.mkdir(parents=True)
    (files / "Dockerfile").write_text(stand_in.dockerfile, encoding="utf-8")
    for name, text in stand_in.files.items():
        (source / name).write_text(text, encoding="utf-8")
        (source / name).chmod(0o755)
    return place.contestant(source, files, stand_in.image)


def _image(side: str, case: Case) -> str:
    return f"bench/images-{side}/{case.name}:latest"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
