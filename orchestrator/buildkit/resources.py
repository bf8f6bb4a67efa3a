"""What a build needed of its builder's memory, from the record that the daemon keeps of it.

Since v0.13 a daemon samples the memory of its host, and the cgroup of every step that it executes: after 2 seconds,
then less and less often, and once more when the step has ended (executor/resources/{sampler,monitor}.go, v0.30.0). Both
are in the provenance that it makes for its own history (solver/llbsolver/history.go: `capture-usage`). It samples steps
only where `/sys/fs/cgroup` is a cgroup2 file system: on hosts with cgroup v1, and on hybrid ones, there is only what is
said of the host.

What counts is memory that nobody can take back from a step. The page cache can be, and is left out.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec

PREDICATES = ("https://slsa.dev/provenance/v0.2", "https://slsa.dev/provenance/v1")
"""The two layouts; v0.13 writes the first, v0.30 the second."""
_INTERVAL = 2.0
"""Seconds between a step's beginning and its first sample, unless it ends before."""
_KILO = 1024
"""The host's figures are those of `/proc/meminfo`."""


class MemoryUse(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of memory."""

    needed: int | None
    """What the steps that were executed held at once at the most; None where that is not measured."""
    available: int | None
    """What the host had to give at best while they ran."""


class _Struct(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class _Held(_Struct, frozen=True, kw_only=True):
    anon: int = 0
    shmem: int = 0
    kernel_stack: int = 0
    page_tables: int = 0
    file: int = 0
    """Page cache, and `shmem`."""
    peak: int | None = None
    """Of all that was charged so far; kernels before 5.19 do not say."""


class _Sample(_Struct, frozen=True, kw_only=True):
    timestamp: Annotated[dt.datetime, msgspec.Meta(tz=True)]
    memory_stat: _Held | None = None
    """None when the cgroup has no memory controller."""


class _Usage(_Struct, frozen=True, kw_only=True):
    samples: tuple[_Sample, ...] = ()


class _Step(_Struct, frozen=True, kw_only=True):
    id: str
    inputs: tuple[str, ...] = ()
    """Steps' names, with the number of an output behind a colon. Steps are listed behind what they need."""
    resource_usage: _Usage | None = None


class _Steps(_Struct, frozen=True, kw_only=True):
    llb_definition: tuple[_Step, ...] = ()


class _Host(_Struct, frozen=True, kw_only=True):
    available: int | None = None


class _Moment(_Struct, frozen=True, kw_only=True):
    memory_stat: _Host | None = None


class _Daemon(_Struct, frozen=True, kw_only=True):
    sys_usage: tuple[_Moment, ...] = ()


class _MetadataV02(msgspec.Struct, frozen=True, kw_only=True):
    daemon: _Daemon | None = msgspec.field(name="https://mobyproject.org/buildkit@v1#metadata", default=None)


class _MetadataV1(msgspec.Struct, frozen=True, kw_only=True):
    daemon: _Daemon | None = msgspec.field(name="buildkit_metadata", default=None)


class _Parameters(_Struct, frozen=True, kw_only=True):
    build_config: _Steps | None = None


class _Definition(_Struct, frozen=True, kw_only=True):
    internal_parameters: _Parameters = _Parameters()


class _Run(_Struct, frozen=True, kw_only=True):
    metadata: _MetadataV1 = _MetadataV1()


class _Provenance(_Struct, frozen=True, kw_only=True):
    build_config: _Steps | None = None
    metadata: _MetadataV02 = _MetadataV02()
    build_definition: _Definition = _Definition()
    run_details: _Run = _Run()


_DECODER = msgspec.json.Decoder(_Provenance)


def memory_use(documents: Iterable[bytes]) -> MemoryUse:
    """What a build needed, by its provenance.

    Args:
        documents: one for each platform. One that is not understood, as that of a newer daemon may be, says nothing.
    """
    needed: list[int] = []
    available: list[int] = []
    for document in documents:
        try:
            said = _DECODER.decode(document)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        config = said.build_config or said.build_definition.internal_parameters.build_config or _Steps()
        if (most := _at_once(config.llb_definition)) is not None:
            needed.append(most)
        daemon = said.metadata.daemon or said.run_details.metadata.daemon or _Daemon()
        moments = (moment.memory_stat for moment in daemon.sys_usage)
        available += (host.available for host in moments if host is not None and host.available is not None)
    # Platforms are built at the same time.
    return MemoryUse(needed=sum(needed) if needed else None, available=max(available) * _KILO if available else None)


def _at_once(steps: Sequence[_Step]) -> int | None:
    """What steps held together at the most: those that could run at the same time, and did."""
    ends: dict[str, float] = {}
    changes: list[tuple[float, int]] = []
    for step in steps:
        before = [ends[name] for each in step.inputs if (name := each.partition(":")[0]) in ends]
        usage = step.resource_usage or _Usage()
        measured = [(each.timestamp.timestamp(), each.memory_stat) for each in usage.samples if each.memory_stat]
        if measured:
            start = max((measured[0][0] - _INTERVAL, *before))
            end = max(start, measured[-1][0])
            held = _held([stat for _, stat in measured])
            changes += [(start, held), (end, -held)]
            before.append(end)
        if before:
            ends[step.id] = max(before)
    if not changes:
        return None
    # One that took no time at all, behind what it needs, is among no others.
    now, most = 0, max(held for _, held in changes)
    for _, change in sorted(changes):
        now += change
        most = max(most, now)
    return most


def _held(samples: Sequence[_Held]) -> int:
    """What a step held at the most, of two figures that are never too large the larger one.

    Samples miss what comes between them. The peak misses nothing and counts the page cache, too: of that, what is there
    in the end is taken off.
    """
    seen = max(each.anon + each.shmem + each.kernel_stack + each.page_tables for each in samples)
    last = samples[-1]
    return seen if last.peak is None else max(seen, last.peak - max(0, last.file - last.shmem))
