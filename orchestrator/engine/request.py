"""From an app's plan to the solve that builds it. Pure."""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from langs.model import SECRETS_VERSION
from orchestrator.buildkit import (
    CacheEntry,
    DirectorySource,
    Exporter,
    MemorySource,
    SecretReader,
    SolveRequest,
    Source,
    SourceRule,
    TokenProvider,
)
from orchestrator.buildkit.capabilities import Capabilities
from orchestrator.buildkit.session.sources import Clock
from orchestrator.engine.origin import labels
from orchestrator.model import AppPlan, Attestations
from orchestrator.registry.reference import DEFAULT_TAG, parse

_DOCKERFILE = "Dockerfile"
_OF_LAYERS = frozenset({"image", "oci", "docker"})
"""The exporters that make layers."""


class Caches(msgspec.Struct, frozen=True, kw_only=True):
    """The layer caches of one app."""

    read: tuple[CacheEntry, ...] = ()
    written_with: tuple[CacheEntry, ...] = ()
    """In the build itself."""
    written_after: tuple[CacheEntry, ...] = ()
    """Each in a solve of its own, when the app is published: it delays nobody, and may fail."""


NO_CACHES = Caches()
NO_ATTESTATIONS = Attestations()


def filters(plan: AppPlan) -> str:
    """What decides which files are sent, and from where."""
    return f"{plan.build.dockerfile_path or ''}\n{plan.build.context}\n{plan.build.dockerignore or ''}"


def copies(plan: AppPlan) -> str:
    """What decides which of a daemon's copies of an app's context is used: one half of its shared key."""
    # Parts are built at once, on hosts of their own: each keeps its key, and so its host the copy that it has.
    return f"{filters(plan)}\n{plan.part}" if plan.part else filters(plan)


def solve_request(
    plan: AppPlan,
    *,
    can: Capabilities,
    ref: str,
    shared_key: str,
    push: bool,
    insecure: bool,
    no_cache: bool,
    secrets: Mapping[str, SecretReader],
    tokens: TokenProvider | None,
    registries: tuple[str, ...],
    ssh: Mapping[str, Path] = {},
    outputs: tuple[Exporter, ...] = (),
    caches: Caches = NO_CACHES,
    attestations: Attestations = NO_ATTESTATIONS,
    clock: Callable[[], Clock] | None = None,
) -> SolveRequest:
    """The solve for one app.

    The builder pushes by digest and never writes a tag, or does not push at all: publication is the engine's. Without
    `push` the image is still assembled, so that its digest is known and its layers are in the builder's cache, unless
    there are `outputs`: they say alone what is made then.

    Args:
        plan: the app and its Dockerfile.
        can: what the builder can do.
        ref: the build's id, unique on the daemon.
        shared_key: what the daemon files its copy of the context under.
        push: whether the image goes to the registry.
        insecure: whether that registry speaks plain HTTP.
        no_cache: whether every step is executed again.
        secrets: readers of the declared secrets' values.
        tokens: where the builder gets its short-lived registry tokens.
        registries: the hosts for which the builder may be given a password, where a registry knows no tokens.
        ssh: sockets of the declared SSH agents.
        outputs: what else is made of the result.
        caches: layer caches in registries.
        attestations: what is attested of the image, and what is known of its source.
        clock: knows with which times the context's files are sent; see `DirectorySource`.
    """
    build = plan.build
    context = DirectorySource(name="context", root=plan.app.directory / build.context, clock=clock)
    if build.dockerfile_path is None:
        # `<name>.dockerignore` beside the Dockerfile wins over the context's own file, for every daemon since 18.09.
        files = {_DOCKERFILE: build.dockerfile.encode()}
        if build.dockerignore is not None:
            files[f"{_DOCKERFILE}.dockerignore"] = build.dockerignore.encode()
        dockerfile: Source = MemorySource(name="dockerfile", files=files)
        attrs = {"filename": _DOCKERFILE}
    else:
        dockerfile = DirectorySource(name="dockerfile", root=plan.app.directory)
        attrs = {"filename": build.dockerfile_path}
    attrs |= {f"build-arg:{name}": value for name, value in build.args.items()}
    if plan.secrets_version:
        attrs[f"build-arg:{SECRETS_VERSION}"] = plan.secrets_version
    attrs |= {f"label:{name}": value for name, value in {**labels(plan, attestations), **build.labels}.items()}
    if build.contexts:
        # What a frontend that knows no named contexts must refuse, instead of looking for an image of that name.
        attrs["frontend.caps"] = "moby.buildkit.frontend.contexts+forward"
        attrs |= {f"context:{name}": place for name, place in build.contexts.items()}
    if build.target is not None:
        attrs["target"] = build.target
    if build.platforms:
        attrs["platform"] = ",".join(build.platforms)
    if plan.part:
        # An index, and steps that say for which platform they are (dockerui/config.go, v0.30.0).
        attrs["multi-platform"] = "true"
    if no_cache:
        attrs["no-cache"] = ""
    attrs |= _attests(attestations)
    image = Exporter(type=can.image_exporter, attrs=_image(plan, can, push=push, insecure=insecure))
    # An engine keeps what it builds: one image serves for its push and for `--load`.
    kept = next((each for each in outputs if each.type == image.type and not can.pushes), None)
    if kept is not None:
        image, outputs = kept, tuple(each for each in outputs if each is not kept)
    return SolveRequest(
        ref=ref,
        attrs=attrs,
        exporter=image if push or kept or not outputs else None,
        outputs=outputs,
        sources=(context, dockerfile),
        shared_key=shared_key,
        secrets=secrets,
        tokens=tokens,
        registries=registries,
        cache_imports=() if no_cache else caches.read,
        cache_exports=caches.written_with,
        ssh=ssh,
    )


