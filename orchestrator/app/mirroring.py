"""The wiring of mirrors: which images of a build come from where, by the word of our own registry client."""

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio.to_thread
import msgspec

from langs.errors import LangError
from langs.files import AppFiles
from orchestrator.buildkit import DirectorySource, SolveRequest
from orchestrator.buildkit.capabilities import Capabilities
from orchestrator.config import Config
from orchestrator.engine.mirroring import Elsewhere, converted, places, rewritten
from orchestrator.model import AppPlan
from orchestrator.plan.images import images
from orchestrator.plan.renaming import renamed
from orchestrator.registry.backoff import Patience
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.mirrors import Mirrors

if TYPE_CHECKING:
    from orchestrator.app.mountruns import Ready

_PATIENCE = Patience(attempts=2, total=5.0, first=0.2)
"""Where a mirror does not answer, there is the registry that it is a mirror of."""
_SCANNER = "docker/buildkit-syft-scanner:stable-1"
"""What makes an SBOM where nobody names another (frontend/attestations, BuildKit v0.30.0)."""


@asynccontextmanager
async def mirroring(config: Config, credentials: Credentials) -> AsyncGenerator["ImageMirrors"]:
    """Those of a run."""
    async with RegistryClient(credentials, config.registries, patience=_PATIENCE, ca=config.network.ca) as client:
        scanner = (config.attestations.scanner or _SCANNER,) if config.attestations.sbom else ()
        yield ImageMirrors(Mirrors(client, config.image_mirrors), more=scanner)


class ImageMirrors:
    """See `orchestrator.engine.mirroring.Mirroring`.

    Args:
        mirrors: know what they have.
        more: images that each build uses besides those that its Dockerfile names.
    """

    def __init__(self, mirrors: Mirrors, *, more: tuple[str, ...] = ()) -> None:
        self.mirrors = mirrors
        self._more = more

    async def through(self, plan: AppPlan, request: SolveRequest, *, policy: bool) -> SolveRequest:
        """See `Mirroring`."""
        build, others = plan.build, (*plan.build.contexts, *plan.app.contexts)
        named = images(build.dockerfile, build.args, others).names

        def named_otherwise(names: Mapping[str, str]) -> str:
            return renamed(build.dockerfile, names, build.args, others)

        return await self._taken(
            request, (*named, *places(build.contexts), *self._more), named_otherwise, policy=policy
        )

    async def of_text(self, request: SolveRequest, text: str, *, policy: bool) -> SolveRequest:
        """A solve of our own with all that its mirrors have taken from there.

        Args:
            request: the solve.
            text: its Dockerfile.
            policy: whether the builder knows source policies.
        """
        return await self._taken(request, images(text).names, partial(renamed, text), policy=policy)

    def for_solves(self, can: Capabilities) -> "Ready":
        """The same for all of one builder's."""
        return partial(self.of_text, policy=can.source_policy)

    def news(self) -> tuple[str, ...]:
        """See `Mirroring`."""
        return self.mirrors.news()

    @property
    def lost(self) -> int:
        """See `Mirroring`."""
        return self.mirrors.lost

    def lose(self, problem: str, *, unreachable: bool, since: int) -> bool:
        """See `Mirroring`."""
        return self.mirrors.lose(problem, unreachable=unreachable, since=since)

    async def _taken(
        self,
        request: SolveRequest,
        names: Iterable[str],
        named_otherwise: Callable[[Mapping[str, str]], str],
        *,
        policy: bool,
    ) -> SolveRequest:
        """A solve with those of its images from mirrors that they have.

        Args:
            request: the solve.
            names: of its images.
            named_otherwise: its Dockerfile with other names for some of them.
            policy: whether the builder knows source policies.
        """
        asked = {name: await self.mirrors.find(name) for name in dict.fromkeys(names)}
        found = {name: each for name, each in asked.items() if each is not None}
        if not found:
            return request
        if policy:
            request = converted(request, [Elsewhere(name=str(each.origin), at=str(each.at)) for each in found.values()])
        else:
            text = named_otherwise({name: str(each.at) for name, each in found.items()})
            request = rewritten(request, text, ignore=await anyio.to_thread.run_sync(_own_ignore, request))
        # The operator has named them: a builder may be told a password for one that knows no tokens.
        hosts = (*request.registries, *(each.at.host for each in found.values()))
        return msgspec.structs.replace(request, registries=tuple(dict.fromkeys(hosts)))


def _own_ignore(request: SolveRequest) -> bytes | None:
    """The .dockerignore of a user's own Dockerfile, which was read before: a later one is no error of the mirror's."""
    for source in request.sources:
        if isinstance(source, DirectorySource) and source.name == "dockerfile":
            try:
                return AppFiles(source.root).read_bytes(f"{request.attrs['filename']}.dockerignore")
            except LangError:
                return None
    return None
