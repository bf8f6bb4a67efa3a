"""Hosts that come and go while a run goes on: those that did not answer at first, and what the operator changes.

A host that does not answer is asked ever more rarely until it does, and takes builds from then on. On SIGUSR1 the
operator's file is read again: hosts that it names now join, and those that it drains or names no more get no more
builds. Whatever is wrong with that is told, and changes nothing.
"""

import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from orchestrator.app import builder
from orchestrator.app.hosts import Named, Opened, in_use, named, resolved
from orchestrator.config import Config, hosts_again
from orchestrator.engine.hosts import Hosts, Member
from orchestrator.errors import BuilderUnreachableError, FleetpacksError, TransientError

_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 30.0
_jitter = random.random

Make = Callable[[Opened], AbstractAsyncContextManager[Member]]
"""Gets a host that has answered ready for a run; raises a `FleetpacksError` when it cannot do what is asked for."""


class Coming:
    """The hosts of one run that come and go.

    Args:
        hosts: they join them.
        make: gets one ready.
        config: what was said when the run began.
        here: the hosts that the run has, by name: how many builds each runs at once.
        tasks: for as long as the hosts are needed.
    """

    def __init__(self, hosts: Hosts, make: Make, config: Config, *, here: Mapping[str, int], tasks: TaskGroup) -> None:
        self._hosts = hosts
        self._make = make
        self._config = config
        self._here = dict(here)
        self._drained: set[str] = set()
        self._awaited: dict[str, anyio.CancelScope] = {}
        self._tasks = tasks

    def expect(self, host: Named, *, at_once: bool = False) -> None:
        """Ask a host until it answers, and let it join then."""
        scope = self._awaited[host.name] = anyio.CancelScope()
        self._tasks.start_soon(self._come, host, scope, 0.0 if at_once else _FIRST_SECONDS)

    async def read_again(self) -> None:
        """Do as the operator's file says now."""
        try:
            config = await anyio.to_thread.run_sync(hosts_again, self._config)
            found = in_use(await resolved(await anyio.to_thread.run_sync(named, config)))
        except FleetpacksError as error:
            await self._hosts.say(f"the hosts stay as they are: {error.message}")
            return
        wanted = {host.name: host for host in found}
        for name in self._awaited.keys() - wanted.keys():
            self._awaited.pop(name).cancel()
            await self._hosts.forget(name, _drained(name))
        for name in self._here.keys() - self._drained - wanted.keys():
            self._drained.add(name)
            await self._hosts.drain(name, _drained(name))
        for name, host in wanted.items():
            if name in self._drained:
                self._drained.discard(name)
                await self._hosts.restore(name)
            elif name not in self._here and name not in self._awaited:
                self.expect(host, at_once=True)

    async def _come(self, host: Named, scope: anyio.CancelScope, seconds: float) -> None:
        told = bool(seconds)
        with scope:
            while True:
                await anyio.sleep(seconds * (0.5 + _jitter() / 2))
                try:
                    async with builder.opened(host.address) as (client, can):
                        await self._stay(Opened(named=host, client=client, can=can))
                except TransientError as error:
                    if not told:
                        told = True
                        await self._hosts.say(f"set aside until it answers: {error.message}")
                    seconds = min(_LONGEST_SECONDS, max(_FIRST_SECONDS, seconds * 2))
                except FleetpacksError as error:
                    self._awaited.pop(host.name, None)
                    await self._hosts.forget(host.name, error)
                    return

    async def _stay(self, of: Opened) -> None:
        async with self._make(of) as member:
            name = of.named.name
            self._here[name] = of.named.slots
            self._awaited.pop(name, None)
            await self._hosts.join(member, limit=self._config.jobs or sum(self._here.values()))
            await anyio.sleep_forever()


@asynccontextmanager
async def coming(
    hosts: Hosts,
    make: Make,
    config: Config,
    *,
    here: Mapping[str, int],
    absent: tuple[Named, ...],
    again: Callable[[], Awaitable[None]],
) -> AsyncGenerator[None]:
    """Let hosts come and go as long as the block lasts; those that came are let go at its end.

    Args:
        hosts: they join them.
        make: gets one ready.
        config: what was said when the run began.
        here: the hosts that the run has, by name: how many builds each runs at once.
        absent: those that did not answer.
        again: returns whenever the operator asks for the file to be read again.
    """
    async with anyio.create_task_group() as tasks:
        changing = Coming(hosts, make, config, here=here, tasks=tasks)
        for host in absent:
            changing.expect(host)
        tasks.start_soon(partial(_listen, changing, again))
        yield
        tasks.cancel_scope.cancel()


async def _listen(changing: Coming, again: Callable[[], Awaitable[None]]) -> None:
    while True:
        await again()
        await changing.read_again()


def _drained(name: str) -> FleetpacksError:
    return BuilderUnreachableError(f"{name} is drained: it gets no more builds", hint="Take `drain = true` out.")
