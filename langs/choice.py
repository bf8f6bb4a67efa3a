"""Which language an app is built as: what is said, else what the files show.

Explicit choices come first, in migetpacks' order: a named Dockerfile or Compose file, `BUILDPACKS`, `LANGUAGE`, the
last buildpack of app.json. Without one, every language looks for itself, and the strongest evidence wins: what can be
started over a mere manifest, files over a Procfile's wish, the Procfile's program over the registry's order.

One language is the primary: it starts the app. Others may make a part of it before, such as a front end; `Assets` are
their stages, whose output is laid over the sources that the primary's build sees.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from langs import (
    appjson,
    assets,
    base,
    commands,
    compose,
    dockerfile,
    hardened,
    indexes,
    obstacles,
    packagejson,
    procfile,
    sites,
    static,
    working,
)
from langs.base import Language
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import AppBuild, Assets, CacheMount, Detection, Evidence, Settings
from langs.model import Choice as VersionChoice
from langs.registry import ASSETS, LANGUAGES, NAMES


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody said an app is."""

    languages: tuple[str, ...]
    """The primary one first."""
    reason: Evidence | None = None
    """The file that says so; None when configuration does."""
    complete: bool = False
    """Whether all languages are named: none is added then."""
    warnings: tuple[str, ...] = ()


def detect(files: AppFiles, settings: Settings) -> Detection | None:
    """What the app is, or None when nothing in it speaks for any language.

    Raises:
        LangError: a file cannot be understood, or the language that is asked for is not known.
    """
    if settings.dockerfile is not None:
        return dockerfile.named(settings.dockerfile)
    if settings.service is not None:
        return compose.service_of(settings.service)
    if settings.compose_file is not None:
        return compose.named(files, settings.compose_file)
    said = _said(files, settings)
    if said is not None:
        return _each_file_once(_told(files, said))
    found, problems = _look(files, LANGUAGES)
    ranked = _ranked(files, found)
    if not ranked or not ranked[0].is_app:
        # What cannot be read may be what would have spoken.
        for problem in problems.values():
            raise problem
        ranked = working.first(files, ranked, LANGUAGES)
    if not ranked:
        return None
    chosen = ranked[0] if ranked[0].is_app else obstacles.added(files, ranked[0], _by_name(ranked[0].language))
    return _each_file_once(
        msgspec.structs.replace(
            chosen,
            considered=tuple(each.language for each in ranked[1:]),
            packages=_packages(files, ranked),
            warnings=(*chosen.warnings, *(_passed_over(name, problem) for name, problem in problems.items())),
        )
    )


def build(files: AppFiles, settings: Settings, detection: Detection | None = None) -> AppBuild:
    """Everything needed to build the app.

    Args:
        files: the app's.
        settings: what configuration says of it.
        detection: what `detect` said, if it was asked already.

    Raises:
        LangError: nothing speaks for a language, or a file cannot be understood.
    """
    detection = detection or detect(files, settings)
    if detection is None:
        raise LangError(
            "nothing here shows what it is: no manifest, no source, no Dockerfile",
            hint="Set `language` for this app, or write a Dockerfile.",
        )
    language = _by_name(detection.language)
    said = appjson.read(files)
    chosen: dict[str, VersionChoice] = {}
    settings = working.started(files, msgspec.structs.replace(settings, chosen=chosen), detection)
    front_end = _assets(files, settings, language)
    # Where one of the two sees more than the app's directory, that is one of those in it for the other.
    origin = front_end.origin if front_end else ""
    built = _built(language, files, msgspec.structs.replace(settings, assets=front_end, origin=origin), detection)
    if front_end is not None and not origin and built.context != ".":
        told = msgspec.structs.replace(settings, origin=files.below_context(built.context))
        front_end = _assets(files, told, language)
        built = _built(language, files, msgspec.structs.replace(settings, assets=front_end), detection)
    return msgspec.structs.replace(
        built,
        processes=working.without_web(built.processes) if settings.worker else built.processes,
        cache=_each_mount_once((*(front_end.cache if front_end else ()), *built.cache)),
        evidence=(*built.evidence, *(front_end.evidence if front_end else ())),
        warnings=(*detection.warnings, *(front_end.warnings if front_end else ()), *built.warnings),
        front_end=front_end.part if front_end else None,
        chosen=_settled(chosen, built),
        release=said.release if said else None,
        # What is generated only: a mirror's address may hold a password.
        indexes=indexes.used(built.dockerfile, settings.indexes) if language.IMAGES else (),
        shell=not any(settings.hardened or hardened.is_bare(settings.images.get(name, "")) for name in language.IMAGES),
    )


