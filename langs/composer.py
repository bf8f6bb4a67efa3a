"""composer.json and composer.lock: the parts of them that decide something, checked."""

import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Final, TypeVar, cast

import msgspec

from langs import documents
from langs.errors import LangError
from langs.files import AppFiles, once

_T = TypeVar("_T")
FILE: Final = "composer.json"
LOCK: Final = "composer.lock"

_MAX_LOCK: Final = 8 << 20
"""Bytes of a lockfile that are read; it holds the whole composer.json of every package."""
_EXTENSION: Final = re.compile(r"ext-([a-z0-9][a-z0-9_-]{0,63})", re.ASCII | re.IGNORECASE)
_BUILT_IN: Final = frozenset(
    {"core", "ctype", "curl", "date", "dom", "fileinfo", "filter", "hash", "iconv", "json", "libxml", "mbstring"}
    | {"mysqlnd", "openssl", "pcre", "pdo", "pdo_sqlite", "phar", "posix", "random", "readline", "reflection"}
    | {"session", "simplexml", "sodium", "spl", "sqlite3", "standard", "tokenizer", "xml", "xmlreader", "xmlwriter"}
    | {"zlib"}
)
"""What `php -m` of the official PHP images shows (https://hub.docker.com/_/php), on which FrankenPHP's stand."""
_OTHER_NAMES: Final = {"zend-opcache": "opcache"}


class _Options(msgspec.Struct):
    symlink: bool | None = None


class _Repository(msgspec.Struct):
    type: str | None = None
    url: str | None = None
    options: _Options = msgspec.field(default_factory=_Options)


class _Settings(msgspec.Struct):
    platform: object = None


class _Extra(msgspec.Struct, rename="kebab"):
    public_dir: str | None = None


class _Raw(msgspec.Struct):
    """composer.json as its schema defines it; PHP writes an empty object as an empty list."""

    name: object = None
    type: str | None = None
    require: dict[str, str] | list[object] = {}
    config: object = None
    extra: object = None
    repositories: object = None


class _Package(msgspec.Struct):
    require: dict[str, str] | list[object] = {}


class _Lock(msgspec.Struct, rename="kebab"):
    packages: list[_Package] = []
    platform: dict[str, str] | list[object] = {}
    platform_overrides: dict[str, str] | list[object] = {}


class Directory(msgspec.Struct, frozen=True, kw_only=True):
    """A directory of the app that holds packages which it depends on."""

    path: str
    """From the app's directory; may be a pattern."""
    whole: bool
    """Whether Composer copies what is in it, instead of making a link to it."""


class Composer(msgspec.Struct, frozen=True, kw_only=True):
    """What a build needs of a composer.json and its lockfile."""

    name: str | None = None
    library: bool = False
    """Whether it says that it is for others to require."""
    requires: frozenset[str] = frozenset()
    php: tuple[tuple[str, str, str], ...] = ()
    """What is said of PHP's version: file, key and text, in the order in which they count."""
    locked_php: frozenset[str] = frozenset()
    """What the locked packages ask of PHP."""
    extensions: tuple[str, ...] = ()
    """The extensions that the app and its dependencies need and PHP's images do not have, sorted."""
    public: str | None = None
    """The document root, where it says one."""
    directories: tuple[Directory, ...] = ()
    locked: bool = False


@once
def read(files: AppFiles) -> Composer | None:
    """The app's composer.json, or None without one; the lockfile, which may be long, is only looked for.

    Raises:
        LangError: it is no JSON object, or a part of it has another type than Composer gives it.
    """
    return _read(files, _Lock())


def read_locked(files: AppFiles) -> Composer | None:
    """The app's composer.json with its lockfile, or None without one.

    Raises:
        LangError: as `read`, of both files.
    """
    locked = files.read_head(LOCK, _MAX_LOCK)
    return _read(files, _Lock() if locked is None else documents.json_as(locked, _Lock, LOCK))


def _read(files: AppFiles, lock: _Lock) -> Composer | None:
    text = files.read_text(FILE)
    if text is None:
        return None
    raw = documents.json_as(text, _Raw, FILE)
    require = _mapping(raw.require)
    settings = _shaped(raw.config, _Settings, "config")
    platform = _shaped(settings.platform, dict[str, object], "config.platform")
    pinned = platform.get("php")
    stated = (
        (FILE, "require.php", require.get("php")),
        (FILE, "config.platform.php", pinned if isinstance(pinned, str) else None),
        (LOCK, "platform-overrides.php", _mapping(lock.platform_overrides).get("php")),
        (LOCK, "platform.php", _mapping(lock.platform).get("php")),
    )
    named = [
        *require,
        *_mapping(lock.platform),
        *(name for package in lock.packages for name in _mapping(package.require)),
    ]
    return Composer(
        name=raw.name if isinstance(raw.name, str) else None,
        library=raw.type not in {None, "project"},
        requires=frozenset(require),
        php=tuple((file, key, text) for file, key, text in stated if text),
        locked_php=frozenset(text for package in lock.packages if (text := _mapping(package.require).get("php"))),
        extensions=tuple(sorted(set(_extensions(named)))),
        public=_shaped(raw.extra, _Extra, "extra").public_dir,
        directories=tuple(_directories(raw.repositories)),
        locked=files.exists(LOCK),
    )


def _mapping(said: Mapping[str, str] | list[object]) -> Mapping[str, str]:
    return {} if isinstance(said, list) else said


def _shaped(said: object, expected: type[_T], key: str) -> _T:
    try:
        # PHP writes what is empty as a list, whatever it would be else.
        return msgspec.convert(said, type=expected) if said else expected()
    except msgspec.ValidationError as error:
        raise LangError(f"{key} has another shape than expected: {error}", file=FILE, hint="Correct it.") from error


def _extensions(names: Iterable[str]) -> Iterable[str]:
    for name in names:
        match = _EXTENSION.fullmatch(name)
        if match:
            plain = match[1].lower()
            plain = _OTHER_NAMES.get(plain, plain)
            if plain not in _BUILT_IN:
                yield plain


def _directories(said: object) -> Iterable[Directory]:
    entries = list(cast("dict[str, object]", said).values()) if isinstance(said, dict) else said
    for entry in _shaped(entries or [], list[object], "repositories"):
        # `{"packagist.org": false}` switches an index off.
        if not isinstance(entry, dict) or "type" not in entry:
            continue
        repository = _shaped(cast("object", entry), _Repository, "repositories")
        if repository.type in {"path", "artifact"} and repository.url:
            path = posixpath.normpath(repository.url)
            yield Directory(path=path, whole=repository.type == "artifact" or repository.options.symlink is False)
