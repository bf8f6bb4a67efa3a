"""What a peer is: it makes a Dockerfile of an app. And how that is put on base images that are to be had here."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from benchmarks.images.cases import Compared


class StandIn(msgspec.Struct, frozen=True, kw_only=True):
    """An image that is made to stand for a base image that is not to be had."""

    base: str
    """What is not to be had."""
    on: str
    """The image that it is made of."""
    dockerfile: str
    files: Mapping[str, str]
    """The programs that its Dockerfile copies: name -> text."""

    @property
    def image(self) -> str:
        """By which name Dockerfiles know it, on whichever registry; another one of other content."""
        content = hashlib.sha256(msgspec.json.encode((self.dockerfile, sorted(self.files.items())))).hexdigest()
        return f"stand-in/{self.on.replace('/', '-').replace(':', '-')}:{content[:12]}"


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What a peer makes of an app."""

    dockerfile: str
    arguments: Mapping[str, str] = {}
    """Values of its `ARG`s, as the peer itself gives them to a build."""
    became: Mapping[str, str] = {}
    """Base images that are known to be had nowhere here -> ours that stand for them."""
    stand_in: StandIn | None = None
    spared: Mapping[str, str] = {}
    """Commands that reach nothing here -> what became of them."""


class Peer(Protocol):
    """Who is compared with us."""

    @property
    def name(self) -> str:
        """What it is called in all that is told."""
        ...

    @property
    def version(self) -> str:
        """Which one it is: a commit, or a release."""
        ...

    def said(self, compared: Compared) -> Mapping[str, str]:
        """The variables that a user would have to set for an app."""
        ...

    async def make(self, compared: Compared, source: Path, work: Path, *, key: str, ours: str) -> Made:
        """Let it make its Dockerfile of an app.

        Args:
            compared: the app.
            source: a copy, in which the peer leaves what its Dockerfile needs.
            work: an empty directory.
            key: of the package caches.
            ours: our own Dockerfile.

        Raises:
            LookupError: it makes none.
        """
        ...


def bases(dockerfile: str) -> tuple[str, ...]:
    """What stages begin with, in their order, without other stages."""
    stages = _stages(dockerfile)
    named = {alias for alias, _ in stages if alias}
    return tuple(name for _, name in stages if name not in named)


def stands_on(dockerfile: str, stage: str) -> str:
    """The base image of a stage, through all stages that are between.

    Raises:
        LookupError: there is no such stage.
    """
    found = {alias: name for alias, name in _stages(dockerfile) if alias}
    if stage not in found:
        raise LookupError(f"there is no stage {stage}")
    while stage in found:
        stage = found.pop(stage)
    return stage


def replacements(theirs: Sequence[str], ours: Sequence[str], there: Collection[str]) -> Mapping[str, str]:
    """By which names of our base images those of theirs are replaced that are not to be had.

    Args:
        theirs: in the order of their stages; the last one is what the image runs on.
        ours: likewise.
        there: those of theirs that can be had.

    Raises:
        LookupError: none of ours has the repository and the place of one of theirs.
    """
    found: dict[str, str] = {}
    for number, name in enumerate(theirs):
        if name in there:
            continue
        last = number == len(theirs) - 1
        alike = [each for each in (ours[-1:] if last else ours[:-1]) if _repository(each) == _repository(name)]
        if not alike:
            raise LookupError(f"there is no {name} here, nor anything of ours that could stand for it")
        found[name] = alike[0]
    return found


def replaced(dockerfile: str, names: Mapping[str, str]) -> str:
    """The Dockerfile over other base images.

    Also without the line that asks for a frontend of its own, in the peer's favour: the daemon would have to pull that.
    """

    def line(text: str) -> str:
        first, *rest = text.split(" ")
        return " ".join([first, *(names.get(word, word) for word in rest)]) if first == "FROM" else text

    return "".join(f"{line(each)}\n" for each in dockerfile.splitlines() if not each.startswith("# syntax="))


def _stages(dockerfile: str) -> tuple[tuple[str, str], ...]:
    """The name of each stage, or "", and what it begins with."""
    words = [line.split() for line in dockerfile.splitlines() if line.upper().startswith("FROM ")]
    return tuple((named[1] if len(named) > 1 else "", name) for _, name, *named in words)


def _repository(name: str) -> str:
    return name.rpartition(":")[0]
