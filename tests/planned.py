"""Apps as the planner hands them on, with nothing in them but what a test says."""

from pathlib import Path

import msgspec

from langs.model import AppBuild, Detection, Settings
from orchestrator.model import App, AppPlan

ROOT = Path("/nowhere")


def build_of(dockerfile: str = "FROM scratch\n", *, language: str = "go", **said: object) -> AppBuild:
    """An image out of nothing.

    Args:
        dockerfile: the text.
        language: as it was recognised.
        said: other fields of it.
    """
    nothing = AppBuild(
        language=language,
        version=None,
        package_manager=None,
        dockerfile=dockerfile,
        dockerfile_path=None,
        dockerignore=None,
        start_command=None,
        processes=(),
        port=5000,
        cache=(),
        evidence=(),
    )
    return msgspec.structs.replace(nothing, **said)


def planned(
    path: str, build: AppBuild, *, root: Path = ROOT, settings: Settings | None = None, **said: object
) -> AppPlan:
    """An app that was discovered at a path, to be published under the last part of that.

    Args:
        path: from the root.
        build: how its image is made.
        root: the monorepo's.
        settings: its own.
        said: other fields of the plan.
    """
    name = path.rpartition("/")[2]
    detection = Detection(language=build.language, evidence=())
    plan = AppPlan(
        app=App(name=name, path=path, directory=root / path, detection=detection, settings=settings or Settings()),
        build=build,
        repository=f"registry.example/{name}",
        tags=("latest",),
        reason="discovered",
    )
    return msgspec.structs.replace(plan, **said)
