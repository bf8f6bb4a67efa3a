"""Everything that was said, merged by precedence into one frozen `Config`, each value with its source."""

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from langs.model import Settings, Version
from orchestrator.config import environment as environments
from orchestrator.config import operator, repository
from orchestrator.config.decode import did_you_mean
from orchestrator.config.environment import Environment
from orchestrator.config.repository import AppTable, Stated
from orchestrator.errors import ConfigError, UsageError
from orchestrator.model import Registry, SecretSource

_VERSION_VARIABLES = {"NODE_VERSION": "nodejs", "PYTHON_VERSION": "python", "GO_VERSION": "go"}

MAX_JOBS = operator.MAX_JOBS
DEFAULT_HOST = "unix:///run/buildkit/buildkitd.sock"
"""Where buildkitd listens when it is told nothing."""


class Flags(msgspec.Struct, frozen=True, kw_only=True):
    """What was said on the command line; None and empty mean: nothing."""

    image: str | None = None
    hosts: tuple[str, ...] = ()
    jobs: int | None = None
    no_cache: bool = False
    result_file: Path | None = None
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


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known before any app is looked at."""

    root: Path
    """Absolute, without symlinks."""
    environment: Environment
    image: Image | None
    hosts: tuple[Host, ...]
    """Exactly one for now."""
    registries: Mapping[str, Registry]
    secrets: Mapping[str, SecretSource]
    secrets_file: str
    """Where the operator states secrets, for errors."""
    jobs: int | None
    no_cache: bool
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
    env: Mapping[str, str]
    """From flags, for every selected app."""

    def stated_for(self, path: str) -> tuple[Stated, ...]:
        """What the repository says of the app at `path`, lowest precedence first.

        Raises:
            ConfigError: the app's file is wrong.
        """
        own = None if path == "." else repository.read_app(self.root, path)
        return tuple(stated for stated in (self.shared, self.tables.get(path), own) if stated is not None)

    def name_for(self, path: str) -> str | None:
        """The name that configuration gives to the app at `path`."""
        for stated in reversed(self.stated_for(path)):
            if stated.table.name is not None and (stated is not self.shared or path == "."):
                return stated.table.name
        return None

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
            ConfigError: the app's file is wrong, or names a language that does not exist.
        """
        said = self.environment
        merged: dict[str, object] = {}
        versions: dict[str, Version] = {}
        env: dict[str, str] = {}
        secrets: dict[str, None] = {}
        images: dict[str, str] = {}
        for stated in self.stated_for(path):
            table = stated.table
            _check_languages(stated)
            merged |= _of_one_app(table) if stated is not self.shared or path == "." else {}
            merged |= {"port": table.port} if table.port is not None else {}
            for language, value in table.versions.items():
                versions[language] = Version(value=value, source=stated.document.name)
            env |= table.env
            secrets |= dict.fromkeys(table.secrets)
            images |= table.images
        for variable, language in version_variables().items():
            if language in said.versions:
                versions[language] = Version(value=said.versions[language], source=f"${variable}")
        merged |= {"port": said.port} if said.port is not None else {}
        merged |= {"cache_key": said.cache_key} if said.cache_key is not None else {}
        if sole:
            merged |= _of_environment(said, self.root / path)
        merged |= {
            "versions": versions,
            "env": env | dict(self.env),
            "secrets": tuple(secrets),
            "images": images,
        }
        return msgspec.convert(merged, Settings)


def version_variables() -> Mapping[str, str]:
    """Name of a `<LANG>_VERSION` variable -> its language."""
    return _VERSION_VARIABLES


def load(root: Path, variables: Mapping[str, str], flags: Flags | None = None) -> Config:
    """Read both files and the environment.

    Args:
        root: the source.
        variables: the environment, as `environment.read()` gives it.
        flags: what the command line said.

    Raises:
        ConfigError: a file or a variable is wrong.
        UsageError: the root is no directory, or flags contradict.
    """
    flags = flags or Flags()
    environment = environments.parse(variables, version_variables=version_variables())
    root = _existing(root)
    at_root = repository.read_root(root)
    table, document = at_root or (repository.RootTable(), None)
    found = operator.read(environment, root)
    operated, operated_by = (found[0], found[1].name) if found else (operator.OperatorTable(), _default(environment))
    return Config(
        root=root,
        environment=environment,
        image=_image(flags, environment, operated, operated_by),
        hosts=_hosts(flags, environment, operated, operated_by),
        registries={host: Registry(host=host, insecure=said.insecure) for host, said in operated.registries.items()},
        secrets={
            name: SecretSource(name=name, env=source.env, file=Path(source.file) if source.file else None)
            for name, source in operated.secrets.items()
        },
        secrets_file=operated_by,
        jobs=flags.jobs if flags.jobs is not None else operated.jobs,
        no_cache=flags.no_cache or environment.no_cache,
        tag_latest=environment.tag_latest,
        result_file=flags.result_file or (Path(environment.result_file) if environment.result_file else None),
        docker_config=environment.docker_config,
        branch=environment.ci.branch,
        revision=environment.ci.revision,
        project_path=_project(environment),
        ignore=table.ignore,
        tables={
            path: Stated(table=app, document=document, key=("apps", path))
            for path, app in table.apps.items()
            if document
        },
        shared=Stated(table=table, document=document) if document else None,
        env=_env(flags, variables),
    )


