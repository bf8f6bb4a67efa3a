"""Apps that bring their own Dockerfile: nothing is generated, and their .dockerignore is theirs."""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from langs import base, procfile
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import AppBuild, Detection, Evidence, Settings

NAME: Final = "dockerfile"
PROGRAMS: Final = frozenset[str]()
VERSION_VARIABLES: Final = ()
FILE: Final = "Dockerfile"
FILES: Final = (FILE, "Containerfile")
"""The second one is Buildah's name for it, which others do not look for: where both are, the first one counts."""
MANIFESTS: Final = FILES
ENTRY_POINTS: Final = ()
IMAGES: Final = ()
_FROM: Final = re.compile(r"^[ \t]*FROM[ \t]+\S", re.IGNORECASE | re.MULTILINE)


def detect(files: AppFiles) -> Detection | None:
    """A Dockerfile in the app's directory; it says everything itself."""
    file = files.first(*FILES)
    if file is None:
        return None
    return Detection(
        language=NAME,
        evidence=(Evidence(file=file, reason="a Dockerfile"),),
        is_app=bool(_FROM.search(files.read_text(file) or "")),
    )


def named(path: str) -> Detection:
    """The detection of an app that is told which Dockerfile to use."""
    return Detection(language=NAME, evidence=(Evidence(file=path, reason="named by the configuration"),))


def build(files: AppFiles, settings: Settings, detection: Detection) -> AppBuild:
    """The user's Dockerfile as it is.

    Raises:
        LangError: it is absent, lies outside of the app, or holds no FROM; or a .dockerignore is no file to be read.
    """
    path = settings.dockerfile or files.first(*FILES) or FILE
    text = files.read_text(path)
    if text is None:
        raise LangError("the Dockerfile is not there", file=path, hint="Name a file in the app's directory.")
    if not _FROM.search(text):
        raise LangError("has no FROM: it is not a Dockerfile", file=path, hint="Name the right file.")
    for ignoring in (f"{path}.dockerignore", ".dockerignore"):
        # The daemon opens what it is sent: it would wait at a FIFO, and read gigabytes to their end.
        files.read_bytes(ignoring)
    return msgspec.structs.replace(of_text(files, settings, detection, text=text), dockerfile_path=path)


def of_text(
    files: AppFiles, settings: Settings, detection: Detection, *, text: str, ignore: str | None = None
) -> AppBuild:
    """A user's Dockerfile that is sent as text, because it lies outside of its context or in no file.

    Raises:
        LangError: it holds no FROM, or the Procfile cannot be understood.
    """
    if not _FROM.search(text):
        file = detection.evidence[0].file if detection.evidence else None
        raise LangError("has no FROM: it is not a Dockerfile", file=file, hint="Name the right file.")
    return AppBuild(
        language=NAME,
        version=None,
        package_manager=None,
        dockerfile=text,
        dockerfile_path=None,
        dockerignore=ignore,
        # Its author has declared which of them mean something.
        args={**settings.passed, **settings.arguments, **settings.env},
        start_command=settings.run_command,
        processes=procfile.read(files),
        port=settings.port,
        cache=(),
        evidence=detection.evidence,
        considered=detection.considered,
        warnings=tuple(
            f"{said} has no effect on the image: the app has its own Dockerfile" for said in _in_vain(settings)
        ),
    )


def _in_vain(settings: Settings) -> Iterator[str]:
    """What was said for generated Dockerfiles alone, by the names that people know."""
    if settings.run_command is not None:
        yield base.RUN_SETTING
    if settings.build_command is not None:
        yield base.BUILD_SETTING
    yield from (f"`{key}`" for key in settings.own)
