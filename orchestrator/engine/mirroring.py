"""Builds that take their base images from mirrors, on builders whose configuration is not ours. Pure.

A daemon that knows source policies is told which sources to read in place of which: the Dockerfile stays as it is, and
so do the keys of its steps, for an image is known by its digest. Such a rule has no way back to where an image is
from, so that there is one only for what the mirror was found to have. A daemon that knows none gets the Dockerfile with
the mirror's names in it.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from orchestrator.buildkit import MemorySource, SolveRequest, SourceRule
from orchestrator.model import AppPlan

_IMAGE = "docker-image://"
_DOCKERFILE = "dockerfile"
"""The source that a Dockerfile is in."""


class Elsewhere(msgspec.Struct, frozen=True, kw_only=True):
    """An image that is taken from a mirror: full references, with a tag or a digest."""

    name: str
    at: str


class Mirroring(Protocol):
    """Knows what mirrors have."""

    async def through(self, plan: AppPlan, request: SolveRequest, *, policy: bool) -> SolveRequest:
        """The build with all that its mirrors have taken from there.

        Args:
            plan: the app's.
            request: the build.
            policy: whether the builder knows source policies.
        """
        ...

    def news(self) -> tuple[str, ...]:
        """What is to be said, each thing once."""
        ...

    @property
    def lost(self) -> int:
        """How often an image that was found in a mirror was given up there."""
        ...

    def lose(self, problem: str, *, unreachable: bool, since: int) -> bool:
        """Whether a builder's problem was to have an image from a mirror: the next build takes it from elsewhere.

        Args:
            problem: what the builder said.
            unreachable: whether the mirror gave no answer.
            since: what `lost` was when the build began: it may be about what another build has lost meanwhile.
        """
        ...


def converted(request: SolveRequest, images: Sequence[Elsewhere]) -> SolveRequest:
    """The same build, by rules for the daemon. They stand behind those that pin, and see what these have made."""
    return msgspec.structs.replace(request, source_policy=(*request.source_policy, *rules(images)))


def rules(images: Sequence[Elsewhere]) -> tuple[SourceRule, ...]:
    """What a daemon is told. References hold no `*` and no `$`."""
    found: list[SourceRule] = []
    for image in dict.fromkeys((each.name, each.at) for each in images):
        name, at = (f"{_IMAGE}{each}" for each in image)
        found.append(SourceRule(action="convert", identifier=name, to=at))
        if "@" not in name:
            # Once a tag was looked up, some frontends name the digest beside it.
            found.append(SourceRule(action="convert", identifier=f"{name}@*", to=f"{at}@${{1}}"))
    return tuple(found)


def rewritten(request: SolveRequest, text: str, *, ignore: bytes | None = None) -> SolveRequest:
    """The same build of another Dockerfile.

    Args:
        request: the build.
        text: the Dockerfile.
        ignore: the .dockerignore that is the Dockerfile's own, where it is not in the request.
    """
    file = request.attrs["filename"]
    files: dict[str, bytes] = {}
    for source in request.sources:
        if source.name == _DOCKERFILE and isinstance(source, MemorySource):
            files |= source.files
    files |= {file: text.encode()}
    files |= {f"{file}.dockerignore": ignore} if ignore is not None else {}
    others = tuple(source for source in request.sources if source.name != _DOCKERFILE)
    return msgspec.structs.replace(request, sources=(*others, MemorySource(name=_DOCKERFILE, files=files)))


def places(contexts: Mapping[str, str]) -> tuple[str, ...]:
    """The images that named contexts are, but for those of other apps, which were just pushed."""
    found = (place.removeprefix(_IMAGE) for place in contexts.values() if place.startswith(_IMAGE))
    return tuple(name for name in found if "@" not in name)
