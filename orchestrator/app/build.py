"""The wiring of `build` and `tag`: builder, registry, run, display, signals.

Imports the heavy libraries (h2, protobuf, httpx): imported itself only where a build begins.
"""

import os
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import anyio
import msgspec

from langs.indexes import INDEXES
from orchestrator.app import builder
from orchestrator.app.caching import caches, is_insecure
from orchestrator.app.disk import low
from orchestrator.app.display import Kind, display_on, execute, summarise
from orchestrator.app.ending import Ending
from orchestrator.app.learning import Learning
from orchestrator.app.localcache import local_caches
from orchestrator.app.logins import given
from orchestrator.app.outputs import Outputs, outputs
from orchestrator.app.recording import Recording
from orchestrator.app.secretvalues import mirror_readers, secret_readers
from orchestrator.app.secretversions import versioned
from orchestrator.app.signals import Signals
from orchestrator.app.skipping import contents_of, remembering, skipping
from orchestrator.buildkit import Client, SecretReader, SolveRequest
from orchestrator.buildkit.capabilities import Capabilities
from orchestrator.config import Config
from orchestrator.engine.building import Prepare, PrepareExport
from orchestrator.engine.publish import EnginePublisher, RegistryPublisher
from orchestrator.engine.request import export_request, filters, solve_request
from orchestrator.engine.retry import RETRIES
from orchestrator.engine.run import Outcome, Run, exit_code
from orchestrator.engine.shortfalls import asked_for, message, shortfalls
from orchestrator.errors import ContextError, FleetpacksError, UsageError
from orchestrator.events import Event
from orchestrator.model import AppPlan, Attestations, Plan
from orchestrator.plan.outputs import Placed
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.reference import parse
from orchestrator.registry.tokens import RegistryTokens
from orchestrator.schedule.slots import SharedKeys
from orchestrator.skip.skipper import ignored
from orchestrator.workspace import git
from remote.address import Address, EngineAddress

if TYPE_CHECKING:
    from orchestrator.app.carrying import PackageCarrier

_BUFFERED_EVENTS = 1024


class BuildOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a run behaves; what it builds is the plan's."""

    progress: Kind = "plain"
    colour: bool = False
    keep_going: bool = True
    placed: Mapping[str, tuple[Placed, ...]] = {}
    """Where files of a build go, by the app's name."""
    load: bool = False
    """Whether images are loaded into a Docker Engine."""


async def run_build(
    config: Config, plan: Plan, options: BuildOptions, *, progress: TextIO, document: TextIO | None = None
) -> int:
    """Build a plan, publish it, and write the result file that was asked for.

    The first SIGINT or SIGTERM cancels the builds on the daemon and waits until they are gone and all is told; a second
    one leaves at once (a daemon ends the builds of a client that has vanished).

    Args:
        config: what was said.
        plan: what to build.
        options: how.
        progress: where progress goes.
        document: receives the result as JSON, too.

    Returns:
        The process's exit code.

    Raises:
        UsageError: the builder's address is wrong, or the result file cannot be written.
        TransientError: nothing answers at the builder's address, or not within 30 seconds.
    """
    began = time.monotonic()
    signals = Signals()
    config = await _checked_out(config)
    record = Recording(config)
    outcomes: Mapping[str, Outcome] = {}
    begun = False
    failure: FleetpacksError | None = None
    try:
        address = builder.address(config)
        attestations = await _attestations(config)
        secrets_known = await versioned(config, plan, _learned(secret_readers(config), record))
        plan = secrets_known.plan
        async with (
            signals.watched(),
            record.during(plan, signals),
            _registry(config) as (registry, credentials),
            builder.opened(address) as (client, can),
            local_caches(client, config.cache.local) as solver,
            outputs(config, address, can, options.placed, load=options.load) as make,
            _publisher(plan, address, can, registry, credentials) as publisher,
            remembering(config) as memory,
            skipping(
                config,
                plan,
                can,
                registry,
                credentials,
                attestations=attestations,
                memory=memory,
                images=not _files(options),
            ) as skip,
        ):
            differences = shortfalls(can, _asked(config, plan, can, options), address=str(address))
            send, receive = anyio.create_memory_object_stream[Event](_BUFFERED_EVENTS)
            prepare, export = _preparers(
                config,
                plan,
                can,
                partial(RegistryTokens, registry, credentials),
                make,
                readers=secrets_known.readers,
                mirrors=_learned(mirror_readers(config), record),
                attestations=attestations,
            )
            carries = _carrier(config, plan, client, RegistryTokens(registry, credentials))
            said = config.hosts[0].memory if config.hosts else None
            learning = Learning(plan, memory, str(address), said=said)
            run = Run(
                plan,
                solver=solver,
                publisher=publisher,
                prepare=prepare,
                events=send,
                jobs=_jobs(config, address),
                fail_fast=not options.keep_going,
                warnings=[
                    *plan.warnings,
                    *(message(each, address=str(address)) for each in differences),
                    *record.warnings,
                    *secrets_known.warnings,
                    *skip.warnings,
                    *await anyio.to_thread.run_sync(low, _written(config, options)),
                ],
                record=_all(record.note, learning.note, *([] if carries is None else [carries.note])),
                skipper=skip.skipper,
                export=export,
                carrier=carries,
                retries=RETRIES if config.retries is None else config.retries,
                expected=learning.seconds,
                memory=learning.room,
                measure=client.memory_use,
                worker=can.worker,
            )
            annotated = plan if config.environment.ci.annotates else None
            shown = display_on(progress, options.progress, colour=options.colour, annotated=annotated)
            with shown as display:
                begun = True
                outcomes = await execute(run, partial(display, receive), signals)
    except FleetpacksError as error:
        failure = error
    code = signals.exit_code or (failure.exit_code if failure else exit_code(outcomes.values()))
    ending = Ending(
        began=began,
        result_file=config.result_file,
        document=document,
        events=progress if options.progress == "json" and not begun else None,
    )
    await ending.tell(plan, outcomes, exit_code=code, failure=failure)
    summarise(config.environment.ci, plan, outcomes, failure, progress)
    await record.send_trace()
    if failure is not None and not signals.exit_code:
        raise failure
    return code


