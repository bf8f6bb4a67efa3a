"""The wiring of `bench fleet`: the hosts of a pool, their daemons and their machines.

A host gets one SSH connection, as for builds: the daemon's socket is forwarded in it, and its machine's counters are
read by sessions of a shell. What was built there is deleted afterwards.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TYPE_CHECKING

import anyio

from orchestrator import __version__
from orchestrator.app import benching, hostcheck, hostfacts, ways
from orchestrator.bench.fleet.leavings import copies, leavings
from orchestrator.bench.fleet.running import Asked, Warn, measure
from orchestrator.bench.result import Report
from orchestrator.bench.work.running import Hear
from orchestrator.bench.work.sizes import Sizes
from orchestrator.buildkit import Client
from orchestrator.buildkit.border import dial_error
from orchestrator.config import Config
from orchestrator.errors import BuilderUnreachableError, FleetpacksError, StorageError
from orchestrator.text import size
from remote.address import Address
from remote.errors import RemoteError

if TYPE_CHECKING:
    from orchestrator.bench.fleet.host import Host

_COUNTERS = b"cat /proc/loadavg && head -n 1 /proc/stat && cat /proc/diskstats\n"
_MOST = 1 << 18
"""Bytes of a machine's counters: of more disks than any has."""
_SECONDS = 10.0
"""For which a machine is waited for that is to tell its counters."""
_FORGET_SECONDS = 60.0
_PAUSE = 0.2
_COPIES_SECONDS = 5.0
"""For which copies of contexts are waited for: a build of ours lets go of them, and others' builds go on."""
QUICK_ROUNDS = 3
"""The fewest of which anything can be concluded."""
_SAME = "same-daemon"
"""A problem of `hostfacts`: its daemon is measured by another name already."""


async def fleet(config: Config, sizes: Sizes, *, rounds: int, base: str, hear: Hear, warn: Warn) -> Report:
    """Measure the builders that are named. Nothing is left of it but what their daemons keep of any build.

    Args:
        config: what was said.
        sizes: how much is built.
        rounds: how often.
        base: the base image; "": this machine's own Python.
        hear: told of progress.
        warn: told of what would stand in the report, when there is none.

    Raises:
        UsageError: an address is none, or none is named and no well-known socket is there.
        BuilderUnreachableError: no builder is well.
        StorageError: no builder has room; or files cannot be written here.
        FleetpacksError: a build failed on the last builder that was left.
    """
    with benching.border():
        checked = await hostcheck.check(config)
        used, left_out = chosen(checked.hosts, await hostcheck.addresses(config), sizes)
        async with benching.work_directory(config) as work, AsyncExitStack() as stack:
            hosts: list[Host] = []
            for host, at in used:
                try:
                    hosts.append(await stack.enter_async_context(_opened(host, at)))
                except FleetpacksError as error:
                    if not hosts and (host, at) == used[-1]:
                        raise
                    left_out.append(f"{host.address} is left out: {error.message}")
            asked = Asked(sizes=sizes, rounds=rounds, base=base)
            return await measure(
                asked,
                hosts,
                left_out=left_out,
                work=work,
                commit=__version__,
                date=benching.today(),
                hear=hear,
                warn=warn,
            )


