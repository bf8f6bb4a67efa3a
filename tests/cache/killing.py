"""Workers of which some are killed with SIGKILL in the middle of something: each tells of each cycle in one word."""

import random
import signal
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress

import anyio
import msgspec


class Toll(msgspec.Struct, frozen=True, kw_only=True):
    """What happened."""

    told: dict[str, int]
    """Cycles by the word that their workers ended them with: `ok`, `empty`, `lost`, `corrupt`."""
    killed: int
    errors: list[str]
    """Last words of workers that ended by themselves."""


async def killing(
    command: Callable[[int], Sequence[str]],
    *,
    chance: random.Random,
    cycles: int,
    processes: int,
    kill_every: int,
    longest: float,
    beside: Callable[[anyio.Event], Coroutine[object, object, None]] | None = None,
) -> Toll:
    """Have many processes work, and start another one for each that is killed.

    Args:
        command: starts a worker, by its number: each has another one.
        chance: says what happens when.
        cycles: how many in all.
        processes: how many at once.
        kill_every: cycles from one killing to the next, on average.
        longest: seconds from a word to the killing, at most: the worker is at something else then.
        beside: goes on meanwhile, until it is told that all is done.
    """
    told: Counter[str] = Counter()
    errors: list[str] = []
    killed = 0
    done = anyio.Event()

    async def work(number: int) -> None:
        nonlocal killed
        while not done.is_set():
            async with await anyio.open_process(command(number), stdin=None) as process:
                assert process.stdout is not None
                assert process.stderr is not None
                try:
                    async for piece in process.stdout:
                        told.update(piece.decode().split())
                        if told.total() >= cycles:
                            done.set()
                        if done.is_set() or chance.random() < 1 / kill_every:
                            # In the middle of something, wherever that is.
                            await anyio.sleep(chance.random() * longest)
                            break
                    else:
                        errors.append((await process.stderr.receive()).decode())
                        done.set()
                        return
                finally:
                    with suppress(ProcessLookupError):
                        process.send_signal(signal.SIGKILL)
                killed += 1
            number += processes

    async with anyio.create_task_group() as tasks:
        if beside is not None:
            tasks.start_soon(beside, done)
        for number in range(processes):
            tasks.start_soon(work, number)
    return Toll(told=dict(told), killed=killed, errors=errors)
