"""A part of an app that another language makes: a front end, built before the primary's build embeds or collects it.

A generated Dockerfile is a row of stages, of which the last runs the app and the one called `builder` holds what was
made. So the other language's Dockerfile is rendered as for an app of its own, its last stage is left out, and the others
get names of their own. Installed packages stay behind: what the primary's build sees are its sources and what was made.
"""

import re
from typing import Final

import msgspec

from langs.base import Language
from langs.files import AppFiles
from langs.model import Assets, Detection, Evidence, Settings

NAME: Final = "assets"
"""The last stage."""

_BUILDER: Final = "builder"
_FROM: Final = re.compile(r"^FROM (?P<base>\S+) AS (?P<name>[a-z]+)$", re.MULTILINE)
_COPY: Final = re.compile(r"^COPY --from=(?P<name>[a-z]+) ", re.MULTILINE)
_COMMENT: Final = re.compile(r"\A(?:#[^\n]*\n)+")


def make(language: Language, files: AppFiles, settings: Settings) -> Assets:
    """The stages of `language` for the app, which starts in another one.

    Raises:
        LangError: a file of the app cannot be understood, or asks for what is not supported.
    """
    detection = language.detect(files) or Detection(language=language.NAME, evidence=())
    # Nothing starts here; and the build command that somebody gave is the primary's.
    told = msgspec.structs.replace(settings, run_command="true", build_command=None, assets=None)
    built = language.build(files, told, detection)
    file = detection.evidence[0].file if detection.evidence else "package.json"
    return Assets(
        text=stages(built.dockerfile),
        cache=built.cache,
        evidence=(Evidence(file=file, reason=f"a front end, built by {language.NAME}"),),
        warnings=built.warnings,
    )


def stages(dockerfile: str) -> str:
    """What a generated Dockerfile does before the image that runs, under other names.

    Every line that begins with FROM is the template's: no value that was filled in holds a line break.
    """
    starts = list(_FROM.finditer(dockerfile))
    text = _COMMENT.sub("", dockerfile[: starts[-1].start()]).strip("\n")
    names = {start["name"] for start in starts}

    def renamed(name: str) -> str:
        return f"{NAME}-{name}" if name in names else name

    text = _FROM.sub(lambda start: f"FROM {renamed(start['base'])} AS {renamed(start['name'])}", text)
    text = _COPY.sub(lambda copy: f"COPY --from={renamed(copy['name'])} ", text)
    return f"{text}\n\nFROM {renamed(_BUILDER)} AS {NAME}\nRUN rm -rf node_modules"
