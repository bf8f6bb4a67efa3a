"""A pipeline of GitLab CI."""

import json
from typing import Final

from orchestrator.errors import UsageError
from orchestrator.init import operatorfile
from orchestrator.init.project import (
    BUILDKIT,
    File,
    Generated,
    Project,
    cache_beside,
    files_needed,
    registry_of,
    values,
)
from orchestrator.init.rendering import Text, render, shlex_quoted

PATH: Final = ".gitlab-ci.yml"


def pipeline(project: Project) -> Generated:
    """The pipeline.

    Raises:
        UsageError: something cannot be written into it.
    """
    builders = project.elsewhere
    cache = project.cache
    if cache is None and project.image is not None:
        cache = cache_beside(project.image)
    own = project.image is None
    operator = operatorfile.text(project, builders=builders, cache=cache)
    if any("$" in path for path in project.choices):
        raise UsageError(
            "a directory of an app has a $ in its name, which GitLab reads as a variable",
            hint="Give it another name, or leave it out: ignore in fleetpacks.toml.",
        )
    registry = '"$CI_REGISTRY"' if project.image is None else shlex_quoted(registry_of(project.image))
    text = render(
        "gitlab",
        "gitlab.yml.j2",
        project=project,
        buildkit=BUILDKIT,
        operator=operator or "# Nothing has to be said.",
        own_builder=not builders,
        own_cache=cache is None,
        ssh=any(each.is_behind_sshd for each in builders),
        user=Text("CI_REGISTRY_USER" if own else "REGISTRY_USER"),
        password=Text("CI_REGISTRY_PASSWORD" if own else "REGISTRY_PASSWORD"),
        registry=Text(str(registry)),
        on_main=Text(f"$CI_COMMIT_BRANCH == {json.dumps(project.branch)}"),
    )
    return Generated(files=(File(path=PATH, text=text),), warnings=(*_warnings(project), *files_needed(builders)))


def _warnings(project: Project) -> tuple[str, ...]:
    found: list[str] = []
    if needed := values(project):
        found.append(f"put these into the project's CI/CD variables, masked: {', '.join(needed)}")
    if project.image is not None:
        host = registry_of(project.image)
        found.append(f"put REGISTRY_USER and REGISTRY_PASSWORD, of {host}, into the project's CI/CD variables, masked")
    if any(each.is_behind_sshd for each in project.elsewhere):
        found.append("put BUILDERS_SSH_KEY and BUILDERS_KNOWN_HOSTS into the project's CI/CD variables, as files")
    return tuple(found)
