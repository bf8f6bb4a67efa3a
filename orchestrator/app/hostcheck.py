"""The wiring of `hosts check`: every builder is asked what it is, all at once.

What BuildKit's API tells, it tells at every address. A machine is asked by `remote.probe`'s script (`ways`). What takes
a builder too long to tell, or what it does not know, is left out; only who does not answer at all, or can be no
builder, is an error, and each is its own builder's.
"""

import os
import time
from collections.abc import Awaitable
from contextlib import suppress
from statistics import median
from typing import TypeVar

import anyio
import msgspec

from orchestrator.app import builder, ways
from orchestrator.app.hostfacts import Daemon, Host, Problem, State, locked, platforms, problems, same
from orchestrator.app.ways import SHELL, Way
from orchestrator.buildkit import Client, Worker
from orchestrator.buildkit.border import dial_error
from orchestrator.config import Config
from orchestrator.errors import (
    EXIT_FAILED,
    EXIT_OK,
    EXIT_TRANSIENT,
    BuilderUnreachableError,
    FleetpacksError,
    ProtocolError,
    TransientError,
)
from remote import probe, resolve
from remote.address import Address
from remote.errors import RemoteError

_GREETING_SECONDS = 30.0
_QUESTION_SECONDS = 20.0
"""For what a builder has to count: a large cache, say."""
_AT_ONCE = 64
"""Builders that are asked at the same time."""
_ROUNDS = 5
_SNAPSHOTTER = "org.mobyproject.buildkit.worker.snapshotter"
_NO_SHELL = "no shell there"

_Answer = TypeVar("_Answer")


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """The builders, in the order in which they were named."""

    hosts: tuple[Host, ...]

    @property
    def exit_code(self) -> int:
        """What the command ends with: who will never be a builder weighs more than who does not answer now."""
        states = {host.state for host in self.hosts}
        return EXIT_FAILED if "unusable" in states else EXIT_TRANSIENT if "unreachable" in states else EXIT_OK


class _Named(msgspec.Struct, frozen=True, kw_only=True):
    at: Address
    slots: int | None


async def check(config: Config) -> Checked:
    """Ask all builders what they are.

    Raises:
        UsageError: an address is none, or none is named and no well-known socket is there.
    """
    named = await _named(config)
    found: dict[int, Host] = {}
    limit = anyio.CapacityLimiter(_AT_ONCE)

    async def one(number: int, each: _Named) -> None:
        async with limit:
            found[number] = await _host(each)

    async with anyio.create_task_group() as tasks:
        for number, each in enumerate(named):
            tasks.start_soon(one, number, each)
    hosts = [found[number] for number in range(len(named))]
    twice = same(hosts)
    return Checked(
        hosts=tuple(
            msgspec.structs.replace(host, problems=(*host.problems, twice[host.address]))
            if host.address in twice
            else host
            for host in hosts
        )
    )


async def addresses(config: Config) -> tuple[Address, ...]:
    """Where the builders are, in the order of `check`.

    Raises:
        UsageError: as `check`.
    """
    return tuple([each.at for each in await _named(config)])


async def _named(config: Config) -> tuple[_Named, ...]:
    found = zip(config.hosts or (None,), builder.addresses(config), strict=True)
    slots = [(at, builder.slots(host, at)) for host, at in found]
    return tuple([_Named(at=each, slots=said) for at, said in slots for each in await resolve.resolved(at)])


async def _host(named: _Named) -> Host:
    empty = Host(
        address=str(named.at),
        state="well",
        slots=named.slots or len(os.sched_getaffinity(0)),
        slots_said=named.slots is not None,
        daemon=None,
        machine=None,
        unknown=None,
    )
    try:
        async with ways.way(named.at) as way:
            return await _asked(empty, way)
    except FleetpacksError as error:
        return _failed(empty, error)


