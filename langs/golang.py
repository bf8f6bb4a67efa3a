"""Go: one static binary, built from the main package that evidence points to.

A directory inside of a module is an app only when somebody asks for it: each program of a module, with an image of its
own.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from langs import base, commands, gomod, gomodules, nodeentry, procfile, spans, versions, workspace
from langs.errors import LangError
from langs.files import AppFiles, once
from langs.model import AppBuild, Detection, Evidence, Process, Settings, Version

NAME: Final = "go"
PROGRAMS: Final = frozenset({"go"})
VERSION_VARIABLES: Final = ("GO_VERSION",)
VARIABLES: Final = ("GO_LINKER_SYMBOL", "GO_LINKER_VALUE", "GO_INSTALL_TOOLS_IN_IMAGE")
MANIFESTS: Final = ("go.mod", "go.work")
ENTRY_POINTS: Final = ("main.go",)
IMAGES: Final = ("golang", "debian")

_DEFAULT: Final = "1.25.0"
_LINE: Final = 2
_ASSETS: Final = ("assets", "migrations", "public", "static", "templates", "views")
"""Directories that programs read beside their binary when they do not embed them."""
_MADE: Final = ("build", "dist", "out")
"""Directories that builds of front ends write, besides those."""
_ASIDE: Final = frozenset(
    {"bench", "benchmark", "benchmarks", "build", "contrib", "demo", "docs", "e2e", "example", "examples", "gen"}
    | {"generator", "hack", "internal", "samples", "script", "scripts", "test", "testdata", "tests", "tool", "tools"}
)
"""Directories of a module whose main packages are not what it is for."""
_OWN: Final = ("go.mod", "Dockerfile", "Containerfile", "Procfile")
"""Files that make a directory below something of its own."""
_PLACES: Final = frozenset({"app", "cmd", "main", "server", "src"})
"""Names of directories that say nothing of the program in them."""
_MODULE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~/-]*", re.ASCII)
_MAX_SOURCES: Final = 2000
_CLAUSE: Final = re.compile(r"(?:\s++|//[^\n]*+|/\*.*?\*/)*+package\s+main\b", re.DOTALL)
"""A source's package clause, behind comments; possessive, so that no source makes it slow."""
_MAIN: Final = re.compile(r"^func[ \t]+main[ \t]*\(", re.MULTILINE)
_IGNORED: Final = re.compile(r"^//[ \t]*(?:go:build|\+build)[ \t]+ignore\b", re.MULTILINE)
_SYMBOL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/~-]*\.[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_VERSION_HINT: Final = "Write a Go version, such as 1.25 or 1.25.3."


def detect(files: AppFiles) -> Detection | None:
    """go.mod, go.work or Go sources; an app when there is a main package."""
    evidence = [
        Evidence(file=file, reason=reason)
        for file, reason in (("go.mod", "a Go module"), ("go.work", "a Go workspace"))
        if files.exists(file)
    ]
    mains = main_packages(files)
    evidence += [Evidence(file=file, reason="package main") for file in mains.values()]
    if not evidence and not files.glob("*.go"):
        return None
    program = gomodules.program_of(files)
    own = program.module if program else files
    member = gomodules.member_of(own) if mains else None
    needed = workspace.from_root(member.root, member.needed) if member else ()
    several = len(mains) > 1 and "." not in mains
    return Detection(
        language=NAME,
        evidence=tuple(evidence) or (Evidence(file=files.glob("*.go")[0], reason="Go source"),),
        package_manager="go" if own.first("go.mod", "go.work") else None,
        packages=(*needed, *(workspace.from_root(own, (".",)) if program and mains else ())),
        is_app=bool(mains) and program is None,
        programs=tuple(each.removeprefix("./") for each in mains) if several and not _web(files) else (),
    )


def build(files: AppFiles, settings: Settings, detection: Detection) -> AppBuild:
    """A build image with the toolchain, a runtime image with the binary and the authorities' certificates.

    Raises:
        LangError: no main package or several, or a module outside of the app.
    """
    program = gomodules.program_of(files)
    declared = procfile.read(files)
    # What is compiled is a module, wherever in it the app is.
    directory, files = files, program.module if program else files
    module = gomodules.read(files, "go.mod")
    member = gomodules.member_of(files)
    work = gomodules.read(files, "go.work") if member is None else member.work or gomod.GoMod()
    if member is None:
        _refuse_outside(files)
    version, warnings = _version(files, settings, module, work)
    if program:
        package, binary = _program(directory, settings, declared, program)
    else:
        package, binary = _target(files, settings, declared, module)
    start = base.start(settings, declared, binary)
    programs = ((package, binary), *_others(files, settings, start, module, binary))
    vendored = files.exists("vendor/modules.txt")
    manifests = member.manifests if member else _manifests(files, work)
    place = member.place if member else None
    if program:
        mains = (each.removeprefix("./") for each in main_packages(files))
        place = gomodules.place_of(program, member, manifests, mains)
    home = f"/app/{member.path}" if member else "/app"
    builder = base.image(settings, "golang", version.value)
    runtime = (
        base.image(settings, "golang", version.value, runs=True)
        if settings.hardened
        else base.image(settings, "debian", "bookworm-slim")
    )
    modules = base.cache(settings, "go-mod", "/go/pkg/mod")
    compiled = base.cache(settings, "go-build", "/root/.cache/go-build")
    text = base.dockerfile(
        "go.Dockerfile.j2",
        settings=settings,
        command=start.command,
        asks=("go",),
        values={
            "builder": f"--platform=$BUILDPLATFORM {builder}" if _crosses(settings) else builder,
            "crosses": _crosses(settings),
            "runtime": runtime,
            "manifests": nodeentry.groups(member.root if member else files, manifests, ()),
            "home": home,
            "download_home": home if member and member.work is None else "/app",
            "prefix": f"{member.path}/" if member else "",
            "download": bool(manifests) and not vendored,
            "init": not manifests,
            "modules": modules,
            "compiled": compiled,
            "programs": programs,
            "linked": _linked(settings),
            "toolchain": base.flag(settings, "GO_INSTALL_TOOLS_IN_IMAGE"),
            "beside": () if settings.build_command else tuple(name for _, name in programs if _is_beside(start, name)),
            # What a front end's build makes is known only where it was built.
            "assets": () if settings.assets else tuple(name for name in _ASSETS if files.has_directory(name)),
            "made": (*_ASSETS, *_MADE) if settings.assets else (),
            "title": base.title(binary),
        },
    )
    return base.generated(
        files,
        settings,
        detection,
        version=version,
        package_manager=detection.package_manager,
        dockerfile=text,
        start=start,
        cache=(modules, compiled),
        warnings=warnings,
        place=place,
    )


def _crosses(settings: Settings) -> bool:
    """Whether Go compiles for the image's platform on the builder's own, so that nothing has to be emulated.

    A command of the app's own may run what it compiles, C needs another compiler, and tools in the image are for that.
    """
    said = {**settings.passed, **settings.env}
    plain = settings.build_command is None and not base.flag(settings, "GO_INSTALL_TOOLS_IN_IMAGE")
    return bool(settings.platforms) and plain and said.get("CGO_ENABLED", "0") == "0"


def _web(files: AppFiles) -> bool:
    """Whether a Procfile says which program is started."""
    return any(process.name == base.WEB for process in procfile.read(files))


@once
def main_packages(files: AppFiles) -> Mapping[str, str]:
    """The directories of main packages, as Go names them (`.`, `./cmd/api`), each with the file that shows it.

    Where a module has none at its root and in cmd/, those at most two directories down count.
    """
    found = _mains(files, (*files.glob("*.go"), *files.glob("cmd/*.go"), *files.glob("cmd/*/*.go")))
    if found or not files.exists("go.mod"):
        return found
    below = (*files.glob("*/*.go"), *files.glob("*/*/*.go"))
    return _mains(files, tuple(file for file in below if _is_part(files, posixpath.dirname(file))))


def _is_part(files: AppFiles, directory: str) -> bool:
    """Whether the module's own program may be there, and not what makes, tries or shows something, or another app."""
    parts = directory.split("/")
    named = _ASIDE.isdisjoint(parts) and not any(part.startswith(("_", ".")) for part in parts)
    above = ["/".join(parts[: index + 1]) for index in range(len(parts))]
    return named and not any(files.exists(f"{each}/{name}") for each in above for name in _OWN)


def _mains(files: AppFiles, sources: tuple[str, ...]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for file in sources[:_MAX_SOURCES]:
        directory = posixpath.dirname(file)
        package = f"./{directory}" if directory else "."
        if package in found or file.endswith("_test.go"):
            continue
        text = _text_of(files, file)
        if _CLAUSE.match(text) and _MAIN.search(text) and not _IGNORED.search(text):
            found[package] = file
    return found


def _text_of(files: AppFiles, file: str) -> str:
    """A source's text; a source that cannot be read is no evidence, and the compiler will say why."""
    try:
        return files.read_text(file) or ""
    except LangError:
        return ""


def _refuse_outside(files: AppFiles) -> None:
    for file, path in gomodules.outside(files):
        raise LangError(
            f"{path[:80]!r} lies outside of the app's directory and of the repository that holds it",
            file=file,
            hint="Build from the directory that holds both, with a Dockerfile or `go.work` there.",
        )


def _version(
    files: AppFiles, settings: Settings, module: gomod.GoMod, workspace: gomod.GoMod
) -> tuple[Version, tuple[str, ...]]:
    forced = base.forced(settings, NAME)
    stated = [_statement(forced.value, source=forced.source)] if forced else []
    text = files.read_text(".go-version")
    if text and text.strip():
        stated.append(_statement(text, source=".go-version", file=".go-version"))
    # A Go older than one of them refuses the build.
    required = [each for file, said in (("go.mod", module), ("go.work", workspace)) for each in _required(file, said)]
    if required:
        stated.append(max(required, key=lambda each: spans.key(each.spans[0].lower or ())))
    stated += versions.tool_files(files, ("golang", "go"), _statement)
    return versions.resolve(stated, settings=settings, table=NAME, default=_DEFAULT, line=_LINE)


def _required(file: str, said: gomod.GoMod) -> Iterator[versions.Statement]:
    if said.toolchain and said.toolchain != "default":
        yield _statement(said.toolchain, source=f"{file} toolchain", file=file)
    elif said.go:
        yield _statement(said.go, source=f"{file} go", file=file)


def _statement(text: str, *, source: str, file: str | None = None) -> versions.Statement:
    return versions.exact(text.strip().removeprefix("go"), source=source, file=file, hint=_VERSION_HINT)


def _linked(settings: Settings) -> str | None:
    """The linker's flags where a symbol gets a value, as `cmd/go` splits them: quotes around a word, and no escapes."""
    symbol, value = (settings.variables.get(name, "") for name in VARIABLES[:2])
    if not symbol:
        return None
    if not _SYMBOL.fullmatch(symbol):
        hint = "As in GO_LINKER_SYMBOL=main.version."
        raise LangError(f"$GO_LINKER_SYMBOL: {symbol[:80]!r} is not the name of a variable", hint=hint)
    quote = "'" if "'" not in value else '"'
    if quote in value:
        raise LangError("$GO_LINKER_VALUE holds both kinds of quotes", hint="The linker can be given one kind only.")
    return f"-s -w -X {quote}{symbol}={value}{quote}"


def _target(files: AppFiles, settings: Settings, declared: tuple[Process, ...], module: gomod.GoMod) -> tuple[str, str]:
    """The package to build and the binary's name."""
    mains = main_packages(files)
    name = _binary_name(module.module)
    if settings.build_command is not None:
        return ".", name
    wanted = settings.run_command or next((p.command for p in declared if p.name == base.WEB), None)
    named = commands.program(wanted) if wanted else None
    if "." in mains and (len(mains) == 1 or f"./cmd/{named}" not in mains):
        # The start command says what the binary is called, when it is a name.
        return ".", named if named and _plain(named) and wanted and _starts_binary(wanted) else name
    if not mains:
        raise LangError(
            "no package main was found in the root or in cmd/",
            file="go.mod",
            hint=f"Set {base.BUILD_SETTING} to a command that writes bin/NAME, and {base.RUN_SETTING} to NAME.",
        )
    choices = {posixpath.basename(package): package for package in mains}
    for choice in (named, name):
        if choice in choices:
            return _importable(choices[choice]), choice
    if len(mains) > 1:
        raise _several(files, mains)
    binary, package = next(iter(choices.items()))
    nameless = binary == "cmd" or (binary in _PLACES and not package.startswith("./cmd/"))
    return _importable(package), name if nameless else binary


def _several(files: AppFiles, mains: Iterable[str]) -> LangError:
    """The error for main packages of which nothing says which one is started."""
    names = sorted(mains)
    each = workspace.tables(files, (name.removeprefix("./") for name in names))
    return LangError(
        f"several main packages were found: {', '.join(names)}",
        file="go.mod",
        hint=f"Set {base.RUN_SETTING} to the name of the one to start, or add `web: NAME` to a Procfile. For an image "
        f"of each, declare their directories in the root's fleetpacks.toml, by their paths from there: {each}.",
    )


def _program(
    files: AppFiles, settings: Settings, declared: tuple[Process, ...], program: gomodules.Program
) -> tuple[str, str]:
    """The same of an app that is one of a module's programs; the start command may call it otherwise."""
    name = posixpath.basename(program.path)
    wanted = settings.run_command or next((p.command for p in declared if p.name == base.WEB), None)
    named = commands.program(wanted) if wanted else None
    binary = named if named and wanted and _plain(named) and _starts_binary(wanted) else name
    if settings.build_command is not None:
        return ".", binary
    if "." not in main_packages(files):
        raise LangError(
            "no package main was found here, in a directory of a module",
            hint=f"Set {base.BUILD_SETTING} to a command that writes bin/NAME in the module's directory.",
        )
    return _importable(f"./{program.path}"), _importable(binary)


def _others(
    files: AppFiles, settings: Settings, start: base.Start, module: gomod.GoMod, binary: str
) -> tuple[tuple[str, str], ...]:
    """The packages and names of binaries that other processes than the app itself start."""
    if settings.build_command is not None:
        return ()
    named = (commands.program(each.command) for each in start.processes if each.name != base.WEB)
    known = {
        _binary_name(module.module) if each == "." else posixpath.basename(each): each for each in main_packages(files)
    }
    return tuple((_importable(known[name]), name) for name in dict.fromkeys(named) if name in known and name != binary)


def _is_beside(start: base.Start, binary: str) -> bool:
    """Whether a process starts the binary from the app's own directory."""
    return any(each.command.split()[0] in {f"./{binary}", f"/app/{binary}"} for each in start.processes)


def _importable(package: str) -> str:
    """`package`, when its directory is a legal part of an import path; its last part is then a legal binary name."""
    if package != "." and not _MODULE.fullmatch(package.removeprefix("./")):
        raise LangError(
            f"the directory {package[:200]!r} cannot be a part of an import path",
            hint="Use letters, digits and . _ ~ - in its name.",
        )
    return package


def _starts_binary(command: str) -> bool:
    """Whether a command names its program as a built binary: bare, in bin/ or beside it."""
    words = command.split()
    return bool(words) and words[0].rpartition("/")[0] in {"", ".", "bin", "./bin", "/app", "/app/bin"}


def _plain(name: str) -> bool:
    return _MODULE.fullmatch(name) is not None and name not in PROGRAMS and name not in {"sh", "bash"}


def _binary_name(module: str | None) -> str:
    if module is None:
        return "app"
    if not _MODULE.fullmatch(module):
        raise LangError(f"{module[:80]!r} is not a module path", file="go.mod", hint="Run `go mod edit -module PATH`.")
    parts = [part for part in module.split("/") if part]
    # `example.com/api/v2` is the second major version of `api`.
    if len(parts) > 1 and re.fullmatch(r"v\d+", parts[-1], re.ASCII):
        parts.pop()
    return parts[-1]


def _manifests(files: AppFiles, work: gomod.GoMod) -> tuple[str, ...]:
    """What `go mod download` reads."""
    directories = dict.fromkeys((".", *(posixpath.normpath(path) for path in work.uses)))
    found = [posixpath.normpath(f"{directory}/{name}") for directory in directories for name in ("go.mod", "go.sum")]
    return tuple(path for path in (*found[:2], "go.work", "go.work.sum", *found[2:]) if files.exists(path))