def _attests(said: Attestations) -> Mapping[str, str]:
    """The frontend's attributes (docs/attestations, BuildKit v0.30.0); what begins with `vcs:` is in no cache key."""
    attrs: dict[str, str] = {}
    if said.sbom:
        attrs["attest:sbom"] = f"generator={said.scanner}" if said.scanner else ""
    if said.provenance is not None:
        builder = f",builder-id={said.builder}" if said.builder else ""
        attrs["attest:provenance"] = f"mode={said.provenance}{builder}"
        attrs |= {"vcs:source": said.source} if said.source else {}
        attrs |= {"vcs:revision": said.revision} if said.revision else {}
    return attrs


def with_cache(request: SolveRequest) -> SolveRequest:
    """The same build, which may find in the cache what it has executed before."""
    attrs = {name: value for name, value in request.attrs.items() if name != "no-cache"}
    return msgspec.structs.replace(request, attrs=attrs)


def pinned(request: SolveRequest, bases: Mapping[str, str]) -> SolveRequest:
    """The same build, on the base images as they were looked up, whatever their tags have come to point to.

    The daemon takes them for the same as it finds under the tag itself, so that a step is cached with and without.

    Args:
        request: the build.
        bases: digests by the references that Dockerfiles give, which are legal.
    """
    # References hold no `*` and no `$`.
    digests = {_place(name): digest for name, digest in bases.items() if "@" not in name}
    rules = [SourceRule(action="convert", identifier=at, to=f"{at}@{digest}") for at, digest in digests.items()]
    return msgspec.structs.replace(request, source_policy=(*request.source_policy, *rules))


def at_one_time(request: SolveRequest) -> SolveRequest:
    """The same build, in whose layers no file is younger than the epoch, which is one of its arguments.

    Archives and directories of files alone get it from that argument (exporter/local, exporter/tar, v0.30.0).
    """

    def told(exporter: Exporter) -> Exporter:
        if exporter.type not in _OF_LAYERS:
            return exporter
        return msgspec.structs.replace(exporter, attrs={**exporter.attrs, "rewrite-timestamp": "true"})

    made = told(request.exporter) if request.exporter else None
    return msgspec.structs.replace(request, exporter=made, outputs=tuple(map(told, request.outputs)))


def _place(name: str) -> str:
    reference = parse(name)
    return f"docker-image://{reference.repository}:{reference.tag or DEFAULT_TAG}"


def export_request(request: SolveRequest, *, ref: str, to: CacheEntry) -> SolveRequest:
    """The solve that writes a build's cache, after the build: the same definition, of which every step is cached.

    It reads what the build has read: a step that was cached because a later one was is known from there alone, and a
    cache that is written without it is poorer than the one before (seen with v0.30 and Docker 29).

    Args:
        request: the build's.
        ref: another one.
        to: where.
    """
    return msgspec.structs.replace(with_cache(request), ref=ref, exporter=None, outputs=(), cache_exports=(to,))


def _image(plan: AppPlan, can: Capabilities, *, push: bool, insecure: bool) -> Mapping[str, str]:
    attrs = {"oci-mediatypes": "true"} if can.oci_media_types else {}
    if push and can.pushes:
        # Not kept in an engine's or containerd's store, where it would have a name without a tag that nothing removes.
        attrs |= {"name": plan.repository, "push": "true", "push-by-digest": "true", "store": "false"}
        if insecure:
            attrs["registry.insecure"] = "true"
    return attrs
