"""The digests of base images, each asked for once in a run.

A registry that does not answer is asked once, and not once for each image: what stands on its images is then built,
which is never wrong. What a mirror has is what is built on: its word counts.
"""

from collections.abc import Mapping

import anyio

from orchestrator.errors import FleetpacksError, TransientError
from orchestrator.registry.mirrors import Heads, Mirrors
from orchestrator.registry.reference import parse

_SECONDS = 10.0


class UnknownBaseError(Exception):
    """A base image's digest cannot be told.

    Attributes:
        transient: whether its registry was not reached, or did not serve: it may be told later.
    """

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.transient = transient


class BaseImages:
    """The digests of images by the names that Dockerfiles give them.

    Args:
        registry: answers.
        mirrors: know what mirrors have; None: there are none.
    """

    def __init__(self, registry: Heads, *, mirrors: Mirrors | None = None) -> None:
        self._registry = registry
        self._mirrors = mirrors
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
            raise UnknownBaseError(str(known), transient=known.transient) from known
        return known

    async def _asked(self, name: str) -> str:
        try:
            reference = parse(name)
        except FleetpacksError as error:
            raise UnknownBaseError(f"{name}: {error.message}") from error
        if reference.digest:
            return reference.digest
        mirrored = await self._mirrors.find(name) if self._mirrors is not None else None
        if mirrored is not None:
            return mirrored.digest
        problem = "there is none"
        if reference.host in self._silent:
            problem = self._silent[reference.host]
        else:
            try:
                with anyio.fail_after(_SECONDS):
                    found = await self._registry.head(reference)
            except TimeoutError:
                problem = self._silent[reference.host] = f"{reference.host} has not answered for {_SECONDS:.0f} s"
            except FleetpacksError as error:
                problem = error.message
                if isinstance(error, TransientError):
                    self._silent[reference.host] = problem
            else:
                if found is not None:
                    return found.digest
        raise UnknownBaseError(f"{name}: {problem}", transient=reference.host in self._silent)
