"""The composition root: the only module that knows every concrete class.

Each command is one function here. Heavy libraries are imported where a command first needs them.
"""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import anyio.to_thread
import msgspec

import langs
from langs.model import AppBuild, Detection
from orchestrator.config import Config
from orchestrator.errors import ConfigError, UsageError
from orchestrator.model import App, Plan
from orchestrator.plan import naming, planner
from orchestrator.workspace import discover, files, git
from orchestrator.workspace.border import errors_of


class Discovered(msgspec.Struct, frozen=True, kw_only=True):
    """The apps of the monorepo, and those of them that the command line selects."""

    apps: tuple[App, ...]
    selected: tuple[App, ...]
    warnings: tuple[str, ...] = ()


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


async def discover_apps(config: Config, words: Sequence[str] = (), reader: langs.Reader | None = None) -> Discovered:
    """Find the apps.

    Args:
        config: what was said.
        words: paths of the command line; none selects all apps.
        reader: keeps what is read of apps that are going to be planned.

    Raises:
        UsageError: a path names no app.
        ConfigError: a configuration file, or an app's own file, is wrong.
        ContextError: the source cannot be read.
    """
    _check_part(config)
    named = discover.named_paths(config.root, tuple(words))
    warnings: list[str] = []
    listed = await files.list_files(config.root, config.environment.for_git(), warnings.append)
    detect = partial(reader.detect if reader else langs.detect, within=config.root)
    said = config.environment
    apps: tuple[App, ...] = ()
    if said.compose_file is None:
        apps = await anyio.to_thread.run_sync(discover.discover, listed, config, detect, named)
    selected = discover.select(apps, named) if apps or said.compose_file is None else ()
    if not apps and said.sole_app_variables:
        # As in migetpacks: told what it is, the source itself is the app.
        path = config.project_path or "."
        apps = await anyio.to_thread.run_sync(discover.told, config, path, detect)
        return Discovered(apps=apps, selected=discover.select(apps, named), warnings=tuple(warnings))
    alone = planner.sole(config, selected)
    if alone is not None and alone.settings.service is None:
        told = await anyio.to_thread.run_sync(discover.told, config, alone.path, detect)
        if len(told) == 1:
            told = (msgspec.structs.replace(told[0], name=alone.name),)
        apps = tuple(each for app in apps for each in (told if app.path == alone.path else (app,)))
        selected = told
    return Discovered(apps=apps, selected=selected, warnings=tuple(warnings))


async def make_plan(config: Config, request: planner.Request) -> Plan:
    """Plan what a command asks for; `request.named` may be relative to the root.

    Raises:
        UsageError: there is no app, or names cannot be.
        ConfigError: a configuration file, or an app's own file, is wrong.
        ContextError: the source cannot be read.
    """
    reader = langs.Reader()
    found = await discover_apps(config, request.named, reader)
    if not found.selected:
        raise UsageError(
            f"no app was found in {config.root / (config.project_path or '')}",
            hint='Run `fleetpacks detect DIR` for a directory, or declare it: [apps."path"] in fleetpacks.toml.',
        )
    facts = await _facts(config, request)

    def make() -> Plan:
        made = planner.make(config, found.apps, found.selected, request, build=reader.build, facts=facts)
        return msgspec.structs.replace(made, warnings=found.warnings)

    return await anyio.to_thread.run_sync(make)


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
