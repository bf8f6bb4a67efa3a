"""Ruby: gems in the build image's own place, the app beside them; Rails, Sinatra and everything that speaks Rack."""

import posixpath
import re
from typing import Final

from langs import base, gemfile, health, natives, procfile, rack, versions
from langs.errors import LangError
from langs.files import AppFiles, require_plain_name
from langs.gemfile import Bundle
from langs.model import AppBuild, Detection, Evidence, Settings, Version
from langs.natives import Dependencies

NAME: Final = "ruby"
PROGRAMS: Final = rack.PROGRAMS
VERSION_VARIABLES: Final = ("RUBY_VERSION",)
VARIABLES: Final = ("BUNDLE_WITHOUT",)
MANIFESTS: Final = ("Gemfile", "gems.rb")
ENTRY_POINTS: Final = rack.ENTRY_POINTS
IMAGES: Final = ("ruby",)

_DEFAULT: Final = "3.4.4"
_LINE: Final = 2
_VERSION_FILE: Final = ".ruby-version"
_TOOL_FILE: Final = ".tool-versions"
_BUNDLER: Final = re.compile(r"[0-9]{1,4}(?:\.[0-9]{1,4}){1,3}(?:\.(?:dev|pre|beta|rc)[.0-9]{0,8})?", re.ASCII)
_DUMMY_SINCE: Final = (7, 1)
"""Since this release Rails makes up a key of its own for a build (SECRET_KEY_BASE_DUMMY)."""
_MAX_FILES: Final = 1000
_IGNORED: Final = (".bundle", "coverage", "log/*", "tmp/*", "vendor/bundle", "config/master.key", "config/**/*.key")
"""What Rails and Bundler make again, and keys: credentials are opened by $RAILS_MASTER_KEY, at run time."""


def detect(files: AppFiles) -> Detection | None:
    """A Gemfile, a rackup file or Ruby sources that serve; a Rakefile alone is anybody's."""
    manifest = files.first(*MANIFESTS)
    evidence = [Evidence(file=manifest, reason="Bundler's dependencies")] if manifest else []
    if manifest:
        lock = dict(gemfile.NAMES)[manifest]
        evidence += [Evidence(file=lock, reason="locked by Bundler")] if files.exists(lock) else []
    started = rack.starts(files, manifest=manifest is not None)
    if not evidence and started is None:
        return None
    library = bool(files.glob("*.gemspec")) and (started is None or started.file != procfile.FILE)
    return Detection(
        language=NAME,
        evidence=(*evidence, *([started] if started else [])),
        package_manager="bundler" if manifest else None,
        is_app=started is not None and not library,
    )


def build(files: AppFiles, settings: Settings, detection: Detection) -> AppBuild:
    """A build image with compilers, a slim runtime image with the gems, the app, and the libraries that gems load.

    Raises:
        LangError: another Ruby than the reference one, a gem outside of the app, no start command.
    """
    settings = base.with_variables(settings, VARIABLES)
    bundle = gemfile.bundle(files)
    names = bundle.names if bundle else frozenset[str]()
    version, warnings = _version(files, settings, bundle)
    warnings += _bundle_warnings(bundle)
    declared = procfile.read(files)
    told = settings.run_command is not None or any(process.name == base.WEB for process in declared)
    start = base.start(settings, declared, None if told else rack.default_start(files, bundle))
    rails = rack.is_rails(files) and "rails" in names
    manifests, sources_first = _manifests(files, bundle) if bundle else ((), False)
    if bundle is not None:
        settings = natives.needing(settings, "gems", _installed(bundle), image="ruby")
    settings = health.answering(settings, lambda: rack.health(files, bundle) if rails and bundle else None)
    builder = base.image(settings, "ruby", version.value)
    runtime = base.image(settings, "ruby", f"{version.value}-slim")
    gems = base.cache(settings, "bundler", "/root/.bundle/cache")
    text = base.dockerfile(
        "ruby.Dockerfile.j2",
        settings=settings,
        command=start.command,
        values={
            "builder": builder,
            "runtime": runtime,
            "bundle": bundle is not None,
            "bundler": _bundler(bundle),
            "locked": bool(bundle and bundle.lock),
            "manifests": manifests,
            "sources_first": sources_first,
            "gems": gems,
            "rails": rails,
            "precompiles": rails and bundle is not None and rack.has_assets(files, bundle),
            "dummy": bundle is not None and bundle.release("rails")[:2] >= _DUMMY_SINCE,
            "bootsnap": "bootsnap" in names,
            "code": tuple(name for name in ("app", "lib") if files.has_directory(name)),
            "vendored": files.has_directory("vendor/cache"),
        },
        asks=("rubygems",),
        probe=health.RUBY,
    )
    return base.generated(
        files,
        settings,
        detection,
        version=version,
        package_manager=detection.package_manager,
        dockerfile=text,
        start=start,
        cache=(gems,) if bundle else (),
        ignored=_IGNORED,
        warnings=warnings,
    )


def _installed(bundle: Bundle) -> Dependencies:
    """The gems, each with the file that says so."""
    lock = dict.fromkeys(bundle.lock.versions, bundle.lock.file) if bundle.lock else {}
    return Dependencies(names={**lock, **dict.fromkeys(bundle.gemfile.gems, bundle.gemfile.file)})


