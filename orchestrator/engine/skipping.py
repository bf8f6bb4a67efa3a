"""What a run asks of whoever knows that an app need not be built."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from orchestrator.engine.publish import Published
from orchestrator.model import AppPlan


class Unchanged(msgspec.Struct, frozen=True, kw_only=True):
    """The image is there, under the app's tags."""

    published: Published
    revision: str | None = None
    """The revision it was built from, where that is known."""
    platforms: tuple[str, ...] = ()
    """What it is for."""


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """The app has to be built."""

    reason: str
    """For people."""
    record: str | None = None
    """The tag which the image gets beside the app's own, so that it need not be built again."""
    bases: Mapping[str, str] = {}
    """Digests of the base images, by the names that its Dockerfile gives them: what the record says of them."""


class Skipper(Protocol):
    """Knows what an image is made of."""

    async def look(self, plan: AppPlan) -> Unchanged | Changed:
        """Whether an app has to be built; if not, it is published when this returns. Raises nothing of its own."""
        ...

    def built(self, plan: AppPlan, published: Published) -> None:
        """Hears that an app was built from what was looked at, and published with its record."""
        ...

    async def is_as_it_was(self, plan: AppPlan) -> bool:
        """Whether the files are the ones that were looked at: only then a record may vouch for the image."""
        ...
