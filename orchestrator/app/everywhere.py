"""One question to all builders at once: who does not answer is told of, and stops no other."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import anyio
import msgspec

from orchestrator.errors import EXIT_FAILED, EXIT_OK, EXIT_TRANSIENT, FleetpacksError, TransientError
from remote.address import Address

_AT_ONCE = 64
"""Builders that are asked at the same time."""

_Answer = TypeVar("_Answer")


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """A builder of several that has not done what it was asked."""

    builder: str
    error: str
    hint: str
    transient: bool
    """Whether asking again later may help."""


async def everywhere(
    addresses: Sequence[Address], ask: Callable[[Address], Awaitable[_Answer]]
) -> tuple[_Answer | Failed, ...]:
    """Ask all builders, and return what each has said, in their order.

    Args:
        addresses: where they are. When it is one, its failure is raised: nobody else has done anything.
        ask: asks one of them.

    Raises:
        FleetpacksError: the only builder's failure.
    """
    if len(addresses) == 1:
        return (await ask(addresses[0]),)
    answers: dict[int, _Answer | Failed] = {}
    limit = anyio.CapacityLimiter(_AT_ONCE)

    async def one(number: int, at: Address) -> None:
        async with limit:
            try:
                answers[number] = await ask(at)
            except FleetpacksError as error:
                answers[number] = failed(str(at), error)

    async with anyio.create_task_group() as tasks:
        for number, at in enumerate(addresses):
            tasks.start_soon(one, number, at)
    return tuple(answers[number] for number in range(len(addresses)))


def failed(at: str, error: FleetpacksError) -> Failed:
    """What is told of a builder's failure."""
    return Failed(builder=at, error=error.message, hint=error.hint, transient=isinstance(error, TransientError))


def exit_code(answers: Iterable[object]) -> int:
    """What a command ends with: who will never do it weighs more than who does not answer now."""
    transient = [answer.transient for answer in answers if isinstance(answer, Failed)]
    if not transient:
        return EXIT_OK
    return EXIT_TRANSIENT if all(transient) else EXIT_FAILED
