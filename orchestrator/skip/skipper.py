"""Skipping: the record of an app's inputs is a tag on its image, `<repository>:fp-<digest>`.

Found, the image's manifest is put under the app's tags: two requests, no build, and nothing added to the image. A tag
that was put there before is only looked at, which costs a registry much less, and needs no more than reading. What the
image was built from is in its record, for other machines. A record vouches within one trust scope only: a pull
request's builds can never satisfy those of the main branch, which reads no scope but its own. Whatever cannot be told
means a build, and is said.
"""

import time
from collections.abc import Mapping
from typing import Protocol

import msgspec

from orchestrator.engine.publish import ManifestStore, Published
from orchestrator.engine.revision import without_revision
from orchestrator.engine.skipping import Changed, Unchanged
from orchestrator.errors import FleetpacksError, ImageNotFoundError, RegistryError
from orchestrator.model import AppPlan
from orchestrator.plan.images import images
from orchestrator.registry.manifest import Descriptor, Manifest
from orchestrator.registry.reference import Reference, parse
from orchestrator.skip.bases import BaseImages, UnknownBaseError
from orchestrator.skip.inputs import Inputs, inputs, window
from orchestrator.skip.memory import Memory, Remembered
from orchestrator.skip.reading import Reader, Seen

_MOST_NAMED = 3
_IMAGE = "docker-image://"


class Store(ManifestStore, Protocol):
    """The part of a registry client that skipping needs."""

    async def head(self, reference: Reference) -> Descriptor | None:
        """Where a reference points to."""
        ...


class _Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What an app is made of, in one scope."""

    seen: Seen
    inputs: Inputs
    bases: Mapping[str, str]


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Whose records count, and how long."""

    scope: str
    """The run's own, under which it records."""
    trusted: tuple[str, ...] = ()
    """Further scopes whose records count."""
    max_age: float
    """In seconds."""
    platform: str
    """The builder's own."""
    attestations: str = ""
    """What is attested of images: it is a part of them."""
    epoch: str = ""
    """The only time that they may have."""
    revision: str | None = None
    """The source's, for whoever reads the next run's reasons."""


class RegistrySkipper:
    """Skips what a registry has.

    Args:
        store: the registry.
        bases: knows the digests of base images.
        reader: looks at files.
        memory: what was built last, for reasons.
        policy: whose records count.
    """

    def __init__(self, store: Store, *, bases: BaseImages, reader: Reader, memory: Memory, policy: Policy) -> None:
        self._store = store
        self._bases = bases
        self._reader = reader
        self._memory = memory
        self._policy = policy
        self._looked: dict[str, _Looked] = {}

    async def look(self, plan: AppPlan) -> Unchanged | Changed:
        """Whether an app has to be built; if not, it is published when this returns."""
        path = plan.app.path
        try:
            parts = await self._parts(plan)
        except (FleetpacksError, UnknownBaseError) as error:
            return Changed(reason=error.message if isinstance(error, FleetpacksError) else str(error))
        own, *trusted = parts
        self._looked[path] = own
        before = self._memory.recall(path)
        for each in (own, *trusted):
            reference = parse(f"{plan.repository}:{each.inputs.tag}")
            try:
                manifest = await self._store.get_manifest(reference)
                return await self._unchanged(plan, manifest, own, before)
            except ImageNotFoundError:
                continue
            except FleetpacksError as error:
                reason = f"its record cannot be used: {error.message}"
                return Changed(reason=reason, record=own.inputs.tag, bases=own.bases)
        return Changed(reason=_reason(own.inputs, before, plan.repository), record=own.inputs.tag, bases=own.bases)

    def built(self, plan: AppPlan, published: Published) -> None:
        """Remember what was built."""
        looked = self._looked.get(plan.app.path)
        if looked is not None:
            self._memory.remember(
                plan.app.path,
                Remembered(
                    parts=looked.inputs.parts,
                    digest=published.digest,
                    references=published.references,
                    revision=self._policy.revision,
                ),
            )

    async def is_as_it_was(self, plan: AppPlan) -> bool:
        """Whether the files are the ones that were looked at."""
        looked = self._looked.get(plan.app.path)
        return looked is not None and await self._reader.is_as(plan, looked.seen)

    async def _unchanged(
        self, plan: AppPlan, record: Manifest, looked: _Looked, before: Remembered | None
    ) -> Unchanged:
        """The app's tags are on what a record vouches for when this returns."""
        manifest, revision = without_revision(record)
        known = before if before is not None and before.digest == manifest.digest else None
        put_before = known.references if known else ()
        references = [parse(f"{plan.repository}:{tag}") for tag in plan.tags]
        for reference in references:
            if str(reference) not in put_before or not await self._points_to(reference, manifest.digest):
                await self._store.put_manifest(reference, manifest)
        now = Remembered(
            parts=looked.inputs.parts,
            digest=manifest.digest,
            references=tuple(map(str, references)),
            revision=revision or (known.revision if known else None),
        )
        if now != before:
            self._memory.remember(plan.app.path, now)
        return Unchanged(
            published=Published(digest=now.digest, references=now.references),
            revision=now.revision,
            # They are inputs: an image for others would not be the same.
            platforms=plan.build.platforms or ((self._policy.platform,) if self._policy.platform else ()),
        )

    async def _points_to(self, reference: Reference, digest: str) -> bool:
        try:
            found = await self._store.head(reference)
        except RegistryError:
            # Not everybody answers this question; putting the tag is as good.
            return False
        return found is not None and found.digest == digest

    async def _parts(self, plan: AppPlan) -> tuple[_Looked, ...]:
        """What the app is made of, in the run's own scope and in those that it trusts."""
        stands_on = images(plan.build.dockerfile, plan.build.args, tuple(plan.build.contexts))
        if stands_on.unknown:
            raise UnknownBaseError(f"its Dockerfile's {stands_on.unknown[0]!r} is known to the builder alone")
        seen = await self._reader.see(plan)
        others = (place.removeprefix(_IMAGE) for place in plan.build.contexts.values())
        # The images of other apps are named by their digests.
        bases = await self._bases.digests((*stands_on.names, *(each for each in others if "@" not in each)))
        number = window(plan.app.path, now=time.time(), longest=self._policy.max_age)
        return tuple(
            _Looked(
                seen=seen,
                inputs=inputs(
                    plan,
                    files=seen.read.digest,
                    bases=bases,
                    platform=self._policy.platform,
                    scope=scope,
                    window=number,
                    attestations=self._policy.attestations,
                    epoch=self._policy.epoch,
                ),
                bases=bases,
            )
            for scope in (self._policy.scope, *self._policy.trusted)
        )


def _reason(now: Inputs, before: Remembered | None, repository: str) -> str:
    if before is None:
        return "no image of these inputs is recorded"
    changed = now.changed(before.parts)
    if not changed:
        elsewhere = before.references and not any(each.startswith(f"{repository}:") for each in before.references)
        return f"it was not published to {repository} yet" if elsewhere else "its record is gone"
    if changed == ("age",):
        return "its image has reached the age at which it is built anew"
    more = f" and {len(changed) - _MOST_NAMED} more" if len(changed) > _MOST_NAMED else ""
    return f"changed: {', '.join(changed[:_MOST_NAMED])}{more}"
