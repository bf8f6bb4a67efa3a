"""The wiring of a run: builders, registry, secrets, caches, what is known of earlier runs.

Imports the heavy libraries (h2, protobuf, h11): imported itself only where a build begins.
"""

import secrets
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import anyio
import msgspec

from orchestrator import __version__
from orchestrator.app import hosts, networking
from orchestrator.app.coming import coming
from orchestrator.app.copies import copies_of
from orchestrator.app.disk import low
from orchestrator.app.display import Display, execute
from orchestrator.app.emulating import unable
from orchestrator.app.learning import Learning
from orchestrator.app.logins import given
from orchestrator.app.minimal import is_minimal
from orchestrator.app.mirroring import mirroring
from orchestrator.app.preparing import Preparing
from orchestrator.app.recording import Recording
from orchestrator.app.secretvalues import mirror_readers, secret_readers
from orchestrator.app.secretversions import Versioned, versioned
from orchestrator.app.signals import Signals
from orchestrator.app.skipping import remembering, skipping
from orchestrator.buildkit import SecretReader
from orchestrator.config import Config
from orchestrator.engine.host import Joiner
from orchestrator.engine.hosts import Member
from orchestrator.engine.publish import RegistryPublisher
from orchestrator.engine.retry import RETRIES
from orchestrator.engine.run import Outcome, Run
from orchestrator.errors import ContextError, FleetpacksError
from orchestrator.events import Event
from orchestrator.model import Attestations, Plan
from orchestrator.plan.bases import base_names
from orchestrator.plan.outputs import Placed
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.report.redone import Redone
from orchestrator.text import DIRTY
from orchestrator.workspace import git
from orchestrator.workspace.changes import differs

if TYPE_CHECKING:
    from orchestrator.app.keeping import Keeping

_BUFFERED_EVENTS = 1024
_OTHERS_SECONDS = 10.0
"""For which hosts are waited for that have not answered when one has; they may join later."""


class BuildOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a run behaves; what it builds is the plan's."""

    keep_going: bool = True
    placed: Mapping[str, tuple[Placed, ...]] = {}
    """Where files of a build go, by the app's name."""
    load: bool = False
    """Whether images are loaded into a Docker Engine."""


class Executed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a plan."""

    plan: Plan
    """With what was found out of its secrets."""
    outcomes: Mapping[str, Outcome]
    """By the app's name; none where the run never began."""
    failure: FleetpacksError | None
    """Why the run ended, when it was no app's fault."""


Shown = Callable[[Plan], AbstractContextManager[Display]]
"""Makes a display when the run begins."""


async def executed(
    config: Config, plan: Plan, options: BuildOptions, *, record: Recording, signals: Signals, shown: Shown
) -> Executed:
    """Build a plan and publish it.

    Args:
        config: what was said, and what git knows (`checked_out`).
        plan: what to build.
        options: how.
        record: hears of everything, and masks what is told.
        signals: cancel it.
        shown: shows it.
    """
    outcomes: Mapping[str, Outcome] = {}
    failure: FleetpacksError | None = None
    try:
        async with (
            signals.watched(),
            _known(config, plan, record) as (named, attestations, secrets_known),
            record.during(secrets_known.plan, signals),
            registry_of(config) as (registry, credentials),
            mirroring(config, credentials) as mirrors,
            hosts.opened(hosts.in_use(named), patience=_OTHERS_SECONDS) as builders,
            remembering(config) as memory,
            skipping(
                config,
                secrets_known.plan,
                builders.first.can,
                registry,
                credentials,
                mirrors=mirrors.mirrors,
                attestations=attestations,
                memory=memory,
                images=not _files(options),
            ) as skip,
            AsyncExitStack() as within,
        ):
            plan = secrets_known.plan
            send, receive = anyio.create_memory_object_stream[Event](_BUFFERED_EVENTS)
            preparing = Preparing(
                config=config,
                plan=plan,
                placed=options.placed,
                load=options.load,
                registry=registry,
                credentials=credentials,
                readers=secrets_known.readers,
                mirrors=_learned(mirror_readers(config), record),
                network=await networking.readers(config),
                attestations=attestations,
                images=mirrors,
                copies=await copies_of(config),
                run=secrets.token_hex(8),
                packages=_packages(config, plan),
                several=len(named) > 1,
            )
            differences = [line for each in builders.all for line in preparing.shortfalls(each)]
            joiner = _joiner(plan, options, builders, registry, config.revision)
            cannot = unable(plan, builders, splits=joiner is not None)
            learning = Learning(plan, memory, said={each.name: each.memory for each in named if each.memory})
            redone = Redone(learning.hosts)
            facts = partial(hosts.member, memory=learning.available, speeds=learning.speeds)
            members = [
                facts(each, await within.enter_async_context(preparing.host(each)), platforms=builders.platforms(each))
                for each in builders.all
            ]

            @asynccontextmanager
            async def later(of: hosts.Opened) -> AsyncGenerator[Member]:
                """A host that has answered when the run had begun."""
                for line in preparing.shortfalls(of):
                    await run.hosts.say(line)
                async with preparing.host(of) as host:
                    yield facts(of, host, platforms=builders.platforms_of_later(of))

            run = Run(
                plan,
                hosts=members,
                events=send,
                jobs=config.jobs or sum(member.facts.slots for member in members),
                fail_fast=not options.keep_going,
                warnings=[
                    *plan.warnings,
                    *builders.warnings,
                    *differences,
                    *record.warnings,
                    *secrets_known.warnings,
                    *networking.warnings(config, plan.apps),
                    *skip.warnings,
                    *await anyio.to_thread.run_sync(low, _written(config, options)),
                ],
                record=_all(record.note, learning.note, redone.note),
                mask=record.shown,
                skipper=skip.skipper,
                retries=RETRIES if config.retries is None else config.retries,
                expected=learning.seconds,
                cold=learning.cold,
                needed=learning.needed,
                platform=builders.first.platform,
                built_on=learning.hosts,
                bases=base_names(plan.apps) if len(named) > 1 else {},
                joiner=joiner,
                mirrors=mirrors,
                unable=cannot,
                closing=redone.warning if is_minimal(config) else None,
                absent={str(at): error for at, error in builders.missing},
                # Two that write the same files here would be in each other's way.
                hedge=None if config.cache.local.directory or _files(options) else config.hedge,
            )
            absent = {at for at, _ in builders.missing}
            changing = coming(
                run.hosts,
                later,
                config,
                here={member.facts.name: member.facts.slots for member in members},
                absent=tuple(each for each in named if each.address in absent),
                again=signals.again,
            )
            with shown(plan) as display:
                async with changing:
                    outcomes = await execute(run, partial(display, receive), signals)
    except FleetpacksError as error:
        record.mask(error)
        failure = error
    return Executed(plan=plan, outcomes=outcomes, failure=failure)


