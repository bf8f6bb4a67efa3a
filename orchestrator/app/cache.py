"""The wiring of `cache`: what lies on builders' disks, and what is pruned of it, and of caches in directories.

A buildkitd is asked through BuildKit's API, a Docker Engine through its own, which knows its images, too. Both in one
form: what is kept is the same thing.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import anyio.to_thread
import msgspec

from orchestrator.app import builder, hosts
from orchestrator.app.everywhere import Failed, everywhere
from orchestrator.buildkit import Keep, UsageRecord
from orchestrator.cache import local, mounts
from orchestrator.cache.sweep import Used
from orchestrator.config import Config
from orchestrator.errors import OutputError
from remote.address import Address, EngineAddress


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a builder's cache."""

    id: str
    type: str
    """`regular`, `source.local`, `exec.cachemount`, `frontend`, `internal`."""
    description: str
    size: int
    """Bytes."""
    used: float
    """When it was last used, else made: seconds since the epoch."""
    in_use: bool
    shared: bool
    """Also part of something that pruning leaves alone, such as an image."""


class Images(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine keeps beside its cache, in bytes."""

    count: int
    layers: int
    containers: int
    volumes: int


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What lies on a builder's disk."""

    builder: str
    size: int
    """Bytes of the cache."""
    records: tuple[Record, ...]
    """The least recently used first, which is the order in which a builder prunes."""
    images: Images | None
    """None for a buildkitd, which keeps none."""


class Directory(msgspec.Struct, frozen=True, kw_only=True):
    """What is gone of the caches in a directory."""

    path: str
    reclaimed: int
    """Bytes: what they were made of. What a build may still read stays until it has ended."""
    caches: tuple[str, ...]
    """By the names that they are filed under."""


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """What is gone of a builder."""

    builder: str
    reclaimed: int
    """Bytes."""
    records: tuple[str, ...]
    """Ids."""
    images: tuple[str, ...]
    """Of an engine, by name and digest."""


class Directories(msgspec.Struct, frozen=True, kw_only=True):
    """What is gone of caches outside of builders; None where no such directory is configured, or it is not there."""

    directory: Directory | None = None
    """Of layer caches."""
    packages: Directory | None = None
    """The same of package caches."""


async def usage(config: Config) -> tuple[Usage | Failed, ...]:
    """Ask what lies on the builders' disks, in the order in which they were named.

    Raises:
        UsageError: a builder's address is wrong.
        BuilderUnreachableError: nothing answers at the only one.
        FleetpacksError: the only builder's refusal.
    """
    return await everywhere(await _addresses(config), _usage)


async def _addresses(config: Config) -> Sequence[Address]:
    return [each.address for each in await hosts.resolved(hosts.named(config))]


async def _usage(at: Address) -> Usage:
    if isinstance(at, EngineAddress):
        # aiohttp, only when it is needed.
        from orchestrator.docker import Engine  # noqa: PLC0415

        async with Engine(at) as engine:
            told = await engine.disk_usage()
        records = tuple(
            Record(
                id=each.id,
                type=each.type,
                description=each.description,
                size=each.size,
                used=each.last_used or each.created,
                in_use=each.in_use,
                shared=each.shared,
            )
            for each in told.cache
        )
        images = Images(count=told.images, layers=told.layers, containers=told.containers, volumes=told.volumes)
        return _listed(str(at), records, images)
    async with builder.opened(at) as (client, _):
        return _listed(str(at), tuple(map(_record, await client.disk_usage())), None)


async def prune(
    config: Config, *, older_than: float | None, keep: int | None = None, unused_images: bool = False
) -> tuple[tuple[Pruned | Failed, ...], Directories]:
    """Free the builders' disks, and the directories of caches, of what was not used for some time or is too much.

    Args:
        config: what was said.
        older_than: seconds; None: nothing goes for its age.
        keep: bytes of each builder's cache that may stay, and of each directory; None: as many as there are.
        unused_images: of an engine, also images with a name that no container uses; they are bound by the age alone.

    Returns:
        What is gone of the builders, in the order in which they were named, and of the directories.

    Raises:
        UsageError, BuilderUnreachableError, FleetpacksError: as for `usage`.
        OutputError: a directory cannot be read or written.
    """

    async def prune_it(at: Address) -> Pruned:
        return await _prune(at, older_than=older_than, keep=keep, unused_images=unused_images)

    gone = await everywhere(await _addresses(config), prune_it)
    said = config.cache
    return gone, Directories(
        directory=await _directory(said.local.directory, partial(local.prune, older_than=older_than, budget=keep)),
        packages=await _directory(said.mounts.directory, partial(mounts.prune, older_than=older_than, budget=keep)),
    )


async def _prune(at: Address, *, older_than: float | None, keep: int | None, unused_images: bool) -> Pruned:
    reclaimed = 0
    records: list[str] = []
    images: tuple[str, ...] = ()
    kept: list[Keep] = []
    if isinstance(at, EngineAddress):
        if older_than is not None:
            # As above.
            from orchestrator.docker import Engine  # noqa: PLC0415

            async with Engine(at) as engine:
                gone = await engine.prune(older_than=older_than, unused_images=unused_images)
            reclaimed, images = gone.reclaimed, gone.images
            records += gone.cache
    elif older_than is not None:
        kept.append(Keep(used_within=older_than))
    if keep is not None:
        # Apart from the age: together, they would spare what is too much and was used lately. BuildKit before v0.17
        # knows the first field alone, as a bound, and all of them take 0 for none.
        kept.append(Keep(reserved_space=max(1, keep), max_used_space=max(1, keep)))
    if kept:
        async with builder.opened(at) as (client, _):
            for each in kept:
                pruned = await client.prune(everything=True, keep=each)
                reclaimed += sum(record.size for record in pruned)
                records += [record.id for record in pruned]
    return Pruned(builder=str(at), reclaimed=reclaimed, records=tuple(records), images=images)


async def _directory(path: Path | None, prune_it: Callable[[Path], tuple[Used, ...]]) -> Directory | None:
    if path is None:
        return None
    try:
        gone = await anyio.to_thread.run_sync(prune_it, path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OutputError(
            f"{path}: the caches cannot be pruned: {error.strerror}", hint="Check the directory's permissions."
        ) from error
    return Directory(path=str(path), reclaimed=sum(each.size for each in gone), caches=tuple(each.key for each in gone))


def _listed(name: str, records: tuple[Record, ...], images: Images | None) -> Usage:
    ordered = tuple(sorted(records, key=lambda record: (record.used, record.id)))
    return Usage(builder=name, size=sum(record.size for record in records), records=ordered, images=images)


def _record(record: UsageRecord) -> Record:
    return Record(
        id=record.id,
        type=record.type,
        description=record.description,
        size=record.size,
        used=record.last_used or record.created or 0.0,
        in_use=record.in_use,
        shared=record.shared,
    )
