"""A strategy for Shipwright, its operator's file, and a build of the project that uses both."""

from typing import Final

import msgspec

from orchestrator.init import operatorfile
from orchestrator.init.kubernetes import needed, pool_of
from orchestrator.init.project import Builder, File, Generated, Project, fixed, label, values
from orchestrator.init.rendering import render

PATH: Final = "deploy/shipwright.yaml"


def strategy(project: Project) -> Generated:
    """The strategy.

    Raises:
        UsageError: something is missing, or cannot be written into it.
    """
    image, repository = needed(project)
    name = label(project.name)
    builders = project.elsewhere or (Builder(url=pool_of(project)),)
    # Where images go, the build says.
    said = msgspec.structs.replace(project, image=None)
    text = render(
        "shipwright",
        "shipwright.yml.j2",
        project=project,
        path=PATH,
        name=name,
        image=fixed(image),
        repository=repository,
        values=list(values(project).items()),
        operator=operatorfile.text(said, builders=builders, cache=project.cache),
        in_cluster=not project.elsewhere,
    )
    return Generated(files=(File(path=PATH, text=text),), warnings=_warnings(image, name))


def _warnings(image: str, name: str) -> tuple[str, ...]:
    found = [f"make the secret `registry`, a login of the type docker-registry, in the namespace {name}"]
    if fixed(image) != image and f"{fixed(image)}/{{app}}" != image.partition(":")[0]:
        found.append(f"Shipwright takes no placeholders: images go to {fixed(image)}/NAME")
    return tuple(found)
