"""Versions of secrets: what changes when a value does, and tells nothing of it.

The value of a secret has no part in a step's identity, nor in what an app is made of. That of one which `invalidates`
gets its part by a version: an HMAC of the value, under a key of the operator's. It stands in provenance and in a
daemon's history, where a plain hash would let anybody try values; with the key unknown, it says only whether two are
the same. Another machine with another key builds such an app once more, and nothing else.

The key is `$FLEETPACKS_HMAC_KEY`, else one that is made on this machine once. A value is read again when a step asks
for it, and must then still be the one that the version tells of.
"""

import hmac
import os
import re
import secrets
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import anyio.to_thread
import msgspec

from langs.model import SECRETS_VERSION
from orchestrator import temporary
from orchestrator.buildkit import SecretReader
from orchestrator.config import Config
from orchestrator.errors import ConfigError
from orchestrator.model import AppPlan, Plan

_FILE = "hmac.key"
_DIGITS = 32
"""128 bits: nothing is found by chance."""
_KEY = re.compile(r"[0-9a-f]{64}\n?")
_DECLARED = re.compile(rf"^[ \t]*(?i:ARG)[ \t](?:.*[ \t])?{SECRETS_VERSION}(?![A-Za-z0-9_])", re.MULTILINE)
_FROM = re.compile(r"^[ \t]*(?i:FROM)[ \t]", re.MULTILINE)
_MOUNTED = "type=secret"
_AGAIN = "apps with secrets that invalidate are built again where it is another one (set $FLEETPACKS_HMAC_KEY)"


class Versioned(msgspec.Struct, frozen=True, kw_only=True):
    """A plan whose apps know the versions of their secrets."""

    plan: Plan
    readers: Mapping[str, SecretReader]
    """Of secrets, by name."""
    warnings: tuple[str, ...] = ()


async def versioned(config: Config, plan: Plan, readers: Mapping[str, SecretReader]) -> Versioned:
    """Give every app of a plan the version of its secrets that invalidate.

    Args:
        config: what was said.
        plan: what is to be built.
        readers: of the operator's secrets, by name.

    Raises:
        ConfigError: a value cannot be read, or the machine's key is none.
    """
    names = dict.fromkeys(name for app in plan.apps for name in app.app.settings.invalidating)
    if not names:
        return Versioned(plan=plan, readers=readers)
    key, warnings = await anyio.to_thread.run_sync(operator_key, config)
    versions = {name: version(key, name, await readers[name]()) for name in names}
    return Versioned(
        plan=msgspec.structs.replace(plan, apps=tuple(_with_version(key, app, versions) for app in plan.apps)),
        readers={**readers, **{name: _unchanged(key, name, readers[name], versions[name]) for name in names}},
        warnings=warnings,
    )


def version(key: bytes, name: str, value: bytes) -> str:
    """What one value of a secret is known by.

    Args:
        key: the operator's.
        name: the secret's, without NUL.
        value: the secret.
    """
    return hmac.digest(key, b"secret\0" + name.encode() + b"\0" + value, "sha256").hex()[:_DIGITS]


def _with_version(key: bytes, app: AppPlan, versions: Mapping[str, str]) -> AppPlan:
    names = sorted(app.app.settings.invalidating)
    if not names:
        return app
    # Of all of them together: the same for all apps that have the same ones, so that they share steps.
    together = "".join(f"{name}={versions[name]}\n" for name in names).encode()
    warnings = app.build.warnings
    if _MOUNTED in app.build.dockerfile and not _DECLARED.search(_counting(app.build.dockerfile)):
        how = f"write ARG {SECRETS_VERSION} into its Dockerfile, before the step that mounts the secret"
        warnings += (f"another value of {', '.join(names)} does not run its steps again: {how}",)
    return msgspec.structs.replace(
        app,
        secrets_version=hmac.digest(key, b"secrets\0" + together, "sha256").hex()[:_DIGITS],
        build=msgspec.structs.replace(app.build, warnings=warnings),
    )


def _counting(dockerfile: str) -> str:
    """Where a declaration counts for a step that mounts a secret: before the first FROM it reaches none."""
    first = _FROM.search(dockerfile)
    return dockerfile[first.start() if first else 0 : dockerfile.rindex(_MOUNTED)]


def _unchanged(key: bytes, name: str, reader: SecretReader, known: str) -> SecretReader:
    async def read() -> bytes:
        value = await reader()
        if not hmac.compare_digest(version(key, name, value), known):
            raise ConfigError(
                f"secrets.{name}: its value was changed after this run began",
                hint="Build again: what is built of it would be known by the old value.",
            )
        return value

    return read


def operator_key(config: Config) -> tuple[bytes, tuple[str, ...]]:
    """The key that versions are made with, and what the operator should know of it.

    Raises:
        ConfigError: this machine's key is none, or others may read it.
    """
    said = config.environment
    if said.hmac_key is not None:
        return said.hmac_key, ()
    file = said.state_directory / _FILE
    if _is_below(file, config.root):
        # Whoever changes the source could choose it, and a context of the source would have it in an image.
        return secrets.token_bytes(), (f"{file}: a key inside the source is not trusted: {_AGAIN}",)
    try:
        key, made = _kept(file)
    except OSError as error:
        return secrets.token_bytes(), (f"{file}: {error.strerror}: {_AGAIN}",)
    return key, ((f"{file} was made just now: {_AGAIN}",) if made and said.in_ci else ())


def _is_below(file: Path, root: Path) -> bool:
    try:
        return file.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):
        return False


def _kept(file: Path) -> tuple[bytes, bool]:
    """The machine's key, and whether it was made now.

    Raises:
        OSError: it can be neither read nor made.
        ConfigError: it is none, or others may read it.
    """
    made = False
    if not file.exists():
        made = _make(file)
    with file.open("rb") as opened:
        mode, text = os.fstat(opened.fileno()).st_mode, opened.read(128).decode(errors="replace")
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(f"{file}: others may read this key", hint="Delete it: a new one is made.")
    if not _KEY.fullmatch(text):
        raise ConfigError(f"{file}: this is no key", hint="Delete it: a new one is made.")
    return bytes.fromhex(text), made


def _make(file: Path) -> bool:
    """Make a key where there is none, of two that do so at once one; says whether it is this one."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    grown = temporary.beside(file)
    try:
        with os.fdopen(temporary.create(grown), "w") as opened:
            opened.write(f"{secrets.token_hex(32)}\n")
        # A link is refused where there is a file: neither overwrites the other's.
        file.hardlink_to(grown)
    except FileExistsError:
        return False
    finally:
        with suppress(OSError):
            grown.unlink(missing_ok=True)
    return True
