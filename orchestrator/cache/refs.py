"""The references of layer caches in a registry: one for each app that is built, so that none overwrites another.

The only app of a source gets the reference exactly as it was given, unless it is built for somebody who trusts another
(a pull request). Of several, each one's name is added to the tag, and so is the scope of who builds: a branch reads the
cache of the branch that it trusts, and never writes it.
"""

import hashlib
import re

import msgspec

_APP = "{app}"
_LONGEST_TAG = 128
_LONGEST_SCOPE = 40
_HASH = 32
"""Hexadecimal digits, which tell scopes apart: nobody finds a name for a branch that has another one's cache."""
_ILLEGAL = re.compile(r"[^A-Za-z0-9_.-]+")
_LOCAL = "local"


class Refs(msgspec.Struct, frozen=True, kw_only=True):
    """An app's layer caches."""

    write: str | None
    """Where its cache is exported to."""
    read: tuple[str, ...]
    """Where it is looked for, the most likely one first."""


def refs(app: str, *, image: str | None, sources: tuple[str, ...], scopes: tuple[str, ...], alone: bool) -> Refs:
    """The caches of one app.

    Args:
        app: its name.
        image: what `CACHE_IMAGE` says; may hold `{app}`.
        sources: what `CACHE_FROM` says: read, never written; may hold `{app}`.
        scopes: who builds, then those that it trusts.
        alone: the source has this one app only.
    """
    given = tuple(source.replace(_APP, app) for source in sources)
    if image is None:
        return Refs(write=None, read=given)
    if alone and _APP not in image:
        # Who trusts another one reads its cache, and writes beside it.
        own = _derived(image, None, scopes[0]) if scopes[1:] else image
        return Refs(write=own, read=tuple(dict.fromkeys((own, image, *given))))
    own, *trusted = [_derived(image, app, scope) for scope in scopes or (_LOCAL,)]
    return Refs(write=own, read=tuple(dict.fromkeys((own, *trusted, *given))))


def keys(app: str, *, name: str | None, scopes: tuple[str, ...], alone: bool) -> tuple[str, ...]:
    """The names of an app's caches in directories: the one that is written, then those of the scopes that it trusts.

    Args:
        app: its name.
        name: what a runner calls that which it builds.
        scopes: who builds, then those that it trusts.
        alone: the source has this one app only, which `name` alone stands for then.
    """
    words = [*([name] if name else []), *([] if name and alone else [app])]
    made = [[*words, *([] if scope == _LOCAL else [scope])] for scope in scopes or (_LOCAL,)]
    return tuple(
        f"{_ILLEGAL.sub('-', '-'.join(each)).strip('-.')[:_LONGEST_SCOPE]}-{_short(repr(each))}" for each in made
    )


def _derived(image: str, app: str | None, scope: str) -> str:
    given = image.replace(_APP, app or "")
    repository, colon, tag = given.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = given, "cache"
    parts = [tag, *([] if _APP in image or app is None else [app]), *([] if scope == _LOCAL else [_slug(scope)])]
    name = "-".join(parts)
    if len(name) > _LONGEST_TAG:
        name = f"{name[: _LONGEST_TAG - _HASH - 1]}-{_short(name)}"
    return f"{repository}:{name}"


def _slug(scope: str) -> str:
    """A scope as a part of a tag: `refs/heads/feature/x` and `refs/heads/feature-x` are two."""
    words = _ILLEGAL.sub("-", scope.removeprefix("refs/heads/").removeprefix("refs/")).strip("-")
    return f"{words[:_LONGEST_SCOPE]}-{_short(scope)}"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:_HASH]
