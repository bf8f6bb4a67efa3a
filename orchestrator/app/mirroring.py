"""The wiring of mirrors: which images of a build come from where, by the word of our own registry client."""

from collections.abc import AsyncGenerator, Iterable
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
from orchestrator.registry.mirrors import Mirrored, Mirrors

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
        found = await self._found((*named, *places(build.contexts), *self._more))
        if not found:
            return request
        if policy:
            return _with_mirrors(converted(request, [_elsewhere(each) for each in found.values()]), found.values())
        text = renamed(build.dockerfile, _names(found), build.args, others)
        ignore = await anyio.to_thread.run_sync(_own_ignore, request)
        return _with_mirrors(rewritten(request, text, ignore=ignore), found.values())

    async def of_text(self, request: SolveRequest, text: str, *, policy: bool) -> SolveRequest:
        """A solve of our own with all that its mirrors have taken from there.

        Args:
            request: the solve.
            text: its Dockerfile.
            policy: whether the builder knows source policies.
        """
        found = await self._found(images(text).names)
        if not found:
            return request
        if policy:
            return _with_mirrors(converted(request, [_elsewhere(each) for each in found.values()]), found.values())
        return _with_mirrors(rewritten(request, renamed(text, _names(found))), found.values())

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

    async def _found(self, names: Iterable[str]) -> dict[str, Mirrored]:
        asked = {name: await self.mirrors.find(name) for name in dict.fromkeys(names)}
        return {name: found for name, found in asked.items() if found is not None}


def _elsewhere(found: Mirrored) -> Elsewhere:
    return Elsewhere(name=str(found.origin), at=str(found.at))


def _names(found: dict[str, Mirrored]) -> dict[str, str]:
    return {name: str(each.at) for name, each in found.items()}


def _with_mirrors(request: SolveRequest, found: Iterable[Mirrored]) -> SolveRequest:
    """The operator has named them: a builder may be told a password for one that knows no tokens."""
    hosts = (*request.registries, *(each.at.host for each in found))
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