async def _asked(empty: Host, way: Way) -> Host:
    name = empty.address
    try:
        with anyio.fail_after(_GREETING_SECONDS):
            await way.connect()
    except RemoteError as error:
        raise dial_error(error, address=name) from error
    except TimeoutError as error:
        raise _silent(name) from error
    try:
        daemon, workers = await _daemon(name, way)
    except FleetpacksError as error:
        machine, unknown = await _machine(way)
        failed = _failed(msgspec.structs.replace(empty, machine=machine, unknown=unknown), error)
        if machine is None or not way.sockets:
            return failed
        return msgspec.structs.replace(failed, problems=failed.problems + locked(name, machine, way.sockets))
    machine, unknown = await _machine(way)
    own = None
    if machine is not None:
        program: probe.Program = "buildkitd" if daemon.kind == "buildkitd" else "dockerd"
        own = machine.daemon(program, workers=[each.id for each in workers], pid=way.pid)
    host = msgspec.structs.replace(
        empty,
        daemon=msgspec.structs.replace(daemon, platforms=platforms(_platforms(workers), machine)),
        machine=machine,
        unknown=unknown,
        root=own.root if own else None,
        disk=own.disk if own else None,
        quota=own.quota if own else None,
    )
    return msgspec.structs.replace(host, problems=problems(host))


async def _daemon(name: str, way: Way) -> tuple[Daemon, tuple[Worker, ...]]:
    try:
        with anyio.fail_after(_GREETING_SECONDS):
            dial = await way.dial()
    except RemoteError as error:
        raise dial_error(error, address=name) from error
    except TimeoutError as error:
        raise _silent(name) from error
    async with Client(dial, address=name) as client:
        try:
            with anyio.fail_after(_GREETING_SECONDS):
                can, workers = await client.capabilities(), await client.workers()
                latency = await _latency(client)
                version = await _known(client.info())
        except TimeoutError as error:
            raise _silent(name) from error
        running = await _known(client.active_builds())
        usage = await _known(client.disk_usage())
    told = Daemon(
        kind=can.kind,
        version=version.version if version else None,
        worker=can.worker,
        snapshotter=next((each.labels[_SNAPSHOTTER] for each in workers if each.labels.get(_SNAPSHOTTER)), None),
        platforms=(),
        latency_ms=round(latency * 1000, 3),
        running=None if running is None else len(running),
        cache=None if usage is None else sum(record.size for record in usage),
    )
    return told, workers


async def _latency(client: Client) -> float:
    """Seconds from a question to its answer."""
    rounds: list[float] = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        # An engine of 20.10 does not know the question, which takes it as long.
        with suppress(ProtocolError):
            await client.info()
        rounds.append(time.perf_counter() - began)
    return median(rounds)


async def _known(answer: Awaitable[_Answer]) -> _Answer | None:
    """What a daemon may not know, or not in time."""
    with anyio.move_on_after(_QUESTION_SECONDS), suppress(ProtocolError):
        return await answer
    return None


async def _machine(way: Way) -> tuple[probe.Machine | None, str | None]:
    """What the machine tells, or why it does not."""
    if way.run is None:
        return None, _NO_SHELL
    try:
        with anyio.fail_after(_QUESTION_SECONDS):
            machine = probe.parse(await way.run(probe.script(), probe.MOST))
    except RemoteError as error:
        return None, error.message
    except TimeoutError:
        return None, f"its shell gives no answer within {_QUESTION_SECONDS:.0f} s"
    except OSError as error:
        return None, f"{SHELL}: {error.strerror or error}"
    return machine, None if machine is not None else _NO_SHELL


def _platforms(workers: tuple[Worker, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for worker in workers for name in worker.platforms))


def _silent(name: str) -> BuilderUnreachableError:
    return BuilderUnreachableError(
        f"{name}: something listens there, but gives no answer within {_GREETING_SECONDS:.0f} s",
        hint="is it a builder, and is it well? Its log may say what it waits for.",
    )


def _failed(host: Host, error: FleetpacksError) -> Host:
    problem = Problem(kind=error.kind, message=error.message, hint=error.hint)
    state: State = "unreachable" if isinstance(error, TransientError) else "unusable"
    return msgspec.structs.replace(host, state=state, problems=(problem,))
