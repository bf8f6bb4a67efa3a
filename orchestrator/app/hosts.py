"""The builders of a run: one, whose absence is the end, or several, of which those that answer are used."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import anyio
import msgspec

from orchestrator.app import builder
from orchestrator.buildkit import Client
from orchestrator.buildkit.capabilities import Capabilities
from orchestrator.engine.host import BuilderHost
from orchestrator.engine.hosts import Member
from orchestrator.errors import FleetpacksError, TransientError
from orchestrator.schedule.placement import Host
from remote.address import Address, SshAddress


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A builder that was named."""

    address: Address
    slots: int
    """Builds at once."""


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A builder that has answered."""

    named: Named
    client: Client
    can: Capabilities

    @property
    def address(self) -> Address:
        """Where it is."""
        return self.named.address

    @property
    def platform(self) -> str:
        """What it builds for: its own, unless its address says another."""
        return (self.address.platform if isinstance(self.address, SshAddress) else None) or self.can.platform


class Builders(msgspec.Struct, frozen=True, kw_only=True):
    """Those that have answered, at least one."""

    all: tuple[Opened, ...]
    missing: tuple[tuple[Address, FleetpacksError], ...] = ()
    """Those that have not, and why."""
    warnings: tuple[str, ...] = ()

    def platforms(self, of: Opened) -> frozenset[str]:
        """What one of them builds for. Where all are alike, it may emulate others, for all that is known here."""
        return frozenset({of.platform} if self.platform else ())

    @property
    def platform(self) -> str:
        """What is built where nothing is said; "": what any builder is."""
        return self.first.platform if len({each.platform for each in self.all}) > 1 else ""

    @property
    def first(self) -> Opened:
        """The one that speaks for all, where one has to."""
        return self.all[0]


@asynccontextmanager
async def opened(named: Sequence[Named]) -> AsyncGenerator[Builders]:
    """Speak to builders, to all at once.

    Args:
        named: they, at least one.

    Raises:
        UsageError: what answers can be no builder.
        BuilderUnreachableError: nothing answers at any.
    """
    if len(named) == 1:
        async with builder.opened(named[0].address) as (client, can):
            yield Builders(all=(Opened(named=named[0], client=client, can=can),))
        return
    found: dict[int, Opened] = {}
    failed: dict[int, FleetpacksError] = {}

    async def hold(index: int, told: anyio.Event) -> None:
        try:
            async with builder.opened(named[index].address) as (client, can):
                found[index] = Opened(named=named[index], client=client, can=can)
                told.set()
                await anyio.sleep_forever()
        except FleetpacksError as error:
            failed[index] = error
        finally:
            told.set()

    failure: FleetpacksError | None = None
    async with anyio.create_task_group() as tasks:
        all_told = [anyio.Event() for _ in named]
        for index, told in enumerate(all_told):
            tasks.start_soon(hold, index, told)
        for told in all_told:
            await told.wait()
        # A group would wrap it.
        try:
            yield _usable(named, found, failed)
        except FleetpacksError as error:
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


def _usable(named: Sequence[Named], found: dict[int, Opened], failed: dict[int, FleetpacksError]) -> Builders:
    fatal = next((error for error in failed.values() if not found or not isinstance(error, TransientError)), None)
    if fatal is not None:
        raise fatal
    return Builders(
        all=tuple(found[index] for index in sorted(found)),
        missing=tuple((named[index].address, failed[index]) for index in sorted(failed)),
        warnings=tuple(f"not used: {error.message}" for error in failed.values()),
    )


@asynccontextmanager
async def members(
    builders: Builders,
    make: Callable[[Opened], AbstractAsyncContextManager[BuilderHost]],
    *,
    memory: Callable[[str], int],
    speeds: Mapping[str, float],
) -> AsyncGenerator[tuple[Member, ...]]:
    """The builders as the engine wants them.

    Args:
        builders: those that have answered.
        make: gets one of them ready.
        memory: how many bytes of it one has for builds, by its address; 0: not known.
        speeds: how many times as fast as others they are, by address, as far as that is known.
    """
    async with AsyncExitStack() as stack:
        yield tuple(
            [
                Member(
                    facts=Host(
                        name=str(each.address),
                        slots=each.named.slots,
                        # Where all are alike, they may build for others by emulation, for all that is known here.
                        memory=memory(str(each.address)),
                        speed=speeds.get(str(each.address), 1.0),
                        platforms=frozenset({each.platform} if builders.platform else ()),
                    ),
                    host=await stack.enter_async_context(make(each)),
                    probe=each.client.capabilities,
                )
                for each in builders.all
            ]
        )
