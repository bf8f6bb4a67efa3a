"""Clojure: an uberjar of Leiningen or tools.build, or the sources with the class path that deps.edn describes.

Neither Leiningen nor the Clojure CLI is in the image that runs: both would resolve and write at every start. What a
Procfile asks of them (`lein run`, `clojure -M:web`) becomes the call of `java` that they would make.
"""

import posixpath
import re
import shlex
from typing import Final

import msgspec

from langs import base, commands, depsedn, indexes, jvm, leiningen, procfile, render, versions
from langs.depsedn import Alias, Deps
from langs.errors import LangError
from langs.files import AppFiles
from langs.leiningen import Project
from langs.model import AppBuild, Detection, Evidence, Settings, Version

NAME: Final = "clojure"
PROGRAMS: Final = frozenset({"lein", "clojure", "clj", "java"})
VERSION_VARIABLES: Final = ()
VARIABLES: Final = ("LEIN_BUILD_TASK", "LEIN_JVM_OPTS", "LEIN_SNAPSHOTS_IN_RELEASE")
MANIFESTS: Final = (leiningen.FILE, depsedn.FILE, "build.boot")
ENTRY_POINTS: Final = ()
IMAGES: Final = ("clojure", "eclipse-temurin")

_DEFAULT: Final = "1.11.1"
_LINE: Final = 2
_JAR: Final = "app.jar"
_CLASSPATH: Final = ".classpath"
_IGNORED: Final = ("target", "**/.cpcache", "**/.nrepl-port", "**/.lein-*")
_MAX_SOURCES: Final = 300
# Patterns are text here: start-up counts, and `re` compiles each when it is first needed, and keeps it.
_VERSION: Final = r"([0-9]{1,6}(?:\.[0-9]{1,6}){0,2})((?:[-.+][0-9A-Za-z]{1,20}){0,4})"
_NAMESPACE: Final = r"[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z_][A-Za-z0-9_-]*)*"
_ALIAS: Final = r"[A-Za-z][A-Za-z0-9._/-]*"
_PATH: Final = r"[A-Za-z0-9_][A-Za-z0-9._/-]*"
_MAIN: Final = r"(?m)^\(defn[ \t\n]+(?:\^\S+[ \t\n]+)*-main\b"
_LEIN_RUN: Final = (
    r"(?P<env>(?:[A-Za-z_]\w*=\S*\s+)*)lein\s+(?:(?:with-profiles?\s+\S+|trampoline)\s+)*"
    r"(?:(?P<ring>ring\s+server(?:-headless)?)|run(?:\s+(?:-m|--main)\s+(?P<main>\S+))?)(?P<rest>\s.*)?"
)
_CLI_RUN: Final = r"(?P<env>(?:[A-Za-z_]\w*=\S*\s+)*)(?:clojure|clj)\s+-M(?P<aliases>(?::[^\s:]+)*)(?P<rest>\s.*)?"
_FIRST: Final = ("run", "main", "start", "serve", "server", "web", "prod", "production", "app", "run-m")
"""Aliases that start an app, by convention; others follow in the file's order."""
_NOT_FIRST: Final = frozenset({"dev", "test", "repl", "build", "nrepl", "outdated", "format", "lint"})
_OLDEST_WITH_ARGUMENT_FILES: Final = 9
_HINT: Final = (
    f"Add `:main`, or an alias with `:main-opts`, or `web: java ...` to a Procfile, or set {base.RUN_SETTING}."
)


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How one of the two tools builds the app, and what it starts."""

    manager: str
    tag: str
    """What stands in the builder image's tag behind the Java release."""
    clojure: tuple[versions.Statement, ...]
    manifests: tuple[str, ...]
    sources_first: bool
    install: str
    compile: str | None
    """The command that makes an uberjar; None when the sources are started."""
    jar: str | None = None
    """The uberjar's name, where it is said."""
    path: str | None = None
    """The command that prints the class path of what is started from its sources."""
    start: str | None
    title: str | None = None


