"""Packages of the distribution that base images are made of: how they may be named.

A name is a word of apt's command line, and apt reads more into words than names: `--option`, `name-` for what is to be
removed, patterns where nothing has the name. So what stands in a repository's file is held against a closed alphabet
(Debian Policy 5.6.1 and 5.6.12), and ends as nothing but a name, a version or a suite can.
"""

import re
from collections.abc import Iterable
from typing import Final

from langs import hardened
from langs.errors import LangError
from langs.model import Settings

PATTERN: Final = (
    r"^[a-z0-9][a-z0-9+.-]{0,98}[a-z0-9+]"
    r"(=[0-9]([A-Za-z0-9.+~:-]{0,98}[A-Za-z0-9])?|/[a-z0-9]([a-z0-9.-]{0,62}[a-z0-9])?)?$(?!\n)"
)
"""A package, with a version (`=15.6-1`) or a suite (`/bookworm-backports`) that it is to be of. For a schema, too."""
WORDS: Final = "the name of a Debian package, such as libpq-dev, which =VERSION or /SUITE may follow"
MOST: Final = 200
"""So that a line of a Dockerfile, which may be 64 KB long, is never the reason for a failure."""

_PACKAGE: Final = re.compile(PATTERN, re.ASCII)


def named(word: str) -> str:
    """The package's name alone."""
    return re.split(r"[=/]", word, maxsplit=1)[0]


def merged(declared: Iterable[str], inferred: Iterable[str] = ()) -> tuple[str, ...]:
    """All of them in an order of their own; what somebody declares, with a version say, is not inferred besides."""
    said = sorted(dict.fromkeys(declared))
    names = {named(word) for word in said}
    return tuple(sorted({*said, *(word for word in inferred if word not in names)}))


def checked(key: str, packages: Iterable[str]) -> tuple[str, ...]:
    """The packages, each of which can stand on apt's command line.

    Raises:
        LangError: one of them can not, or there are too many.
    """
    packages = tuple(packages)
    for word in packages:
        if not _PACKAGE.fullmatch(word):
            raise LangError(f"{key}: {word[:80]!r} is not the name of a Debian package", hint="As in libpq-dev.")
    if len(packages) > MOST:
        raise LangError(f"{key}: more than {MOST} packages", hint="Name an image of yours that has them: `images`.")
    return packages


def refused(settings: Settings, image: str) -> LangError:
    """The error for packages that are to be installed in an image in which nothing can be."""
    file, reason = (settings.needs[0].file, f" ({settings.needs[0].reason})") if settings.needs else (None, "")
    way = hardened.instead_of(image, settings.images)
    return LangError(
        f"{', '.join(settings.apt_run)[:200]} cannot be installed in {image}, which has no shell{reason}",
        file=file,
        hint=f"{way[:1].upper()}{way[1:]} that has them, or a shell.",
    )
