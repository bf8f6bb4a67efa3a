"""What a directory holds and how it becomes an image: detection, versions, Dockerfiles.

A library of its own: it reads files and decides. It opens no socket, runs no command, and knows nothing of the
orchestrator. Importing it is cheap: languages and templates are loaded by the first call.
"""

from pathlib import Path

from langs.model import AppBuild, Detection, Settings

__all__ = ["build", "detect"]


def detect(root: Path, settings: Settings) -> Detection | None:
    """What the app in `root` is, or None when nothing in it speaks for any language.

    Args:
        root: the app's directory; nothing outside of it is read.
        settings: what configuration says about the app.

    Raises:
        langs.errors.LangError: a file of the app cannot be understood.
    """
    from langs import choice, files  # noqa: PLC0415  (start-up counts: `langs.model` is imported by everything)

    return choice.detect(files.AppFiles(root), settings)


def build(root: Path, settings: Settings, *, within: Path | None = None) -> AppBuild:
    """Everything needed to build the image of the app in `root`.

    Args:
        root: the app's directory; nothing outside of it becomes part of the image.
        settings: what configuration says about the app.
        within: the monorepo's root, so that a workspace around the app is seen.

    Raises:
        langs.errors.LangError: the app's language cannot be told, or a file of the app cannot be understood.
    """
    from langs import choice, files  # noqa: PLC0415  (as above)

    return choice.build(files.AppFiles(root, within), settings)
