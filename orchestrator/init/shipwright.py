"""A strategy for Shipwright, its operator's file, and a build of the project that uses both."""

from typing import Final

import msgspec

from orchestrator.init import operatorfile
from orchestrator.init.kubernetes import namespace, needed, pool_of
from orchestrator.init.project import Builder, File, Generated, Project, files_needed, fixed, values
from orchestrator.init.rendering import render

PATH: Final = "deploy/shipwright.yaml"


def strategy(project: Project) -> Generated:
    """The strategy.

    Raises:
        UsageError: something is missing, or cannot be written into it.
    """
    image, repository = needed(project)
    name = namespace(project)
    if len(project.apps) == 1:
        image = image.replace("{app}", project.apps[0].name)
    # Behind it, each of several has its name.
    output = fixed(image)
    builders = project.elsewhere or (Builder(url=pool_of(project)),)
    # Where images go, the build says.
    said = msgspec.structs.replace(project, image=None)
    text = render(
        "shipwright",
        "shipwright.yml.j2",
        project=project,
        path=PATH,
        name=name,
        image=output,
        repository=repository,
        values=list(values(project).items()),
        operator=operatorfile.text(said, builders=builders, cache=project.cache),
        in_cluster=not project.elsewhere,
    )
    warnings = (*_warnings(project, image, output, name), *files_needed(builders))
    return Generated(files=(File(path=PATH, text=text),), warnings=warnings)


def _warnings(project: Project, image: str, output: str, name: str) -> tuple[str, ...]:
    found = [f"make the secret `registry`, a login of the type docker-registry, in the namespace {name}"]
    if needed_values := values(project):
        found.append(
            f"make the secret `build-values` in the namespace {name}, with the keys {', '.join(needed_values)}"
        )
    if image not in {output, f"{output}/{{app}}"}:
        behind = "/NAME" if len(project.apps) > 1 else ""
        found.append(f"Shipwright takes no placeholders: images go to {output}{behind}")
    return tuple(found)
