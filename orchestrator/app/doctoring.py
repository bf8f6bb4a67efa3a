"""The wiring of `doctor`: builders, registries, records and this machine are asked, all at once, for facts.

Nothing is built and nothing is changed. Who does not answer in time is told of, or is said not to have been looked at;
no question waits for another one.
"""

import re
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec

from orchestrator.app import hostcheck, hostfacts, make_plan
from orchestrator.app.disk import low
from orchestrator.app.logins import given
from orchestrator.app.reaching import reached
from orchestrator.config import Config
from orchestrator.doctor import looking, rules
from orchestrator.doctor.facts import Answer, Builder, Built, Facts, Pressure, Problem, Unseen
from orchestrator.errors import EXIT_FAILED, EXIT_OK, FleetpacksError, UsageError
from orchestrator.model import Plan
from orchestrator.plan.bases import base_names
from orchestrator.plan.executing import executed
from orchestrator.plan.planner import Request
from orchestrator.registry import hosts, reference
from orchestrator.registry.backoff import Patience
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.mirrors import at_mirror
from orchestrator.registry.reference import Reference
from orchestrator.report import runs
from orchestrator.report.record import FILE, Record, read
from orchestrator.report.timeline import timeline
from remote.address import EngineAddress, SshAddress, UnixAddress, parse

_LOOK_SECONDS = 1.0
_REGISTRY_SECONDS = 10.0
_RUNS = 20
"""Runs that are looked at."""
_ONCE = Patience(attempts=1)
_TOO_MANY = "HTTP 429"
_FROM = re.compile(r"\[[^\]]*\d+/\d+\] FROM ")