def _built(language: Language, files: AppFiles, settings: Settings, detection: Detection) -> AppBuild:
    try:
        return language.build(files, settings, detection)
    except base.NothingStartsError as error:
        raise (obstacles.error(detection) if detection.obstacles else error) from error


def _said(files: AppFiles, settings: Settings) -> Choice | None:
    if settings.buildpacks:
        return Choice(languages=tuple(map(appjson.language, settings.buildpacks)), complete=True)
    if settings.language is not None:
        return Choice(languages=(settings.language,))
    found = appjson.read(files)
    names = [appjson.language(buildpack) for buildpack in found.buildpacks] if found else []
    known = tuple(dict.fromkeys(name for name in names if name in NAMES))
    if not known:
        # A buildpack that installs packages only, say, names no language.
        return None
    *others, primary = known
    return Choice(
        languages=(primary, *others),
        reason=Evidence(file=appjson.FILE, reason="its last buildpack"),
        complete=True,
        warnings=tuple(
            f"{appjson.FILE}: the buildpack {name[:80]!r} is none of a language that is known, and is passed over"
            for name in names
            if name not in NAMES
        ),
    )


def _told(files: AppFiles, said: Choice) -> Detection:
    """The detection of the language that was said, with what else there would have been."""
    language, *_ = (_by_name(name) for name in said.languages)
    seen = language.detect(files)
    detection = seen or Detection(language=language.NAME, evidence=())
    if seen is None or not seen.is_app:
        # What it is was said; what is started of it, the Procfile may say.
        process = working.process_of(procfile.read(files))
        detection = msgspec.structs.replace(detection, worker=process.name if process else None)
        detection = detection if detection.worker else obstacles.added(files, detection, language)
    found, _ = _look(files, (other for other in LANGUAGES if other is not language))
    return msgspec.structs.replace(
        detection,
        evidence=(*((said.reason,) if said.reason else ()), *detection.evidence),
        considered=tuple(each.language for each in _ranked(files, found)),
        packages=_packages(files, (detection, *found)),
        warnings=(*detection.warnings, *said.warnings),
    )


def _packages(files: AppFiles, found: Sequence[Detection]) -> tuple[str, ...]:
    """What the first of these reads besides its directory, its front end included."""
    primary, *others = found
    mine = [primary]
    if any(each.packages for each in others) and _has_front_end(files, _by_name(primary.language)):
        mine += [each for each in others if each.language in ASSETS]
    return tuple(sorted({path for each in mine for path in each.packages}))


def _look(files: AppFiles, languages: Iterable[Language]) -> tuple[list[Detection], Mapping[str, LangError]]:
    """What languages see, and what could not be read of those that would have."""
    found: list[Detection] = []
    problems: dict[str, LangError] = {}
    for language in languages:
        try:
            detection = language.detect(files)
        except LangError as error:
            problems[language.NAME] = error
        else:
            found += [] if detection is None else [detection]
    return found, problems


