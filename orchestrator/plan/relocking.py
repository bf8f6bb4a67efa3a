"""What `fleetpacks lock` and `fleetpacks update` keep of a lock file, and what is chosen anew. Pure.

Both are one thing. What the file has and apps still need is kept, whatever there is besides by now; what it lacks is
chosen, and what nobody needs goes. `update` forgets some of it before, or all.
"""

import posixpath
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from langs.facts import GENERATED
from langs.model import Choice
from orchestrator.config.lock import FILE, Lock
from orchestrator.errors import UsageError
from orchestrator.model import AppPlan
from orchestrator.plan.locking import stands_on


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be chosen anew."""

    apps: frozenset[str] = frozenset()
    """Paths."""
    images: frozenset[str] = frozenset()


class PinnedImage(msgspec.Struct, frozen=True, kw_only=True):
    """A base image in the lock file, or out of it."""

    name: str
    digest: str | None
    """None: nobody needs it any more, or it was not asked for."""
    before: str | None
    """What the file said."""
    needed: bool = True
    """Whether an app stands on it."""

    @property
    def changed(self) -> bool:
        """Whether the file said something else."""
        return self.digest != self.before or (self.needed and self.digest is None)


class PinnedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A tool's version for one app in the lock file, or out of it."""

    app: str
    """Its path."""
    tool: str
    version: str | None
    """None: the app's files state it, or nobody needs it any more."""
    before: str | None
    source: str | None
    """What left the choice."""

    @property
    def changed(self) -> bool:
        """Whether the file said something else."""
        return self.version != self.before


def named(words: Sequence[str], apps: Sequence[AppPlan], lock: Lock) -> Named:
    """What words of a command line mean: apps by path or name, those below a directory, images with or without a tag.

    Raises:
        UsageError: a word means nothing.
    """
    images = {name for app in apps for name in _images(app)} | set(lock.images)
    paths: set[str] = set()
    found: set[str] = set()
    for word in words:
        place = posixpath.normpath(word)
        below = {app.app.path for app in apps if _is_below(app.app.path, place) or app.app.name == word}
        meant = {name for name in images if word in {name, _repository(name)}}
        if not below and not meant:
            raise UsageError(
                f"{word!r}: no app, and no image that a generated Dockerfile stands on",
                hint=f"See `fleetpacks apps`, and [images] in {FILE}.",
            )
        paths |= below
        found |= meant
    return Named(apps=frozenset(paths), images=frozenset(found))


def forgetting(lock: Lock, apps: Collection[str]) -> Lock:
    """What counts of a lock file when the versions of these apps, and images, are asked for."""
    return Lock(versions={path: tools for path, tools in (lock.versions or {}).items() if path not in apps})


def asked_for(apps: Iterable[AppPlan], lock: Lock, anew: Named | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The images that the apps stand on, and those of them whose digests a registry has to say.

    Args:
        apps: planned without digests.
        lock: the file.
        anew: what is forgotten; None: everything.
    """
    needed: dict[str, bool] = {}
    for app in apps:
        for name in _images(app):
            again = anew is None or app.app.path in anew.apps or name in anew.images or name not in lock.images
            needed[name] = needed.get(name, False) or again
    return tuple(sorted(needed)), tuple(sorted(name for name, again in needed.items() if again))


def versions(apps: Iterable[AppPlan]) -> Mapping[str, Mapping[str, Choice]]:
    """What was chosen for the apps, by their paths. A name that is no text cannot be written into the file."""
    return {
        app.app.path: {choice.tool: choice for choice in app.build.chosen}
        for app in apps
        if app.build.chosen and app.build.language in GENERATED and app.app.path.isprintable()
    }


def compared(
    before: Lock, needed: Sequence[str], digests: Mapping[str, str], chosen: Mapping[str, Mapping[str, Choice]]
) -> tuple[tuple[PinnedImage, ...], tuple[PinnedVersion, ...]]:
    """What the file has to say beside what it said, by names."""
    images = tuple(
        PinnedImage(
            name=name,
            digest=digests.get(name) if name in needed else None,
            before=before.images.get(name),
            needed=name in needed,
        )
        for name in sorted({*needed, *before.images})
    )
    said = before.versions or {}
    pairs = {(path, tool) for all_of in (said, chosen) for path, tools in all_of.items() for tool in tools}
    return images, tuple(
        PinnedVersion(
            app=path,
            tool=tool,
            version=choice.value if choice else None,
            before=said.get(path, {}).get(tool),
            source=choice.source if choice else None,
        )
        for path, tool in sorted(pairs)
        for choice in [chosen.get(path, {}).get(tool)]
    )


def _images(app: AppPlan) -> tuple[str, ...]:
    return stands_on(app.build) if app.build.language in GENERATED else ()


def _is_below(path: str, place: str) -> bool:
    return place in {".", path} or path.startswith(f"{place}/")


def _repository(name: str) -> str:
    before, _, last = name.rpartition("/")
    return f"{before}/{last.partition(':')[0]}" if before else last.partition(":")[0]