def detect(files: AppFiles) -> Detection | None:
    """project.clj, deps.edn or build.boot; an app when something in it can be started.

    Raises:
        LangError: one of them cannot be read.
    """
    found = files.first(*MANIFESTS)
    if found is None:
        return None
    evidence: list[Evidence] = []
    is_app = False
    project = leiningen.read(files)
    paths: tuple[str, ...] = ()
    if project is not None:
        evidence.append(Evidence(file=leiningen.FILE, reason="a Leiningen project"))
        is_app = project.main is not None or project.ring
        paths = project.source_paths
    deps = depsedn.read(files)
    if deps is not None:
        evidence.append(Evidence(file=depsedn.FILE, reason="a project of the Clojure CLI"))
        build = depsedn.read_build(files)
        if build.uber and build.main:
            evidence.append(Evidence(file=depsedn.BUILD, reason="makes an uberjar"))
        is_app = is_app or bool(build.uber and build.main) or _main_alias(files, deps) is not None
        paths = (*paths, *deps.paths)
    if files.exists("build.boot"):
        evidence.append(Evidence(file="build.boot", reason="a Boot project"))
    mains = () if is_app else _mains(files, paths)
    evidence += [Evidence(file=file, reason="a -main function") for file, _ in mains]
    manager = "leiningen" if project is not None else "tools-deps" if deps is not None else "boot"
    return Detection(language=NAME, evidence=tuple(evidence), package_manager=manager, is_app=is_app or bool(mains))


def build(files: AppFiles, settings: Settings, detection: Detection) -> AppBuild:
    """A build image with the tool, a runtime image with a JRE.

    Raises:
        LangError: a file cannot be understood, there is nothing to start, or what is needed lies outside of the app.
    """
    declared = procfile.read(files)
    wanted = settings.run_command or next((each.command for each in declared if each.name == base.WEB), None)
    project, deps = leiningen.read(files), depsedn.read(files)
    if project is not None:
        plan = _leiningen(files, project, settings, wanted)
    elif deps is not None:
        plan = _tools_deps(files, deps, wanted)
    else:
        raise base.unsupported("Boot", "build.boot")
    java, warnings = jvm.java_version(files, settings)
    version, more = _version(files, settings, plan.clojure)
    start = base.start(settings, declared, plan.start)
    command = plan.start or start.command
    if plan.path is not None and int(java.value) < _OLDEST_WITH_ARGUMENT_FILES:
        raise LangError(
            f"Java {java.value} of {java.source} cannot start sources", hint="Use Java 11 or newer, or make an uberjar."
        )
    caches = [base.cache(settings, "maven", "/root/.m2/repository")]
    if project is None:
        caches.append(base.cache(settings, "gitlibs", "/root/.gitlibs"))
    runtime = jvm.runtime_image(settings, java)
    text = base.dockerfile(
        "clojure.Dockerfile.j2",
        settings=settings,
        command=command,
        values={
            "builder": base.image(settings, "clojure", f"temurin-{java.value}-{plan.tag}"),
            "runtime": runtime,
            "mounts": caches,
            "leiningen": project is not None,
            "manifests": (("./", plan.manifests),),
            "sources_first": plan.sources_first,
            "install": plan.install,
            "compile": plan.compile,
            "jar": plan.jar,
            "path": plan.path,
            "tools": base.told(settings, VARIABLES[1:]) if project is not None else {},
            "options": jvm.TOOL_OPTIONS,
            "title": base.title(plan.title),
        },
        asks=(plan.manager,),
    )
    return base.generated(
        files,
        settings,
        detection,
        version=version,
        runtime_version=java,
        package_manager=plan.manager,
        dockerfile=text,
        start=base.restarted(start, command),
        cache=tuple(caches),
        ignored=_IGNORED,
        warnings=(*warnings, *more),
    )


def _leiningen(files: AppFiles, project: Project, settings: Settings, wanted: str | None) -> _Plan:
    clojure = (_stated(project.clojure, leiningen.FILE),) if project.clojure else ()
    task = base.words(settings, "LEIN_BUILD_TASK")
    # A mirror is said in the user's profile, which one profile alone leaves out.
    user = "user," if indexes.mirrored(settings.indexes, ("leiningen",)) else ""
    only = f" with-profile {user}uberjar" if "uberjar" in project.profiles else ""
    return _Plan(
        manager="leiningen",
        tag="lein",
        clojure=clojure,
        manifests=tuple(file for file in (leiningen.FILE, "profiles.clj") if files.exists(file)),
        sources_first=project.reads_sources or files.has_directory("checkouts"),
        install=f"lein{only} deps",
        compile=f"lein {render.words(task)}" if task else "lein ring uberjar" if project.ring else "lein uberjar",
        jar=_plain(project.uberjar_name, leiningen.FILE) if project.uberjar_name else None,
        start=_lein_start(files, project, wanted),
        title=project.name,
    )


