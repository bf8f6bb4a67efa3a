"""The operator's file: which builder, where images go, whose word counts for registries, values of secrets.

Read from `$FLEETPACKS_CONFIG`, else `~/.config/fleetpacks/config.toml`, else `/etc/fleetpacks/config.toml`: the
first one that exists, alone. Never found by walking up from the source, and never taken from inside the source: a
pull request must not be able to write it.
"""

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from langs import indexes
from langs.errors import LangError
from orchestrator.config import credentials, decode, mirrors, network, repository
from orchestrator.config.decode import Document, Key
from orchestrator.config.environment import Environment
from orchestrator.config.network import NetworkTable
from orchestrator.errors import ConfigError
from orchestrator.model import MOUNTS_SECONDS, DaemonKind, Entitlement, StorageDriver
from orchestrator.text import parse_duration, parse_size

MAX_JOBS = 1024
SYSTEM = Path("/etc/fleetpacks/config.toml")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HOST = re.compile(r"([A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\])(:[0-9]{1,5})?")

_REPOSITORY_KEYS = frozenset(field.name for field in msgspec.structs.fields(repository.RootTable)) - {"secrets", "ssh"}

NonEmpty = Annotated[str, Meta(min_length=1)]


class HostTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A builder."""

    url: Annotated[str, Meta(min_length=1, description="Its address: unix://, tcp://, docker:// or ssh://.")]
    slots: Annotated[int, Meta(ge=1, le=MAX_JOBS, description="Builds that it runs at once.")] | None = None
    memory: Annotated[str, Meta(description="How much its builds may need together, as in 8GB.")] | None = None
    drain: Annotated[bool, Meta(description="Give it no more builds; those that run there end as they would.")] = False


class RegistryTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A registry."""

    insecure: Annotated[bool, Meta(description="Speak plain HTTP.")] = False
    mirror: (
        Annotated[str, Meta(min_length=1, description="Where its images are looked for first: host[:port][/path].")]
        | None
    ) = None


class SecretTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the value of a secret is read, at the moment a build asks for it: one of the two."""

    env: Annotated[str, Meta(min_length=1, description="The variable that holds it.")] | None = None
    file: Annotated[str, Meta(min_length=1, description="The absolute path of the file that holds it.")] | None = None


class MirrorTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mirror of a package index: its address, or where that is read, because a password stands in it."""

    url: Annotated[str, Meta(min_length=1, description="Its address, without a password.")] | None = None
    env: Annotated[str, Meta(min_length=1, description="The variable that holds its address.")] | None = None
    file: Annotated[str, Meta(min_length=1, description="The absolute path of the file that holds it.")] | None = None


class SshTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An SSH agent."""

    socket: (
        Annotated[str, Meta(min_length=1, description="Its socket's absolute path; default: $SSH_AUTH_SOCK.")] | None
    ) = None


class RunsTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The records of runs."""

    directory: Annotated[str, Meta(min_length=1, description="Where they are kept: an absolute path.")] | None = None
    keep: Annotated[int, Meta(ge=0, le=100_000, description="How many are kept; 0 records none.")] = 100
    days: Annotated[int, Meta(ge=1, le=36_500, description="How long they are kept.")] = 30


class CacheTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"sources": "from"}):
    """Layer caches in registries and in directories, and package caches."""

    image: Annotated[str, Meta(min_length=1, description="Where they are written; may hold {app}.")] | None = None
    sources: Annotated[tuple[NonEmpty, ...], Meta(description="More of them, which are read only.")] = ()
    local: Annotated[str, Meta(min_length=1, description="The directory of local caches: an absolute path.")] | None = (
        None
    )
    local_size: Annotated[str, Meta(description="How much all local caches may hold, as in 500MB.")] = "20GB"
    mounts: (
        Annotated[str, Meta(min_length=1, description="The directory of package caches: an absolute path.")] | None
    ) = None
    mounts_size: Annotated[str, Meta(description="How much all package caches may hold, as in 500MB.")] = "20GB"
    mounts_time: Annotated[str, Meta(description="How long to fill or refresh them, as in 90s; 1h at most.")] = "5m"


class DaemonTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A daemon of our own, which runs as long as the run."""

    engine: Annotated[DaemonKind, Meta(description="What is started: buildkitd or dockerd.")] = "buildkitd"
    storage_driver: Annotated[StorageDriver, Meta(description="How it stacks layers.")] = "overlay2"
    root: Annotated[str, Meta(min_length=1, description="Its directory: an absolute path.")] | None = None
    mtu: Annotated[int, Meta(ge=68, le=65_535, description="Of the interfaces of a dockerd's containers.")] | None = (
        None
    )
    dns: Annotated[tuple[NonEmpty, ...], Meta(description="Addresses of name servers.")] = ()
    cache_size: Annotated[str, Meta(description="How much its cache may hold, as in 20GB.")] = "20GB"
    free_space: Annotated[str, Meta(description="How much it leaves free on its disk, as in 2GB.")] = "2GB"


class OperatorTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The operator's file."""

    image: (
        Annotated[str, Meta(min_length=1, description="Where images go; may hold {app} {path} {branch} {sha}.")] | None
    ) = None
    hosts: Annotated[tuple[HostTable, ...], Meta(description="The builders.")] = ()
    registries: Annotated[Mapping[str, RegistryTable], Meta(description="Registries by host[:port].")] = {}
    secrets: Annotated[Mapping[str, SecretTable], Meta(description="Sources of secrets, by name.")] = {}
    mirrors: Annotated[
        Mapping[str, MirrorTable], Meta(description=f"Mirrors of package indexes: {', '.join(indexes.NAMES)}.")
    ] = {}
    network: Annotated[NetworkTable, Meta(description="Certificates and proxies.")] = NetworkTable()
    ssh: Annotated[Mapping[str, SshTable], Meta(description="SSH agents that builds may ask, by id.")] = {}
    entitlements: Annotated[
        tuple[Entitlement, ...],
        Meta(description="What steps of Dockerfiles may ask for: RUN --network, RUN --security."),
    ] = ()
    jobs: Annotated[int, Meta(ge=1, le=MAX_JOBS, description="Builds at once.")] | None = None
    hedge: (
        Annotated[
            float, Meta(ge=1, le=1000, description="Begin a build on another host when it takes so many times as long.")
        ]
        | None
    ) = None
    cache: Annotated[CacheTable, Meta(description="Layer caches.")] = CacheTable()
    daemon: Annotated[DaemonTable, Meta(description="Daemons that are started for one run.")] = DaemonTable()
    runs: Annotated[RunsTable, Meta(description="The records of runs.")] = RunsTable()


def read(
    environment: Environment, root: Path | None, *, system: Path = SYSTEM
) -> tuple[OperatorTable, Document] | None:
    """The operator's file, or None when there is none.

    Args:
        environment: names the file, or the home directory.
        root: the source, which must not hold the file; None when no source is looked at.
        system: the machine's file.

    Raises:
        ConfigError: with file, line and key.
    """
    if environment.fleetpacks_config is not None:
        path = Path(environment.fleetpacks_config)
        document = decode.read(path, name=str(path))
        if document is None:
            raise ConfigError(f"$FLEETPACKS_CONFIG: no file {path}", hint="Correct the path, or unset the variable.")
    else:
        user = environment.home / ".config/fleetpacks/config.toml"
        path = user
        document = decode.read(user, name=str(user))
        if document is None:
            path = system
            document = decode.read(system, name=str(system))
        if document is None:
            return None
    if root is not None and path.resolve().is_relative_to(root.resolve()):
        raise ConfigError(
            f"{path}: an operator's file inside the source {root} is not trusted",
            hint="Whoever changes the source could change it: keep it elsewhere, and name it in $FLEETPACKS_CONFIG.",
        )
    table = decode.decode(document, OperatorTable, foreign=_foreign)
    _check(table, document)
    return table, document