def _bundle_warnings(bundle: Bundle | None) -> tuple[str, ...]:
    if bundle is None:
        return ()
    if bundle.lock is None:
        return (f"there is no {dict(gemfile.NAMES)[bundle.gemfile.file]}: versions may differ from build to build",)
    platforms = bundle.lock.platforms
    if platforms and not any(name == "ruby" or ("linux" in name and "musl" not in name) for name in platforms):
        only = f"{bundle.lock.file} is for {', '.join(platforms)[:80]!r} only, and Bundler will refuse it"
        return (f"{only}: run `bundle lock --add-platform x86_64-linux`",)
    return ()


def _bundler(bundle: Bundle | None) -> str | None:
    """The Bundler that wrote the lockfile; Bundler 1 is left alone: Bundler 2 reads its files, Ruby 3 cannot run it."""
    stated = bundle.lock.bundler if bundle and bundle.lock else None
    if stated is None or stated.startswith(("0.", "1.")):
        return None
    if not _BUNDLER.fullmatch(stated):
        raise LangError(
            f"BUNDLED WITH: {stated[:80]!r} is no version of Bundler",
            file=bundle.lock.file if bundle and bundle.lock else None,
            hint="Run `bundle update --bundler`.",
        )
    return stated


def _manifests(files: AppFiles, bundle: Bundle) -> tuple[tuple[tuple[str, tuple[str, ...]], ...], bool]:
    """What `bundle install` reads, grouped by the directory it goes to; and whether it reads all of the app."""
    found = bundle.gemfile
    ruby = {_VERSION_FILE, _TOOL_FILE} if found.ruby_file is None else {_VERSION_FILE, found.ruby_file}
    names = [found.file, dict(gemfile.NAMES)[found.file], *sorted(ruby), *found.includes]
    directories: dict[str, None] = {}
    for path in (*found.paths, *(bundle.lock.paths if bundle.lock else ())):
        directories |= {gemfile.inside(path, found.file): None}
    if found.everything or "." in directories:
        return (), True
    groups: dict[str, list[str]] = {}
    for name in dict.fromkeys(gemfile.inside(name, found.file) for name in names):
        if files.exists(name):
            directory = posixpath.dirname(name)
            groups.setdefault(f"./{directory}/" if directory else "./", []).append(require_plain_name(name))
    for path in (*directories, "vendor/cache"):
        if files.has_directory(path):
            groups.setdefault(f"./{path}/", []).append(require_plain_name(path))
    return tuple((target, tuple(sources)) for target, sources in groups.items()), False


def _version(files: AppFiles, settings: Settings, bundle: Bundle | None) -> tuple[Version, tuple[str, ...]]:
    forced = base.forced(settings, NAME)
    stated = [versions.ruby(forced.value, source=forced.source)] if forced else []
    text = _first_line(files.read_text(_VERSION_FILE))
    # `system` leaves the choice to the machine: it states nothing.
    if text and text != "system":
        stated.append(_statement(text, source=_VERSION_FILE, file=_VERSION_FILE))
    if bundle is not None:
        stated += _of_bundle(files, bundle)
    stated += versions.tool_files(files, (NAME,), _statement)
    version, warnings = versions.resolve(stated, settings=settings, table=NAME, default=_DEFAULT, line=_LINE)
    if not stated and bundle is not None and bundle.gemfile.ruby_computed:
        warnings += (f"{bundle.gemfile.file}: `ruby` is computed, and not understood; Ruby {version.value} is taken",)
    return version, warnings


def _of_bundle(files: AppFiles, bundle: Bundle) -> list[versions.Statement]:
    found, lock = bundle.gemfile, bundle.lock
    if found.engine not in {None, "ruby"}:
        raise base.unsupported(f"{found.engine}"[:40], found.file)
    stated: list[versions.Statement] = []
    if found.ruby:
        stated.append(_statement(found.ruby, source=f"{found.file} ruby", file=found.file))
    elif found.ruby_file:
        file = gemfile.inside(found.ruby_file, found.file)
        text = _first_line(files.read_text(file), of="ruby")
        if text:
            stated.append(_statement(text, source=f"{found.file} ruby file: {file}", file=file))
    if lock and lock.ruby:
        stated.append(_statement(lock.ruby, source=f"{lock.file} RUBY VERSION", file=lock.file))
    return stated


def _first_line(text: str | None, of: str | None = None) -> str | None:
    """The first line that says something; in a file of several tools, what it says of `of`."""
    for line in (text or "").split("\n"):
        words = line.partition("#")[0].split()
        if len(words) > 1 and words[0] == of:
            return words[1]
        if words and (of is None or len(words) == 1):
            return words[0]
    return None


def _statement(text: str, *, source: str, file: str | None = None) -> versions.Statement:
    word = text.strip()
    engine = re.match(r"(?:jruby|truffleruby|mruby|rbx|artichoke)\b", word)
    if engine:
        raise base.unsupported(engine[0], file or source)
    return versions.ruby(word, source=source, file=file)
