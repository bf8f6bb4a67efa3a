"""A part of an app that another language makes: a front end, built before the primary's build embeds or collects it.

A generated Dockerfile is a row of stages, of which the last runs the app and the one called `builder` holds what was
made. So the other language's Dockerfile is rendered as for an app of its own, and of it the stages up to `builder`
are taken, under names of their own. Installed packages stay behind: what the primary's build sees are its sources and
what was made.
"""

import re
from typing import Final

import msgspec

from langs.base import Language
from langs.files import AppFiles
from langs.model import Assets, Detection, Evidence, Part, Settings

NAME: Final = "assets"
"""The last stage."""

_BUILDER: Final = "builder"
_FROM: Final = re.compile(r"^FROM (?P<base>\S+) AS (?P<name>[a-z]+)$", re.MULTILINE)
_COPY: Final = re.compile(r"^COPY --from=(?P<name>[a-z]+) ", re.MULTILINE)
_CLEAN: Final = "RUN rm -rf node_modules"
_CLEAN_ALL: Final = "RUN find . -name node_modules -prune -exec rm -rf {} +"


def make(language: Language, files: AppFiles, settings: Settings) -> Assets:
    """The stages of `language` for the app, which starts in another one.

    Raises:
        LangError: a file of the app cannot be understood, or asks for what is not supported.
    """
    detection = language.detect(files) or Detection(language=language.NAME, evidence=())
    # Nothing starts here; and the build command that somebody gave is the primary's.
    told = msgspec.structs.replace(
        settings, run_command="true", build_command=None, assets=None, apt_run=(), healthcheck=None, part=True
    )
    built = language.build(files, told, detection)
    file = detection.evidence[0].file if detection.evidence else "package.json"
    return Assets(
        text=stages(built.dockerfile, _CLEAN if built.context == "." else _CLEAN_ALL),
        part=Part(language=language.NAME, version=built.version),
        place=settings.origin,
        origin=files.below_context(built.context),
        context=built.context,
        dockerignore=built.dockerignore,
        cache=built.cache,
        evidence=(Evidence(file=file, reason=f"a front end, built by {language.NAME}"),),
        warnings=built.warnings,
    )


def stages(dockerfile: str, clean: str = _CLEAN) -> str:
    """What a generated Dockerfile does up to its stage `builder`, under other names; that one is called `assets`.

    It ends with the instruction `clean`.

    Every line that begins with FROM is the template's: no value that was filled in holds a line break.
    """
    starts = list(_FROM.finditer(dockerfile))
    ends = (*(start.start() for start in starts[1:]), len(dockerfile))
    blocks = {start["name"]: dockerfile[start.start() : end] for start, end in zip(starts, ends, strict=True)}
    wanted = [_BUILDER]
    for name in wanted:
        sources = (*_FROM.findall(blocks[name])[0][:1], *_COPY.findall(blocks[name]))
        wanted += [source for source in sources if source in blocks and source not in wanted]

    def renamed(name: str) -> str:
        return NAME if name == _BUILDER else f"{NAME}-{name}" if name in blocks else name

    text = "".join(block for name, block in blocks.items() if name in wanted).strip("\n")
    text = _FROM.sub(lambda start: f"FROM {renamed(start['base'])} AS {renamed(start['name'])}", text)
    text = _COPY.sub(lambda copy: f"COPY --from={renamed(copy['name'])} ", text)
    return text if text.endswith(clean.removeprefix("RUN ")) else f"{text}\n{clean}"
