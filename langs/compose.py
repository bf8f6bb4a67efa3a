"""Compose files: every service that says how it is built is an app of its own.

A Compose file says more than the Dockerfiles that it names (arguments, target, platforms), and like them it is what
to fall back on: a service whose directory is recognised as an app in one of the languages is built as that.

Of `${NAME:-default}` only what the repository itself says is known: `.env` beside the file, which Compose reads, too.
The environment of whoever runs the build is none of the repository's business, so that an argument cannot carry a
credential of theirs into a build. What Compose knows and this does not is an error where it would change the image,
and a warning where it would not.

The format: https://github.com/compose-spec/compose-spec/blob/main/build.md.
"""

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias, cast

import msgspec

from langs import dockerfile, interpolation, yamltext
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import AppBuild, Detection, Evidence, Service, Settings

NAME: Final = "compose"
PROGRAMS: Final = frozenset[str]()
VERSION_VARIABLES: Final = ()
FILES: Final = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
"""In the order in which Compose looks for them."""
MANIFESTS: Final = FILES
ENTRY_POINTS: Final = ()
IMAGES: Final = ()

_SERVICE: Final = re.compile(r"[A-Za-z0-9._-]{1,100}", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_PLATFORM: Final = re.compile(r"[a-z0-9]+/[a-z0-9_]+(?:/[a-z0-9]+)?", re.ASCII)
_SECRET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_UNSEEN: Final = re.compile(r"[\x00-\x1f\x7f]")
_MAX_SERVICES: Final = 200
_CONTEXT: Final = re.compile(r"[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::[A-Za-z0-9_][A-Za-z0-9_.-]*)?", re.ASCII)
_SERVICES_IMAGE: Final = "service:"
_IMAGE: Final = re.compile(r"docker-image://[A-Za-z0-9][A-Za-z0-9._/:@-]*", re.ASCII)
_NOT_BUILT: Final = (
    "entitlements",
    "extra_hosts",
    "isolation",
    "network",
    "privileged",
    "shm_size",
)
"""Keys of `build` that decide what a build may do or see, which a repository does not decide here."""
_NO_MATTER: Final = ("cache_from", "cache_to", "no_cache", "provenance", "pull", "sbom", "tags", "ulimits")
"""Keys of `build` that say how it is run or published: the run's own settings say that."""

_Scalars: TypeAlias = dict[str, str | None] | list[str]


class _Secret(msgspec.Struct):
    source: str


class _Build(msgspec.Struct):
    context: str = "."
    dockerfile: str | None = None
    dockerfile_inline: str | None = None
    args: _Scalars | None = None
    target: str | None = None
    platforms: list[str] | None = None
    labels: _Scalars | None = None
    secrets: list[str | _Secret] | None = None
    ssh: _Scalars | str | None = None
    additional_contexts: _Scalars | None = None


class _Service(msgspec.Struct):
    build: object = None
    platform: str | None = None
    extends: object = None


class _File(msgspec.Struct):
    services: dict[str, _Service | None] | None = None


def detect(files: AppFiles) -> Detection | None:
    """A Compose file of which some service is built.

    Nobody asked for it, and it may be there for somebody's desk: a service that cannot be built is left out, and told.
    """
    file = files.first(*FILES)
    if file is None:
        return None
    problems: list[LangError] = []
    found = services(files, file, problems.append)
    if not found and not problems:
        return None
    return Detection(
        language=NAME,
        evidence=(_evidence(file, found) if found else Evidence(file=file, reason=problems[0].message),),
        is_app=bool(found),
        services=found,
        warnings=tuple(f"{file}: {problem.message}; this service is left out" for problem in problems),
    )


def named(files: AppFiles, file: str) -> Detection:
    """The detection of a directory that is told which Compose file to use.

    Raises:
        LangError: it is absent, cannot be understood, or builds nothing.
    """
    found = services(files, file)
    if not found:
        raise LangError("no service here says how it is built", file=file, hint="Add `build: DIRECTORY` to one.")
    return Detection(language=NAME, evidence=(_evidence(file, found),), services=found)


def service_of(service: Service) -> Detection:
    """The detection of one service as an app."""
    return Detection(language=NAME, evidence=(Evidence(file=service.file, reason=f"the service {service.name}"),))


def build(files: AppFiles, settings: Settings, detection: Detection) -> AppBuild:
    """The Dockerfile of a service, which lies in its context, around it, or in the Compose file.

    Raises:
        LangError: it is absent or no Dockerfile.
    """
    service = settings.service
    if service is None:
        names = ", ".join(each.name for each in detection.services)
        raise LangError(
            f"a Compose file is built service by service, and here are {names or 'none'}",
            file=next((each.file for each in detection.evidence), None),
            hint="Let `fleetpacks apps` list them.",
        )
    within = service.dockerfile is not None and not service.dockerfile.startswith("../")
    told = msgspec.structs.replace(settings, dockerfile=service.dockerfile) if within else settings
    built = dockerfile.build(files, told, detection) if within else _elsewhere(files, settings, service, detection)
    return msgspec.structs.replace(
        built,
        language=NAME,
        args={**built.args, **service.args},
        target=service.target,
        platforms=service.platforms,
        labels=service.labels,
        contexts=service.contexts,
        warnings=(*service.warnings, *built.warnings),
    )


def services(files: AppFiles, file: str, left_out: Callable[[LangError], None] | None = None) -> tuple[Service, ...]:
    """The services of a Compose file that are built.

    Args:
        files: of the directory in which it is looked for.
        file: the Compose file.
        left_out: hears of services that cannot be built; None: they are errors.

    Raises:
        LangError: it is absent, cannot be understood, or asks for what cannot be.
    """
    text = files.read_text(file)
    if text is None:
        raise LangError("the Compose file is not there", file=file, hint="Name a file in the app's directory.")
    raw = yamltext.yaml_as(text, _File, file).services or {}
    if len(raw) > _MAX_SERVICES:
        raise LangError(f"holds more than {_MAX_SERVICES} services", file=file, hint="Split it.")
    variables = interpolation.read_env(files, posixpath.join(posixpath.dirname(file), ".env"))
    found: list[Service] = []
    for name, service in raw.items():
        try:
            each = _service(files, file, name, service or _Service(), variables)
        except LangError as error:
            if left_out is None:
                raise
            left_out(error)
        else:
            found += [] if each is None else [each]
    return _standing(file, found, left_out)


def _standing(file: str, found: list[Service], left_out: Callable[[LangError], None] | None) -> tuple[Service, ...]:
    """The services whose images stand on those of services that are built, too."""
    while True:
        names = {each.name for each in found}
        lost = {each.name: need for each in found for need in each.needs.values() if need not in names}
        for name, need in lost.items():
            error = _error(file, name, f"it stands on {need!r}, which is no service that is built here", "Correct it.")
            if left_out is None:
                raise error
            left_out(error)
        if not lost:
            return tuple(found)
        found = [each for each in found if each.name not in lost]


def _service(files: AppFiles, file: str, name: str, raw: _Service, variables: Mapping[str, str]) -> Service | None:
    """The service `name`; None when it is not built."""
    if raw.build is None:
        if raw.extends is not None:
            # What it extends may be built.
            raise _error(file, name, "`extends` is not supported yet", "Write `build` into the service itself.")
        return None
    if not _SERVICE.fullmatch(name):
        raise _error(file, name, "is not the name of a service", "Use letters, digits, `.`, `_` and `-`.")
    try:
        said = interpolation.interpolate(raw.build, variables)
    except ValueError as error:
        raise _error(file, name, str(error), "Give it in .env beside the Compose file, or as a default.") from error
    if isinstance(said, str):
        said = {"context": said}
    keys = frozenset(cast("dict[str, object]", said)) if isinstance(said, dict) else frozenset[str]()
    for key in _NOT_BUILT:
        if key in keys:
            raise _error(file, name, f"`build.{key}` is not supported", "Leave it out, or write it into a Dockerfile.")
    try:
        build = msgspec.convert(said, _Build, strict=False)
    except msgspec.ValidationError as error:
        problem = f"`build` has another shape than expected: {error}".replace("`$.", "`").replace("`$`", "`build`")
        raise _error(file, name, problem, "Correct this key.") from error
    context = _context(files, file, name, build.context)
    platforms = tuple(build.platforms or ([raw.platform] if raw.platform else []))
    secrets = tuple(each if isinstance(each, str) else each.source for each in build.secrets or ())
    ssh = tuple(word.partition("=")[0] for word in _list(build.ssh))
    _check_words(file, name, platforms, (*secrets, *ssh))
    needs, contexts = _contexts(file, name, build.additional_contexts)
    return Service(
        name=name,
        file=file,
        context=context,
        dockerfile=None if build.dockerfile_inline else _dockerfile(files, file, name, context, build.dockerfile),
        inline=build.dockerfile_inline,
        args=dict(_pairs(file, name, "args", build.args, variables)),
        target=_one_line(file, name, build.target),
        platforms=platforms,
        labels=dict(_pairs(file, name, "labels", build.labels, variables)),
        secrets=secrets,
        ssh=ssh,
        needs=needs,
        contexts=contexts,
        warnings=tuple(f"{file}: services.{name}.build.{key} has no effect" for key in _NO_MATTER if key in keys),
    )


def _check_words(file: str, name: str, platforms: tuple[str, ...], secrets: tuple[str, ...]) -> None:
    for platform in platforms:
        if not _PLATFORM.fullmatch(platform):
            raise _error(file, name, f"{platform[:80]!r} is no platform", "As in linux/amd64.")
    for secret in secrets:
        if not _SECRET.fullmatch(secret):
            raise _error(file, name, f"{secret[:80]!r} is not the name of a secret", "Use letters, digits and `_`.")


def _contexts(file: str, name: str, said: _Scalars | None) -> tuple[dict[str, str], dict[str, str]]:
    """The named contexts that are images of services, and those that are other images."""
    needs: dict[str, str] = {}
    contexts: dict[str, str] = {}
    pairs = said.items() if isinstance(said, dict) else (each.partition("=")[::2] for each in said or ())
    for context, place in pairs:
        if not _CONTEXT.fullmatch(context):
            raise _error(file, name, f"{context[:80]!r} is nothing that FROM can name", "Use lower-case letters.")
        if place is not None and place.startswith(_SERVICES_IMAGE):
            needs[context] = place.removeprefix(_SERVICES_IMAGE)
        elif place is not None and _IMAGE.fullmatch(place):
            contexts[context] = place
        else:
            problem = f"the additional context {context!r} is neither `service:` nor `docker-image://`"
            raise _error(file, name, problem, "Copy what it holds in a Dockerfile, whose image is another service.")
    return needs, contexts


def _context(files: AppFiles, file: str, name: str, said: str) -> str:
    """The context, relative to the looked-at directory."""
    if "://" in said or said.startswith(("git@", "github.com/")) or ".git#" in said:
        raise _error(file, name, f"the context {said[:80]!r} is elsewhere", "Name a directory of the repository.")
    context = posixpath.normpath(posixpath.join(posixpath.dirname(file), said))
    return _inside(files, file, name, context, "the context")


def _dockerfile(files: AppFiles, file: str, name: str, context: str, said: str | None) -> str:
    """The Dockerfile, relative to the context."""
    path = posixpath.normpath(said or dockerfile.FILE)
    _inside(files, file, name, posixpath.normpath(posixpath.join(context, path)), "the Dockerfile")
    return path


def _inside(files: AppFiles, file: str, name: str, path: str, what: str) -> str:
    """`path`, when it stays in the monorepo: what links add to that is looked at where it is opened."""
    up = path.split("/").count("..")
    if path.startswith("/") or up > len(files.enclosing) or _UNSEEN.search(path):
        raise _error(
            file, name, f"{what} {path[:80]!r} lies outside of the repository", "Name what lies in the repository."
        )
    return path


def _elsewhere(files: AppFiles, settings: Settings, service: Service, detection: Detection) -> AppBuild:
    """A Dockerfile outside of its context: its text is sent, and the ignore file beside it."""
    text, ignore = service.inline, None
    if text is None:
        directory, _, name = (service.dockerfile or "").rpartition("/")
        above = files.at(directory)
        text, ignore = above.read_text(name), above.read_text(f"{name}.dockerignore")
        if text is None:
            raise LangError("the Dockerfile is not there", file=service.dockerfile, hint="Name the right file.")
    return dockerfile.of_text(files, settings, detection, text=text, ignore=ignore)


def _pairs(
    file: str, service: str, key: str, said: _Scalars | None, variables: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    named = (
        said.items()
        if isinstance(said, dict)
        else ((name, value if stated else None) for name, stated, value in (each.partition("=") for each in said or ()))
    )
    for name, value in named:
        if key == "args" and not _NAME.fullmatch(name):
            raise _error(file, service, f"{name[:80]!r} is no name of an argument", "Use letters, digits and `_`.")
        if _CONTROL.search(name) or _CONTROL.search(value or ""):
            raise _error(file, service, f"`build.{key}` holds a control character", "Write one line of plain text.")
        if value is not None:
            yield name, value
        elif name in variables:
            # Without a value, it is the variable's; without one of those, the Dockerfile's own default.
            yield name, variables[name]


def _list(said: _Scalars | str | None) -> tuple[str, ...]:
    return (said,) if isinstance(said, str) else tuple(said or ())


def _one_line(file: str, service: str, text: str | None) -> str | None:
    if text is not None and _UNSEEN.search(text):
        raise _error(file, service, "`build.target` holds a control character", "Name a stage of the Dockerfile.")
    return text


def _evidence(file: str, found: tuple[Service, ...]) -> Evidence:
    names = ", ".join(each.name for each in found[:5]) + (", ..." if len(found) > 5 else "")  # noqa: PLR2004 -- enough to recognise
    return Evidence(file=file, reason=f"builds {names}")


def _error(file: str, service: str, problem: str, hint: str) -> LangError:
    return LangError(f"services.{service[:80]}: {problem}" if service.isprintable() else problem, file=file, hint=hint)