def _lein_start(files: AppFiles, project: Project, wanted: str | None) -> str | None:
    """What starts the uberjar: as `wanted` says, whatever of Leiningen that is made of."""
    main, environment, rest = project.main, "", ""
    # What is no source of Clojure is a class of Java.
    jar = project.ring or (main is not None and _source_of(files, main, project.source_paths) is None)
    if wanted is not None:
        match = re.fullmatch(_LEIN_RUN, wanted.strip())
        if match is None:
            _refuse_tools(wanted)
            return None
        main, environment, rest = match["main"] or main, match["env"], match["rest"] or ""
        jar = jar and match["main"] is None
    if jar:
        return _checked(f"{environment}java -jar {_JAR}{rest}")
    if main is None:
        found = _mains(files, project.source_paths)
        main = found[0][1] if len(found) == 1 else None
    if main is None:
        raise LangError("no `:main` says what is started", file=leiningen.FILE, hint=_HINT)
    return _checked(f"{environment}java -cp {_JAR} clojure.main -m {_namespace(main, leiningen.FILE)}{rest}")


def _tools_deps(files: AppFiles, deps: Deps, wanted: str | None) -> _Plan:
    _refuse_outside(deps)
    can = depsedn.read_build(files)
    tool = next((name for name, alias in deps.aliases.items() if alias.build), None)
    match = re.fullmatch(_CLI_RUN, wanted.strip()) if wanted is not None else None
    if wanted is not None and match is None:
        _refuse_tools(wanted)
    uber = can.uber if tool is not None and match is None else None
    main = _main_alias(files, deps)
    if match is not None:
        aliases = tuple(name for name in match["aliases"].split(":") if name)
    else:
        aliases = (main,) if main is not None and uber is None else ()
    selected = f" -M{_keywords(aliases)}" if aliases else ""
    install = f"clojure -P{selected}"
    compile_ = path = None
    if uber is not None:
        by = f"-T{_keywords((tool or '',))}"
        compile_, install = f"clojure {by} {uber}", f"clojure -P && clojure -P {by}"
    else:
        path = f"clojure -Spath{selected}"
    return _Plan(
        manager="tools-deps",
        tag="tools-deps",
        clojure=(_stated(deps.clojure, depsedn.FILE),) if deps.clojure else (),
        manifests=(depsedn.FILE, *(root for root in deps.local_roots if files.exists(root))),
        sources_first=any(not files.exists(root) for root in deps.local_roots),
        install=install,
        compile=compile_,
        path=path,
        start=_cli_start(files, deps, aliases, match, wanted, uberjar=can if uber is not None else None),
    )


def _cli_start(
    files: AppFiles,
    deps: Deps,
    aliases: tuple[str, ...],
    match: re.Match[str] | None,
    wanted: str | None,
    *,
    uberjar: depsedn.Build | None,
) -> str | None:
    if wanted is not None and match is None:
        return None
    if uberjar is not None and uberjar.main:
        return f"java -jar {_JAR}"
    chosen = [deps.aliases.get(name, Alias()) for name in aliases]
    options = next((alias.main_options for alias in reversed(chosen) if alias.main_options), ())
    virtual = [option for alias in chosen for option in alias.jvm_options]
    if not options and match is None:
        found = _mains(files, deps.paths)
        if len(found) != 1:
            raise LangError("nothing says what is started", file=depsedn.FILE, hint=_HINT)
        options = ("-m", _namespace(found[0][1], found[0][0]))
    where = ("-cp", _JAR) if uberjar is not None else (f"@{_CLASSPATH}",)
    line = shlex.join(["java", *virtual, *where, "clojure.main", *options])
    return _checked(f"{match['env']}{line}{match['rest'] or ''}" if match else line)


def _checked(command: str) -> str:
    return commands.check(command, key="the start command")


