"""PHP with Composer, served by FrankenPHP.

Composer installs twice: dependencies from the manifest alone, without the scripts and the autoloader that need the
app, then, with the sources there, what is left to do (nothing is fetched again). Images and their tags are those that
FrankenPHP publishes (docker-bake.hcl of github.com/php/frankenphp: `php8.3`, `builder-php8.3`), with its own Caddyfile,
which reads the address and the document root from variables. The capability of its binary to bind low ports is taken
away: where a container may have no capabilities, a binary that asks for one is not started at all.
"""

import posixpath
import re
from contextlib import suppress
from typing import Final

import msgspec

from langs import base, commands, composer, health, procfile, spans, statements, versions
from langs.composer import Composer
from langs.errors import LangError
from langs.files import AppFiles, require_plain_name
from langs.model import AppBuild, Detection, Evidence, Process, Settings, Version

NAME: Final = "php"
PROGRAMS: Final = frozenset({"php", "frankenphp", "composer", "heroku-php-apache2", "heroku-php-nginx"})
VERSION_VARIABLES: Final = ("PHP_VERSION",)
MANIFESTS: Final = (composer.FILE, "artisan")
ENTRY_POINTS: Final = ("index.php",)
IMAGES: Final = ("dunglas/frankenphp", "composer")

_DEFAULT: Final = "8.3"
_LINE: Final = 2
_IMAGE: Final = "dunglas/frankenphp"
_FIRST: Final = (8, 2)
"""The first release of PHP that there are FrankenPHP images of (its documentation, "docker")."""
_OPCACHE_BUILT_IN: Final = (8, 5)
_FRONTS: Final = (
    *(f"{root}/index.php" for root in ("public", "web", "webroot", "htdocs", "www", "docroot")),
    "index.php",
)
"""Where front controllers lie: Laravel and Symfony, Drupal and Yii, CakePHP, and so on; the app itself last."""
_CADDYFILE: Final = "Caddyfile"
_READS_PORT: Final = re.compile(r"\{\$(?:PORT|SERVER_NAME)\b|\{env\.PORT\}")
_HEROKU: Final = "heroku-php-"
_VERSION_HINT: Final = "Write a PHP version, such as 8.3 or 8.3.14."
_LARAVEL: Final = "laravel/framework"
_SYMFONY: Final = frozenset({"symfony/framework-bundle", "symfony/runtime"})
_HEALTH: Final = re.compile(r"""\bhealth:[ \t]*["'](/[A-Za-z0-9/_-]{1,100})["']""")
"""As Laravel 11 writes it into a new application: laravel.com/docs/deployment, "The Health Route"."""
_LARAVEL_WRITES: Final = (
    "mkdir -p /tmp/storage/app /tmp/storage/logs /tmp/storage/framework/cache/data "
    "/tmp/storage/framework/sessions /tmp/storage/framework/views"
)
"""Laravel makes none of these itself."""


class _Site(msgspec.Struct, frozen=True, kw_only=True):
    """What is served, and by which framework."""

    root: str | None
    """The document root; None when nothing in the app is served."""
    framework: str | None = None


def detect(files: AppFiles) -> Detection | None:
    """composer.json, artisan or index.php; an app when there is a front controller, or the Procfile starts PHP."""
    manifest = composer.read(files)
    site = _site(files, manifest)
    evidence: list[Evidence] = []
    if manifest is not None:
        evidence.append(Evidence(file=composer.FILE, reason="a Composer package"))
        if manifest.locked:
            evidence.append(Evidence(file=composer.LOCK, reason="locked by composer"))
    if site.framework is not None:
        file = "artisan" if site.framework == "Laravel" else composer.FILE
        evidence.append(Evidence(file=file, reason=site.framework))
    front = None if site.root is None else files.first(posixpath.normpath(posixpath.join(site.root, "index.php")))
    if front is not None:
        evidence.append(Evidence(file=front, reason="a front controller"))
    web = next((process.command for process in procfile.read(files) if process.name == base.WEB), "")
    wished = commands.program(web) in PROGRAMS
    if wished:
        evidence.append(Evidence(file=procfile.FILE, reason="web runs PHP"))
    if not evidence:
        return None
    library = manifest is not None and manifest.library
    return Detection(
        language=NAME,
        evidence=tuple(evidence),
        package_manager=None if manifest is None else "composer",
        is_app=wished or (front is not None and not library),
    )


