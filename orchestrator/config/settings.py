"""Everything that was said, merged by precedence into one frozen `Config`, each value with its source."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from langs import hardened
from langs import network as networks
from langs.facts import VERSION_VARIABLES
from langs.model import Releases, Settings, Version
from orchestrator.config import mirrors, repository
from orchestrator.config.environment import Environment
from orchestrator.config.lock import Lock
from orchestrator.config.repository import AppTable, Stated
from orchestrator.errors import ConfigError
from orchestrator.model import HUB, Attestations, Isolated, LayerCache, Mirror, Network, Registry, Runs, SecretSource
from orchestrator.text import parse_duration

DOCKER_HOST = "$DOCKER_HOST"
"""The `source` of a builder that this variable named."""
ISOLATED = "--isolated"
"""The `source` of a builder that lives as long as the run."""


class Flags(msgspec.Struct, frozen=True, kw_only=True):
    """What was said on the command line; None and empty mean: nothing."""

    image: str | None = None
    hosts: tuple[str, ...] = ()
    jobs: int | None = None
    no_cache: bool = False
    force: bool = False
    timeout: float | None = None
    retries: int | None = None
    locked: bool = False
    """Whether nothing may be chosen that the lock file does not have."""
    reproducible: bool = False
    """Whether the same is to become the same image, whenever and wherever."""
    platforms: tuple[str, ...] = ()
    """For which images are built, whatever else says so; several with commas in one word."""
    attestations: Attestations = Attestations()
    result_file: Path | None = None
    secrets: tuple[str, ...] = ()
    """Names of variables whose values are secrets of every app."""
    drop_in: bool = False
    """Whether the environment is read as migetpacks reads it."""
    env: tuple[str, ...] = ()
    """`NAME=VALUE`, or `NAME` for the value which the environment has."""


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """Where images go: a template, who said so, and whether a person or a file did (then it is pushed by default)."""

    template: str
    source: str
    given: bool


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """A builder."""

    url: str
    slots: int | None
    source: str
    memory: int | None = None
    """Bytes for builds; None: what the builder says."""
    drain: bool = False
    """Whether it is to get no more builds."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known before any app is looked at."""

    root: Path
    """Absolute, without symlinks."""
    environment: Environment
    image: Image | None
    hosts: tuple[Host, ...]
    """None was named: the well-known sockets are tried when a build begins."""
    hosts_file: str | None
    """The operator's file, where it names the hosts: it may be read again while a run goes on."""
    registries: Mapping[str, Registry]
    secrets: Mapping[str, SecretSource]
    secrets_file: str
    """Where the operator states secrets and agents, for errors."""
    mirrors: Mapping[str, Mirror]
    """The operator's mirrors of package indexes, by name."""
    network: Network
    ssh: Mapping[str, str | None]
    """Agents' sockets by id; None where there is none: the operator relies on `$SSH_AUTH_SOCK`, and it is not set."""
    entitlements: tuple[str, ...]
    """What steps may ask their builder for, besides what all may do."""
    jobs: int | None
    hedge: float | None
    """How many times as long as before a build may take before another host begins it, too; None: it may take."""
    no_cache: bool
    cache: LayerCache
    platforms: tuple[str, ...]
    """From flags, for every app."""
    attestations: Attestations
    timeout: float | None
    """Of each app's build, in seconds, whatever files say."""
    retries: int | None
    """Attempts after a first one that failed for now; None: the usual number."""
    skip_age: float | None
    """How old an image may become before an unchanged app is built again, in seconds; None: every app is built."""
    tag_latest: bool
    result_file: Path | None
    docker_config: Path
    branch: str | None
    revision: str | None
    project_path: str | None
    """`$PROJECT_PATH`: the one part of the root that holds apps."""
    ignore: tuple[str, ...]
    """Where no apps are, as .gitignore patterns."""
    tables: Mapping[str, Stated]
    """What the root's file says of apps, by path."""
    shared: Stated | None
    """The root's file."""
    own: repository.OwnFiles
    """Those of apps' own directories."""
    env: Mapping[str, str]
    """From flags, for every selected app."""
    passed: Mapping[str, str]
    """What drop-in mode hands on of the environment."""
    arguments: Mapping[str, str]
    """Variables of the build steps alone; the epoch is one of them."""
    epoch: int | None
    """The only time that images may have, in seconds since 1970; None: they have that of their build."""
    given: tuple[str, ...]
    """Names of secrets that every app has, without having declared them."""
    drop_in: bool
    """Whether the source, or the part of it that is named, is the one app."""
    warnings: tuple[str, ...]
    """What was said and has no effect."""
    tools: Mapping[str, str]
    """What the environment says to the tools of single languages."""
    lock: Lock | None
    """`fleetpacks.lock`. None: there is none."""
    locked: bool
    """Whether nothing may be chosen that it does not have."""
    runs: Runs
    isolated: Isolated
    """What was said of daemons that we start ourselves."""
    releases: Mapping[str, Releases]
    """Refreshed tables of releases, by tool."""

    @property
    def image_mirrors(self) -> Mapping[str, str]:
        """Where images are looked for first, by the host of the registry that they are from."""
        said = mirrors.by_host(self.registries)
        variables = {HUB: self.environment.registry_mirror, hardened.REGISTRY: self.environment.dhi_mirror}
        return said | {host: place for host, place in variables.items() if place is not None}

    def stated_for(self, path: str) -> tuple[Stated, ...]:
        """What the repository says of the app at `path`, lowest precedence first.

        Raises:
            ConfigError: the app's file is wrong.
        """
        own = None if path == "." else self.own.read(path)
        return tuple(filter(None, (self.shared, self.tables.get(path), own)))

    def name_for(self, path: str) -> str | None:
        """The name that configuration gives to the app at `path`."""
        for stated in reversed(self.stated_for(path)):
            if stated.table.name is not None and (stated is not self.shared or path == "."):
                return stated.table.name
        return None

    def timeout_for(self, path: str) -> float | None:
        """How long a build of the app at `path` may take, in seconds; None: as long as it takes.

        Raises:
            ConfigError: the app's file is wrong.
        """
        if self.timeout is not None:
            return self.timeout
        said = [stated.table.timeout for stated in self.stated_for(path) if stated.table.timeout is not None]
        return parse_duration(said[-1]) if said else None

    def is_declared(self, path: str) -> bool:
        """Whether the root's file says that there is an app at `path`, whatever is found there."""
        if path in self.tables:
            return True
        table = self.shared.table if self.shared else None
        return path == "." and table is not None and any((table.name, table.language, table.dockerfile, table.run))

    def settings_for(self, path: str, *, sole: bool = False) -> Settings:
        """The settings of the app at `path`, relative to the root.

        Args:
            path: POSIX path, `.` for the root.
            sole: it is the run's only app, so that variables such as `$RUN_COMMAND` speak of it.

        Raises:
            ConfigError: the app's file is wrong.
        """
        said = self.environment
        merged: dict[str, object] = {}
        versions: dict[str, Version] = {}
        env: dict[str, str] = {}
        ssh: dict[str, None] = {}
        images: dict[str, str] = {}
        own: dict[str, None] = {}
        packages: dict[str, dict[str, None]] = {"apt": {}, "apt_run": {}}
        platforms: tuple[str, ...] = ()
        tables = self.stated_for(path)
        for stated in tables:
            table = stated.table
            merged |= _of_one_app(table) if stated is not self.shared or path == "." else {}
            merged |= {"port": table.port} if table.port is not None else {}
            merged |= {"healthcheck": table.healthcheck} if table.healthcheck is not None else {}
            for key, said_there in (("apt", table.apt), ("apt_run", table.apt_run)):
                packages[key] |= dict.fromkeys(said_there)
            for language, value in table.versions.items():
                versions[language] = Version(value=value, source=stated.document.name)
            if stated is not self.shared or path == ".":
                own |= {"port": None} if table.port is not None else {}
                own |= dict.fromkeys(f"versions.{language}" for language in table.versions)
                own |= {"healthcheck": None} if table.healthcheck else {}
                own |= {key: None for key, words in (("apt", table.apt), ("apt_run", table.apt_run)) if words}
            platforms = table.platforms or platforms
            env |= table.env
            ssh |= dict.fromkeys(table.ssh)
            images |= table.images
        secrets = {**dict.fromkeys(self.given, False), **_secrets(stated.table for stated in tables)}
        forced: dict[str, Version] = {}
        for variable, language in VERSION_VARIABLES.items():
            if text := said.variables.get(variable):
                forced.setdefault(language, Version(value=text, source=f"${variable}"))
        versions |= forced
        merged |= {"port": said.port} if said.port is not None else {}
        merged |= {"cache_key": said.cache_key} if said.cache_key is not None else {}
        if said.use_dhi:
            merged |= {"hardened": True}
        if sole:
            merged |= _of_environment(said, self.root / path)
        merged |= {
            "versions": versions,
            "env": env | dict(self.env),
            "passed": self.passed,
            "arguments": self.arguments,
            "variables": self.tools,
            "pinned": self.lock.images if self.lock else {},
            "locked": self.lock.of(path) if self.lock else {},
            "secrets": tuple(secrets),
            "invalidating": tuple(name for name, invalidates in secrets.items() if invalidates),
            "ssh": tuple(ssh),
            "images": images,
            "platforms": self.platforms or ((said.platform,) if said.platform else tuple(dict.fromkeys(platforms))),
            "own": tuple(own),
            **{key: tuple(words) for key, words in packages.items()},
            "indexes": tuple(self.mirrors),
            "network": _secrets_of(self.network),
            "releases": self.releases,
        }
        return msgspec.convert(merged, Settings)


