"""The wiring of daemons of our own: what is said, what the machine is, and a run with one of them."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import anyio
import msgspec

from orchestrator.config import Config, Host
from orchestrator.config.settings import ISOLATED
from orchestrator.daemon import buildkitd, dockerd, facts, settings
from orchestrator.daemon.model import Facts, Settings, Ways
from orchestrator.daemon.running import Daemon, running
from orchestrator.errors import ConfigError
from orchestrator.model import DaemonKind, Isolated


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """What a daemon would be started with, and where."""

    settings: Settings
    facts: Facts

    @property
    def text(self) -> str:
        """Its configuration file."""
        return buildkitd.text(self.settings) if self.settings.kind == "buildkitd" else dockerd.text(self.settings)


async def decide(config: Config, said: Isolated | None = None) -> Decided:
    """Decide what a daemon is started with; nothing is started, and nothing refused.

    Args:
        config: what was said.
        said: instead of what it says of daemons.

    Raises:
        ConfigError: the certificates that are to be trusted cannot be read.
    """
    said = said or config.isolated
    root = await anyio.Path(settings.root_of(said, config.environment.cache_directory)).resolve()
    found = await facts.gather(said.kind, Path(root), config.environment.variables)
    return Decided(
        settings=settings.decide(
            said,
            found,
            root=Path(root),
            mirrors=config.image_mirrors,
            registries=config.registries,
            ca=await _authorities(config),
            entitlements=config.entitlements,
        ),
        facts=found,
    )


@asynccontextmanager
async def started(config: Config, said: Isolated | None = None, *, ways: Ways | None = None) -> AsyncGenerator[Daemon]:
    """Run a daemon as long as the block lasts.

    Args:
        config: what was said.
        said: as `decide`.
        ways: what errors name that can be done instead; None: what `build` has.

    Raises:
        ConfigError: as `decide`.
        OwnDaemonError, OwnDaemonBusyError: it cannot run.
    """
    decided = await decide(config, said)
    variables = config.environment.variables
    async with running(decided.settings, decided.facts, variables, ways=ways or Ways()) as daemon:
        yield daemon


@asynccontextmanager
async def builder(config: Config, kind: DaemonKind | Literal["auto"]) -> AsyncGenerator[tuple[Config, tuple[str, ...]]]:
    """The same configuration, with a daemon of our own for its only builder, which lives as long as the block.

    Yields:
        It, and what was said and has no effect with such a daemon.

    Args:
        config: what was said.
        kind: what is started; `auto`: what the operator says.

    Raises:
        ConfigError, OwnDaemonError, OwnDaemonBusyError: as `started`.
    """
    said = config.isolated if kind == "auto" else msgspec.structs.replace(config.isolated, kind=kind)
    async with started(config, said) as daemon:
        host = Host(url=daemon.settings.url, slots=None, source=ISOLATED)
        yield msgspec.structs.replace(config, hosts=(host,), hosts_file=None), daemon.settings.notes


async def _authorities(config: Config) -> str:
    file = config.network.ca
    if file is None:
        return ""
    try:
        return await anyio.Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}", hint="Name a PEM file that can be read.") from error
