"""What apps stand on: base images as they were looked up, which every solve of an app is held to, and their mirrors.

A build and the export of its cache go through here alike, or the steps of one would not be those of the other. Of what
a builder cannot have, it is decided here how to go on: without the mirror, or on what the tag gives now.
"""

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import msgspec

from orchestrator.buildkit import SolveRequest
from orchestrator.engine.host import BuilderHost
from orchestrator.engine.mirroring import Mirroring
from orchestrator.engine.request import pinned
from orchestrator.errors import (
    FleetpacksError,
    ImageNotFoundError,
    RegistryBusyError,
    RegistryError,
    RegistryUnavailableError,
)
from orchestrator.events import AppWarning, Event
from orchestrator.model import AppPlan

if TYPE_CHECKING:
    from orchestrator.engine.skipping import Changed

_UNREACHED = (ImageNotFoundError, RegistryError, RegistryUnavailableError)
"""What a builder says of an image that it cannot have."""


class Standing:
    """What the apps of one run stand on.

    Args:
        emit: tells what happens.
        mirrors: know what mirrors have; None: there are none.

    Attributes:
        changed: what was found out of apps that have to be built, by name.
    """

    def __init__(self, emit: Callable[[Event], Awaitable[None]], mirrors: Mirroring | None) -> None:
        self._emit = emit
        self._mirrors = mirrors
        self.changed: dict[str, Changed] = {}

    @property
    def lost(self) -> int:
        """How often an image that was found in a mirror was given up there."""
        return self._mirrors.lost if self._mirrors is not None else 0

    async def held(self, plan: AppPlan, request: SolveRequest, host: BuilderHost) -> SolveRequest:
        """The same solve, on the base images that were looked up, from mirrors that have them."""
        changed = self.changed.get(plan.app.name)
        if changed is not None:
            request = pinned(request, changed.bases)
        if self._mirrors is not None:
            request = await self._mirrors.through(plan, request, policy=host.source_policy)
            await self.tell(plan.app.name)
        return request

    async def tell(self, app: str) -> None:
        """Tell what there is to be said of mirrors, each thing once."""
        for message in self._mirrors.news() if self._mirrors is not None else ():
            await self._emit(AppWarning(time=time.time(), app=app, message=message))

    def lost_mirror(self, error: FleetpacksError, *, since: int) -> bool:
        """Whether a builder could not have an image from a mirror, from which it is not taken again.

        Args:
            error: of the build.
            since: what `lost` was when it began.
        """
        if self._mirrors is None or not isinstance(error, _UNREACHED):
            return False
        unreachable = isinstance(error, RegistryUnavailableError) and not isinstance(error, RegistryBusyError)
        return self._mirrors.lose(error.message, unreachable=unreachable, since=since)

    def gone(self, plan: AppPlan, error: FleetpacksError) -> str | None:
        """The base image that the builder cannot have as it was looked up: the build lets go of all of them then.

        Its tag was moved since, in a registry that deletes what has no tag; or the builder has another mirror than we,
        behind which it may reach nobody.
        """
        changed = self.changed.get(plan.app.name)
        if changed is None or not isinstance(error, _UNREACHED):
            return None
        gone = next(
            (name for name, digest in changed.bases.items() if "@" not in name and digest in error.message), None
        )
        if gone is not None:
            self.changed[plan.app.name] = msgspec.structs.replace(changed, record=None, bases={})
        return gone
