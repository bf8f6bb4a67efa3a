"""The wiring of `cache warm`: what the plan's apps stand on is on the builders' disks before they are built.

BuildKit looks an image up and pulls none of it until somebody needs its files. So it is asked for something that needs
them and executes nothing, on any platform: a directory in the image. A Docker Engine with a graph driver pulls by its
own API instead, whose images its builds find. Of several builders each gets what it may have to build on, all at once.

Of many images the largest comes first, and the next one is asked for when it has a connection: what is asked for at the
same time is downloaded in any order.
"""

import secrets
import time
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Protocol

import anyio
import msgspec

from orchestrator.app import builder, hosts, make_plan, sizing
from orchestrator.app.everywhere import Failed, everywhere, failed
from orchestrator.app.hosts import Builders, Opened
from orchestrator.app.logins import given
from orchestrator.app.mirroring import ImageMirrors, mirroring
from orchestrator.app.mountruns import Ready
from orchestrator.buildkit import Client, MemorySource, SolveRequest, StatusUpdate
from orchestrator.config import Config
from orchestrator.engine.progress import Progress
from orchestrator.errors import FleetpacksError, UsageError
from orchestrator.events import StepCompleted, StepContinued
from orchestrator.model import AppPlan, Plan
from orchestrator.plan.bases import Base, bases
from orchestrator.plan.planner import Request
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.reference import parse
from orchestrator.registry.tokens import RegistryTokens
from orchestrator.schedule.platforms import groups
from remote.address import Address, EngineAddress

if TYPE_CHECKING:
    from orchestrator.docker import Engine
    from orchestrator.docker import Progress as EngineProgress

_AT_ONCE = 8
"""Images. A builder downloads fewer layers at once; the others wait there."""
_FEW = 4
"""Images that may come in any order: each has a connection at once."""
_HEAD_START = 1.0
"""Seconds after which an image is no longer waited for: no connection is free, or its registry gives no answer."""
_INTERVAL = 2.0
"""Seconds between two words about one image."""
_DOWNLOADING = "Downloading"
"""An engine's word for the only thing of a pull that is counted in bytes of the network."""
_INTERNAL = "[internal] "
"""How BuildKit calls what moves no image: our Dockerfile comes to it."""
_LAYER = "sha256:"
"""How BuildKit's names of downloads begin."""
_NEEDS_FILES = "FROM {name}\nWORKDIR /.fleetpacks\n"


class Warmed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one image."""

    name: str
    platforms: tuple[str, ...]
    """For which it was pulled; none: for the builder's own."""
    apps: tuple[str, ...]
    """Who needs it."""
    size: int
    """Bytes that were pulled; 0: it was there."""
    seconds: float
    error: str | None = None
    hint: str = ""


class Pulling(msgspec.Struct, frozen=True, kw_only=True):
    """How far an image is."""

    name: str
    current: int
    """Bytes so far."""
    total: int
    """Bytes in all, as far as it is known."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of all images of a builder."""

    builder: str
    images: tuple[Warmed, ...]


class Everywhere(msgspec.Struct, frozen=True, kw_only=True):
    """What became of all builders, those that answered first."""

    builders: tuple[Outcome | Failed, ...]
    warnings: tuple[str, ...]


Hear = Callable[[str, Pulling | Warmed], None]
"""The builder where there are several, else nothing; and what there is of it."""
_Tell = Callable[[Pulling | Warmed], None]


class _Puller(Protocol):
    async def __call__(self, base: Base, hear: Callable[[int, int], None]) -> int:
        """Pull an image, and return its bytes."""
        ...


async def warm(config: Config, request: Request, *, hear: Hear) -> Everywhere:
    """Pull the images that the selected apps stand on, several at once and each of them once for a builder.

    Args:
        config: what was said.
        request: which apps.
        hear: told how far images are, and what became of each as soon as that is known.

    Raises:
        UsageError: there is no app, or a builder's address is wrong.
        ConfigError: an app's files are wrong.
        BuilderUnreachableError: nothing answers at any builder.
    """
    plan = await make_plan(config, request)
    named = hosts.in_use(await hosts.resolved(hosts.named(config)))
    credentials = Credentials(config.docker_config / "config.json", given(config))
    async with (
        RegistryClient(credentials, config.registries, ca=config.network.ca) as registry,
        mirroring(config, credentials) as mirrors,
        hosts.opened(named) as builders,
    ):
        tokens = RegistryTokens(registry, credentials)
        wanted = {of.address: bases(_built_on(plan, of, builders), own=of.can.platform) for of in builders.all}
        of_address = {of.address: of for of in builders.all}
        several = len(named) > 1
        many = [at for at, of in of_address.items() if len(wanted[at].images) > _FEW and of.can.platform]
        asked = {sizing.wanted(base, of_address[at].can.platform) for at in many for base in wanted[at].images}
        known = await sizing.sizes(asked, registry, mirrors.mirrors)

        async def one(at: Address) -> Outcome:
            of = of_address[at]
            ordered = sizing.largest_first(wanted[at].images, known, own=of.can.platform)
            async with _puller(of, tokens, credentials, mirrors) as pull:
                images = await _all(ordered, pull, lambda news: hear(str(at) if several else "", news))
                return Outcome(builder=str(at), images=images)

        done = await everywhere(tuple(of_address), one)
        silent = tuple(failed(str(at), error) for at, error in builders.missing)
    unknown = dict.fromkeys(word for found in wanted.values() for word in found.unknown)
    told = (*mirrors.news(), *(f"{word!r} names an image that only a build can tell" for word in unknown))
    return Everywhere(builders=(*done, *silent), warnings=(*plan.warnings, *told))


