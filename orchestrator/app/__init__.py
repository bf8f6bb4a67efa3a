"""The composition root: the only module that knows every concrete class.

Each command is one function here. Heavy libraries are imported where a command first needs them.
"""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import anyio.to_thread
import msgspec

import langs
from langs.model import AppBuild, Detection
from orchestrator.config import Config
from orchestrator.errors import ConfigError
from orchestrator.model import App, Plan
from orchestrator.plan import naming, planner
from orchestrator.workspace import discover, files, git, lfs, selection
from orchestrator.workspace.border import errors_of
from orchestrator.workspace.graph import ordered
from orchestrator.workspace.known import Known
from orchestrator.workspace.leftout import LeftOut, nothing_found, warnings_of
from orchestrator.workspace.links import link

_KNOWN = "known"
"""Where in the operator's cache it lies what directories were found to be."""


class Discovered(msgspec.Struct, frozen=True, kw_only=True):
    """The apps of the monorepo, and those of them that the command is about."""

    apps: tuple[App, ...]
    reasons: Mapping[str, str]
    """Path of a selected app -> why it is."""
    files: tuple[str, ...] = ()
    """Those of the source that tell something, as paths from the root."""
    warnings: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    """What was recognised, and is no app."""

    @property
    def selected(self) -> tuple[App, ...]:
        """The selected apps, each behind those whose images it needs."""
        images = {app.path: tuple(app.contexts.values()) for app in self.apps if app.contexts}
        apps = {app.path: app for app in self.apps if app.path in self.reasons}
        return tuple(apps[path] for path in ordered(apps, images))


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What one directory is."""

    detection: Detection | None
    build: AppBuild | None
    problem: ConfigError | None
    """What a build of it would end with."""


def detect_directory(config: Config, name: str, *, alone: bool) -> Looked:
    """Look at one directory, the root of `config`, by itself.

    Args:
        config: what was said.
        name: how errors call the directory.
        alone: whether variables such as `$LANGUAGE` speak of it.

    Raises:
        ConfigError: its files cannot be understood.
    """
    settings = config.settings_for(".", sole=alone)
    with errors_of(name):
        look = langs.look(config.root, settings)
    problem: ConfigError | None = None
    try:
        with errors_of(name):
            if look.problem is not None:
                raise look.problem
    except ConfigError as error:
        problem = error
    return Looked(detection=look.detection, build=look.build, problem=problem)


async def discover_apps(
    config: Config, request: planner.Request | None = None, known: Known | None = None
) -> Discovered:
    """Find the apps.

    Args:
        config: what was said.
        request: which of them the command is about; None: all.
        known: what is known of apps that are going to be planned.

    Raises:
        UsageError: what selects apps names none.
        ConfigError: a configuration file, or an app's own file, is wrong.
        ContextError: the source cannot be read.
    """
    request = request or planner.Request()
    _check_part(config)
    filters = tuple(selection.parse(text) for text in request.filters)
    warnings: list[str] = []
    absent: set[str] = set()
    left_out: list[LeftOut] = []
    listings, real = (known.listings, known.real) if known else (None, None)
    listed = await files.list_files(
        config.root, config.environment.for_git(), warnings.append, wanted=_tells, listings=listings, absent=absent
    )
    if known is not None:
        config.own.know(known.listings.lasting)
    named = discover.named_paths(config.root, request.named, absent)
    detect = partial(known.detect if known else langs.detect, within=config.root)

    def find() -> tuple[tuple[App, ...], dict[str, str]]:
        said = config.environment
        apps: tuple[App, ...] = ()
        if said.compose_file is None:
            apps = discover.discover(
                listed,
                config,
                detect,
                named,
                real,
                absent=absent.difference(named),
                warn=warnings.append,
                left_out=lambda path, detection: left_out.append(LeftOut(path=path, detection=detection)),
            )
            apps = link(config, apps, absent)
            discover.select(apps, named)
        if config.drop_in and not named and not filters:
            apps = _alone(config, apps)
        if apps or not said.sole_app_variables:
            return _told(config, apps, _chosen(config, apps, named, filters), detect)
        # As in migetpacks: told what it is, the source itself is the app.
        apps = link(config, discover.told(config, config.project_path or ".", detect))
        return apps, _chosen(config, apps, named, filters)

    apps, chosen = await anyio.to_thread.run_sync(find)
    if request.since is not None:
        # Start-up counts: few commands ask for changes.
        from orchestrator.app import sources  # noqa: PLC0415
        from orchestrator.workspace.affected import affected  # noqa: PLC0415
        from orchestrator.workspace.changes import changes  # noqa: PLC0415

        changed = await changes(config.root, config.environment.for_git(), request.since)
        build = known.build if known else langs.build
        told = sources.told(config.root, build)
        reached = await anyio.to_thread.run_sync(affected, config.root, apps, changed, told)
        chosen = {path: reached[path] for path in chosen if path in reached}
    reasons = selection.needed(apps, chosen)
    return Discovered(
        apps=apps,
        reasons=reasons,
        files=listed,
        warnings=(*warnings, *(warnings_of(left_out) if apps else ())),
        left_out=tuple(left_out),
    )


def _tells(name: str) -> bool:
    """Whether files of this name are looked for in the source."""
    return name == lfs.ATTRIBUTES or discover.tells(name)


def _chosen(
    config: Config, apps: tuple[App, ...], named: tuple[str, ...], filters: tuple[selection.Filter, ...]
) -> dict[str, str]:
    """What paths and filters select."""
    if filters:
        chosen = dict.fromkeys((app.path for app in discover.select(apps, named)), "requested") if named else {}
        return selection.filtered(apps, filters, chosen)
    reason = "requested" if named or config.project_path else "discovered"
    return dict.fromkeys((app.path for app in discover.select(apps, named)), reason)


def _alone(config: Config, apps: tuple[App, ...]) -> tuple[App, ...]:
    """Of a source that is an app itself, this app with what it needs: migetpacks looks at nothing below."""
    place = config.project_path or "."
    own = {app.path: "" for app in apps if _place(app) == place}
    return tuple(app for app in apps if app.path in selection.needed(apps, own)) if own else apps


def _place(app: App) -> str:
    """The directory that holds an app's files, and of a Compose file's service this file."""
    if app.settings.service is None:
        return app.path
    return app.path.partition("#")[0].rpartition("/")[0] or "."


def _told(
    config: Config, apps: tuple[App, ...], chosen: dict[str, str], detect: discover.Detect
) -> tuple[tuple[App, ...], dict[str, str]]:
    """The apps, the only chosen one of them as the environment tells it."""
    alone = planner.sole(config, [app for app in apps if app.path in chosen])
    if alone is None or alone.settings.service is not None:
        return apps, chosen
    told = discover.told(config, alone.path, detect)
    if len(told) == 1:
        told = (msgspec.structs.replace(told[0], name=alone.name),)
    apps = tuple(each for app in apps for each in (told if app.path == alone.path else (app,)))
    return link(config, apps), {app.path: chosen[alone.path] for app in told}


async def make_plan(config: Config, request: planner.Request) -> Plan:
    """Plan what a command asks for; `request.named` may be relative to the root.

    Raises:
        UsageError: there is no app, or names cannot be.
        ConfigError: a configuration file, or an app's own file, is wrong.
        ContextError: the source cannot be read.
    """
    known = await anyio.to_thread.run_sync(Known, config.environment.cache_directory / _KNOWN, config.root)
    try:
        return await _planned(config, request, known)
    finally:
        # One app that is wrong does not make one forget the others.
        await anyio.to_thread.run_sync(known.save)


async def _planned(config: Config, request: planner.Request, known: Known) -> Plan:
    found = await discover_apps(config, request, known)
    if not found.apps:
        raise nothing_found(str(config.root / (config.project_path or "")), found.left_out)
    facts = await _facts(config, request)
    unfetched = await lfs.pointers(config.root, found.files, config.environment.for_git())

    def make() -> Plan:
        selected = found.selected
        made = planner.make(
            config, found.apps, selected, request, build=known.build, facts=facts, reasons=found.reasons
        )
        warnings = (
            *config.warnings,
            *_format(config),
            *found.warnings,
            *lfs.warnings(config.root, found.selected, unfetched),
        )
        return msgspec.structs.replace(made, warnings=warnings)

    return await anyio.to_thread.run_sync(make)


def _format(config: Config) -> tuple[str, ...]:
    if config.lock is None or config.lock.versions is not None:
        return ()
    from orchestrator.plan.locking import WITHOUT_VERSIONS  # noqa: PLC0415 -- start-up counts: an old lock file needs it

    return (WITHOUT_VERSIONS,)


def _check_part(config: Config) -> None:
    part = config.project_path
    if part is not None and not os.path.isdir(config.root / part):  # noqa: PTH112 -- is_dir raises where it may not look
        raise ConfigError(
            f"$PROJECT_PATH: {files.printable(part)!r}: no such directory in {config.root}",
            hint="Give it relative to the source.",
        )


async def _facts(config: Config, request: planner.Request) -> naming.Facts:
    branch, revision = config.branch, config.revision
    if naming.needs_revision(config.image, request.tags) and (branch is None or revision is None):
        checked_out = await git.head(config.root, config.environment.for_git())
        branch, revision = branch or checked_out[0], revision or checked_out[1]
    return naming.Facts(root_name=config.root.name or Path("root").name, branch=branch, revision=revision)
