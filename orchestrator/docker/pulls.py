"""Pulling several images at once, as before a rush of builds that all need them."""

from collections.abc import Mapping, Sequence

import anyio

from orchestrator.docker.engine import Engine
from orchestrator.docker.model import OnProgress, Progress
from orchestrator.errors import FleetpacksError


async def pull_all(
    engine: Engine, references: Sequence[str], *, at_once: int = 4, progress: OnProgress | None = None
) -> Mapping[str, str]:
    """Pull images, some at a time. The first one that fails ends the others.

    Args:
        engine: where to.
        references: as for `Engine.pull`.
        at_once: how many.
        progress: hears of all of them, one at a time.

    Returns:
        The digest of each reference.

    Raises:
        FleetpacksError: as `Engine.pull`, for the one that failed first.
    """
    digests: dict[str, str] = {}
    failures: list[FleetpacksError] = []
    limit = anyio.Semaphore(at_once)
    turn = anyio.Lock()

    async def tell(one: Progress) -> None:
        if progress is not None:
            async with turn:
                await progress(one)

    async with anyio.create_task_group() as tasks:

        async def pull(reference: str) -> None:
            async with limit:
                try:
                    digests[reference] = await engine.pull(reference, progress=tell)
                except FleetpacksError as error:
                    # Raised below: a task group would wrap it.
                    failures.append(error)
                    tasks.cancel_scope.cancel()

        for reference in dict.fromkeys(references):
            tasks.start_soon(pull, reference)
    if failures:
        raise failures[0]
    return {reference: digests[reference] for reference in references}
