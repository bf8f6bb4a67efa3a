"""All that a run needs of one builder: its solves, its registry, its caches, and where files go."""

import secrets
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from langs.indexes import INDEXES
from orchestrator.app import builder, networking
from orchestrator.app.caching import caches, is_insecure
from orchestrator.app.copies import Copies
from orchestrator.app.hosts import Opened
from orchestrator.app.localcache import local_caches
from orchestrator.app.mirroring import ImageMirrors
from orchestrator.app.outputs import Outputs, hands_on, outputs
from orchestrator.buildkit import SecretReader, SolveRequest
from orchestrator.buildkit.capabilities import Capabilities
from orchestrator.config import Config
from orchestrator.config.settings import ISOLATED
from orchestrator.engine.host import BuilderHost, Prepare, PrepareExport
from orchestrator.engine.publish import EnginePublisher, RegistryPublisher
from orchestrator.engine.request import at_one_time, export_request, solve_request
from orchestrator.engine.shortfalls import asked_for, message, shortfalls
from orchestrator.errors import UsageError
from orchestrator.model import AppPlan, Attestations, Plan
from orchestrator.plan.outputs import Placed
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.hosts import hostname, is_loopback
from orchestrator.registry.reference import InvalidReferenceError, parse
from orchestrator.registry.tokens import RegistryTokens
from remote.address import EngineAddress

if TYPE_CHECKING:
    from orchestrator.app.carrying import PackageCarrier
    from orchestrator.app.keeping import Keeping


