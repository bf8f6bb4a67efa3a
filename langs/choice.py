"""Which language an app is built as: what is said, else what the files show."""

import msgspec

from langs import base, commands, dockerfile, procfile
from langs.base import Language
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import AppBuild, Detection, Evidence, Settings
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
        return _each_file_once(language.detect(files) or Detection(language=language.NAME, evidence=()))
    found = [(language, detection) for language in LANGUAGES if (detection := language.detect(files)) is not None]
    if not found:
        return None
    # Sorting is stable: among equals the registry's order stands.
    web = next((process.command for process in procfile.read(files) if process.name == base.WEB), "")
    program = commands.program(web)

    def rank(pair: tuple[Language, Detection]) -> tuple[bool, bool, bool]:
        language, detection = pair
        # A command is a wish; files that it could run are a fact.
        wished = all(evidence.file == procfile.FILE for evidence in detection.evidence)
        return not detection.is_app, wished, program not in language.PROGRAMS

    ranked = sorted(found, key=rank)
    chosen = ranked[0][1]
    considered = tuple(pair[1].language for pair in ranked[1:])
    return _each_file_once(msgspec.structs.replace(chosen, considered=considered))


def build(files: AppFiles, settings: Settings) -> AppBuild:
    """Everything needed to build the app.

    Raises:
        LangError: nothing speaks for a language, or a file cannot be understood.
    """
    detection = detect(files, settings)
    if detection is None:
        raise LangError(
            "nothing here shows what it is: no manifest, no source, no Dockerfile",
            hint="Set `language` for this app, or write a Dockerfile.",
        )
    return _by_name(detection.language).build(files, settings, detection)


def _each_file_once(detection: Detection) -> Detection:
    reasons: dict[str, list[str]] = {}
    for each in detection.evidence:
        reasons.setdefault(each.file, []).append(each.reason)
    evidence = tuple(Evidence(file=file, reason=", ".join(said)) for file, said in reasons.items())
    return msgspec.structs.replace(detection, evidence=evidence)


def _by_name(name: str) -> Language:
    for language in LANGUAGES:
        if name == language.NAME:
            return language
    raise LangError(f"the language {name[:80]!r} is not supported", hint=f"Choose one of: {', '.join(NAMES)}.")
