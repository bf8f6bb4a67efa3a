"""Both files, the environment and flags, read and merged into one `Config`."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from langs.facts import TOOL_VARIABLES, VERSION_VARIABLES
from langs.model import EPOCH
from orchestrator.config import (
    credentials,
    extraargs,
    isolated,
    lock,
    mirrors,
    network,
    operator,
    platforms,
    releases,
    repository,
)
from orchestrator.config import environment as environments
from orchestrator.config.environment import Environment
from orchestrator.config.repository import Stated
from orchestrator.config.settings import DOCKER_HOST, Config, Flags, Host, Image
from orchestrator.errors import ConfigError, UsageError
from orchestrator.model import LayerCache, LocalCache, Mirror, MountCache, Registry, Runs, SecretSource
from orchestrator.text import parse_duration, parse_size

if TYPE_CHECKING:
    from orchestrator.config.dropin import Passing


def parse_environment(variables: Mapping[str, str]) -> Environment:
    """What the environment says, once for many roots.

    Raises:
        ConfigError: a variable has a value that it cannot have.
    """
    return environments.parse(variables, version_variables=VERSION_VARIABLES)


def load(
    root: Path | None,
    variables: Mapping[str, str],
    flags: Flags | None = None,
    *,
    parsed: Environment | None = None,
) -> Config:
    """Read both files and the environment.

    Args:
        root: the source; None for commands that look at none, such as `tag`.
        variables: the environment, as `environment.read()` gives it.
        flags: what the command line said.
        parsed: what `parse_environment` made of `variables`, if it was asked already.

    Raises:
        ConfigError: a file or a variable is wrong.
        UsageError: the root is no directory, or flags contradict.
    """
    flags = flags or Flags()
    environment = parsed or parse_environment(variables)
    source = _existing(root) if root is not None else None
    at_root = repository.read_root(source) if source is not None else None
    table, document = at_root or (repository.RootTable(), None)
    found = operator.read(environment, source)
    arguments, given = _arguments(environment)
    # Other than a commit's time it is no reason to execute everything again, and all that is younger gets it.
    epoch = 0 if flags.reproducible and environment.epoch is None else environment.epoch
    operated, operated_by = (found[0], found[1].name) if found else (operator.OperatorTable(), _default(environment))
    passing = _passing(flags, variables, operated)
    return Config(
        root=source or Path.cwd(),
        environment=environment,
        image=_image(flags, environment, operated, operated_by),
        hosts=_hosts(flags, environment, operated, operated_by),
        hosts_file=operated_by if _of_file(flags, environment, operated) else None,
        registries=mirrors.with_plain(
            {
                host: Registry(host=host, insecure=said.insecure, mirror=mirrors.place(said.mirror or ""))
                for host, said in operated.registries.items()
            },
            variables.get("REGISTRY_MIRROR"),
            variables.get("DHI_MIRROR"),
        ),
        secrets={
            name: SecretSource(name=name, env=source.env, file=Path(source.file) if source.file else None)
            for name, source in operated.secrets.items()
        }
        | {name: SecretSource(name=name, env=environments.BUILD_VARIABLES) for name in given}
        | {name: SecretSource(name=name, env=_known(name, variables)) for name in flags.secrets},
        secrets_file=operated_by,
        mirrors={
            name: Mirror(name=name, url=said.url, env=said.env, file=Path(said.file) if said.file else None)
            for name, said in operated.mirrors.items()
        },
        network=network.read(
            operated.network,
            variables,
            ca=environment.ca,
            shared=environment.proxies_shared,
            name=operated_by,
            root=source,
        ),
        ssh={name: agent.socket or environment.ssh_auth_sock for name, agent in operated.ssh.items()},
        entitlements=tuple(dict.fromkeys(operated.entitlements)),
        jobs=flags.jobs if flags.jobs is not None else operated.jobs,
        hedge=operated.hedge,
        no_cache=flags.no_cache or environment.no_cache or environment.extra.no_cache,
        cache=_cache(environment, table, operated, operated_by, source),
        platforms=platforms.of_flags(flags.platforms),
        attestations=msgspec.structs.replace(flags.attestations, source=environment.ci.source),
        timeout=flags.timeout,
        retries=flags.retries,
        skip_age=None if flags.force or not table.skip.enabled else parse_duration(table.skip.max_age),
        tag_latest=environment.tag_latest,
        result_file=flags.result_file or (Path(environment.result_file) if environment.result_file else None),
        docker_config=_docker_config(environment, source),
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
        own=repository.OwnFiles(source or Path.cwd()),
        env={**_build_args(environment), **_env(flags, variables)},
        passed=passing.passed if passing else {},
        arguments=arguments if epoch is None else {**arguments, EPOCH: str(epoch)},
        epoch=epoch,
        given=(*given, *(name for name in flags.secrets if name not in given)),
        drop_in=flags.drop_in,
        warnings=(*(passing.warnings if passing else ()), *_turned(given)),
        tools=_tools(variables),
        lock=None if source is None else lock.read(source),
        locked=flags.locked or environment.locked,
        runs=Runs(
            directory=Path(operated.runs.directory or environment.state_directory / "runs"),
            keep=operated.runs.keep,
            days=operated.runs.days,
        ),
        isolated=isolated.merged(environment, operated.daemon, operated_by, source),
        # Where no app is looked at, no range is resolved; and a table that is broken can be written anew.
        releases={} if source is None else releases.read(environment.releases_file),
    )


def _cache(
    environment: Environment,
    table: repository.RootTable,
    operated: operator.OperatorTable,
    operated_by: str,
    root: Path | None,
) -> LayerCache:
    extra = environment.extra
    image, image_source = next(
        (
            (said, source)
            for said, source in (
                (environment.cache_image, "$CACHE_IMAGE"),
                (extra.image, f"${extraargs.NAME}"),
                (operated.cache.image, f"{operated_by}: cache.image"),
            )
            if said
        ),
        (None, ""),
    )
    return LayerCache(
        image=image,
        image_source=image_source,
        sources=(*(environment.cache_from or operated.cache.sources), *extra.sources),
        insecure=environment.cache_insecure or extra.insecure,
        mode=environment.cache_mode or extra.mode or table.cache.mode,
        export=table.cache.export,
        compression=extra.compression or table.cache.compression,
        local=_local(environment, operated, operated_by, root),
        mounts=_mounts(environment, operated, operated_by, root),
    )


def _local(
    environment: Environment, operated: operator.OperatorTable, operated_by: str, root: Path | None
) -> LocalCache:
    extra = environment.extra
    own = Path(operated.cache.local) if operated.cache.local else None
    directory, sources = extra.local or own, extra.local_sources or ((own,) if own else ())
    for path in (directory, *sources):
        if root is not None and path is not None and path.resolve().is_relative_to(root):
            said = f"{operated_by}: cache.local" if path is own else f"${extraargs.NAME}"
            raise ConfigError(
                f"{said}: a cache inside the source {root} is not trusted",
                hint="Whoever changes the source could put what they want into it: keep it elsewhere.",
            )
    return LocalCache(
        directory=directory,
        sources=sources,
        size=parse_size(operated.cache.local_size) or 0,
        name=environment.container_name,
    )


def _mounts(
    environment: Environment, operated: operator.OperatorTable, operated_by: str, root: Path | None
) -> MountCache:
    text = environment.mounts_directory or operated.cache.mounts
    said = "$BUILD_CACHE_DIR" if environment.mounts_directory else f"{operated_by}: cache.mounts"
    directory = Path(text) if text else None
    if directory is not None and not directory.is_absolute():
        raise ConfigError(f"{said}: expected an absolute path, got {text!r}", hint="Begin it with /.")
    if root is not None and directory is not None and directory.resolve().is_relative_to(root):
        raise ConfigError(
            f"{said}: a cache inside the source {root} is not trusted",
            hint="Whoever changes the source could put what they want into it: keep it elsewhere.",
        )
    return MountCache(
        directory=directory,
        size=parse_size(operated.cache.mounts_size) or 0,
        seconds=parse_duration(operated.cache.mounts_time) or 0.0,
    )


def _build_args(environment: Environment) -> Mapping[str, str]:
    for name, value in environment.extra.build_args.items():
        if why := credentials.reason(name, value):
            raise ConfigError(
                f"${extraargs.NAME}: --build-arg {name}: {why}, and it ends up in the image's history",
                hint=f'Declare secrets = ["{name}"] for the app; the operator\'s file says where its value is read.',
            )
    return environment.extra.build_args


def _arguments(environment: Environment) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """`$BUILD_VARS`: build arguments, and the names of those that have to be secrets."""
    said = environment.build_variables
    secret = tuple(name for name, value in said.items() if credentials.reason(name, value))
    return {name: value for name, value in said.items() if name not in secret}, secret


def _turned(names: tuple[str, ...]) -> tuple[str, ...]:
    """What is to be said of variables that were given as build arguments, and are none."""
    if not names:
        return ()
    told = (
        f"${environments.BUILD_VARIABLES}: what looks like a credential is a secret of the build steps, not a build "
        f"argument: {', '.join(names)}; a Dockerfile of your own mounts it by that id"
    )
    return (told,)


def _passing(flags: Flags, variables: Mapping[str, str], table: operator.OperatorTable) -> "Passing | None":
    if not flags.drop_in:
        return None
    from orchestrator.config import dropin  # noqa: PLC0415 -- start-up counts: one mode alone needs it

    said = {word.partition("=")[0] for word in (*flags.env, *flags.secrets)}
    # What holds a secret need not look like one.
    read = {secret.env for secret in table.secrets.values()} | {mirror.env for mirror in table.mirrors.values()}
    read |= {proxy.env for proxy in table.network.proxies().values()}
    return dropin.passing(variables, said=frozenset(said | {name for name in read if name}))


def _known(name: str, variables: Mapping[str, str]) -> str:
    if not name.isidentifier() or not name.isascii():
        raise UsageError(f"--secret: expected the name of a variable, got {name!r}", hint="As in --secret NPM_TOKEN.")
    if name not in variables:
        raise UsageError(
            f"--secret {name}: the environment has no such variable", hint=f"Set {name}, and say it again."
        )
    return name


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
    if flags.hosts:
        return tuple(Host(url=url, slots=None, source="--host") for url in flags.hosts)
    if environment.buildkit_host is not None:
        return (Host(url=environment.buildkit_host, slots=None, source="$BUILDKIT_HOST"),)
    if table.hosts:
        return _operated(table, table_name)
    if environment.docker_host is not None:
        # Set for other programs: it speaks where nobody named a builder.
        return (Host(url=environment.docker_host, slots=None, source=DOCKER_HOST),)
    return ()


def _of_file(flags: Flags, environment: Environment, table: operator.OperatorTable) -> bool:
    return bool(table.hosts) and not flags.hosts and environment.buildkit_host is None


def _operated(table: operator.OperatorTable, table_name: str) -> tuple[Host, ...]:
    return tuple(
        Host(
            url=host.url,
            slots=host.slots,
            source=f"{table_name}: hosts",
            memory=parse_size(host.memory) if host.memory is not None else None,
            drain=host.drain,
        )
        for host in table.hosts
    )


def hosts_again(config: Config) -> Config:
    """The same, with the hosts that the operator's file names now.

    Raises:
        ConfigError: the file is wrong, or names none.
        UsageError: it was not the file that named them.
    """
    if config.hosts_file is None:
        said = config.hosts[0].source if config.hosts else "nobody"
        raise UsageError(f"the hosts were named by {said}", hint="Only those of the operator's file can be changed.")
    found = operator.read(config.environment, config.root)
    if found is None or not found[0].hosts:
        raise ConfigError(f"{config.hosts_file}: no hosts are named there", hint="Drain them with drain = true.")
    return msgspec.structs.replace(config, hosts=_operated(found[0], found[1].name))


def _docker_config(environment: Environment, root: Path | None) -> Path:
    """The directory of Docker's config.json, which names programs (`credHelpers`) that are run with our rights."""
    directory = environment.docker_config
    file = directory / "config.json"
    named = environment.variables.get("DOCKER_CONFIG")
    if root is None or not (named or file.exists()):
        return directory
    try:
        inside = any(path.resolve().is_relative_to(root) for path in (directory, file))
    except (OSError, RuntimeError) as error:
        raise ConfigError(f"{file}: cannot be followed: {error}", hint="Correct the path in $DOCKER_CONFIG.") from error
    if inside:
        raise ConfigError(
            f"{f'$DOCKER_CONFIG: {directory}' if named else file}: Docker's configuration inside the source {root} is "
            "not trusted",
            hint="Whoever changes the source could name a program in it: keep it elsewhere, and set $DOCKER_CONFIG.",
        )
    return directory


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


def _tools(variables: Mapping[str, str]) -> dict[str, str]:
    said = {name: variables[name] for name in TOOL_VARIABLES if variables.get(name)}
    for name, value in said.items():
        if why := credentials.reason(name, value):
            raise ConfigError(
                f"${name}: {why}, and it ends up in the image's history",
                hint=f"Unset {name}, and declare what is secret in it as a secret of the app.",
            )
    return said


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
        if why := credentials.reason(name, env[name]):
            raise UsageError(
                f"--env {name}: {why}, and --env ends up in the image",
                hint=f'Declare secrets = ["{name}"] for the app; the operator\'s file says where its value is read.',
            )
    return env
