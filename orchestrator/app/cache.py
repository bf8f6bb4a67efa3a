"""The wiring of `cache`: what lies on a builder's disk, and what is pruned of it.

A buildkitd is asked through BuildKit's API, a Docker Engine through its own, which knows its images, too. Both in one
form: what is kept is the same thing.
"""

import msgspec

from orchestrator.app import builder
from orchestrator.buildkit import Keep, UsageRecord
from orchestrator.config import Config
from remote.address import EngineAddress


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


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """What is gone."""

    builder: str
    reclaimed: int
    """Bytes."""
    records: tuple[str, ...]
    """Ids."""
    images: tuple[str, ...]
    """Those without a name, by digest."""


async def usage(config: Config) -> Usage:
    """Ask what lies on the builder's disk.

    Raises:
        UsageError: the builder's address is wrong.
        BuilderUnreachableError: nothing answers there.
        FleetpacksError: the builder's refusal.
    """
    at = builder.address(config)
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
        return _usage(str(at), records, images)
    async with builder.opened(at) as (client, _):
        return _usage(str(at), tuple(map(_record, await client.disk_usage())), None)


async def prune(config: Config, *, older_than: float) -> Pruned:
    """Free the builder's disk of what was not used for some time.

    Args:
        config: what was said.
        older_than: seconds.

    Raises:
        UsageError, BuilderUnreachableError, FleetpacksError: as for `usage`.
    """
    at = builder.address(config)
    if isinstance(at, EngineAddress):
        # As above.
        from orchestrator.docker import Engine  # noqa: PLC0415

        async with Engine(at) as engine:
            gone = await engine.prune(older_than=older_than)
        return Pruned(builder=str(at), reclaimed=gone.reclaimed, records=gone.cache, images=gone.images)
    async with builder.opened(at) as (client, _):
        records = await client.prune(everything=True, keep=Keep(used_within=older_than))
    return Pruned(
        builder=str(at),
        reclaimed=sum(record.size for record in records),
        records=tuple(record.id for record in records),
        images=(),
    )


def _usage(name: str, records: tuple[Record, ...], images: Images | None) -> Usage:
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
