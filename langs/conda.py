"""Conda's environments: recognised, and not built.

What they list are packages of conda's channels, interpreters and libraries among them, of which an index for pip has
others by the same names, or none.
"""

from typing import Final

from langs import documents, yamltext
from langs.errors import LangError
from langs.files import AppFiles, once

NAME: Final = "conda"
FILES: Final = ("environment.yml", "environment.yaml")
PIXI: Final = "pixi.toml"


@once
def file(files: AppFiles) -> str | None:
    """The file that describes an environment; others have one by the same name, for other ends."""
    for name in FILES:
        text = files.read_text(name) if files.exists(name) else None
        if text is not None and "dependencies" in documents.table(_loaded(text, name)):
            return name
    return PIXI if files.exists(PIXI) else None


def refused(name: str) -> LangError:
    """The error for an app whose dependencies nothing else lists."""
    tool = "Pixi" if name == PIXI else "Conda"
    return LangError(
        f"{tool}'s environments are not supported",
        file=name,
        hint="List what the app imports in requirements.txt or pyproject.toml, which then count. What needs more than "
        'packages of Python needs a Dockerfile; `language = "dockerfile"` makes it the one that is built.',
    )


def _loaded(text: str, name: str) -> object:
    try:
        return yamltext.load(text, name)
    except LangError:
        # A template, or somebody else's.
        return None