class Tagged(msgspec.Struct, frozen=True, kw_only=True):
    """A tag that now points to an image."""

    reference: str
    digest: str


async def run_tag(
    config: Config, sources: Sequence[str], tags: Sequence[str], *, tagged: Callable[[Tagged], None]
) -> None:
    """Put more tags on what was published: requests to a registry, no build.

    Args:
        config: what was said.
        sources: images, as `repository:tag` or `repository@digest`.
        tags: bare tags, put on every source in its own repository.
        tagged: hears of every tag as soon as it is there.

    Raises:
        UsageError: a reference or a tag cannot be; nothing was tagged.
        ImageNotFoundError, RegistryError, RegistryUnavailableError: the registry's answer.
    """
    references = [parse(source) for source in sources]
    targets = [[reference.with_tag(tag) for tag in tags] for reference in references]
    async with _registry(config) as (registry, _):
        for reference, wanted in zip(references, targets, strict=True):
            manifest = await registry.get_manifest(reference)
            for target in wanted:
                await registry.put_manifest(target, manifest)
                tagged(Tagged(reference=str(target), digest=manifest.digest))


@asynccontextmanager
async def _registry(config: Config) -> AsyncGenerator[tuple[RegistryClient, Credentials]]:
    credentials = Credentials(config.docker_config / "config.json", given(config))
    async with RegistryClient(credentials, config.registries) as client:
        yield client, credentials


@asynccontextmanager
async def _publisher(
    plan: Plan, address: Address, can: Capabilities, registry: RegistryClient, credentials: Credentials
) -> AsyncGenerator[RegistryPublisher | EnginePublisher]:
    tagger = RegistryPublisher(registry)
    if can.pushes or not plan.push:
        yield tagger
        return
    if not isinstance(address, EngineAddress):
        raise UsageError(
            f"{address}: this is a Docker Engine that pushes only by its own API", hint=builder.own_api_hint(address)
        )
    # aiohttp, only when it is needed.
    from orchestrator.docker import Engine  # noqa: PLC0415

    async with Engine(address, logins=credentials) as engine:
        yield EnginePublisher(engine, tagger)


async def _attestations(config: Config) -> Attestations:
    """What is attested, with what git knows where nobody said it."""
    said, source = config.attestations, config.attestations.source
    if said.provenance and source is None:
        source = await git.origin(config.root, config.environment.for_git())
    return msgspec.structs.replace(said, revision=config.revision, source=source)


