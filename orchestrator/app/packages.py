"""The wiring of `cache push` and `cache pull`: the package caches of one builder reach another through a registry.

Each tool's packages are solves of their own: the builder copies the cache mount into an image of one layer and pushes
that by digest, so that no byte of it comes here. What is unchanged is the same layer, which the registry has already.
In the end one manifest is put under the tag, as for images; what it names is pulled by digest.

Files keep their times: Go deletes from its build cache what looks old, and others ask by them what is new.
"""

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Literal

import anyio
import msgspec

from orchestrator.app import builder, hosts, make_plan, packageindex
from orchestrator.app.caching import is_insecure
from orchestrator.app.everywhere import Failed, everywhere, failed
from orchestrator.app.logins import given
from orchestrator.app.mirroring import mirroring
from orchestrator.app.mountsolves import MountSolves
from orchestrator.app.mountsteps import Mount, mounts_of
from orchestrator.app.packageindex import size_of
from orchestrator.buildkit import Exporter
from orchestrator.buildkit.capabilities import Capabilities
from orchestrator.cache.artifact import LONGEST_KEY, Packages
from orchestrator.config import Config
from orchestrator.errors import FleetpacksError, ImageNotFoundError, UsageError
from orchestrator.model import Plan
from orchestrator.plan.planner import Request
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.reference import DEFAULT_TAG, Reference, parse
from orchestrator.registry.tokens import RegistryTokens
from remote.address import Address

Result = Literal["pushed", "unchanged", "pulled", "full", "empty", "busy", "missing", "failed"]
Compression = Literal["gzip", "zstd"]

_AT_ONCE = 2
"""Tools: copies are bound by the builder's disk."""
_INTERVAL = 2.0
"""Seconds between two words about how far one tool is."""


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one tool's packages."""

    tool: str
    result: Result
    """`unchanged`: the registry has the same; `full`: the builder's cache has something already; `busy`: a build uses
    it; `missing`: there are none where they were to come from."""
    size: int = 0
    """Bytes in the registry; 0 where nothing came to it or from it."""
    seconds: float = 0.0
    error: str | None = None
    hint: str = ""
    builder: str = ""
    """Whose packages were pushed: of several builders, the one that has most of them."""