def _secrets_of(said: Network) -> tuple[str, ...]:
    """What generated steps see of the network, by the names of secrets."""
    ca = (networks.CA, networks.KEY_STORE) if said.ca is not None else ()
    return (networks.SCRIPT, *ca) if ca or said.proxies else ()


class EachSettings:
    """`Config.settings_for` of many apps: those of which the same is said have the same, which is made once."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._made: dict[tuple[str | int, ...], Settings] = {}

    def __call__(self, path: str) -> Settings:
        """See `Config.settings_for`.

        Raises:
            ConfigError: as there.
        """
        lock = self._config.lock
        own = path if path == "." or (lock is not None and lock.of(path)) else ""
        # The configuration holds what was stated, so that nothing else is going to have its identity.
        said: tuple[str | int, ...] = (own, *map(id, self._config.stated_for(path)))
        if said not in self._made:
            self._made[said] = self._config.settings_for(path)
        return self._made[said]


def _secrets(tables: Iterable[AppTable]) -> Mapping[str, bool]:
    """The declared secrets, and whether they invalidate; a name alone changes nothing of what was said before."""
    found: dict[str, bool] = {}
    for table in tables:
        for secret in table.secrets:
            if isinstance(secret, str):
                found.setdefault(secret, False)
            else:
                found[secret.name] = secret.invalidates
    return found


def _of_one_app(table: AppTable) -> dict[str, object]:
    said = {
        "language": table.language,
        "buildpacks": table.buildpacks or None,
        "dockerfile": table.dockerfile,
        "compose_file": table.compose,
        "run_command": table.run,
        "build_command": table.build,
    }
    return {key: value for key, value in said.items() if value is not None}


def _of_environment(said: Environment, directory: Path) -> dict[str, object]:
    values = {
        "language": said.language,
        "buildpacks": said.buildpacks or None,
        "dockerfile": _below("DOCKERFILE_PATH", said.dockerfile_path, directory),
        "compose_file": _below("COMPOSE_FILE", said.compose_file, directory),
        "run_command": said.run_command,
        "build_command": said.build_command,
    }
    return {key: value for key, value in values.items() if value is not None}


def _below(variable: str, said: str | None, directory: Path) -> str | None:
    """A file of the app, relative to its directory; migetpacks takes it from there, or absolute."""
    if said is None:
        return None
    path = repository.normal_path(os.path.relpath(directory / said, directory))
    if path in {None, "."}:
        raise ConfigError(
            f"${variable}: expected a file below {directory}, got {said!r}",
            hint="Give it relative to the app's directory.",
        )
    return path
