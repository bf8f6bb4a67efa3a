"""Who asks for a base image that is not there: the statement that its name or its tag comes from. Pure.

A daemon knows the image alone. The plan of a generated Dockerfile knows which file, variable or key stated the version
in its tag; of a Dockerfile of the user's own nothing is known.
"""

import re
from collections.abc import Iterator
from typing import Final

from langs import hardened
from langs.model import Version
from orchestrator.errors import FleetpacksError, ImageNotFoundError
from orchestrator.model import AppPlan
from orchestrator.workspace.files import printable

_DEFAULT: Final = "default"
"""The source of a version that nobody states (`langs.model.Version`)."""
_FILE: Final = "fleetpacks.toml"


def explained(plan: AppPlan, error: FleetpacksError) -> FleetpacksError:
    """The failure of an app's build; where a base image is not there, with a hint that says who asks for it."""
    if not isinstance(error, ImageNotFoundError):
        return error
    said = stated(plan, error.message)
    return error if said is None else ImageNotFoundError(error.message, hint=f"{said}; or {error.hint}", at=error.at)


def stated(plan: AppPlan, message: str) -> str | None:
    """What to correct where a message says of one of an app's base images that it is not there.

    Args:
        plan: the app's.
        message: names the image as a daemon or a registry does, perhaps in a mirror.

    Returns:
        A clause without an end; None where the message names none of them, or nothing states its version.
    """
    if plan.build.dockerfile_path is not None:
        return None
    image = next((each for each in _images(plan.build.dockerfile) if _names(message, each)), None)
    if image is None:
        return None
    said: list[str] = []
    key = hardened.key_of(image, plan.app.settings.images)
    if key is not None:
        said.append(f"`images.{key}` in {_FILE} names {image}")
    version = _version(plan, image)
    if version is not None:
        tool, asked = version
        said.append(_of_version(tool, asked, image))
    return f"{' and '.join(said)}: correct that" if said else None


def _images(dockerfile: str) -> Iterator[str]:
    """The images with tags that a generated Dockerfile begins stages with, the longest names first."""
    found = {
        word.partition("@")[0]
        for line in dockerfile.splitlines()
        if line.startswith("FROM ")
        for word in line.split()[1:]
        if not word.startswith("--") and ":" in word.rpartition("/")[2]
    }
    yield from sorted(found, key=lambda image: (-len(image), image))


def _names(message: str, image: str) -> bool:
    return re.search(rf"(?<![A-Za-z0-9._-]){re.escape(image)}(?![A-Za-z0-9_-]|\.[A-Za-z0-9])", message) is not None


def _version(plan: AppPlan, image: str) -> tuple[str | None, Version] | None:
    """The version that an image's tag was made of, with the tool that `versions` knows it by; the longest that fits."""
    build, tag = plan.build, image.rpartition(":")[2]
    known: list[tuple[str | None, Version | None]] = [(None, build.runtime_version), (build.language, build.version)]
    known += [(each.tool, Version(value=each.value, source=each.source)) for each in build.chosen]
    fitting = [(tool, version) for tool, version in known if version is not None and _holds(tag, version.value)]
    return max(fitting, key=lambda each: len(each[1].value), default=None)


def _holds(tag: str, value: str) -> bool:
    return re.search(rf"(?<![0-9.]){re.escape(value)}(?![0-9])", tag) is not None


def _of_version(tool: str | None, version: Version, image: str) -> str:
    source = printable(version.source)
    if version.source == _DEFAULT:
        where = f"`versions.{tool}` in {_FILE}" if tool else _FILE
        return (
            f"no file states the version {version.value} of {image}, which is our default (state another one: {where})"
        )
    if tool is not None and version.source.rpartition("/")[2] == _FILE:
        source = f"`versions.{tool}` in {source}"
    return f"{source} states the version {version.value} of {image}"
