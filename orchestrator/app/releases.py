"""The wiring of `versions refresh`: the tags of registries become the operator's own table of releases.

Each toolchain image is asked for its tags, all at once; what its registry has is then what a range may become. Tools
whose image is not there keep what was known of them.
"""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

import anyio
import msgspec

from langs import releases
from langs.releases import Tool
from orchestrator.app.written import write
from orchestrator.config import Config
from orchestrator.config.releases import read_tools
from orchestrator.errors import ConfigError, FleetpacksError, ImageNotFoundError, UsageError
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.reference import Reference, parse


class Refreshed(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one tool's image."""

    tool: str
    repository: str
    releases: int
    newest: str | None
    """None when its tags name no release, or it is not there."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a refresh brought."""

    file: str
    tools: tuple[Refreshed, ...]
    errors: tuple[FleetpacksError, ...]
    """One of each registry that could not be asked; an image that is not there is none."""


async def refresh(config: Config, *, registry: str | None, today: dt.date) -> Outcome:
    """Ask registries which releases there are, and write the table.

    Args:
        config: what was said.
        registry: `host[/prefix]` to ask in place of each image's own, such as a mirror.
        today: what the table is dated.

    Raises:
        UsageError: the registry's name is none, or the table cannot be written.
        ImageNotFoundError: all registries answered, and none has a release.
    """
    asked = {name: _reference(tool.image, registry) for name, tool in releases.tools().items() if tool.image}
    found: dict[str, Tool] = {}
    told: dict[str, Refreshed] = {}
    errors: dict[str, FleetpacksError] = {}

    async def ask(client: RegistryClient, name: str, reference: Reference) -> None:
        try:
            tags = await client.get_tags(reference)
        except ImageNotFoundError:
            tags = ()
        except FleetpacksError as error:
            # One that cannot be asked cannot be asked for anything.
            errors.setdefault(reference.host, error)
            return
        shipped = releases.tools()[name]
        tool = releases.of_tags(shipped, tags, source=reference.repository, read=today.isoformat())
        if tool is not None:
            found[name] = tool
        newest = releases.expanded(tool).newest_first if tool else ()
        told[name] = Refreshed(
            tool=name,
            repository=reference.repository,
            releases=len(newest),
            newest=".".join(map(str, newest[0])) if newest else None,
        )

    credentials = Credentials(config.docker_config / "config.json")
    async with (
        RegistryClient(credentials, config.registries, ca=config.network.ca) as client,
        anyio.create_task_group() as tasks,
    ):
        for name, reference in asked.items():
            tasks.start_soon(ask, client, name, reference)
    if not found and not errors:
        raise ImageNotFoundError(
            f"{registry or 'the registries'}: no toolchain image has a tag that names a release",
            hint="Name a registry that has them, or a mirror of Docker Hub: --registry HOST.",
        )
    if found:
        file = config.environment.releases_file
        hint = "Set XDG_CACHE_HOME to a directory that can be written."
        write(file, releases.write({**_kept(file), **found}), what="the table of releases", hint=hint)
    return Outcome(
        file=str(config.environment.releases_file),
        tools=tuple(told[name] for name in asked if name in told),
        errors=tuple(errors.values()),
    )


def _kept(file: Path) -> Mapping[str, Tool]:
    """What an earlier refresh wrote; of a table that cannot be read, nothing."""
    try:
        return read_tools(file)
    except ConfigError:
        return {}


def _reference(image: str, registry: str | None) -> Reference:
    own = parse(image)
    if registry is None:
        return own
    host = registry.strip("/")
    reference = parse(f"{host}/{own.path}")
    if reference.host == "docker.io" and host.partition("/")[0] not in {"docker.io", "index.docker.io"}:
        raise UsageError(f"--registry: {registry!r} names no host", hint="As in --registry mirror.example:5000.")
    return reference