def build(files: AppFiles, settings: Settings, detection: Detection) -> AppBuild:
    """A build image with Composer, a runtime image with the extensions and the installed app.

    Raises:
        LangError: a release without image, nothing to serve and no start command, a package outside of the app.
    """
    manifest = composer.read_locked(files)
    if manifest is not None:
        _refuse_outside(manifest)
    version, warnings = _version(files, settings, manifest)
    declared = procfile.read(files)
    site = _site(files, manifest)
    served = _served(site, settings, declared)
    serve = _serve(files, site, served)
    start = base.start(settings, _without_heroku(declared, serve), serve)
    command = start.command
    if settings.run_command is not None and commands.program(command).startswith(_HEROKU) and serve is not None:
        command = serve
    frankenphp = "frankenphp" in command
    warnings += _warnings(files, settings, manifest, frankenphp=frankenphp)
    settings = health.answering(settings, lambda: _health(files) if site.framework == "Laravel" else None)
    builder = base.image(settings, _IMAGE, f"builder-php{version.value}")
    runtime = base.image(settings, _IMAGE, f"php{version.value}", runs=True)
    cache = base.cache(settings, "composer", "/var/cache/composer")
    text = base.dockerfile(
        "php.Dockerfile.j2",
        settings=settings,
        command=command,
        asks=("composer",),
        probe=health.PHP,
        values={
            "composer": base.image(settings, "composer", "2") if manifest else None,
            "builder": builder if manifest or settings.build_command else runtime,
            "runtime": runtime,
            "manifests": _manifests(files, manifest) if manifest else (),
            "extensions": () if manifest is None else manifest.extensions,
            "opcache": frankenphp and _numbers(version.value) < _OPCACHE_BUILT_IN,
            "frankenphp": frankenphp,
            "served": served,
            "framework": site.framework,
            "cache": cache,
            "title": base.title(manifest.name) if manifest else None,
        },
    )
    return base.generated(
        files,
        settings,
        detection,
        version=version,
        package_manager=detection.package_manager,
        dockerfile=text,
        start=base.restarted(start, command),
        cache=(cache,) if manifest else (),
        ignored=(*_ignored(site, manifest),),
        warnings=warnings,
    )


def _site(files: AppFiles, manifest: Composer | None) -> _Site:
    requires = frozenset[str]() if manifest is None else manifest.requires
    framework = None
    if files.exists("artisan") and (manifest is None or _LARAVEL in requires):
        framework = "Laravel"
    elif requires & _SYMFONY:
        framework = "Symfony"
    said = manifest.public if manifest else None
    own: tuple[str, ...] = ()
    if said is not None and said.isprintable() and not _leads_out(said):
        own = (posixpath.normpath(f"{posixpath.normpath(said)}/index.php"),)
    found = files.first(*own, *_FRONTS)
    return _Site(root=None if found is None else posixpath.dirname(found) or ".", framework=framework)


def _health(files: AppFiles) -> str | None:
    """Laravel's own answer to whether the app is well, where its bootstrap names a path for it."""
    try:
        found = _HEALTH.search(files.read_text("bootstrap/app.php") or "")
    except LangError:
        return None
    return found[1] if found else None


def _leads_out(path: str) -> bool:
    plain = posixpath.normpath(path)
    return posixpath.isabs(plain) or plain == ".." or plain.startswith("../")


def _refuse_outside(manifest: Composer) -> None:
    stated = [("extra.public-dir", manifest.public), *(("repositories", each.path) for each in manifest.directories)]
    for key, path in stated:
        if path is not None and _leads_out(path):
            raise LangError(
                f"{key}: {path[:80]!r} lies outside of the app's directory, which is all that its build sees",
                file=composer.FILE,
                hint="Build from the directory that holds both.",
            )


def _served(site: _Site, settings: Settings, declared: tuple[Process, ...]) -> str | None:
    """The document root: what a command for Heroku's web servers names, or where the front controller lies."""
    web = next((process.command for process in declared if process.name == base.WEB), "")
    words = (settings.run_command or web).split()
    heroku = len(words) > 1 and words[0].rpartition("/")[2].startswith(_HEROKU)
    if heroku and not words[-1].startswith("-") and not _leads_out(words[-1]):
        return require_plain_name(posixpath.normpath(words[-1]))
    return None if site.root is None else require_plain_name(site.root)


def _serve(files: AppFiles, site: _Site, served: str | None) -> str | None:
    """How FrankenPHP is started; None when there is nothing that it could serve."""
    own = files.exists(_CADDYFILE)
    if served is None and not own:
        return None
    config = "/app/Caddyfile" if own else "/etc/frankenphp/Caddyfile"
    serve = f'SERVER_NAME=":$PORT" frankenphp run --config {config} --adapter caddyfile'
    return f"{_LARAVEL_WRITES} && {serve}" if site.framework == "Laravel" else serve


def _without_heroku(declared: tuple[Process, ...], serve: str | None) -> tuple[Process, ...]:
    """The processes, with FrankenPHP in the place of the web servers of Heroku's buildpack, which exist only there."""
    return tuple(
        Process(name=each.name, command=serve)
        if serve is not None and commands.program(each.command).startswith(_HEROKU)
        else each
        for each in declared
    )


