"""Several things at once, where the first that fails ends the others and is the error, not one of a group."""

from collections.abc import Awaitable, Callable, Sequence

import anyio

from orchestrator.errors import FleetpacksError


async def together(calls: Sequence[Callable[[], Awaitable[object]]]) -> None:
    """Do all of them.

    Raises:
        FleetpacksError: the first that one of them has raised.
    """
    failures: list[FleetpacksError] = []
    async with anyio.create_task_group() as tasks:

        async def one(call: Callable[[], Awaitable[object]]) -> None:
            try:
                await call()
            except FleetpacksError as error:
                failures.append(error)
                tasks.cancel_scope.cancel()

        for call in calls:
            tasks.start_soon(one, call)
    if failures:
        raise failures[0]
