"""The wiring of `init`: what the configuration, the plan and git say becomes a `Project`, and that becomes files."""

import re
from collections.abc import Callable
from pathlib import Path

import msgspec

from orchestrator import __version__
from orchestrator.app import builder, make_plan
from orchestrator.config import Config
from orchestrator.errors import UsageError
from orchestrator.init.project import AppFacts, Builder, File, Generated, Project
from orchestrator.init.writing import Written, write
from orchestrator.model import App, Plan
from orchestrator.plan.bases import base_names
from orchestrator.plan.planner import Request
from orchestrator.workspace import git

_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
_USUAL = "main"
_REMOTE = "origin/"
_BEHIND_SSHD = re.compile(r"(?:ssh://)?(?:[A-Za-z0-9._-]+@)?([A-Za-z0-9.-]+):(?:[0-9]+/)?(?!/)(.+)")
"""Git's short form of an address, which only those who have a key can use."""


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says; None: find out."""

    branch: str | None = None
    package: str | None = None
    tool: str | None = None
    repository: str | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What was made, and what became of it."""

    files: tuple[File, ...]
    written: tuple[Written, ...]
    """Empty when nothing was to be written."""
    warnings: tuple[str, ...]


async def init(
    config: Config, wishes: Wishes, generate: Callable[[Project], Generated], *, into: Path | None, force: bool
) -> Outcome:
    """Make files, and write them.

    Args:
        config: what was said.
        wishes: what the command line says besides.
        generate: makes the files.
        into: the directory that they are written below; None: they are not.
        force: whether files that differ are replaced.

    Raises:
        UsageError: there is no app, something cannot be written into a file, or a file is in the way.
        ConfigError: a configuration file, or an app's own file, is wrong.
    """
    plan = await make_plan(config, Request(push=False))
    project, warnings = await _project(config, plan, wishes)
    made = generate(project)
    written = write(made.files, into, force=force) if into is not None else ()
    return Outcome(files=made.files, written=written, warnings=(*plan.warnings, *warnings, *made.warnings))


async def _project(config: Config, plan: Plan, wishes: Wishes) -> tuple[Project, tuple[str, ...]]:
    environment, cache = config.environment, config.cache
    addresses = builder.addresses(config) if config.hosts else ()
    builders = [
        Builder(url=str(at), slots=host.slots, memory=host.memory)
        for host, at in zip(config.hosts, addresses, strict=True)
        if not host.drain
    ]
    settings = [app.app.settings for app in plan.apps]
    project = Project(
        name=config.root.name or "root",
        version=__version__,
        package=wishes.package or f"fleetpacks=={__version__}",
        tool=wishes.tool,
        branch=await _branch(config, wishes.branch),
        repository=wishes.repository or await _repository(config),
        apps=tuple(AppFacts(name=app.app.name, path=_directory(app.app)) for app in plan.apps),
        image=config.image.template if config.image is not None and config.image.given else None,
        builders=tuple(builders),
        entitlements=config.entitlements,
        hedge=config.hedge,
        jobs=config.jobs,
        cache=cache.image,
        cache_from=cache.sources,
        cache_insecure=cache.insecure,
        local=str(cache.local.directory) if cache.local.directory else None,
        local_size=cache.local.size,
        mounts=str(cache.mounts.directory) if cache.mounts.directory else None,
        mounts_size=cache.mounts.size,
        insecure=tuple(sorted(host for host, said in config.registries.items() if said.insecure)),
        images={host: said.mirror for host, said in config.registries.items() if said.mirror is not None},
        secrets=tuple(sorted({name for each in settings for name in each.secrets})),
        mirrors=tuple(config.mirrors.values()),
        ssh=tuple(sorted({name for each in settings for name in each.ssh})),
        hub=environment.registry_mirror,
        dhi=environment.dhi_mirror,
        hardened=environment.use_dhi,
        bases=tuple(sorted({name for names in base_names(plan.apps).values() for name in names})),
    )
    return project, _warnings(config, wishes)


def _directory(app: App) -> str:
    """Where an app is looked for; a Compose file's services are `deploy/compose.yaml#api`."""
    return app.path if app.settings.service is None else app.path.rpartition("#")[0].rpartition("/")[0] or "."


def _warnings(config: Config, wishes: Wishes) -> tuple[str, ...]:
    found: list[str] = []
    if wishes.package is None and "dev" in __version__:
        found.append(f"{__version__} is no release: say with --package where it is installed from")
    if config.network.ca is not None or config.network.proxies:
        found.append(f"[network] of {config.secrets_file} is this machine's: say that of the others by hand")
    return tuple(found)


async def _branch(config: Config, said: str | None) -> str:
    """The branch whose images are the latest: the remote's, else the only one that is here, else a usual name."""
    found = said
    if found is None:
        words = ("symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD")
        told = await git.ask(config.root, words, config.environment.for_git())
        line = told.line if told else None
        found = line.removeprefix(_REMOTE) if line and _BRANCH.fullmatch(line) else await _only_branch(config)
    if not _BRANCH.fullmatch(found):
        raise UsageError(
            f"--branch: {found!r}: expected letters, digits and . _ / -", hint="Name the branch of what is released."
        )
    return found


async def _only_branch(config: Config) -> str:
    words = ("for-each-ref", "--format=%(refname:short)", "refs/heads")
    told = await git.ask(config.root, words, config.environment.for_git())
    line = told.line if told else None
    # Of several, there are several lines.
    return line if line and _BRANCH.fullmatch(line) else _USUAL


async def _repository(config: Config) -> str | None:
    """Where anybody may fetch the source."""
    found = await git.origin(config.root, config.environment.for_git())
    short = _BEHIND_SSHD.fullmatch(found) if found else None
    if short is not None:
        return f"https://{short[1]}/{short[2]}"
    return found if found and found.startswith("https://") else None
