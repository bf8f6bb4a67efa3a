"""Whether builders look images up that this machine cannot: they may have mirrors of their own, or another network.

A builder that is to build on an image and on nothing else reads what the image is made of, and downloads no layer; a
Docker Engine with a graph driver would download all of them, and is not asked.
"""

import secrets
from collections.abc import Iterable
from contextlib import suppress

import anyio

from orchestrator.app import builder
from orchestrator.buildkit import MemorySource, SolveRequest, StatusUpdate
from orchestrator.errors import FleetpacksError
from orchestrator.registry.reference import Reference
from remote.address import Address

_SECONDS = 10.0


async def reached(image: Reference, builders: Iterable[Address]) -> bool:
    """Whether there are builders, and all of them look an image up in time."""
    found: list[bool] = []

    async def ask(at: Address) -> None:
        found.append(await _looks_up(image, at))

    async with anyio.create_task_group() as tasks:
        for at in builders:
            tasks.start_soon(ask, at)
    return bool(found) and all(found)


async def _looks_up(image: Reference, at: Address) -> bool:
    ref = f"fleetpacks-doctor-{secrets.token_hex(8)}"
    request = SolveRequest(
        ref=ref,
        attrs={"filename": "Dockerfile"},
        sources=(MemorySource(name="dockerfile", files={"Dockerfile": f"FROM {image}\n".encode()}),),
        shared_key=ref,
    )
    with suppress(FleetpacksError), anyio.move_on_after(_SECONDS):
        async with builder.opened(at) as (client, can):
            if can.pushes:
                await client.solve(request, on_status=_unheard)
                return True
    return False


async def _unheard(_: StatusUpdate) -> None:
    """Whatever it says meanwhile."""
