"""What a directory holds and how it becomes an image: detection, versions, Dockerfiles.

A library of its own: it reads files and decides. It opens no socket, runs no command, and knows nothing of the
orchestrator. Importing it is cheap: languages and templates are loaded by the first call.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from langs.model import AppBuild, Detection, Look, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langs.files import AppFiles
    from langs.listing import Listing
    from langs.real import Real
    from langs.seen import Seen

__all__ = ["Reader", "build", "detect", "look"]

_SOMETHING = "true"
"""A command that any image has."""


def detect(root: Path, settings: Settings, *, within: Path | None = None) -> Detection | None:
    """What the app in `root` is, or None when nothing in it speaks for any language.

    Args:
        root: the app's directory; nothing outside of it is read.
        settings: what configuration says about the app.
        within: the monorepo's root, so that what lies around the app can be named in it.

    Raises:
        langs.errors.LangError: a file of the app cannot be understood.
    """
    from langs import choice, files  # noqa: PLC0415  (start-up counts: `langs.model` is imported by everything)

    return choice.detect(files.AppFiles(root, within), settings)


def look(root: Path, settings: Settings) -> Look:
    """What the app in `root` is and how it would be built, its files being read once.

    What cannot be started has a version and a package manager all the same: it is planned as if it were told how. A
    Compose file is several apps, and is not planned.

    Raises:
        langs.errors.LangError: it cannot be told what it is.
    """
    from langs import choice, files, obstacles  # noqa: PLC0415  (as above)
    from langs.errors import LangError  # noqa: PLC0415  (as above)
    from langs.registry import LANGUAGES  # noqa: PLC0415  (as above)

    app = files.AppFiles(root)
    detection = choice.detect(app, settings)
    if detection is None or detection.services:
        return Look(detection=detection, problem=obstacles.lost(app, LANGUAGES) if detection is None else None)
    problem: LangError | None = None
    if detection.obstacles:
        problem = obstacles.error(detection)
    if detection.is_app:
        try:
            return Look(detection=detection, build=choice.build(app, settings, detection))
        except LangError as error:
            problem = error
    told = msgspec.structs.replace(settings, run_command=_SOMETHING, build_command=_SOMETHING)
    try:
        build = choice.build(app, told, detection)
    except LangError as error:
        return Look(detection=detection, problem=problem or error)
    return Look(
        detection=detection, build=msgspec.structs.replace(build, start_command=None, processes=()), problem=problem
    )


def build(
    root: Path, settings: Settings, *, within: Path | None = None, detection: Detection | None = None
) -> AppBuild:
    """Everything needed to build the image of the app in `root`.

    Args:
        root: the app's directory; nothing outside of it becomes part of the image.
        settings: what configuration says about the app.
        within: the monorepo's root, so that a workspace around the app is seen.
        detection: what `detect` said of the app, if it was asked already.

    Raises:
        langs.errors.LangError: the app's language cannot be told, or a file of the app cannot be understood.
    """
    from langs import choice, files  # noqa: PLC0415  (as above)

    return choice.build(files.AppFiles(root, within), settings, detection)


class Reader:
    """`detect` and then `build` of many apps, whose files are read once: its answers are those of one moment.

    It is for one command, and not for a program that waits for files to change.

    Args:
        listings: of directories that were listed before, by their paths; they were at rest then. They may become more.
        real: has resolved directories before.
    """

    def __init__(self, listings: "Mapping[str, Listing] | None" = None, real: "Real | None" = None) -> None:
        self._listings: Mapping[str, Listing] = {} if listings is None else listings
        self._real = real
        self._apps: dict[tuple[Path, Path | None], AppFiles] = {}
        self._looked_at: dict[Path | None, list[AppFiles]] = {}
        self._known: dict[Path | None, dict[str, AppFiles]] = {}

    def detect(self, root: Path, settings: Settings, *, within: Path | None = None) -> Detection | None:
        """See `detect`. What an app's directory holds is kept for `build`.

        Raises:
            langs.errors.LangError: as `detect`.
        """
        from langs import choice  # noqa: PLC0415  (as above)

        app = self._opened(root, within)
        detection = choice.detect(app, settings)
        if detection is not None and detection.is_app:
            self._apps[root, within] = app
        return detection

    def build(
        self, root: Path, settings: Settings, *, within: Path | None = None, detection: Detection | None = None
    ) -> AppBuild:
        """See `build`.

        Raises:
            langs.errors.LangError: as `build`.
        """
        from langs import choice  # noqa: PLC0415  (as above)

        return choice.build(self._apps.get((root, within)) or self._opened(root, within), settings, detection)

    def seen(self, within: Path) -> "tuple[tuple[tuple[str, Seen], ...], Mapping[str, Seen]]":
        """What was seen of one monorepo until now.

        Returns:
            Of the directories that were asked about, each for its own sake and perhaps several times; and of those that
            were looked at for their sake, once each. All are absolute paths without links.
        """
        own = tuple((str(files.root), files.seen) for files in self._looked_at.get(within, ()))
        return own, {directory: files.seen for directory, files in self._known.get(within, {}).items()}

    def _opened(self, root: Path, within: Path | None) -> "AppFiles":
        """The files of an app: a workspace's manifests are read once for all its apps."""
        from langs import files  # noqa: PLC0415  (as above)

        known = None if within is None else self._known.setdefault(within, {})
        app = files.AppFiles(root, within, known=known, listings=self._listings, real=self._real)
        self._looked_at.setdefault(within, []).append(app)
        return app
