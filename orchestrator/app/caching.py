"""The wiring of layer caches: from what was said to the entries of a solve."""

from collections.abc import Callable

import msgspec

from orchestrator.buildkit import CacheEntry
from orchestrator.buildkit.capabilities import Capabilities
from orchestrator.cache.refs import Refs, keys, refs
from orchestrator.config import Config
from orchestrator.engine.request import NO_CACHES, Caches
from orchestrator.errors import UsageError
from orchestrator.model import AppPlan, LayerCache, Plan
from orchestrator.registry import hosts
from orchestrator.registry.reference import InvalidReferenceError, Reference, parse


class AppCaches(msgspec.Struct, frozen=True, kw_only=True):
    """The layer caches of one app."""

    entries: Caches = NO_CACHES
    repositories: tuple[Reference, ...] = ()
    """Those that its build may write to."""
    hosts: tuple[str, ...] = ()
    """The registries of all of them."""


def caches(config: Config, plan: Plan, can: Capabilities) -> Callable[[AppPlan], AppCaches]:
    """What the caches of each app are.

    Args:
        config: what was said.
        plan: what is built.
        can: what the builder can do.

    Raises:
        UsageError: a reference is none.
    """
    said = config.cache
    for text, source in ((said.image, said.image_source), *((each, "$CACHE_FROM") for each in said.sources)):
        try:
            parse((text or "r.example/x").replace("{app}", "app"))
        except InvalidReferenceError as error:
            raise UsageError(f"{source}: {error.message}", hint=error.hint) from error

    def entry(ref: str, **attrs: str) -> CacheEntry:
        insecure = said.insecure or is_insecure(config, parse(ref).host)
        return CacheEntry(
            type="registry", attrs={"ref": ref, **attrs, **({"registry.insecure": "true"} if insecure else {})}
        )

    def of(app: AppPlan) -> AppCaches:
        scopes = config.environment.trust_scopes or config.environment.ci.scopes
        names = refs(app.app.name, image=said.image, sources=said.sources, scopes=scopes, alone=plan.alone)
        if app.part:
            # Each host writes what it has built; what one host has written of all platforms serves, too.
            own = refs(_part(app), image=said.image, sources=(), scopes=scopes, alone=False)
            names = Refs(write=own.write, read=tuple(dict.fromkeys((*own.read, *names.read))))
        read = tuple(entry(ref) for ref in names.read)
        places = tuple(dict.fromkeys(parse(ref).host for ref in names.read))
        local = _local(said, app, scopes, alone=plan.alone) if can.exports_cache else NO_CACHES
        read = (*local.read, *read)
        if names.write is None or said.export == "off":
            return AppCaches(entries=msgspec.structs.replace(local, read=read), hosts=places)
        if not can.exports_cache:
            # The image carries it: so the image is where it is read, too.
            read = (*read, *(entry(f"{app.repository}:{tag}") for tag in app.tags[:1]))
            inline = CacheEntry(type="inline", attrs={})
            return AppCaches(entries=Caches(read=read, written_with=(inline,)), hosts=places)
        attrs = {"mode": said.mode, **({"compression": "zstd"} if said.compression == "zstd" else {})}
        together = said.export == "with"
        written = entry(names.write, **attrs, **({"ignore-error": "true"} if together else {}))
        return AppCaches(
            entries=Caches(
                read=read,
                written_with=(*local.written_with, *([written] if together else [])),
                written_after=(*local.written_after, *([] if together else [written])),
            ),
            repositories=(parse(names.write),),
            hosts=places,
        )

    return of


def _local(said: LayerCache, app: AppPlan, scopes: tuple[str, ...], *, alone: bool) -> Caches:
    """The app's caches in directories."""
    app_name, alone = (_part(app), False) if app.part else (app.app.name, alone)
    own, *trusted = keys(app_name, name=said.local.name, scopes=scopes, alone=alone)
    read = tuple(
        CacheEntry(type="local", attrs={"src": str(directory / key)})
        for directory in said.local.sources
        for key in (own, *trusted)
    )
    if said.local.directory is None or said.export == "off":
        return Caches(read=read)
    attrs = {"dest": str(said.local.directory / own), "mode": said.mode}
    if said.compression == "zstd":
        attrs["compression"] = "zstd"
    if said.export == "with":
        return Caches(read=read, written_with=(CacheEntry(type="local", attrs={**attrs, "ignore-error": "true"}),))
    return Caches(read=read, written_after=(CacheEntry(type="local", attrs=attrs),))


def _part(app: AppPlan) -> str:
    """What the cache of a part of an image is named after."""
    return f"{app.app.name}-{app.part.replace('/', '-')}"


def is_insecure(config: Config, host: str) -> bool:
    """Whether a registry is spoken to by plain HTTP."""
    return hosts.is_insecure(host, config.registries) or hosts.is_loopback(hosts.hostname(host))
