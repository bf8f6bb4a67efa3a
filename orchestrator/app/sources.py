"""Which files of the source an app's build is sent from outside of the app's directory.

The plan says it, and no list beside it: these are the files that the image's inputs are told by (`orchestrator.skip`).
"""

import posixpath
from collections.abc import Sequence
from pathlib import Path

from langs.errors import LangError
from orchestrator.buildkit.context import Chosen
from orchestrator.errors import ContextError
from orchestrator.model import App
from orchestrator.plan.planner import Build
from orchestrator.workspace.affected import Sent


def told(root: Path, build: Build) -> Sent:
    """Who knows it for a source.

    Args:
        root: the source.
        build: makes an app's Dockerfile (`langs.build`).
    """

    def sent(app: App, files: Sequence[str]) -> Sequence[str]:
        place = app.directory.relative_to(root).as_posix()
        try:
            built = build(app.directory, app.settings, within=root, detection=app.detection)
            chosen = Chosen(built.dockerignore or "")
            context = posixpath.normpath(posixpath.join(place, built.context))
            below = "" if context == "." else f"{context}/"
            return [
                file
                for file in files
                if built.context != "." and file.startswith(below) and _holds(chosen, root, file, below)
            ]
        except LangError as error:
            # There is no plan of it. It is told of the change that made it so, and of no other.
            broken = posixpath.normpath(posixpath.join(error.directory or place, error.file)) if error.file else None
            return [file for file in files if file == broken]
        except (ContextError, OSError):
            return ()

    return sent


def _holds(chosen: Chosen, root: Path, file: str, below: str) -> bool:
    # A submodule is one path.
    return chosen.holds(file.removeprefix(below), directory=(root / file).is_dir())