class Examined(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong, and what could not be looked at."""

    looked: tuple[str, ...]
    problems: tuple[Problem, ...]
    unseen: tuple[Unseen, ...]

    @property
    def exit_code(self) -> int:
        """What the command ends with."""
        return EXIT_FAILED if self.problems else EXIT_OK


class _Found:
    """What comes together from all sides."""

    def __init__(self) -> None:
        self.facts = Facts()
        self.looked: list[str] = []
        self.unreached: list[tuple[Reference, Problem]] = []
        """Images of registries that do not answer here, and what is to be said of that."""

    def add(self, *, told: tuple[Problem, ...] = (), unseen: tuple[Unseen, ...] = (), **more: object) -> None:
        """Add to what was told and not seen, and say the rest."""
        told, unseen = (*self.facts.told, *told), (*self.facts.unseen, *unseen)
        self.facts = msgspec.structs.replace(self.facts, told=told, unseen=unseen, **more)


async def examine(config: Config, *, root: Path = Path("/"), seconds: float = _LOOK_SECONDS) -> Examined:
    """Look at everything.

    Args:
        config: what was said.
        root: of this machine's files.
        seconds: over which it is counted what processors wait for.

    Raises:
        ConfigError: an app's own file is wrong.
    """
    found = _Found()
    cache = config.cache
    found.add(
        layers=cache.image is not None or cache.local.directory is not None,
        packages=cache.mounts.directory is not None,
        mirror=config.image_mirrors.get(reference.DOCKER_HUB),
    )
    plan = await _planned(config, found)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_machine, config, root, seconds, found)
        tasks.start_soon(_builders, config, found)
        tasks.start_soon(_registries, config, plan, found)
        tasks.start_soon(_runs, config, found)
    await _unreached(config, _published(config, plan), found)
    # Who answers first differs from time to time.
    told = tuple(sorted(found.facts.told, key=lambda each: (each.about, each.kind)))
    return Examined(
        looked=tuple(sorted(found.looked)),
        problems=rules.problems(msgspec.structs.replace(found.facts, told=told)),
        unseen=tuple(sorted(found.facts.unseen, key=lambda each: each.what)),
    )


async def _planned(config: Config, found: _Found) -> Plan | None:
    try:
        plan = await make_plan(config, Request(push=False))
    except UsageError as error:
        found.add(unseen=(Unseen(what="what apps need", why=error.message),))
        return None
    wanted = {name: app.app.name for app in plan.apps for name in executed(app)}
    found.add(wanted=wanted)
    return plan


async def _machine(config: Config, root: Path, seconds: float, found: _Found) -> None:
    before = looking.times(root)
    await anyio.sleep(seconds)
    iowait = looking.share(before, looking.times(root))
    unseen: list[Unseen] = []
    if iowait is None:
        unseen.append(Unseen(what="what processors wait for", why=f"{root / 'proc/stat'} does not say it"))
    interfaces = looking.interfaces(root)
    if not any(each.is_default for each in interfaces):
        unseen.append(Unseen(what="sizes of packets", why="no device has a default route"))
    overlay = looking.overlay(root)
    if overlay is None:
        unseen.append(Unseen(what="overlayfs", why="the kernel's modules are not to be seen here"))
    places = [config.environment.cache_directory, config.environment.state_directory]
    places += [each for each in (config.cache.local.directory, config.cache.mounts.directory) if each is not None]
    told = tuple(
        Problem(kind="disk-low", about="this machine", message=each, cure="fleetpacks cache prune, or a larger disk")
        for each in low(places)
    )
    found.looked.append("this machine")
    found.add(
        pressure=None if iowait is None else Pressure(iowait=iowait, stalled=looking.stalled(root)),
        interfaces=interfaces,
        overlay=overlay,
        told=told,
        unseen=tuple(unseen),
    )


async def _builders(config: Config, found: _Found) -> None:
    try:
        checked = await hostcheck.check(config)
    except FleetpacksError as error:
        found.add(told=(Problem(kind="no-builder", about="builders", message=error.message, cure=error.hint),))
        return
    found.looked += [host.address for host in checked.hosts]
    found.add(
        builders=tuple(_builder(host) for host in checked.hosts if host.daemon is not None),
        told=tuple(
            Problem(kind=each.kind, about=host.address, message=each.message, cure=each.hint)
            for host in checked.hosts
            for each in host.problems
        ),
        unseen=tuple(
            Unseen(what=f"the machine of {host.address}", why=host.unknown)
            for host in checked.hosts
            if host.unknown is not None
        ),
    )


def _builder(host: hostfacts.Host) -> Builder:
    at = parse(host.address)
    daemon = host.daemon
    return Builder(
        address=host.address,
        is_here=isinstance(at.at if isinstance(at, EngineAddress) else at, UnixAddress),
        is_engine=isinstance(at, EngineAddress) or (isinstance(at, SshAddress) and _is_engine(host)),
        snapshotter=daemon.snapshotter if daemon else None,
        root=host.root,
        disk=host.disk,
        platforms=tuple(each.platform for each in daemon.platforms) if daemon else (),
    )


def _is_engine(host: hostfacts.Host) -> bool:
    return host.daemon is not None and host.daemon.kind != "buildkitd"


async def _registries(config: Config, plan: Plan | None, found: _Found) -> None:
    asked = dict(_asked(config, plan))
    credentials = Credentials(config.docker_config / "config.json", given(config))
    async with (
        RegistryClient(credentials, config.registries, patience=_ONCE, ca=config.network.ca) as client,
        anyio.create_task_group() as tasks,
    ):
        for each in asked.values():
            tasks.start_soon(_registry, client, credentials, each, found)
    if not asked:
        found.add(unseen=(Unseen(what="registries", why="no image is named"),))


async def _registry(client: RegistryClient, credentials: Credentials, asked: Reference, found: _Found) -> None:
    host = asked.host
    answer = Answer(host=host, seconds=0.0)
    began = time.time()
    try:
        answer = msgspec.structs.replace(answer, known=await credentials.lookup(host) is not None)
        with anyio.fail_after(_REGISTRY_SECONDS):
            look = await client.look(asked)
    except TimeoutError:
        why = f"gives no answer within {_REGISTRY_SECONDS:.0f} s"
        found.unreached.append((asked, _silent(host, why, "check the network, and HTTPS_PROXY")))
    except FleetpacksError as error:
        if _TOO_MANY in error.message:
            found.add(told=(rules.limited(answer, found.facts.mirror),))
            return
        hint = error.hint
        if hosts.is_docker_hub(host):
            hint += "; where there is a mirror, export REGISTRY_MIRROR=registry.example/hub"
        found.unreached.append((asked, _silent(host, error.message, hint)))
    else:
        ended = time.time()
        ahead = None if look.date is None else (began + ended) / 2 - look.date
        answer = msgspec.structs.replace(
            answer,
            seconds=ended - began,
            ahead=ahead,
            limit=look.limit,
            remaining=look.remaining,
            window=look.window,
        )
        found.looked.append(host)
        found.add(answers=(*found.facts.answers, answer))


async def _unreached(config: Config, published: Reference | None, found: _Found) -> None:
    """Tell of registries that do not answer here, unless builders alone need them, and have a way of their own."""
    # Whether an image is in a mirror that we were told of is asked from here.
    ours = {place.partition("/")[0] for place in config.image_mirrors.values()}
    if published is not None:
        ours.add(published.host)
    for image, problem in found.unreached:
        builders = () if image.host in ours else found.facts.builders
        if await reached(image, [parse(each.address) for each in builders]):
            found.add(unseen=(Unseen(what=image.host, why=f"{problem.message}; builders reach it"),))
        else:
            found.add(told=(problem,))


def _silent(host: str, message: str, cure: str) -> Problem:
    return Problem(kind="registry-unreachable", about=host, message=message, cure=cure)


def _asked(config: Config, plan: Plan | None) -> Iterator[tuple[str, Reference]]:
    """An image of each registry that builds ask."""
    names = [] if plan is None else sorted({name for each in base_names(plan.apps).values() for name in each})
    seen: set[str] = set()
    for name in names:
        try:
            image = reference.parse(name)
        except UsageError:
            continue
        image = at_mirror(image, config.image_mirrors) or image
        if image.host not in seen:
            seen.add(image.host)
            yield image.host, image
    published = _published(config, plan)
    if published is not None and published.host not in seen:
        yield published.host, published


def _published(config: Config, plan: Plan | None) -> Reference | None:
    """Where images go, of which we write the tags."""
    if config.image is None or plan is None or not plan.apps:
        return None
    return reference.parse(plan.apps[0].repository)


async def _runs(config: Config, found: _Found) -> None:
    """What the records of earlier runs of the source tell."""
    builds = await anyio.to_thread.run_sync(earlier, config)
    if builds is None:
        found.add(unseen=(Unseen(what="earlier builds", why=f"{config.runs.directory} has no record of this source"),))
        return
    found.looked.append("earlier builds")
    found.add(builds=builds)


def earlier(config: Config) -> tuple[Built, ...] | None:
    """The builds of the last runs of the source, the oldest first; None: there is no record of any."""
    records = list(islice(_records(config), _RUNS))
    return tuple(each for record in reversed(records) for each in _builds(record)) if records else None


def _records(config: Config) -> Iterator[Record]:
    for directory in runs.newest_first(config.runs.directory):
        try:
            record = read(directory / FILE)
        except UsageError:
            continue
        if record.header.source == str(config.root):
            yield record


def _builds(record: Record) -> Iterator[Built]:
    for app in timeline(record).apps:
        if app.status == "succeeded" and app.seconds is not None:
            bases = [step for step in app.steps if step.kind == "base" and _FROM.match(step.name)]
            pulls = [step for step in bases if step.moved_bytes]
            # A FROM goes on in parts: each layer's download, then each layer's unpacking, which moves nothing.
            unpacks = [step for step in bases if not step.moved_bytes] if pulls else []
            yield Built(
                app=app.name,
                seconds=app.seconds,
                cached=app.cached,
                steps=app.total,
                pulled=sum(step.moved_bytes for step in pulls),
                pulling=sum(step.end - step.start for step in pulls),
                unpacking=sum(step.end - step.start for step in unpacks),
            )
