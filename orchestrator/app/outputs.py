"""What becomes of builds besides being published: files, directories, images in a Docker Engine.

Loading takes the way that the builder allows. An engine that builds keeps the image itself, unless it is one that goes
with the run. Any other builder sends it as an archive, which goes on to the engine of this machine piece by piece, so
that it is never kept here.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from orchestrator.app.builder import engine_address
from orchestrator.buildkit import DirectoryDestination, Exporter, FileDestination, StreamDestination
from orchestrator.buildkit.capabilities import Capabilities
from orchestrator.config import Config
from orchestrator.config.settings import ISOLATED
from orchestrator.errors import UsageError
from orchestrator.model import AppPlan
from orchestrator.plan.outputs import Placed
from remote.address import Address, EngineAddress

_ARCHIVE = "docker"
"""What an engine loads."""

Outputs = Callable[[AppPlan], tuple[Exporter, ...]]
"""What else is made of an app's build."""


@asynccontextmanager
async def outputs(
    config: Config, builder: Address, can: Capabilities, placed: Mapping[str, Sequence[Placed]], *, load: bool
) -> AsyncGenerator[Outputs]:
    """Get ready for what the command line asks for.

    Args:
        config: names the engine, where the builder is none.
        builder: the builder's address.
        can: what it can do.
        placed: where files go, by the app's name.
        load: whether images are loaded into a Docker Engine.

    Raises:
        UsageError: images are to be loaded, and no engine is known, or the builder cannot hand them on, or the engine
            cannot take them.
        BuilderUnreachableError: the engine that they are to be loaded into does not answer.
    """

    def files(app: AppPlan) -> tuple[Exporter, ...]:
        return tuple(_exporter(app, each) for each in placed.get(app.app.name, ()))

    if not load:
        yield files
    elif not hands_on(config, builder):
        yield lambda app: (*files(app), Exporter(type=can.image_exporter, attrs=_named(app)))
    elif _ARCHIVE not in can.exporters:
        raise UsageError(
            f"{builder}: --load: this engine goes with the run, and one of a graph driver hands no image on",
            hint="Use --isolated=buildkitd, or push the images.",
        )
    else:
        # aiohttp, only when it is needed.
        from orchestrator.docker import Engine  # noqa: PLC0415

        async with Engine(engine_address(config)) as engine:
            # Before anything is built for it.
            info = await engine.info()
            if not info.containerd and (config.attestations.provenance or config.attestations.sbom):
                raise UsageError(
                    f"{engine.address}: --load: an engine of a graph driver takes no image with what is attested of it",
                    hint="Leave out --provenance and --sbom, or push the image.",
                )

            async def consume(archive: AsyncIterator[bytes]) -> None:
                await engine.load(archive)

            loaded = StreamDestination(consume=consume)
            yield lambda app: (*files(app), Exporter(type=_ARCHIVE, attrs=_named(app), destination=loaded))


def hands_on(config: Config, builder: Address) -> bool:
    """Whether an image that is loaded leaves the builder for another engine, as an archive."""
    goes = any(host.source == ISOLATED for host in config.hosts)
    return goes or not isinstance(builder, EngineAddress)


def _exporter(app: AppPlan, placed: Placed) -> Exporter:
    if placed.kind == "local":
        return Exporter(type="local", attrs={}, destination=DirectoryDestination(path=placed.path))
    attrs = {} if placed.kind == "tar" else _named(app)
    return Exporter(type=placed.kind, attrs=attrs, destination=FileDestination(path=placed.path))


def _named(app: AppPlan) -> dict[str, str]:
    return {"name": ",".join(f"{app.repository}:{tag}" for tag in app.tags)}