def _existing(root: Path) -> Path:
    try:
        resolved = root.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise UsageError(f"{root}: no such directory", hint="Name the directory of the source.") from error
    if not resolved.is_dir():
        raise UsageError(f"{root}: not a directory", hint="Name the directory of the source.")
    if not os.access(resolved, os.R_OK | os.X_OK):
        raise UsageError(f"{root}: may not be read", hint="Check the directory's permissions.")
    return resolved


def _default(environment: Environment) -> str:
    return str(environment.home / ".config/fleetpacks/config.toml")


def _image(flags: Flags, environment: Environment, table: operator.OperatorTable, table_name: str) -> Image | None:
    if flags.image is not None:
        return Image(template=flags.image, source="--image", given=True)
    if environment.output_image is not None:
        return Image(template=environment.output_image, source="$OUTPUT_IMAGE", given=True)
    if table.image is not None:
        return Image(template=table.image, source=f"{table_name}: image", given=True)
    if environment.ci.image is not None:
        # Braces mean something in a template, and a platform's variable is none.
        return Image(template=environment.ci.image, source=str(environment.ci.name), given=False)
    return None


def _hosts(flags: Flags, environment: Environment, table: operator.OperatorTable, table_name: str) -> tuple[Host, ...]:
    if len(flags.hosts) > 1:
        raise UsageError(f"--host: expected one, got {len(flags.hosts)}", hint="Several hosts do not work yet.")
    if flags.hosts:
        return (Host(url=flags.hosts[0], slots=None, source="--host"),)
    if environment.buildkit_host is not None:
        return (Host(url=environment.buildkit_host, slots=None, source="$BUILDKIT_HOST"),)
    stated = tuple(Host(url=host.url, slots=host.slots, source=f"{table_name}: hosts") for host in table.hosts)
    return stated or (Host(url=DEFAULT_HOST, slots=None, source="default"),)


def _project(environment: Environment) -> str | None:
    if environment.project_path is None:
        return None
    path = repository.normal_path(environment.project_path)
    if path is None:
        raise ConfigError(
            f"$PROJECT_PATH: expected a directory below the source, got {environment.project_path!r}",
            hint="Give it relative to the source, without `..`.",
        )
    return path


def _env(flags: Flags, variables: Mapping[str, str]) -> dict[str, str]:
    env: dict[str, str] = {}
    for word in flags.env:
        name, stated, value = word.partition("=")
        if not name.isidentifier() or not name.isascii():
            raise UsageError(
                f"--env: expected NAME[=VALUE], got {word!r}", hint="As in --env NODE_OPTIONS=--no-warnings."
            )
        if not stated and name not in variables:
            raise UsageError(f"--env {name}: the environment has no such variable", hint=f"Say --env {name}=VALUE.")
        env[name] = value if stated else variables[name]
    return env


def _of_one_app(table: AppTable) -> dict[str, object]:
    said = {
        "language": table.language,
        "dockerfile": table.dockerfile,
        "run_command": table.run,
        "build_command": table.build,
    }
    return {key: value for key, value in said.items() if value is not None}


def _of_environment(said: Environment, directory: Path) -> dict[str, object]:
    dockerfile = said.dockerfile_path
    if dockerfile is not None:
        # migetpacks takes it from the app's directory, or absolute.
        dockerfile = repository.normal_path(os.path.relpath(directory / dockerfile, directory))
        if dockerfile in {None, "."}:
            raise ConfigError(
                f"$DOCKERFILE_PATH: expected a file below {directory}, got {said.dockerfile_path!r}",
                hint="Give it relative to the app's directory.",
            )
    values = {
        "language": said.language,
        "dockerfile": dockerfile,
        "run_command": said.run_command,
        "build_command": said.build_command,
    }
    return {key: value for key, value in values.items() if value is not None}


def _check_languages(stated: Stated) -> None:
    table = stated.table
    said = {("language",): table.language, **{("versions", name): name for name in table.versions}}
    words = {key: word for key, word in said.items() if word is not None}
    if not words:
        return
    from langs.registry import LANGUAGES  # noqa: PLC0415 -- the languages' own libraries, only when one is named

    known = tuple(language.NAME for language in LANGUAGES)
    for key, word in words.items():
        if word not in known:
            near = did_you_mean(word, known)
            hint = f"Did you mean {near!r}?" if near else f"Known: {', '.join(known)}."
            raise stated.error(key, f"unknown language {word!r}", hint=hint)
