"""The builders of a run: one, whose absence is the end, or several, of which those that answer are used first."""

import math
import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import zip_longest

import anyio
import msgspec

from orchestrator.app import builder
from orchestrator.buildkit import Client
from orchestrator.buildkit.capabilities import Capabilities
from orchestrator.config import Config
from orchestrator.engine.host import BuilderHost
from orchestrator.engine.hosts import Member
from orchestrator.errors import BuilderUnreachableError, FleetpacksError, TransientError, UsageError
from orchestrator.schedule.placement import Host
from remote import resolve
from remote.address import Address, SshAddress


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A builder that was named."""

    address: Address
    slots: int
    """Builds at once."""
    memory: int = 0
    """Bytes that its builds may need together, where somebody has said so."""
    drain: bool = False
    """Whether it is to get no more builds."""
    among: str = ""
    """The address that stands for it and for others; empty: its own."""

    @property
    def name(self) -> str:
        """Its address, for people and for records."""
        return str(self.address)


def named(config: Config) -> tuple[Named, ...]:
    """The builders, with what was said of them: one of which nothing was said is taken to have our cores.

    Raises:
        UsageError: an address is wrong or named twice, or no builder is named and no well-known socket is there.
    """
    addresses, cores = builder.addresses(config), len(os.sched_getaffinity(0))
    found: list[Named] = []
    for host, at in zip_longest(config.hosts, addresses):
        slots = (config.jobs if len(addresses) == 1 else None) or builder.slots(host, at) or cores
        memory, drain = ((host.memory or 0), host.drain) if host else (0, False)
        found.append(Named(address=at, slots=slots, memory=memory, drain=drain))
    return tuple(found)


async def resolved(builders: Sequence[Named]) -> tuple[Named, ...]:
    """The same, with several for each name that has several addresses.

    Raises:
        UsageError: one host is named in two ways.
    """
    found: dict[Address, Named] = {}
    for each in builders:
        several = await resolve.resolved(each.address)
        for at in several:
            if at in found:
                raise UsageError(f"{at} is named twice, by {each.name}, too", hint="Name it once.")
            among = each.name if len(several) > 1 else ""
            found[at] = msgspec.structs.replace(each, address=at, among=among)
    return tuple(found.values())


def in_use(builders: Sequence[Named]) -> tuple[Named, ...]:
    """Those that are not drained.

    Raises:
        UsageError: all are.
    """
    used = tuple(each for each in builders if not each.drain)
    if not used:
        raise UsageError("all builders are drained", hint="Take `drain = true` out of a [[hosts]], or name another.")
    return used


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

    def platforms_of_later(self, of: Opened) -> frozenset[str]:
        """What one that answers when builds have begun builds for."""
        alike = not self.platform and of.platform == self.first.platform
        return frozenset[str]() if alike else frozenset({of.platform})

    @property
    def platform(self) -> str:
        """What is built where nothing is said; "": what any builder is."""
        return self.first.platform if len({each.platform for each in self.all}) > 1 else ""

    @property
    def first(self) -> Opened:
        """The one that speaks for all, where one has to."""
        return self.all[0]


@asynccontextmanager
async def opened(named: Sequence[Named], *, patience: float = math.inf) -> AsyncGenerator[Builders]:
    """Speak to builders, to all at once.

    Args:
        named: they, at least one.
        patience: seconds for which the others are waited for when one has answered.

    Raises:
        UsageError: what answers can be no builder.
        BuilderUnreachableError: nothing answers at any.
    """
    if len(named) == 1:
        async with builder.opened(named[0].address) as (client, can):
            yield Builders(all=(Opened(named=named[0], client=client, can=can),))
        return
    greetings, answered = [_Greeting(each) for each in named], anyio.Event()
    failure: FleetpacksError | None = None
    async with anyio.create_task_group() as tasks:
        for greeting in greetings:
            tasks.start_soon(greeting.hold, answered)
        tasks.start_soon(_all_told, greetings, answered)
        await answered.wait()
        with anyio.move_on_after(patience):
            await _all_told(greetings, answered)
        for greeting in greetings:
            greeting.give_up(patience)
        # A group would wrap it.
        try:
            yield _usable(greetings)
        except FleetpacksError as error:
            failure = error
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


class _Greeting:
    """One of several builders: spoken to as long as `hold` goes on."""

    def __init__(self, named: Named) -> None:
        self.named = named
        self.opened: Opened | None = None
        self.failure: FleetpacksError | None = None
        self.told = anyio.Event()
        self._scope = anyio.CancelScope()

    async def hold(self, answered: anyio.Event) -> None:
        with self._scope:
            try:
                async with builder.opened(self.named.address) as (client, can):
                    self.opened = Opened(named=self.named, client=client, can=can)
                    answered.set()
                    self.told.set()
                    await anyio.sleep_forever()
            except FleetpacksError as error:
                self.failure = error
            finally:
                self.told.set()

    def give_up(self, seconds: float) -> None:
        """Wait no longer, unless it has said something."""
        if not self.told.is_set():
            self._scope.cancel()
            message = f"{self.named.name}: no answer within {seconds:.0f} s of the first host's"
            self.failure = BuilderUnreachableError(message, hint="Is it well, and its network?")


async def _all_told(greetings: Sequence[_Greeting], answered: anyio.Event) -> None:
    for greeting in greetings:
        await greeting.told.wait()
    # Or nobody will.
    answered.set()


def _usable(greetings: Sequence[_Greeting]) -> Builders:
    failed = [(each.named, each.failure) for each in greetings if each.opened is None and each.failure is not None]
    found = [each.opened for each in greetings if each.opened is not None]
    fatal = next((error for _, error in failed if not found or not isinstance(error, TransientError)), None)
    if fatal is not None:
        raise fatal
    once: dict[tuple[str, str | int], Opened] = {}
    for index, each in enumerate(found):
        # A name may have several addresses of one daemon.
        among, worker = each.named.among, each.can.worker
        once.setdefault((among, worker) if among and worker else ("", index), each)
    return Builders(
        all=tuple(once.values()),
        missing=tuple((named.address, error) for named, error in failed),
        warnings=tuple(f"set aside until it answers: {error.message}" for _, error in failed),
    )


def member(
    of: Opened,
    host: BuilderHost,
    *,
    memory: Callable[[str], int],
    speeds: Mapping[str, float],
    platforms: frozenset[str],
) -> Member:
    """A builder as the engine wants it.

    Args:
        of: has answered.
        host: has been got ready.
        memory: how many bytes of it one has for builds, by its address; 0: not known.
        speeds: how many times as fast as others they are, by address, as far as that is known.
        platforms: what it builds for; empty: whatever is asked for.
    """
    name = of.named.name
    facts = Host(
        name=name,
        slots=of.named.slots,
        memory=memory(name),
        speed=speeds.get(name, 1.0),
        platforms=platforms,
        by_digest=of.can.pushes,
    )
    return Member(facts=facts, host=host, probe=of.client.capabilities)