@asynccontextmanager
async def registry_of(config: Config) -> AsyncGenerator[tuple[RegistryClient, Credentials]]:
    """The client of all registries, with the logins that there are."""
    credentials = Credentials(config.docker_config / "config.json", given(config))
    async with RegistryClient(credentials, config.registries, ca=config.network.ca) as client:
        yield client, credentials


async def _attestations(config: Config) -> Attestations:
    """What is attested, with what git knows where nobody said it; images tell of their source, too."""
    said, source = config.attestations, config.attestations.source
    if source is None and (said.provenance or config.revision is not None):
        source = await git.origin(config.root, config.environment.for_git())
    builder = config.environment.ci.builder or f"pkg:generic/fleetpacks@{quote(__version__, safe='')}"
    return msgspec.structs.replace(said, revision=config.revision, source=source, builder=builder)


async def checked_out(config: Config) -> Config:
    """The same, with the branch and the revision that git knows where no platform says them.

    The revision of files that differ from it is marked: no image may claim a commit that its content was not in.
    """
    branch, revision = config.branch, config.revision
    said = config.environment.for_git()
    if revision is None:
        # Whoever needs the revision has been told by now why there is none.
        with suppress(ContextError):
            checked_out, revision = await git.head(config.root, said)
            branch = branch or checked_out
    if revision is not None and await differs(config.root, said, revision):
        revision += DIRTY
    return msgspec.structs.replace(config, branch=branch, revision=revision)


def _packages(config: Config, plan: Plan) -> "Keeping | None":
    root = config.cache.mounts.directory
    if root is None:
        return None
    from orchestrator.app.keeping import keeping  # noqa: PLC0415 -- only where a directory is named

    return keeping(config, root, plan)


def _joiner(
    plan: Plan, options: BuildOptions, builders: hosts.Builders, registry: RegistryClient, revision: str | None
) -> Joiner | None:
    """Who publishes images whose platforms several hosts have pushed; nobody where a host has to have all of one."""
    splits = plan.push and not _files(options) and all(each.can.pushes for each in builders.all)
    return RegistryPublisher(registry, revision=revision) if splits else None


def _files(options: BuildOptions) -> bool:
    return options.load or any(options.placed.values())


def _written(config: Config, options: BuildOptions) -> tuple[Path, ...]:
    """Where a run writes on this machine."""
    outputs = [placed.path for of_app in options.placed.values() for placed in of_app]
    caches = [config.cache.local.directory] if config.cache.local.directory is not None else []
    records = [config.runs.directory] if config.runs.keep else []
    return (*outputs, *caches, *records)


@asynccontextmanager
async def _known(
    config: Config, plan: Plan, record: Recording
) -> AsyncGenerator[tuple[tuple[hosts.Named, ...], Attestations, Versioned]]:
    """What must be known before anything is opened. A context among the others, for a signal to cancel it like them."""
    named = await hosts.resolved(hosts.named(config))
    attestations = await _attestations(config)
    yield named, attestations, await versioned(config, plan, _learned(secret_readers(config), record))


def _learned(readers: Mapping[str, SecretReader], record: Recording) -> Mapping[str, SecretReader]:
    return {name: record.learning(reader) for name, reader in readers.items()}


def _all(*listeners: Callable[[Event], None]) -> Callable[[Event], None]:
    def hear(event: Event) -> None:
        for listener in listeners:
            listener(event)

    return hear
