"""What a plan's apps stand on: each image once, with the platforms that it is needed for. Pure."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from orchestrator.model import AppPlan
from orchestrator.plan.images import images


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """An image that builds begin with."""

    name: str
    """As the Dockerfiles write it."""
    platforms: tuple[str, ...] = ()
    """For which builds need it; none: for the builder's own."""
    apps: tuple[str, ...]
    """Who needs it, by name."""


class Bases(msgspec.Struct, frozen=True, kw_only=True):
    """What all apps stand on."""

    images: tuple[Base, ...]
    unknown: tuple[str, ...] = ()
    """What Dockerfiles write of images that only a build can tell."""


def bases(apps: Iterable[AppPlan], *, own: str) -> Bases:
    """The images of these apps' Dockerfiles, but for those of other apps.

    Args:
        apps: the plan's.
        own: the builder's own platform, for which an app is built that names none.
    """
    users: dict[str, dict[str, tuple[str, ...]]] = {}
    unknown: dict[str, None] = {}
    for app in apps:
        # Those of other apps are known by their digests only when these are built.
        others = (*app.build.contexts, *app.app.contexts)
        found = images(app.build.dockerfile, app.build.args, others)
        unknown |= dict.fromkeys(found.unknown)
        for name in found.names:
            users.setdefault(name, {})[app.app.name] = () if name in found.native else app.build.platforms
    return Bases(
        images=tuple(
            Base(name=name, platforms=_together(by_app.values(), own), apps=tuple(by_app))
            for name, by_app in users.items()
        ),
        unknown=tuple(unknown),
    )


def base_names(apps: Iterable[AppPlan]) -> Mapping[str, Sequence[str]]:
    """The images of each app's Dockerfile, but for those of other apps, as far as its text tells; by the app's name."""
    return {
        app.app.name: images(app.build.dockerfile, app.build.args, (*app.build.contexts, *app.app.contexts)).names
        for app in apps
    }


def _together(asked: Iterable[tuple[str, ...]], own: str) -> tuple[str, ...]:
    every = tuple(dict.fromkeys(platform for platforms in asked for platform in platforms or (own,)))
    return () if every == (own,) else every