class Moving(msgspec.Struct, frozen=True, kw_only=True):
    """How far a tool's packages are."""

    tool: str
    activity: str
    current: int = 0
    """Bytes so far. BuildKit counts what it pulls, not what it pushes."""
    total: int = 0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of all."""

    builder: str
    reference: str
    """With the digest of what is there now; without one where nothing is."""
    tools: tuple[Tool, ...]
    others: tuple[str, ...] = ()
    """The other tools whose packages are there."""
    warnings: tuple[str, ...] = ()
    missing: tuple[Failed, ...] = ()
    """The builders of several that did not answer."""


Hear = Callable[[Moving | Tool], None]
HearOf = Callable[[str, Moving | Tool], None]
"""The builder where there are several, else nothing; and what there is of it."""
_Move = Callable[[Mount], Awaitable[Tool]]


async def push(
    config: Config,
    request: Request,
    text: str,
    *,
    tools: Sequence[str] = (),
    compression: Compression | None = None,
    hear: Hear,
) -> Outcome:
    """Put the package caches that the selected apps use under a reference.

    Args:
        config: what was said.
        request: which apps.
        text: the reference. The packages of other tools that are there stay.
        tools: only these; none: all.
        compression: of layers that are made for it; None: as for layer caches.
        hear: told how far tools are, and what became of each as soon as that is known.

    Raises:
        UsageError: there is nothing to push, the reference is none or holds something else, or the builder cannot push.
        ConfigError: an app's files are wrong.
        BuilderUnreachableError: nothing answers there.
        FleetpacksError: the registry's answer.
    """
    reference = parse(text)
    if reference.digest:
        raise UsageError(
            f"{text}: a digest names what is there already, and nothing else can be pushed to it",
            hint=f"Push to a tag: {reference.repository}:{reference.tag or DEFAULT_TAG}",
        )
    plan = await make_plan(config, request)
    mounts = _chosen(plan, tools)
    key = _cache_key(mounts)
    named, credentials = hosts.in_use(await hosts.resolved(hosts.named(config))), _credentials(config)
    async with (
        RegistryClient(credentials, config.registries, ca=config.network.ca) as registry,
        mirroring(config, credentials) as mirrors,
    ):
        before = await packageindex.find_own(registry, reference, key)
        async with hosts.opened(named) as builders:
            at = ", ".join(of.named.name for of in builders.all)
            tokens = RegistryTokens(registry, credentials, writable=(reference,))
            exporters = {
                of.named.name: _exporter(config, of.can, of.address, reference, compression or config.cache.compression)
                for of in builders.all
            }
            solves = {
                of.named.name: MountSolves(of.client, tokens, reference.host, mirrors.for_solves(of.can))
                for of in builders.all
            }
            there, busy = await _fullest(mounts, solves)
            if not there:
                raise UsageError(
                    f"{at}: there is nothing to push: no package cache of {_names(mounts)} for $CACHE_KEY {key!r}",
                    hint="Build the apps there first, or name the builder that has built them: --host.",
                )
            pushed: list[Packages] = []

            async def move(mount: Mount) -> Tool:
                tell, its = _seldom(mount.name, hear), there[mount.id]
                digest, word = await solves[its].out(mount, exporters[its], tell)
                whose = its if len(solves) > 1 else ""
                if digest is None:
                    return Tool(tool=mount.name, result="empty" if word == "empty" else "busy", builder=whose)
                manifest = await registry.get_manifest(reference.with_digest(digest))
                packages = Packages(
                    tool=mount.name, digest=digest, size=len(manifest.body), media_type=manifest.media_type
                )
                same = before is not None and before.says.of(mount.name) == packages
                # What is no image of packages is told of, and not named by the index.
                size = size_of(manifest, reference)
                pushed.append(packages)
                return Tool(tool=mount.name, result="unchanged" if same else "pushed", size=size, builder=whose)

            moved = await _all(mounts, move, hear, busy=busy, missing={each.id for each in mounts} - there.keys())
        published = await packageindex.publish(registry, reference, key, pushed)
    return Outcome(
        builder=at,
        missing=tuple(failed(str(each), error) for each, error in builders.missing),
        reference=str(reference.with_digest(published.digest) if published.digest else reference),
        tools=moved,
        others=tuple(tool for tool in published.others if all(each.tool != tool for each in moved)),
        warnings=(
            *plan.warnings,
            *(f"{reference}: the registry has lost the packages of {tool} that were there" for tool in published.lost),
        ),
    )


async def pull(
    config: Config, request: Request, text: str, *, tools: Sequence[str] = (), hear: HearOf
) -> tuple[Outcome | Failed, ...]:
    """Fill the builders' empty package caches that the selected apps use from a reference, of all at once.

    Args:
        config: what was said.
        request: which apps.
        text: the reference, with a tag or a digest.
        tools: only these; none: all.
        hear: as for `push`.

    Raises:
        UsageError: the selected apps use no such caches, or the reference is none or holds something else.
        ConfigError, BuilderUnreachableError, FleetpacksError: as for `push`.
    """
    reference = parse(text)
    plan = await make_plan(config, request)
    mounts = _chosen(plan, tools)
    credentials = _credentials(config)
    addresses = [each.address for each in hosts.in_use(await hosts.resolved(hosts.named(config)))]
    warnings = list(plan.warnings)
    async with (
        RegistryClient(credentials, config.registries, ca=config.network.ca) as registry,
        mirroring(config, credentials) as mirrors,
    ):
        found = await packageindex.find(registry, reference)
        if found is None:
            raise ImageNotFoundError(
                f"{reference}: there are no packages", hint="Push them from a builder that has them: cache push"
            )
        says = found.says
        if says.cache_key != _cache_key(mounts):
            warnings.append(
                f"{reference}: these packages were pushed for $CACHE_KEY {says.cache_key!r}, and fill the caches of "
                f"{_cache_key(mounts)!r}"
            )

        async def one(at: Address) -> Outcome:
            hear_it = partial(hear, str(at) if len(addresses) > 1 else "")
            async with builder.opened(at) as (client, can):
                tokens = RegistryTokens(registry, credentials)
                solves = MountSolves(client, tokens, reference.host, mirrors.for_solves(can))
                _, busy = await solves.state(mounts)

                async def move(mount: Mount) -> Tool:
                    tell = _seldom(mount.name, hear_it)
                    packages = says.of(mount.name)
                    if packages is None:
                        return Tool(tool=mount.name, result="missing")
                    if not await solves.is_empty(mount, tell):
                        return Tool(tool=mount.name, result="full")
                    source = reference.with_digest(packages.digest)
                    # A manifest that is not there, or none, is told of in better words than a builder's.
                    size = size_of(await registry.get_manifest(source), source)
                    filled = await solves.fill(mount, str(source), tell)
                    return Tool(tool=mount.name, result="pulled" if filled else "full", size=size if filled else 0)

                moved = await _all(mounts, move, hear_it, busy=busy)
            return Outcome(
                builder=str(at),
                reference=str(reference.with_digest(found.digest)),
                tools=moved,
                others=tuple(each.tool for each in says.packages if all(each.tool != tool.tool for tool in moved)),
                warnings=tuple(warnings),
            )

        return await everywhere(addresses, one)


async def _fullest(
    mounts: Sequence[Mount], solves: Mapping[str, MountSolves]
) -> tuple[Mapping[str, str], Collection[str]]:
    """Which builder has the most of each mount, by the mount's id, and the mounts that are in use there."""
    found = {name: await of.state(mounts) for name, of in solves.items()}
    fullest: dict[str, str] = {}
    for mount in mounts:
        sizes = {name: found[name][0][mount.id] for name in solves if mount.id in found[name][0]}
        if sizes:
            fullest[mount.id] = max(sizes, key=sizes.__getitem__)
    return fullest, {mount for mount, name in fullest.items() if mount in found[name][1]}


