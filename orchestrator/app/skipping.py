"""The wiring of skipping: whose records count, and where what is remembered lies."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec

from orchestrator import temporary
from orchestrator.buildkit.capabilities import Capabilities
from orchestrator.config import Config
from orchestrator.model import Attestations, Plan
from orchestrator.registry.backoff import Patience
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.mirrors import Mirrors
from orchestrator.skip.bases import BaseImages
from orchestrator.skip.contents import Contents
from orchestrator.skip.memory import Memory
from orchestrator.skip.reading import Reader
from orchestrator.skip.skipper import Policy, RegistrySkipper

_PATIENCE = Patience(attempts=2, total=5.0, first=0.2)
"""For the digests of base images: without them apps are built, which is no error."""
_LOCAL = ("local",)
"""The scope of builds that are nobody's but their user's."""

_CONTENTS, _BUILT = "contents", "built"


class Skipping(msgspec.Struct, frozen=True, kw_only=True):
    """What a run knows of what need not be built."""

    skipper: RegistrySkipper | None = None
    warnings: tuple[str, ...] = ()


def _attested(said: Attestations) -> str:
    """What is attested, but for the revision: it is told of the image that was built, and changes none."""
    parts = (said.provenance, said.sbom and (said.scanner or "sbom"))
    return repr(parts) if any(parts) else ""


def contents_of(config: Config) -> Contents:
    """What is known of the files of contexts."""
    return Contents(config.environment.cache_directory / _CONTENTS)


def _sweep(directory: Path) -> None:
    for each in (directory, directory / _CONTENTS, directory / _BUILT):
        temporary.sweep(each)


def memory_of(config: Config) -> Memory:
    """What was built last of this source."""
    return Memory(config.environment.cache_directory / _BUILT, config.root)


@asynccontextmanager
async def remembering(config: Config) -> AsyncGenerator[Memory]:
    """What was built last of this source; what is noted is kept, also of a run that is interrupted."""
    await anyio.to_thread.run_sync(_sweep, config.environment.cache_directory)
    memory = memory_of(config)
    try:
        yield memory
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(memory.save)


@asynccontextmanager
async def skipping(
    config: Config,
    plan: Plan,
    can: Capabilities,
    registry: RegistryClient,
    credentials: Credentials,
    *,
    mirrors: Mirrors,
    attestations: Attestations,
    memory: Memory,
    images: bool,
) -> AsyncGenerator[Skipping]:
    """Skip what has not changed, where images are pushed and nothing was said against it.

    Args:
        config: what was said.
        plan: what is to be built.
        can: what the builder is.
        registry: has the records.
        credentials: for the registries of base images.
        mirrors: know what mirrors of these have.
        attestations: what is attested of images.
        memory: what was built last.
        images: whether images are all that is asked for.
    """
    if config.skip_age is None or config.no_cache or not plan.push or not images:
        yield Skipping()
        return
    said = config.environment
    scopes = said.trust_scopes or said.ci.scopes or (() if said.in_ci else _LOCAL)
    if not scopes:
        problem = "all apps are built: which builds may vouch for which is not known here (set $FLEETPACKS_TRUST_SCOPE)"
        yield Skipping(warnings=(problem,))
        return
    contents = contents_of(config)
    async with RegistryClient(credentials, config.registries, patience=_PATIENCE, ca=config.network.ca) as bases:
        skipper = RegistrySkipper(
            registry,
            bases=BaseImages(bases, mirrors=mirrors),
            # Those that stand on others may have to wait long, in which their files may change.
            reader=Reader(contents, (app for app in plan.apps if not app.app.contexts)),
            memory=memory,
            policy=Policy(
                scope=scopes[0],
                trusted=scopes[1:],
                max_age=config.skip_age,
                platform=can.platform,
                attestations=_attested(attestations),
                epoch="" if config.epoch is None else str(config.epoch),
                revision=attestations.revision,
            ),
        )
        try:
            yield Skipping(skipper=skipper)
        finally:
            await anyio.to_thread.run_sync(contents.sweep)
