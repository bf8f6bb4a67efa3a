"""Mirrors of registries: where else an image may be had, and whether it is there.

Whether an image comes from its mirror is decided once in a run, by a question of ours before anything is built: a
builder that is sent to a mirror asks nobody else, so that what the mirror does not have would fail the build. A mirror
that does not answer is asked once, and not once for each image; one that answers with an error for one image may well
have the others.
"""

from collections.abc import Mapping
from typing import Protocol

import anyio
import msgspec

from orchestrator.errors import ConfigError, FleetpacksError, RegistryBusyError, TransientError
from orchestrator.registry.hosts import canonical
from orchestrator.registry.manifest import Descriptor
from orchestrator.registry.reference import DEFAULT_TAG, Reference, parse

_SECONDS = 10.0


class Heads(Protocol):
    """The part of a registry client that this needs."""

    async def head(self, reference: Reference) -> Descriptor | None:
        """Where a reference points to."""
        ...


class Mirrored(msgspec.Struct, frozen=True, kw_only=True):
    """An image that a mirror has."""

    origin: Reference
    """Where it is from, with a tag or a digest."""
    at: Reference
    """The same at the mirror."""
    digest: str


def at_mirror(reference: Reference, mirrors: Mapping[str, str]) -> Reference | None:
    """Where a mirror has an image, if it has it; None: its registry has no mirror.

    Args:
        reference: the image.
        mirrors: `host[:port][/path]` by the hosts that they are mirrors of.
    """
    place = mirrors.get(canonical(reference.host))
    if place is None:
        return None
    host, _, path = place.partition("/")
    return msgspec.structs.replace(reference, host=host, path=f"{path}/{reference.path}" if path else reference.path)


class Mirrors:
    """The mirrors of one run.

    Args:
        registry: answers for them.
        said: `host[:port][/path]` by the hosts that they are mirrors of.
    """

    def __init__(self, registry: Heads, said: Mapping[str, str]) -> None:
        self._registry = registry
        self._said = said
        self._known: dict[str, Mirrored | None] = {}
        self._given_up: list[Mirrored] = []
        self._silent: set[str] = set()
        self._locks: dict[str, anyio.Lock] = {}
        self._news: list[str] = []

    async def find(self, name: str) -> Mirrored | None:
        """An image at its mirror; None when it is to be taken from where it is from.

        Args:
            name: a reference, as Dockerfiles write it.
        """
        if not self._said:
            return None
        if name not in self._known:
            async with self._locks.setdefault(name, anyio.Lock()):
                if name not in self._known:
                    self._known[name] = await self._asked(name)
        return self._known[name]

    def news(self) -> tuple[str, ...]:
        """What is to be said, each thing once: which mirror does not answer, and what one does not have."""
        told, self._news = tuple(self._news), []
        return told

    @property
    def lost(self) -> int:
        """How often an image that was found in a mirror was given up there."""
        return len(self._given_up)

    def lose(self, problem: str, *, unreachable: bool, since: int) -> bool:
        """Take an image from where it is from, because a builder could not have it from its mirror.

        Args:
            problem: what the builder said, with the image in it.
            unreachable: whether the mirror does not answer it: then no image is taken from there.
            since: what `lost` was when the build began. What was given up since then, the build may still have been
                sent to the mirror for; what was given up before, it was not.

        Returns:
            Whether it was about an image of a mirror, so that the build may do better when it begins again.
        """
        found = {name: each for name, each in self._known.items() if each is not None and _names(problem, each.at)}
        for name, each in found.items():
            if unreachable:
                self._fall_silent(each.at.host, each.origin.host, problem)
            else:
                self._give_up(name)
                self._news.append(f"{name} is taken from {each.origin.host}: {problem}")
        return any(_names(problem, each.at) for each in self._given_up[since:])

    async def _asked(self, name: str) -> Mirrored | None:
        try:
            origin = parse(name)
        except FleetpacksError:
            # The builder says what is wrong with it.
            return None
        if not (origin.tag or origin.digest):
            origin = origin.with_tag(DEFAULT_TAG)
        at = at_mirror(origin, self._said)
        if at is None or at.host in self._silent:
            return None
        found: Descriptor | None = None
        try:
            with anyio.fail_after(_SECONDS):
                found = await self._registry.head(at)
        except TimeoutError:
            self._fall_silent(at.host, origin.host, f"no answer within {_SECONDS:.0f} s")
        except FleetpacksError as error:
            # A proxy that forbids it is a matter of configuration, and forbids all of it.
            if isinstance(error, TransientError | ConfigError) and not isinstance(error, RegistryBusyError):
                self._fall_silent(at.host, origin.host, error.message)
            else:
                self._news.append(f"{name} is taken from {origin.host}: {error.message}")
        else:
            if found is None:
                self._news.append(f"{name} is taken from {origin.host}: the mirror has no {at}")
        return Mirrored(origin=origin, at=at, digest=found.digest) if found is not None else None

    def _fall_silent(self, host: str, origin: str, problem: str) -> None:
        if host not in self._silent:
            self._silent.add(host)
            self._news.append(f"images are taken from {origin}, and not from its mirror {host}: {problem}")
        # What has been found there is to be had there as little.
        for name in [name for name, each in self._known.items() if each is not None and each.at.host == host]:
            self._give_up(name)

    def _give_up(self, name: str) -> None:
        found = self._known[name]
        if found is not None:
            self._known[name] = None
            self._given_up.append(found)


def _names(problem: str, at: Reference) -> bool:
    """Whether a text speaks of an image: by its name, or by an address of its repository."""
    return f"{at.repository}:" in problem or f"{at.repository}@" in problem or f"{at.host}/v2/{at.path}/" in problem