def _ranked(files: AppFiles, found: Iterable[Detection]) -> list[Detection]:
    found = list(found)
    if len(found) < 2:  # noqa: PLR2004 -- nothing to compare
        return found
    try:
        web = next((process.command for process in procfile.read(files) if process.name == base.WEB), "")
    except LangError:
        web = ""
    program = commands.program(web)

    def rank(detection: Detection) -> tuple[bool, bool, bool, int]:
        # A command is a wish; files that it could run are a fact.
        wished = all(evidence.file == procfile.FILE for evidence in detection.evidence)
        wanted = program in _by_name(detection.language).PROGRAMS
        return not detection.is_app, wished, not wanted, _last_resort(detection)

    # Sorting is stable: among equals the registry's order stands.
    return sorted(found, key=rank)


def _last_resort(detection: Detection) -> int:
    """How late it is used: a site that is built is an app like others, a mere page is less than a Dockerfile."""
    if detection.language in {compose.NAME, dockerfile.NAME}:
        return 1
    built = any(evidence.file == packagejson.FILE for evidence in detection.evidence)
    return 2 if detection.language == static.NAME and not built else 0


def _assets(files: AppFiles, settings: Settings, primary: Language) -> Assets | None:
    """The stages of the language beside the primary one."""
    if settings.dockerfile is not None or settings.service is not None or not primary.IMAGES:
        # Whoever writes a Dockerfile says everything in it.
        return None
    said = _said(files, settings)
    if said is not None and said.complete:
        others = [_by_name(name) for name in dict.fromkeys(said.languages[1:])]
        for other in others:
            if other.NAME not in ASSETS or len(others) > 1:
                raise LangError(
                    f"{', '.join(each.NAME for each in others)} cannot make a part of an app in {primary.NAME}",
                    hint=f"Beside the language that starts the app there may be one more: {', '.join(ASSETS)}. What "
                    "needs others is a Dockerfile of your own.",
                )
    elif primary.NAME in ASSETS or not _has_front_end(files, primary):
        return None
    else:
        others = [other for other in map(_by_name, ASSETS) if other.detect(files) is not None]
    return assets.make(others[0], files, settings) if others else None


def _has_front_end(files: AppFiles, primary: Language) -> bool:
    """Whether package.json has a build script that is not the primary's own tool under another name."""
    if not files.exists(packagejson.FILE):
        return False
    try:
        package = packagejson.read(files)
    except LangError:
        # Detection has told of it.
        return False
    name = sites.script(files, package, site=primary is static) if package else None
    script = package.scripts.get(name or "") if package else None
    return bool(script) and commands.program(script or "") not in primary.PROGRAMS


def _settled(chosen: Mapping[str, VersionChoice], built: AppBuild) -> tuple[VersionChoice, ...]:
    """What was chosen, with the language's own version as it came to be: some take the line of a release."""
    found = dict(chosen)
    own = found.get(built.language)
    if own is not None and built.version is not None:
        found[built.language] = msgspec.structs.replace(own, value=built.version.value)
    return tuple(found[tool] for tool in sorted(found))


def _each_file_once(detection: Detection) -> Detection:
    reasons: dict[str, dict[str, None]] = {}
    for each in detection.evidence:
        reasons.setdefault(each.file, {})[each.reason] = None
    evidence = tuple(Evidence(file=file, reason=", ".join(said)) for file, said in reasons.items())
    return msgspec.structs.replace(detection, evidence=evidence)


def _each_mount_once(mounts: Iterable[CacheMount]) -> tuple[CacheMount, ...]:
    return tuple({mount.id: mount for mount in mounts}.values())


def _passed_over(language: str, problem: LangError) -> str:
    place = f"{problem.file}: " if problem.file else ""
    return f"{place}{problem.message}; whether the app is one of {language} was not looked at any further"


def _by_name(name: str) -> Language:
    for language in LANGUAGES:
        if name == language.NAME:
            return language
    raise LangError(f"the language {name[:80]!r} is not supported", hint=f"Choose one of: {', '.join(NAMES)}.")
