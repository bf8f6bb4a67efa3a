"""What a run asks of whoever carries package caches to builders and back."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from orchestrator.events import Event
from orchestrator.model import AppPlan

Tell = Callable[[Event], Awaitable[None]]
"""Tells what happens."""


class Carrier(Protocol):
    """Fills a builder's package caches before they are used, and takes note of what is in them afterwards."""

    def note(self, event: Event) -> None:
        """Hear of an event of a build on this builder; must not wait."""
        ...

    async def bring(self, plan: AppPlan, tell: Tell) -> None:
        """Fill what an app's build is going to use, as far as that can be done. Raises nothing of its own."""
        ...

    async def take(self, tell: Tell) -> None:
        """Keep what builds have left in them, when all have ended. Raises nothing of its own."""
        ...