def _check(table: OperatorTable, document: Document) -> None:
    for number, host in enumerate(table.hosts):
        if host.memory is not None and not parse_size(host.memory):
            raise document.error(("hosts", number, "memory"), "expected a size", hint='As in memory = "8GB".')
    for name, registry in table.registries.items():
        if registry.mirror is not None and mirrors.place(registry.mirror) is None:
            raise document.error(("registries", name, "mirror"), "expected host[:port][/path]", hint=mirrors.HINT)
        if not _HOST.fullmatch(name):
            raise document.error(
                ("registries", name), "expected host[:port]", hint='As in [registries."registry.example:5000"].'
            )
    for name, source in table.secrets.items():
        if not _IDENTIFIER.fullmatch(name):
            raise document.error(("secrets", name), "expected an identifier", hint="Letters, digits and _ only.")
        if (source.env is None) == (source.file is None):
            raise document.error(
                ("secrets", name), "expected either env or file", hint=f'{name} = {{ env = "{name}" }}, for example.'
            )
        if source.file is not None and not Path(source.file).is_absolute():
            raise document.error(("secrets", name, "file"), "expected an absolute path", hint="Begin it with /.")
    _check_runs(table, document)
    _check_cache(table.cache, document)
    _check_daemon(table.daemon, document)
    _check_mirrors(table, document)
    network.check(table.network, document)
    _check_ssh(table, document)


def _check_runs(table: OperatorTable, document: Document) -> None:
    if table.runs.directory is not None and not Path(table.runs.directory).is_absolute():
        raise document.error(("runs", "directory"), "expected an absolute path", hint="Begin it with /.")


def _check_cache(cache: CacheTable, document: Document) -> None:
    for key, place in (("local", cache.local), ("mounts", cache.mounts)):
        if place is not None and not Path(place).is_absolute():
            raise document.error(("cache", key), "expected an absolute path", hint="Begin it with /.")
    for key, size in (("local_size", cache.local_size), ("mounts_size", cache.mounts_size)):
        if not parse_size(size):
            raise document.error(("cache", key), "expected a size", hint=f'As in {key} = "20GB".')
    seconds = parse_duration(cache.mounts_time)
    if not seconds or seconds > MOUNTS_SECONDS:
        raise document.error(("cache", "mounts_time"), "expected 1s to 1h", hint='As in mounts_time = "5m".')


def _check_daemon(daemon: DaemonTable, document: Document) -> None:
    if daemon.root is not None and not Path(daemon.root).is_absolute():
        raise document.error(("daemon", "root"), "expected an absolute path", hint="Begin it with /.")
    for key, size in (("cache_size", daemon.cache_size), ("free_space", daemon.free_space)):
        if not parse_size(size):
            raise document.error(("daemon", key), "expected a size", hint=f'As in {key} = "20GB".')
    for number, address in enumerate(daemon.dns):
        if not is_address(address):
            raise document.error(("daemon", "dns", number), "expected an IP address", hint='As in dns = ["10.0.0.2"].')


def is_address(text: str) -> bool:
    """Whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _check_mirrors(table: OperatorTable, document: Document) -> None:
    for name, mirror in table.mirrors.items():
        if name not in indexes.NAMES:
            near = decode.did_you_mean(name, indexes.NAMES)
            hint = f"Did you mean {near!r}?" if near else f"Known: {', '.join(indexes.NAMES)}."
            raise document.error(("mirrors", name), "unknown package index", hint=hint)
        if [mirror.url, mirror.env, mirror.file].count(None) != 2:  # noqa: PLR2004 -- one of three is stated
            hint = f'{name} = {{ url = "https://..." }}, for example.'
            raise document.error(("mirrors", name), "expected one of url, env and file", hint=hint)
        if mirror.file is not None and not Path(mirror.file).is_absolute():
            raise document.error(("mirrors", name, "file"), "expected an absolute path", hint="Begin it with /.")
        if mirror.url is not None:
            try:
                indexes.content(name, mirror.url)
            except LangError as error:
                raise document.error(("mirrors", name, "url"), error.message, hint=error.hint) from error
            if credentials.reason(name, mirror.url):
                hint = f'Put the address into a variable: {name} = {{ env = "..." }}.'
                raise document.error(("mirrors", name, "url"), "it holds a password", hint=hint)


def _check_ssh(table: OperatorTable, document: Document) -> None:
    for name, agent in table.ssh.items():
        if not repository.SSH_ID.fullmatch(name):
            raise document.error(("ssh", name), "expected the id of an agent", hint="As in [ssh.default].")
        if agent.socket is not None and not Path(agent.socket).is_absolute():
            raise document.error(("ssh", name, "socket"), "expected an absolute path", hint="Begin it with /.")


def _foreign(key: Key, _value: object) -> str | None:
    if len(key) == 1 and key[0] in _REPOSITORY_KEYS:
        return f"This is the repository's to say: put it into {repository.FILE} at its root."
    return None