def _refuse_tools(command: str) -> None:
    program = commands.program(command)
    if program in {"lein", "clojure", "clj", "boot"}:
        raise LangError(
            f"{program} is not in the image that runs, and {command[:80]!r} is nothing that java can do instead",
            hint="Start a namespace: `lein run -m NS`, `clojure -M:ALIAS`, or `java -cp app.jar clojure.main -m NS`.",
        )


def _refuse_outside(deps: Deps) -> None:
    for root in deps.local_roots:
        if root.startswith("/") or posixpath.normpath(root).startswith(".."):
            raise LangError(
                f"{root[:80]!r} lies outside of the app's directory, which is all that its build sees",
                file=depsedn.FILE,
                hint="Build from the directory that holds both, or publish the library.",
            )


def _keywords(aliases: tuple[str, ...]) -> str:
    for alias in aliases:
        if not re.fullmatch(_ALIAS, alias):
            raise LangError(
                f"the alias {alias[:80]!r} cannot stand in a command", file=depsedn.FILE, hint="Use letters and digits."
            )
    return "".join(f":{alias}" for alias in aliases)


def _main_alias(files: AppFiles, deps: Deps) -> str | None:
    """The alias that starts a namespace of the app itself."""
    starting = [
        name
        for name, alias in deps.aliases.items()
        if alias.main and name not in _NOT_FIRST and _source_of(files, alias.main, (*deps.paths, *alias.paths))
    ]
    return next((name for name in _FIRST if name in starting), starting[0] if starting else None)


def _source_of(files: AppFiles, namespace: str, paths: tuple[str, ...]) -> str | None:
    stem = namespace.replace("-", "_").replace(".", "/")
    return files.first(*(f"{path.strip('/')}/{stem}{ending}" for path in paths for ending in (".clj", ".cljc")))


def _mains(files: AppFiles, paths: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """The sources with a function -main, each with its namespace."""
    roots = tuple(f"{path.strip('/')}/" for path in paths)
    sources = [file for file in files.listing if file.startswith(roots) and file.endswith((".clj", ".cljc"))]
    found: list[tuple[str, str]] = []
    for file in sources[:_MAX_SOURCES]:
        if re.search(_MAIN, _text_of(files, file)):
            root = next(root for root in roots if file.startswith(root))
            stem = posixpath.splitext(file.removeprefix(root))[0]
            found.append((file, stem.replace("/", ".").replace("_", "-")))
    return tuple(found)


def _text_of(files: AppFiles, file: str) -> str:
    """A source's text; a source that cannot be read is no evidence, and the compiler will say why."""
    try:
        return files.read_text(file) or ""
    except LangError:
        return ""


def _namespace(name: str, file: str) -> str:
    if not re.fullmatch(_NAMESPACE, name):
        raise LangError(f"{name[:80]!r} is no namespace that can be started", file=file, hint=_HINT)
    return name


def _plain(name: str, file: str) -> str:
    if not re.fullmatch(_PATH, name):
        raise LangError(
            f"the jar's name {name[:80]!r} is no plain file name", file=file, hint="Use letters and digits."
        )
    return posixpath.basename(name)


def _version(
    files: AppFiles, settings: Settings, stated: tuple[versions.Statement, ...]
) -> tuple[Version, tuple[str, ...]]:
    """Clojure's own version. It is a dependency: what a project says is what it gets, whatever others say."""
    forced = base.forced(settings, NAME)
    said = [*stated, *([_statement(forced.value, source=forced.source)] if forced else [])]
    said += versions.tool_files(files, (NAME,), _statement)
    return versions.resolve(said, settings=settings, table=NAME, default=_DEFAULT, line=_LINE)


def _stated(text: str, file: str) -> versions.Statement:
    return _statement(text, source=file, file=file)


def _statement(text: str, *, source: str, file: str | None = None) -> versions.Statement:
    match = re.fullmatch(_VERSION, text.strip())
    if match is None:
        hint = "Write a version of Clojure, such as 1.12.0."
        raise versions.not_understood(text, source=source, file=file, hint=hint)
    stated = versions.exact(match[1], source=source, file=file, hint="")
    return msgspec.structs.replace(stated, exact=match[1] + match[2])