async def _checked_out(config: Config) -> Config:
    """The same, with the branch and the revision that git knows where no platform says them."""
    if config.revision is not None:
        return config
    # Whoever needs the revision has been told by now why there is none.
    with suppress(ContextError):
        branch, revision = await git.head(config.root, config.environment.for_git())
        return msgspec.structs.replace(config, branch=config.branch or branch, revision=revision)
    return config


def _files(options: BuildOptions) -> bool:
    return options.load or any(options.placed.values())


def _written(config: Config, options: BuildOptions) -> tuple[Path, ...]:
    """Where a run writes on this machine."""
    outputs = [placed.path for of_app in options.placed.values() for placed in of_app]
    caches = [config.cache.local.directory] if config.cache.local.directory is not None else []
    records = [config.runs.directory] if config.runs.keep else []
    return (*outputs, *caches, *records)


def _asked(config: Config, plan: Plan, can: Capabilities, options: BuildOptions) -> tuple[str, ...]:
    declared = {host for host, said in config.registries.items() if said.insecure}
    return asked_for(
        can,
        push=plan.push,
        insecure=any(parse(app.repository).host in declared for app in plan.apps),
        load=options.load,
        # Every app has the same ones.
        outputs=[placed.kind for placed in next(iter(options.placed.values()), ())],
        contexts=any(app.app.contexts or app.build.contexts for app in plan.apps),
        cache=config.cache.image is not None and config.cache.export != "off",
        local=config.cache.local.directory is not None or bool(config.cache.local.sources),
        attested=[
            *(["--provenance"] if config.attestations.provenance else []),
            *(["--sbom"] if config.attestations.sbom else []),
        ],
    )


def _preparers(
    config: Config,
    plan: Plan,
    can: Capabilities,
    tokens: Callable[..., RegistryTokens],
    make: Outputs,
    *,
    readers: Mapping[str, SecretReader],
    mirrors: Mapping[str, SecretReader],
    attestations: Attestations,
) -> tuple[Prepare, PrepareExport]:
    contents = contents_of(config)
    cache = caches(config, plan, can)
    keys = SharedKeys(f"{os.uname().nodename}:{plan.root}")
    run = secrets.token_hex(8)

    @contextmanager
    def prepare(app: AppPlan) -> Generator[SolveRequest]:
        repository, cached = parse(app.repository), cache(app)
        insecure = is_insecure(config, repository.host)
        salt = contents.salt(app.app.directory / app.build.context, ignored(app))
        with keys.slot(app.app.path, f"{filters(app)}\n{salt}" if salt else filters(app)) as shared_key:
            yield solve_request(
                app,
                can=can,
                ref=f"fleetpacks-{run}-{secrets.token_hex(8)}",
                shared_key=shared_key,
                push=plan.push,
                insecure=insecure,
                no_cache=config.no_cache,
                secrets={name: readers[name] for name in app.app.settings.secrets}
                | {INDEXES[key].secret: mirrors[key] for key in app.build.indexes},
                tokens=tokens(writable=(repository, *cached.repositories)),
                registries=(repository.host, *cached.hosts),
                ssh={name: Path(socket) for name in app.app.settings.ssh if (socket := config.ssh[name])},
                outputs=make(app),
                caches=cached.entries,
                attestations=attestations,
            )

    @contextmanager
    def export(app: AppPlan) -> Generator[Sequence[SolveRequest]]:
        places = cache(app).entries.written_after
        if not places:
            yield ()
            return
        with prepare(app) as request:
            yield [
                export_request(request, ref=f"fleetpacks-{run}-{secrets.token_hex(8)}", to=place) for place in places
            ]

    return prepare, export


def _carrier(config: Config, plan: Plan, client: Client, tokens: RegistryTokens) -> "PackageCarrier | None":
    root = config.cache.mounts.directory
    if root is None:
        return None
    from orchestrator.app.carrying import carrier  # noqa: PLC0415 -- only where a directory is named

    def ready(request: SolveRequest) -> SolveRequest:
        return msgspec.structs.replace(request, tokens=tokens)

    return carrier(config, root, plan, client, ready)


def _all(*hearers: Callable[[Event], None]) -> Callable[[Event], None]:
    def hear(event: Event) -> None:
        for each in hearers:
            each(event)

    return hear


def _learned(readers: Mapping[str, SecretReader], record: Recording) -> Mapping[str, SecretReader]:
    return {name: record.learning(reader) for name, reader in readers.items()}


def _jobs(config: Config, address: Address) -> int:
    return config.jobs or builder.slots(config, address) or len(os.sched_getaffinity(0))
