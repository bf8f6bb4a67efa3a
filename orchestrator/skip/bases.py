"""The digests of base images, each asked for once in a run.

A registry that does not answer is asked once, and not once for each image: what stands on its images is then built,
which is never wrong. Where the operator has a mirror of Docker Hub, that is asked first.
"""

from collections.abc import Mapping
from typing import Protocol

import anyio

from orchestrator.errors import FleetpacksError, TransientError
from orchestrator.registry.hosts import is_docker_hub
from orchestrator.registry.manifest import Descriptor
from orchestrator.registry.reference import Reference, parse

_SECONDS = 10.0


class Heads(Protocol):
    """The part of a registry client that this needs."""

    async def head(self, reference: Reference) -> Descriptor | None:
        """Where a reference points to."""
        ...


class UnknownBaseError(Exception):
    """A base image's digest cannot be told."""


class BaseImages:
    """The digests of images by the names that Dockerfiles give them.

    Args:
        registry: answers.
        mirror: Docker Hub's mirror: a registry, with or without a path.
    """

    def __init__(self, registry: Heads, *, mirror: str | None = None) -> None:
        self._registry = registry
        self._mirror = mirror
        self._known: dict[str, str | UnknownBaseError] = {}
        self._silent: dict[str, str] = {}
        self._locks: dict[str, anyio.Lock] = {}

    async def digests(self, names: tuple[str, ...]) -> Mapping[str, str]:
        """The digests by name.

        Raises:
            UnknownBaseError: one cannot be told.
        """
        return {name: await self._digest(name) for name in names}

    async def _digest(self, name: str) -> str:
        if name not in self._known:
            async with self._locks.setdefault(name, anyio.Lock()):
                if name not in self._known:
                    try:
                        self._known[name] = await self._asked(name)
                    except UnknownBaseError as error:
                        self._known[name] = error
        known = self._known[name]
        if isinstance(known, UnknownBaseError):
            raise UnknownBaseError(*known.args) from known
        return known

    async def _asked(self, name: str) -> str:
        try:
            reference = parse(name)
        except FleetpacksError as error:
            raise UnknownBaseError(f"{name}: {error.message}") from error
        if reference.digest:
            return reference.digest
        problem = "there is none"
        for candidate in self._candidates(reference):
            if candidate.host in self._silent:
                problem = self._silent[candidate.host]
                continue
            try:
                with anyio.fail_after(_SECONDS):
                    found = await self._registry.head(candidate)
            except TimeoutError:
                problem = self._silent[candidate.host] = f"{candidate.host} has not answered for {_SECONDS:.0f} s"
            except FleetpacksError as error:
                problem = error.message
                if isinstance(error, TransientError):
                    self._silent[candidate.host] = problem
            else:
                if found is not None:
                    return found.digest
        raise UnknownBaseError(f"{name}: {problem}")

    def _candidates(self, reference: Reference) -> tuple[Reference, ...]:
        if self._mirror is None or not is_docker_hub(reference.host):
            return (reference,)
        return (parse(f"{self._mirror}/{reference.path}:{reference.tag or 'latest'}"), reference)