def _built_on(plan: Plan, of: Opened, builders: Builders) -> Sequence[AppPlan]:
    """The apps that a builder may have to build, each for the platforms that it builds them for."""
    if not builders.platform:
        return plan.apps
    offered = [builders.platforms(each) for each in builders.all]
    found: list[AppPlan] = []
    for app in plan.apps:
        for group in groups(app.build.platforms or (builders.platform,), offered):
            if group[0] == of.platform:
                build = msgspec.structs.replace(app.build, platforms=group)
                found.append(msgspec.structs.replace(app, build=build))
    return found


@asynccontextmanager
async def _puller(
    of: Opened, tokens: RegistryTokens, credentials: Credentials, mirrors: ImageMirrors
) -> AsyncGenerator[_Puller]:
    if of.can.pushes:
        yield _solves(of.client, tokens, mirrors.for_solves(of.can))
    elif not isinstance(of.address, EngineAddress):
        raise UsageError(
            f"{of.address}: this is a Docker Engine that pulls only by its own API",
            hint=builder.own_api_hint(of.address),
        )
    else:
        # aiohttp, only when it is needed.
        from orchestrator.docker import Engine  # noqa: PLC0415

        async with Engine(of.address, logins=credentials) as engine:
            yield _pulls(engine, mirrors)


async def _all(wanted: tuple[Base, ...], pull: _Puller, hear: _Tell) -> tuple[Warmed, ...]:
    done: dict[str, Warmed] = {}
    room = anyio.Semaphore(_AT_ONCE)
    paced = len(wanted) > _FEW

    async def one(base: Base, begun: anyio.Event) -> None:
        nonlocal paced
        began = time.monotonic()
        size, error, hint = 0, None, ""
        try:
            with _seldom(base.name, hear) as tell:

                def moved(current: int, total: int) -> None:
                    begun.set()
                    tell(current, total)

                size = await pull(base, moved)
        except FleetpacksError as failure:
            error, hint = failure.message, failure.hint
        # Where images are there already, nobody waits for a connection.
        paced = paced and begun.is_set()
        begun.set()
        room.release()
        done[base.name] = Warmed(
            name=base.name,
            platforms=base.platforms,
            apps=base.apps,
            size=size,
            seconds=time.monotonic() - began,
            error=error,
            hint=hint,
        )
        hear(done[base.name])

    async with anyio.create_task_group() as tasks:
        for base in wanted:
            await room.acquire()
            begun = anyio.Event()
            tasks.start_soon(one, base, begun)
            if paced:
                with anyio.move_on_after(_HEAD_START):
                    await begun.wait()
    return tuple(done[base.name] for base in wanted)


@contextmanager
def _seldom(name: str, hear: _Tell) -> Generator[Callable[[int, int], None]]:
    told = time.monotonic()

    def tell(current: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told >= _INTERVAL:
            told = time.monotonic()
            hear(Pulling(name=name, current=current, total=total))

    yield tell


def _solves(client: Client, tokens: RegistryTokens, mirrored: Ready) -> _Puller:
    async def pull(base: Base, hear: Callable[[int, int], None]) -> int:
        ref = f"fleetpacks-warm-{secrets.token_hex(8)}"
        progress = Progress(base.name)
        moved = 0
        layers: dict[str, tuple[int, int]] = {}

        async def note(update: StatusUpdate) -> None:
            nonlocal moved
            # What a step says of itself is over before its layers come.
            coming = {each.id: (each.current, each.total) for each in update.statuses if each.id.startswith(_LAYER)}
            if coming:
                layers.update(coming)
                hear(sum(current for current, _ in layers.values()), sum(total for _, total in layers.values()))
            for event in progress.feed(update):
                if isinstance(event, StepCompleted | StepContinued) and not event.name.startswith(_INTERNAL):
                    moved += event.moved_bytes

        dockerfile = _NEEDS_FILES.format(name=base.name)
        request = SolveRequest(
            ref=ref,
            attrs={"filename": "Dockerfile"} | ({"platform": ",".join(base.platforms)} if base.platforms else {}),
            sources=(MemorySource(name="dockerfile", files={"Dockerfile": dockerfile.encode()}),),
            shared_key=ref,
            tokens=tokens,
            registries=(parse(base.name).host,),
        )
        await client.solve(await mirrored(request, dockerfile), on_status=note)
        return moved

    return pull


def _pulls(engine: "Engine", mirrors: ImageMirrors) -> _Puller:
    async def pull(base: Base, hear: Callable[[int, int], None]) -> int:
        moved: dict[str, tuple[int, int]] = {}

        async def note(progress: "EngineProgress") -> None:
            if progress.status == _DOWNLOADING and progress.current is not None:
                moved[progress.layer] = (progress.current, progress.total or 0)
                hear(sum(current for current, _ in moved.values()), sum(total for _, total in moved.values()))

        # Its builds ask for the mirror's, by that name.
        found = await mirrors.mirrors.find(base.name)
        for platform in base.platforms or (None,):
            await engine.pull(str(found.at) if found else base.name, platform=platform, progress=note)
        return sum(max(each) for each in moved.values())

    return pull
