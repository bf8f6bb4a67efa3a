"""Apps, settings and names become a `Plan`. Nothing is sent anywhere yet."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from langs.model import AppBuild, Detection, Settings
from orchestrator.config import Config
from orchestrator.errors import ConfigError, UsageError
from orchestrator.model import App, AppPlan, Plan
from orchestrator.plan.naming import Facts, name_all
from orchestrator.workspace.border import Problems, errors_of


class Build(Protocol):
    """Makes an app's Dockerfile."""

    def __call__(
        self, root: Path, settings: Settings, *, within: Path | None = None, detection: Detection | None = None
    ) -> AppBuild:
        """See `langs.build`."""
        ...


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a command asks of the plan."""

    named: tuple[str, ...] = ()
    """Directories named on the command line, as paths from the root."""
    filters: tuple[str, ...] = ()
    """What else selects apps: `orchestrator.workspace.selection`."""
    since: str | None = None
    """A revision: of the selected apps only those are meant that changes since then reach."""
    push: bool | None = None
    """None: push when a person or a file gave the image's name."""
    tags: tuple[str, ...] = ()
    """Templates of more tags."""
    secrets_needed: bool = False
    """The plan is going to be built: a secret without a source is an error, and so is an SSH agent."""


def make(
    config: Config,
    discovered: Sequence[App],
    selected: Sequence[App],
    request: Request,
    *,
    build: Build,
    facts: Facts,
    reasons: Mapping[str, str],
) -> Plan:
    """Plan the selected apps.

    Args:
        config: what was said.
        discovered: all apps, which decide about names.
        selected: the apps to build, in order.
        request: what the command asks.
        build: makes an app's Dockerfile (`langs.build`).
        facts: what placeholders mean.
        reasons: why an app is selected, by its path.

    Raises:
        UsageError: names cannot be, there is nowhere to push to, or an image that another app needs is not pushed.
        ConfigError: an app's files are wrong, a secret has no source, or the lock file does not have what it must.
    """
    names = name_all(discovered, config.image, facts, tags=request.tags, tag_latest=config.tag_latest)
    push = decide_push(config, request)
    if request.secrets_needed:
        _check_secrets(config, selected)
        _check_agents(config, selected)
        _check_images(selected, push=push)
    plans: list[AppPlan] = []
    problems = Problems()
    for app in selected:
        repository, tags = names[app.path].repository, names[app.path].tags
        place = app.path if app.settings.service is None else app.directory.relative_to(config.root).as_posix()
        with problems.collected(app.path, declared=config.is_declared(app.path)), errors_of(place):
            built = build(app.directory, app.settings, within=config.root, detection=app.detection)
            _check_contexts(app, built)
            built = _with_platforms(_with_unlocked(app.path, built, config), app, config)
            plans.append(
                AppPlan(
                    app=app,
                    build=built,
                    repository=repository,
                    tags=tags,
                    timeout=config.timeout_for(place),
                    reason=reasons[app.path],
                )
            )
    problems.raise_all(among=len(discovered), otherwise="name the paths of those that are to be built")
    if config.locked:
        from orchestrator.plan import locking  # noqa: PLC0415 -- as below

        locking.require(config.lock, plans)
    return Plan(root=config.root, apps=tuple(plans), push=push, alone=len(discovered) == 1)


def _with_unlocked(path: str, built: AppBuild, config: Config) -> AppBuild:
    """The same with a warning of each choice that the lock file does not have."""
    if config.lock is None:
        return built
    from orchestrator.plan import locking  # noqa: PLC0415 -- start-up counts: only a lock file needs it

    warnings = locking.warnings(config.lock, path, built)
    return msgspec.structs.replace(built, warnings=(*built.warnings, *warnings)) if warnings else built


def _with_platforms(built: AppBuild, app: App, config: Config) -> AppBuild:
    """The same for the platforms that are asked for; a Compose file's own stay, unless a flag names others."""
    platforms = config.platforms or built.platforms or app.settings.platforms
    return built if platforms == built.platforms else msgspec.structs.replace(built, platforms=platforms)


def decide_push(config: Config, request: Request) -> bool:
    """Push when asked, else when the image's name was given by hand or in a file.

    Raises:
        UsageError: a push is asked for, and no registry is known.
    """
    if request.push is None:
        return config.image is not None and config.image.given
    if request.push and config.image is None:
        raise UsageError(
            "--push: no image name was given, so there is no registry to push to",
            hint="Name it: --image registry.example/team/{app}, $OUTPUT_IMAGE, or image = ... in the operator's file.",
        )
    return request.push


def sole(config: Config, selected: Sequence[App]) -> App | None:
    """The app of which variables such as `$RUN_COMMAND` speak, or None when none is set.

    Raises:
        UsageError: several apps are selected.
    """
    variables = config.environment.sole_app_variables
    if not variables or not selected:
        return None
    if len(selected) > 1:
        names = ", ".join(f"${name}" for name in variables)
        shown = ", ".join(app.name for app in selected[:5]) + (", ..." if len(selected) > 5 else "")  # noqa: PLR2004 -- enough to recognise
        raise UsageError(
            f"{names}: can only speak of one app, and {len(selected)} are selected: {shown}",
            hint='Select one by its path or $PROJECT_PATH, or use [apps."path"] in fleetpacks.toml.',
        )
    return selected[0]


def _check_secrets(config: Config, selected: Sequence[App]) -> None:
    missing: Mapping[str, str] = {
        name: app.name for app in reversed(selected) for name in app.settings.secrets if name not in config.secrets
    }
    for name, app in missing.items():
        raise ConfigError(
            f"{config.secrets_file}: secrets.{name}: {app!r} declares this secret, and the operator gives no source",
            hint=f'Add [secrets] {name} = {{ env = "{name}" }} to {config.secrets_file}.',
        )


def _check_agents(config: Config, selected: Sequence[App]) -> None:
    where = config.secrets_file
    for app in selected:
        for name in app.settings.ssh:
            if name not in config.ssh:
                raise ConfigError(
                    f"{where}: ssh.{name}: {app.name!r} declares this SSH agent, and the operator does not offer it",
                    hint=f"Add [ssh.{name}] to {where}, and socket = ... unless it is the agent of $SSH_AUTH_SOCK.",
                )
            if config.ssh[name] is None:
                raise ConfigError(
                    f"{where}: ssh.{name}: it has no socket, and $SSH_AUTH_SOCK is not set",
                    hint="Start an agent (`eval $(ssh-agent)`), or name its socket there.",
                )


def _check_contexts(app: App, built: AppBuild) -> None:
    generated = built.dockerfile_path is None and app.settings.service is None
    if app.contexts and generated:
        raise ConfigError(
            f"{app.path}: `contexts` is for a Dockerfile of the app's own, and this one's is generated",
            hint="Name it: dockerfile = ..., or declare what the app uses as depends_on.",
        )


def _check_images(selected: Sequence[App], *, push: bool) -> None:
    for app in selected:
        for name in app.contexts if not push else ():
            raise UsageError(
                f"{app.name}: its Dockerfile stands on {name!r}, the image of another app, which the builder gets from "
                "a registry, and nothing is pushed",
                hint="Add --push, and --image registry.example/team/{app} where no image is named.",
            )