def _warnings(files: AppFiles, settings: Settings, manifest: Composer | None, *, frankenphp: bool) -> tuple[str, ...]:
    found: list[str] = []
    if manifest and not manifest.locked:
        found.append("there is no composer.lock: the versions installed may differ from build to build")
    if files.exists("auth.json") and "COMPOSER_AUTH" not in settings.secrets:
        found.append(
            "auth.json stays out of the build: declare the secret COMPOSER_AUTH, with its content as the value"
        )
    if frankenphp and files.exists(_CADDYFILE) and not _READS_PORT.search(files.read_text(_CADDYFILE) or ""):
        found.append("Caddyfile does not read $PORT: let its site address be {$SERVER_NAME}")
    return tuple(found)


def _ignored(site: _Site, manifest: Composer | None) -> tuple[str, ...]:
    # Symfony keeps its defaults in .env, which is committed; what is private is in .env.local.
    kept = ("!.env", "!.env.prod") if site.framework == "Symfony" else ()
    # Without Composer, what lies in `vendor` is a part of the app.
    return (*(("vendor", "auth.json") if manifest else ()), *kept)


def _manifests(files: AppFiles, manifest: Composer) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What Composer reads before it installs, grouped by the directory it goes to."""
    names = (composer.FILE, composer.LOCK, "symfony.lock")
    groups = [("./", tuple(name for name in names if files.exists(name)))]
    for directory in manifest.directories:
        if directory.whole:
            if files.has_directory(directory.path):
                groups.append((f"./{directory.path}/", (directory.path,)))
            continue
        found = files.glob(posixpath.join(directory.path, composer.FILE))
        groups += [(f"./{posixpath.dirname(file)}/", (file,)) for file in found]
    return tuple(dict.fromkeys(groups))


def _version(files: AppFiles, settings: Settings, manifest: Composer | None) -> tuple[Version, tuple[str, ...]]:
    forced = base.forced(settings, NAME)
    stated = [versions.composer(forced.value, source=forced.source)] if forced else []
    text = (files.read_text(".php-version") or "").strip()
    if text:
        stated.append(versions.composer(text.removeprefix("php-"), source=".php-version", file=".php-version"))
    if manifest:
        stated += _by_composer(manifest)
    stated += versions.tool_files(files, (NAME,), versions.composer)
    version, warnings = versions.resolve(stated, settings=settings, table=NAME, default=_DEFAULT, line=_LINE)
    if stated and stated[0].exact is None:
        # Images exist by line, and of patches only those that came out since FrankenPHP did.
        version = Version(value=".".join(version.value.split(".")[:_LINE]), source=version.source)
    if _numbers(version.value) < _FIRST and _IMAGE not in settings.images:
        first = ".".join(map(str, _FIRST))
        raise LangError(
            f"{version.source} asks for PHP {version.value}; there are FrankenPHP images of {first} and later only",
            file=next((each.file for each in stated[:1]), None),
            hint=f'State {first} or later, or name an image of yours: images."{_IMAGE}" in fleetpacks.toml.',
        )
    return version, warnings


def _by_composer(manifest: Composer) -> list[versions.Statement]:
    """What the manifest and the lockfile say.

    A range becomes its newest release that all locked packages allow. A pretended platform inside of the range is what
    the packages were chosen for, and comes before it.
    """
    stated = [
        _of_line(versions.composer(text, source=f"{file} {key}", file=file), key) for file, key, text in manifest.php
    ]
    allowed = spans.ALL
    for text in sorted(manifest.locked_php):
        with suppress(LangError):
            # Of what no release satisfies, Composer says more than a version here could.
            allowed = spans.both(allowed, versions.composer(text, source=composer.LOCK).spans) or allowed
    if not stated:
        default = spans.line(versions.release(_DEFAULT))
        fits = any(span.overlaps(default) for span in allowed)
        said = statements.ranged("the packages", allowed, source=f"{composer.LOCK} packages", file=composer.LOCK)
        return [] if fits else [said]
    first = stated[0]
    if first.exact is not None or first.free:
        return stated
    pinned = next((each for each in stated if each.exact is not None), None)
    if pinned and any(one.overlaps(other) for one in first.spans for other in pinned.spans):
        return [pinned, *(each for each in stated if each is not pinned)]
    narrowed = spans.both(first.spans, allowed) or first.spans
    return [msgspec.structs.replace(first, spans=narrowed), *stated[1:]]


def _of_line(statement: versions.Statement, key: str) -> versions.Statement:
    """`config.platform` pretends a release to Composer; what it says of the one to run is the line."""
    if statement.exact is None or "platform" not in key:
        return statement
    line = ".".join(statement.exact.split(".")[:_LINE])
    exact = versions.exact(line, source=statement.source, file=statement.file, hint=_VERSION_HINT)
    return msgspec.structs.replace(exact, text=statement.text)


def _numbers(value: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", value)[:_LINE])