async def _all(
    mounts: Sequence[Mount], move: _Move, hear: Hear, *, busy: Collection[str], missing: Collection[str] = ()
) -> tuple[Tool, ...]:
    done: dict[str, Tool] = {}
    limiter = anyio.CapacityLimiter(_AT_ONCE)

    async def one(mount: Mount) -> None:
        async with limiter:
            began = time.monotonic()
            try:
                if mount.id in missing:
                    tool = Tool(tool=mount.name, result="missing")
                elif mount.id in busy:
                    tool = Tool(tool=mount.name, result="busy")
                else:
                    tool = await move(mount)
            except FleetpacksError as failure:
                tool = Tool(tool=mount.name, result="failed", error=failure.message, hint=failure.hint)
        done[mount.id] = msgspec.structs.replace(tool, seconds=time.monotonic() - began)
        hear(done[mount.id])

    async with anyio.create_task_group() as tasks:
        for mount in mounts:
            tasks.start_soon(one, mount)
    return tuple(done[mount.id] for mount in mounts)


def _chosen(plan: Plan, tools: Sequence[str]) -> tuple[Mount, ...]:
    """The package caches that are meant.

    Raises:
        UsageError: there are none, or a tool is none of the apps'.
    """
    mounts = mounts_of(plan)
    if not mounts:
        raise UsageError(
            "the selected apps use no package caches",
            hint="Only builds by generated Dockerfiles have some: select apps that have dependencies.",
        )
    for tool in tools:
        if all(mount.name != tool for mount in mounts):
            raise UsageError(
                f"--tool: the selected apps have no package cache of {tool!r}", hint=f"They have: {_names(mounts)}."
            )
    return tuple(mount for mount in mounts if not tools or mount.name in tools)


def _exporter(
    config: Config, can: Capabilities, at: Address, reference: Reference, compression: Compression
) -> Exporter:
    if not can.pushes:
        raise UsageError(
            f"{at}: a Docker Engine that keeps images by a graph driver pushes by tags only, and cannot push packages",
            hint="Use a buildkitd, or an engine with containerd's image store. This one can pull.",
        )
    attrs = {
        "name": reference.repository,
        "push": "true",
        "push-by-digest": "true",
        "store": "false",
        "oci-mediatypes": "true",
        "compression": compression,
        # Of the image's configuration, not of files: what is unchanged has the same digest.
        "source-date-epoch": "0",
    }
    if is_insecure(config, reference.host):
        attrs["registry.insecure"] = "true"
    return Exporter(type=can.image_exporter, attrs=attrs)


def _seldom(tool: str, hear: Hear) -> Callable[[str, int, int], None]:
    """Tells of each new activity, and of bytes now and then."""
    said, told = "", 0.0

    def tell(activity: str, current: int = 0, total: int = 0) -> None:
        nonlocal said, told
        now = time.monotonic()
        if activity != said or now - told >= _INTERVAL:
            said, told = activity, now
            hear(Moving(tool=tool, activity=activity, current=current, total=total))

    return tell


def _cache_key(mounts: Sequence[Mount]) -> str:
    # `CACHE_KEY` is one for a whole run. Cut as what is read is, so that who has pushed once may push again.
    return mounts[0].id.removesuffix(f"-{mounts[0].name}")[:LONGEST_KEY]


def _names(mounts: Sequence[Mount]) -> str:
    return ", ".join(mount.name for mount in mounts)


def _credentials(config: Config) -> Credentials:
    return Credentials(config.docker_config / "config.json", given(config))
