"""`fleetpacks.toml`: what the repository being built may say.

It stands at the root, and in an app's directory for that app. It is untrusted: nothing in it can change where an
image goes, which daemon is used, or what a build may see. The root's file knows more keys, and its `port`,
`healthcheck`, `apt`, `apt_run`, `versions`, `env`, `secrets`, `ssh` and `images` hold for every app below.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from langs import debian, health
from langs.facts import IMAGES, NAMES
from langs.listing import Listing
from orchestrator.config import credentials, decode, platforms
from orchestrator.config.decode import WORDS, Document, Key, did_you_mean
from orchestrator.errors import ConfigError
from orchestrator.text import parse_duration

FILE = "fleetpacks.toml"

OPERATOR_KEYS = ("image", "hosts", "registries", "mirrors", "network", "entitlements", "jobs", "hedge")
"""First parts of keys that only the operator may state. (`secrets` has another form in each file.)"""

_OPERATOR_HINT = "This is the operator's to say: put it into ~/.config/fleetpacks/config.toml or $FLEETPACKS_CONFIG."
_NAME = r"^[a-z0-9]+([._-][a-z0-9]+)*$(?!\n)"
_NAME_WORDS = {WORDS: "lower-case letters and digits, between them single dots, dashes or underscores"}
_TIME = r"^[0-9]{1,6}[smhd]$(?!\n)"
_TIME_WORDS = {WORDS: "a whole number and one of s, m, h, d, such as 30m"}
"""`$` alone lets a line break stand at the end in Python, but `\\Z` means nothing in a JSON schema."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONTEXT = re.compile(r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[A-Za-z0-9_][A-Za-z0-9_.-]*)?", re.ASCII)
"""What FROM may name, as BuildKit reads it: an image's name, which a tag may follow."""
APP = "app:"
"""How the value of a context begins that is the image of an app."""
SSH_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

NonEmpty = Annotated[str, Meta(min_length=1)]
Package = Annotated[str, Meta(pattern=debian.PATTERN, extra={WORDS: debian.WORDS})]
Platform = Annotated[str, Meta(pattern=platforms.PATTERN, extra={WORDS: platforms.WORDS})]
Check = Annotated[bool | Annotated[str, Meta(pattern=health.PATTERN)], Meta(extra={WORDS: health.WORDS})]


class SecretTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A secret of which more is to be said than its name."""

    name: Annotated[str, Meta(min_length=1, description="Its name.")]
    invalidates: Annotated[bool, Meta(description="Whether the steps that read it run again for another value.")] = (
        False
    )


class AppTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What can be said of one app: its own `fleetpacks.toml`, or its `[apps."path"]` table in the root's file."""

    name: (
        Annotated[str, Meta(pattern=_NAME, max_length=100, description="The app's name.", extra=_NAME_WORDS)] | None
    ) = None
    language: Annotated[str, Meta(min_length=1, description="The language, instead of detection.")] | None = None
    dockerfile: Annotated[str, Meta(min_length=1, description="Your Dockerfile, from the app's directory.")] | None = (
        None
    )
    buildpacks: Annotated[
        tuple[NonEmpty, ...], Meta(description="Languages, instead of detection; the first one starts the app.")
    ] = ()
    compose: Annotated[str, Meta(min_length=1, description="Your Compose file, from the app's directory.")] | None = (
        None
    )
    run: Annotated[str, Meta(min_length=1, description="The command that starts the app.")] | None = None
    build: Annotated[str, Meta(min_length=1, description="The command that builds the app.")] | None = None
    port: Annotated[int, Meta(ge=1, le=65535, description="The port the app listens on.")] | None = None
    healthcheck: (
        Annotated[Check, Meta(description="HEALTHCHECK of the image: a path, or true for the framework's own or /.")]
        | None
    ) = None
    platforms: Annotated[
        tuple[Platform, ...], Meta(description="What the image is built for: linux/amd64, linux/arm64.")
    ] = ()
    apt: Annotated[tuple[Package, ...], Meta(description="Debian packages that the build needs.")] = ()
    apt_run: Annotated[tuple[Package, ...], Meta(description="Debian packages that are installed in the image.")] = ()
    versions: Annotated[Mapping[str, NonEmpty], Meta(description="Versions by language.")] = {}
    env: Annotated[Mapping[str, str], Meta(description="Variables of the build steps and of the image.")] = {}
    secrets: Annotated[
        tuple[NonEmpty | SecretTable, ...],
        Meta(description="The secrets that build steps may read: their names, or tables."),
    ] = ()
    ssh: Annotated[
        tuple[NonEmpty, ...], Meta(description="Ids of the SSH agents that your Dockerfile's steps ask.")
    ] = ()
    timeout: (
        Annotated[str, Meta(pattern=_TIME, description="How long a build may take: 90s, 30m, 2h.", extra=_TIME_WORDS)]
        | None
    ) = None
    images: Annotated[Mapping[str, NonEmpty], Meta(description="Replaced base images, by well-known name.")] = {}
    depends_on: Annotated[
        tuple[NonEmpty, ...], Meta(description="Apps, and directories from the root, that the app uses.")
    ] = ()
    contexts: Annotated[
        Mapping[str, NonEmpty], Meta(description="Images of other apps for your Dockerfile: FROM name -> app:NAME.")
    ] = {}


class SkipTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When an image whose inputs have not changed is not built again."""

    enabled: Annotated[bool, Meta(description="Whether apps are skipped at all.")] = True
    max_age: Annotated[
        str, Meta(pattern=_TIME, description="How old an image may become: 90m, 168h, 7d.", extra=_TIME_WORDS)
    ] = "7d"


class CacheTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How layer caches are written to where the operator has them."""

    mode: Annotated[
        Literal["min", "max"], Meta(description="Of which layers: the image's, or those of all stages.")
    ] = "min"
    export: Annotated[
        Literal["after", "with", "off"], Meta(description="When: after the publication, with the build, or never.")
    ] = "after"
    compression: Annotated[Literal["gzip", "zstd"], Meta(description="Of its layers.")] = "gzip"


class RootTable(AppTable, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The root's `fleetpacks.toml`."""

    ignore: Annotated[tuple[NonEmpty, ...], Meta(description="Where no apps are, as .gitignore patterns.")] = ()
    apps: Annotated[Mapping[str, AppTable], Meta(description="Apps by their directory, from the root.")] = {}
    cache: Annotated[CacheTable, Meta(description="How layer caches are written.")] = CacheTable()
    skip: Annotated[SkipTable, Meta(description="When an unchanged app is not built.")] = SkipTable()


class Stated(msgspec.Struct, frozen=True, kw_only=True):
    """A table together with the document and the key where it stands, for errors and sources."""

    table: AppTable
    document: Document
    key: Key = ()

    def error(self, key: Key, problem: str, *, hint: str) -> ConfigError:
        """An error at `key` of this table."""
        return self.document.error((*self.key, *key), problem, hint=hint)


def read_root(root: Path) -> tuple[RootTable, Document] | None:
    """The root's file, or None.

    Raises:
        ConfigError: with file, line and key.
    """
    document = decode.read(root / FILE, name=FILE, within=root)
    if document is None:
        return None
    table = decode.decode(document, RootTable, foreign=_foreign)
    for path in table.apps:
        normal = normal_path(path)
        if normal != path:
            hint = f"Write [apps.{decode.quoted(normal)}]." if normal else "Name a directory below the root, or `.`."
            raise document.error(("apps", path), "expected a relative path without `..` and `./`", hint=hint)
        check(Stated(table=table.apps[path], document=document, key=("apps", path)))
    if not parse_duration(table.skip.max_age):
        raise document.error(("skip", "max_age"), "expected more than nothing", hint="Never skip: enabled = false.")
    check(Stated(table=table, document=document))
    return table, document


def read_app(root: Path, path: str) -> Stated | None:
    """The file in an app's own directory, or None; `path` is relative to the root and not `.`.

    Raises:
        ConfigError: with file, line and key.
    """
    name = f"{path}/{FILE}"
    try:
        # Most apps have none, and to make a Path costs more than this look.
        os.lstat(f"{root}/{name}")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        pass  # is told of below
    document = decode.read(Path(f"{root}/{name}"), name=name, within=root)
    if document is None:
        return None
    stated = Stated(table=decode.decode(document, AppTable, foreign=_foreign_below), document=document)
    check(stated)
    return stated


class OwnFiles:
    """The files in the apps' own directories, each read once: what it says is asked for several times."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read: dict[str, Stated | None] = {}
        self._listings: Mapping[str, Listing] = {}

    def know(self, listings: Mapping[str, Listing]) -> None:
        """Look for no file where there is none: most apps have none.

        Args:
            listings: what directories hold, by their absolute paths. They may become more.
        """
        self._listings = listings

    def read(self, path: str) -> Stated | None:
        """See `read_app`.

        Raises:
            ConfigError: as there.
        """
        if path not in self._read:
            listing = self._listings.get(f"{self._root}/{path}")
            is_there = listing is None or listing.holds(FILE)
            self._read[path] = read_app(self._root, path) if is_there else None
        return self._read[path]


def check(stated: Stated) -> None:
    """Judge what types cannot say.

    Raises:
        ConfigError: a name that is no identifier, a language that does not exist, a variable with a NUL, and the like.
    """
    table = stated.table
    _check_names(stated)
    _check_declared(stated)
    _check_packages(stated)
    for name, value in table.env.items():
        if not _VARIABLE.fullmatch(name):
            raise stated.error(
                ("env", name), "expected the name of a variable", hint="Letters, digits and _ only, no digit first."
            )
        if why := credentials.reason(name, value):
            raise stated.error(
                ("env", name),
                f"{why}, and [env] ends up in the image",
                hint=f'Remove it, and declare secrets = ["{name}"]; the operator\'s file says where its value is read.',
            )
        if "\0" in value:
            raise stated.error(("env", name), "the value holds a NUL byte", hint="No program can receive that.")
    for key, file in (("dockerfile", table.dockerfile), ("compose", table.compose)):
        if file is not None and normal_path(file) in {None, "."}:
            raise stated.error(
                (key,), "expected a file below the app's directory", hint="Give it relative, without `..`."
            )
    for key, command in (("run", table.run), ("build", table.build)):
        if command is not None and any(character in command for character in "\0\n\r"):
            raise stated.error((key,), "expected one line", hint="Put longer commands into a script of the app.")


def _check_declared(stated: Stated) -> None:
    """The names of what only the operator can give."""
    for index, secret in enumerate(stated.table.secrets):
        name = secret if isinstance(secret, str) else secret.name
        if not _VARIABLE.fullmatch(name):
            raise stated.error(
                ("secrets", index), f"expected an identifier, got {name!r}", hint="Letters, digits and _ only."
            )
    for index, name in enumerate(stated.table.ssh):
        if not SSH_ID.fullmatch(name):
            raise stated.error(
                ("ssh", index), f"expected the id of an agent, got {name!r}", hint='As in ssh = ["default"].'
            )
    for name, value in stated.table.contexts.items():
        if not _CONTEXT.fullmatch(name):
            raise stated.error(
                ("contexts", name), "expected what FROM can name", hint='As in contexts = { base = "app:base" }.'
            )
        if not value.removeprefix(APP) or not value.startswith(APP):
            raise stated.error(
                ("contexts", name), f"expected the image of an app, got {value!r}", hint=f'Write it as "{APP}NAME".'
            )


def _check_packages(stated: Stated) -> None:
    """The lists of the distribution's packages."""
    for key, packages in (("apt", stated.table.apt), ("apt_run", stated.table.apt_run)):
        if len(packages) > debian.MOST:
            raise stated.error(
                (key,), f"more than {debian.MOST} packages", hint="Name an image of yours that has them: [images]."
            )


def _check_names(stated: Stated) -> None:
    """The names that `langs` publishes."""
    table = stated.table
    named: list[tuple[Key, str, str, tuple[str, ...]]] = [
        *((("versions", name), name, "language", NAMES) for name in table.versions),
        *((("images", name), name, "base image", IMAGES) for name in table.images),
    ]
    if table.language is not None:
        named.append((("language",), table.language, "language", NAMES))
    named += [(("buildpacks", index), name, "language", NAMES) for index, name in enumerate(table.buildpacks)]
    for key, word, what, known in named:
        if word not in known:
            near = did_you_mean(word, known)
            hint = f"Did you mean {near!r}?" if near else f"Known: {', '.join(known)}."
            raise stated.error(key, f"unknown {what} {word!r}", hint=hint)


def normal_path(path: str) -> str | None:
    """`path` as apps are called: POSIX, relative, without `.` parts; None when it leaves the root or is absolute."""
    if path.startswith("/") or "\0" in path:
        return None
    parts = [part for part in path.split("/") if part not in {"", "."}]
    return None if ".." in parts else "/".join(parts) or "."


def _foreign(key: Key, value: object) -> str | None:
    app_key = key[2:] if key[0] == "apps" else key
    if app_key[:1] and app_key[0] in OPERATOR_KEYS:
        return _OPERATOR_HINT
    if app_key == ("ssh",) and isinstance(value, dict):
        return f'Name them only, as in ssh = ["default"]. Where agents listen: {_OPERATOR_HINT}'
    if app_key == ("secrets",) and isinstance(value, dict):
        return f'Make it a list, as in secrets = ["NPM_TOKEN"]. Where values come from: {_OPERATOR_HINT}'
    if key[0] == "apps" and app_key[:1] and app_key[0] in {"ignore", "apps"}:
        return f"This key stands at the top of the root's {FILE}."
    return None


def _foreign_below(key: Key, value: object) -> str | None:
    if key[0] in {"ignore", "apps"}:
        return f"This key belongs into the root's {FILE}."
    return _foreign(key, value)
