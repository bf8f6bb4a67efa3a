"""Which language an app is built as: what is said, else what the files show."""

from pathlib import Path

import msgspec

from langs import base, commands, dockerfile, procfile
from langs.base import Language
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import AppBuild, Detection, Settings
from langs.registry import LANGUAGES, NAMES


def detect(files: AppFiles, settings: Settings) -> Detection | None:
    """What the app is, or None when nothing in it speaks for any language.

    Raises:
        LangError: a file cannot be understood, or the language that is asked for is not known.
    """
    if settings.dockerfile is not None:
        return dockerfile.named(settings.dockerfile)
    if settings.language is not None:
        language = _by_name(settings.language)
        return language.detect(files) or Detection(language=language.NAME, evidence=())
    found = [(language, detection) for language in LANGUAGES if (detection := language.detect(files)) is not None]
    if not found:
        return None
    # Sorting is stable: among equals the registry's order stands.
    web = next((process.command for process in procfile.read(files) if process.name == base.WEB), "")
    program = commands.program(web)
    ranked = sorted(found, key=lambda pair: (not pair[1].is_app, program not in pair[0].PROGRAMS))
    chosen = ranked[0][1]
    return msgspec.structs.replace(chosen, considered=tuple(pair[1].language for pair in ranked[1:]))


def build(root: Path, settings: Settings) -> AppBuild:
    """Everything needed to build the app in `root`.

    Raises:
        LangError: nothing speaks for a language, or a file cannot be understood.
    """
    files = AppFiles(root)
    detection = detect(files, settings)
    if detection is None:
        raise LangError(
            "nothing here shows what it is: no manifest, no source, no Dockerfile",
            hint="Set `language` for this app, or write a Dockerfile.",
        )
    return _by_name(detection.language).build(files, settings, detection)


def _by_name(name: str) -> Language:
    for language in LANGUAGES:
        if name == language.NAME:
            return language
    raise LangError(f"the language {name[:80]!r} is not supported", hint=f"Choose one of: {', '.join(NAMES)}.")