def chosen(
    hosts: Sequence[hostfacts.Host], addresses: Sequence[Address], sizes: Sizes
) -> tuple[list[tuple[hostfacts.Host, Address]], list[str]]:
    """The builders that are measured, with where they are, and what is said of the others.

    Args:
        hosts: as they were found.
        addresses: where they are. Names have been looked up once more: they may lead elsewhere by now.
        sizes: how much is built.

    Raises:
        BuilderUnreachableError, StorageError: there is none.
    """
    places = {str(at): at for at in addresses}
    used: dict[str, tuple[hostfacts.Host, Address]] = {}
    left_out: list[str] = []
    for host in hosts:
        at, free = places.get(host.address), host.disk.free if host.disk is not None else None
        if host.state != "well" or any(problem.kind == _SAME for problem in host.problems):
            left_out.append(f"{host.address} is left out: {host.problems[-1].message}")
        elif free is not None and free < sizes.room:
            left_out.append(f"{host.address} is left out: {size(free)} are free there, of {size(sizes.room)} needed")
        elif at is None:
            left_out.append(f"{host.address} is left out: its name leads elsewhere by now")
        else:
            used[host.address] = host, at
    if used:
        return list(used.values()), left_out
    if failed := next((host for host in hosts if host.state != "well"), None):
        raise BuilderUnreachableError(failed.problems[0].message, hint=failed.problems[0].hint)
    raise StorageError(
        left_out[0], hint="Make room by `fleetpacks cache prune`, or build less by --quick; then run it again."
    )


@asynccontextmanager
async def _opened(found: hostfacts.Host, at: Address) -> AsyncGenerator["PoolHost"]:
    async with ways.way(at) as way, _client(found, way) as client:
        builder = benching.OwnBuilder(client, await client.capabilities(), version="", pid=0)
        known = frozenset(record.id for record in await client.disk_usage())
        yield PoolHost(found, at, way, builder, known=known)


@asynccontextmanager
async def _client(found: hostfacts.Host, way: ways.Way) -> AsyncGenerator[Client]:
    try:
        dial = await way.dial()
    except RemoteError as error:
        raise dial_error(error, address=found.address) from error
    async with Client(dial, address=found.address) as client:
        yield client


class PoolHost:
    """See `Host` of `orchestrator.bench.fleet`."""

    def __init__(
        self,
        found: hostfacts.Host,
        at: Address,
        way: ways.Way,
        builder: benching.OwnBuilder,
        *,
        known: frozenset[str],
    ) -> None:
        self.name = found.address
        self.about = about(found)
        self.device = (found.disk.device if found.disk else None) or ""
        self.builder = builder
        self._found = found
        self._at = at
        self._way = way
        self._known = known

    async def counters(self) -> str:
        """See `Host`."""
        if self._way.run is not None:
            with anyio.move_on_after(_SECONDS), suppress(RemoteError, OSError):
                return (await self._way.run(_COUNTERS, _MOST)).decode(errors="replace")
        return ""

    async def forget(self) -> str:
        """See `Host`."""
        try:
            # A connection of its own: that of a benchmark that is cancelled is cancelled with it.
            with anyio.fail_after(_FORGET_SECONDS):
                async with ways.way(self._at) as way, _client(self._found, way) as client:
                    await forget(client, self._known)
        except FleetpacksError as error:
            return error.message
        except TimeoutError:
            return f"it was not deleted within {_FORGET_SECONDS:.0f} s"
        return ""


async def forget(client: Client, known: frozenset[str]) -> None:
    """Delete what a benchmark has made in a daemon's cache.

    Args:
        client: the daemon's.
        known: the ids of what was there before.
    """
    records, until = await client.disk_usage(), anyio.current_time() + _COPIES_SECONDS
    # Those that come later, others have sent.
    sent = copies(records, known=known)
    while ids := leavings(records, known=known, sent=sent):
        if not await client.prune(filters=[f"id=={each}" for each in ids], everything=True):
            if sent.issuperset(ids) and anyio.current_time() > until:
                return
            # A daemon lets go of what a cancelled build has used a moment later.
            await anyio.sleep(_PAUSE)
        records = await client.disk_usage()


def about(host: hostfacts.Host) -> str:
    """A builder in a few words: its daemon, its snapshotter, and what its directory lies on."""
    daemon, disk = host.daemon, host.disk
    words = [daemon.kind, daemon.version, daemon.snapshotter] if daemon else []
    if disk is not None:
        on = f"{disk.filesystem or 'unknown'} on {disk.kind}"
        words.append(f"{on} ({disk.backing})" if disk.backing else on)
    return ", ".join(word for word in words if word)
