"""A workflow of GitHub Actions."""

from typing import Final, Literal

from orchestrator.errors import UsageError
from orchestrator.init import operatorfile
from orchestrator.init.project import (
    BUILDKIT,
    CACHE_DIRECTORY,
    File,
    Generated,
    Project,
    cache_beside,
    files_needed,
    registry_of,
    values,
)
from orchestrator.init.rendering import Text, render

Runner = Literal["hosted", "self-hosted"]

PATH: Final = ".github/workflows/images.yml"
CHECKOUT: Final = "actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0"
SETUP_PYTHON: Final = "actions/setup-python@e797f83bcb11b83ae66e0230d6156d7c80228e7c # v6.0.0"
"""By commit: a tag of somebody else's repository may be moved."""
_PACKAGES: Final = "ghcr.io"
_OPENS_EXPRESSION = "${{"


def workflow(project: Project, *, runner: Runner, directory: str = CACHE_DIRECTORY) -> Generated:
    """The workflow.

    Args:
        project: what is known.
        runner: whose machines run it.
        directory: on a runner of one's own, what outlives a job.

    Raises:
        UsageError: something cannot be written into a workflow.
    """
    hosted = runner == "hosted"
    builders = project.elsewhere if hosted else project.builders
    registry = registry_of(project.image) if project.image is not None else _PACKAGES
    cache = project.cache
    if hosted and cache is None and project.image is not None:
        cache = cache_beside(project.image)
    operator = operatorfile.text(
        project,
        builders=builders,
        cache=cache,
        local=None if hosted else project.local,
        mounts=None if hosted else project.mounts or f"{directory}/packages",
    )
    if any(_OPENS_EXPRESSION in path for path in project.choices):
        raise UsageError(
            "a directory of an app has ${{ in its name, which GitHub reads as an expression",
            hint="Give it another name, or leave it out: ignore in fleetpacks.toml.",
        )
    text = render(
        "github",
        "github.yml.j2",
        project=project,
        hosted=hosted,
        directory=directory,
        packages=registry == _PACKAGES,
        registry=registry,
        operator=operator or "# Nothing has to be said.",
        own_cache=hosted and cache is None,
        own_builder=hosted and not builders,
        ssh=hosted and any(each.is_behind_sshd for each in builders),
        buildkit=BUILDKIT,
        main=Text(f"'refs/heads/{project.branch}'"),
        values=list(values(project).items()),
        checkout=Text(CHECKOUT),
        setup_python=Text(SETUP_PYTHON),
    )
    warnings = (*_warnings(project, hosted=hosted, registry=registry), *files_needed(builders))
    return Generated(files=(File(path=PATH, text=text),), warnings=warnings)


def _warnings(project: Project, *, hosted: bool, registry: str) -> tuple[str, ...]:
    found: list[str] = []
    if needed := values(project):
        found.append(f"put these into the repository's secrets: {', '.join(needed)}")
    if registry != _PACKAGES:
        found.append(f"put REGISTRY_USER and REGISTRY_PASSWORD, of {registry}, into the repository's secrets")
    if hosted and any(each.is_behind_sshd for each in project.elsewhere):
        found.append("put BUILDERS_SSH_KEY into the repository's secrets and BUILDERS_KNOWN_HOSTS into its variables")
    return tuple(found)