class Preparing(msgspec.Struct, frozen=True, kw_only=True):
    """What is the same for all builders of a run."""

    config: Config
    plan: Plan
    placed: Mapping[str, tuple[Placed, ...]]
    """Where files of a build go, by the app's name."""
    load: bool
    """Whether images are loaded into a Docker Engine."""
    registry: RegistryClient
    credentials: Credentials
    readers: Mapping[str, SecretReader]
    """Of the secrets of builds."""
    mirrors: Mapping[str, SecretReader]
    """Of the package indexes' addresses."""
    network: Mapping[str, SecretReader]
    """Of what stands between build steps and the world."""
    images: ImageMirrors
    attestations: Attestations
    copies: Copies
    run: str
    """Tells this run's solves from all others."""
    packages: "Keeping | None" = None
    """The package caches that are filled and kept; None: builders have what they have."""
    several: bool = False
    """Whether there are several builders."""

    def shortfalls(self, of: Opened) -> tuple[str, ...]:
        """What is asked for and a builder cannot do.

        Raises:
            UsageError: what it cannot do without.
        """
        differences = shortfalls(of.can, self._asked(of), address=str(of.address))
        return tuple(message(each, address=str(of.address)) for each in differences)

    @asynccontextmanager
    async def host(self, of: Opened) -> AsyncGenerator[BuilderHost]:
        """Get a builder ready."""
        said = self.config
        async with (
            local_caches(of.client, said.cache.local) as solver,
            outputs(said, of.address, of.can, self.placed, load=self.load) as make,
            self._publisher(of) as publisher,
        ):
            prepare, export = self._preparers(of.can, make)
            yield BuilderHost(
                solver=solver,
                publisher=publisher,
                prepare=prepare,
                export=export,
                carrier=self._carrier(of),
                measure=of.client.memory_use,
                worker=of.can.worker,
                source_policy=of.can.source_policy,
                platform=of.platform,
            )

    @asynccontextmanager
    async def _publisher(self, of: Opened) -> AsyncGenerator[RegistryPublisher | EnginePublisher]:
        tagger = RegistryPublisher(self.registry, revision=self.attestations.revision)
        if of.can.pushes or not self.plan.push:
            yield tagger
            return
        if not isinstance(of.address, EngineAddress):
            raise UsageError(
                f"{of.address}: this is a Docker Engine that pushes only by its own API",
                hint=builder.own_api_hint(of.address),
            )
        # aiohttp, only when it is needed.
        from orchestrator.docker import Engine  # noqa: PLC0415

        async with Engine(of.address, logins=self.credentials) as engine:
            yield EnginePublisher(engine, tagger)

    def _asked(self, of: Opened) -> tuple[str, ...]:
        config, apps = self.config, self.plan.apps
        # A daemon of our own is told of them; of loopback addresses every engine takes it for granted.
        own = any(host.source == ISOLATED for host in config.hosts)
        declared = {host for host, said in config.registries.items() if said.insecure and not own}
        declared = {host for host in declared if not is_loopback(hostname(host))}
        pushed = [app.repository for app in apps] if self.plan.push else []
        # Every app has the same ones.
        outputs = [placed.kind for placed in next(iter(self.placed.values()), ())]
        # Files of several platforms every builder makes.
        images = self.plan.push or self.load or not outputs
        several = any(len(app.build.platforms) > 1 for app in apps)
        return asked_for(
            of.can,
            push=self.plan.push,
            insecure=bool(declared.intersection(parse(each).host for each in (*pushed, *_read(config)))),
            load=self.load,
            outputs=outputs,
            contexts=any(app.app.contexts or app.build.contexts for app in apps),
            cache=config.cache.image is not None and config.cache.export != "off",
            cache_read=bool(config.cache.sources),
            cache_insecure=config.cache.insecure and bool(config.cache.image or config.cache.sources),
            platforms=images and several,
            archives=several and ("docker" in outputs or (self.load and hands_on(config, of.address))),
            reproducible=config.epoch is not None,
            local=config.cache.local.directory is not None or bool(config.cache.local.sources),
            attested=[
                *(["--provenance"] if config.attestations.provenance else []),
                *(["--sbom"] if config.attestations.sbom else []),
            ],
        )

    def _preparers(self, can: Capabilities, make: Outputs) -> tuple[Prepare, PrepareExport]:
        config, plan = self.config, self.plan
        cache = caches(config, plan, can)

        def ref() -> str:
            return f"fleetpacks-{self.run}-{secrets.token_hex(8)}"

        @contextmanager
        def prepare(app: AppPlan) -> Generator[SolveRequest]:
            repository, cached = parse(app.repository), cache(app)
            with self.copies.of(app) as copy:
                request = solve_request(
                    app,
                    can=can,
                    ref=ref(),
                    shared_key=copy.key,
                    clock=copy.clock,
                    push=plan.push,
                    insecure=is_insecure(config, repository.host),
                    no_cache=config.no_cache,
                    secrets={name: self.readers[name] for name in app.app.settings.secrets}
                    | {INDEXES[key].secret: self.mirrors[key] for key in app.build.indexes}
                    | dict(networking.seen_by(app, self.network)),
                    tokens=RegistryTokens(self.registry, self.credentials, writable=(repository, *cached.repositories)),
                    registries=(repository.host, *cached.hosts),
                    ssh={name: Path(socket) for name in app.app.settings.ssh if (socket := config.ssh[name])},
                    outputs=make(app),
                    caches=cached.entries,
                    attestations=self.attestations,
                )
                # What the app says itself of a proxy goes before.
                attrs = {**networking.arguments(config, app), **request.attrs}
                request = msgspec.structs.replace(request, attrs=attrs, entitlements=config.entitlements)
                yield request if config.epoch is None else at_one_time(request)

        @contextmanager
        def export(app: AppPlan) -> Generator[Sequence[SolveRequest]]:
            places = cache(app).entries.written_after
            if not places:
                yield ()
                return
            with prepare(app) as request:
                yield [export_request(request, ref=ref(), to=place) for place in places]

        return prepare, export

    def _carrier(self, of: Opened) -> "PackageCarrier | None":
        if self.packages is None:
            return None
        from orchestrator.app.carrying import PackageCarrier  # noqa: PLC0415 -- only where a directory is named

        tokens = RegistryTokens(self.registry, self.credentials)

        mirrored = self.images.for_solves(of.can)

        async def ready(request: SolveRequest, text: str) -> SolveRequest:
            request = await mirrored(request, text)
            return msgspec.structs.replace(request, tokens=tokens)

        name = of.named.name if self.several else ""
        return PackageCarrier(of.client, self.packages, no_cache=self.config.no_cache, ready=ready, name=name)


def _read(config: Config) -> Iterator[str]:
    """The registries' caches that are read, as far as they are any: what is wrong is told where they are used."""
    for source in config.cache.sources:
        filled = source.replace("{app}", "app")
        with suppress(InvalidReferenceError):
            parse(filled)
            yield filled
