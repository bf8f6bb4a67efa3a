"""A Maven project: its poms, what of it can be started, and what it says of the Java release."""

import posixpath
import re
from collections.abc import Iterator
from itertools import islice
from typing import Final, TypeAlias

import msgspec

from langs import jvm, mainclass, pom, versions
from langs.errors import LangError
from langs.files import AppFiles, once
from langs.launch import Kind, Launch
from langs.model import Evidence
from langs.pom import Plugin, Pom

WRAPPER: Final = ".mvn/wrapper/maven-wrapper.properties"

_MAX_MODULES: Final = 500
_MAX_PARENTS: Final = 20
_BOOT: Final = "org.springframework.boot:spring-boot-maven-plugin"
_QUARKUS: Final = frozenset({"io.quarkus:quarkus-maven-plugin", "io.quarkus.platform:quarkus-maven-plugin"})
_MICRONAUT: Final = "io.micronaut.maven:micronaut-maven-plugin"
_SHADE: Final = f"{pom.MAVEN}:maven-shade-plugin"
_ASSEMBLY: Final = f"{pom.MAVEN}:maven-assembly-plugin"
_JAR: Final = f"{pom.MAVEN}:maven-jar-plugin"
_COMPILER: Final = f"{pom.MAVEN}:maven-compiler-plugin"
_KOTLIN: Final = "org.jetbrains.kotlin:kotlin-maven-plugin"
_EXEC: Final = "org.codehaus.mojo:exec-maven-plugin"
_LEVELS: Final = ("java.version", "maven.compiler.release", "maven.compiler.target", "maven.compiler.source")
_STARTER: Final = ("org.springframework.boot", "spring-boot-starter-parent")
_SPRING_ON_17: Final = 3
_MICRONAUT_PARENTS: Final = (("io.micronaut.platform", "micronaut-parent"), ("io.micronaut", "micronaut-parent"))
_MICRONAUT_LEVELS: Final = ("release.version", "jdk.version")
"""Properties of an app which those parents, which it does not hold, make the compiler's release of."""
_LAST: Final = "kotlin.compiler.jvmTarget"
_MAIN_PROPERTIES: Final = ("start-class", "exec.mainClass", "mainClass", "main.class")
_ENCODING: Final = re.compile(rb"""encoding=["'](?:ISO-8859-1|iso-8859-1|latin1|windows-1252)["']""")

_Found: TypeAlias = tuple[Kind, str | None, Evidence]
"""How it is started, the main class where it is known, and what shows it."""


class Module(msgspec.Struct, frozen=True, kw_only=True):
    """One module of the reactor."""

    directory: str
    """Relative to the app's; empty for the app's own."""
    lineage: tuple[Pom, ...]
    """Its pom and the parents that are in the app, the nearest first."""

    @property
    def pom(self) -> Pom:
        """Its own pom."""
        return self.lineage[0]

    def plugins(self, *names: str) -> Iterator[Plugin]:
        """Its own and inherited plugins that go by one of `names`: `group:artifact`."""
        for each in self.lineage:
            for plugin in each.plugins:
                group = pom.resolve(plugin.group, self.lineage)
                if f"{group}:{plugin.artifact}" in names:
                    yield plugin

    def value(self, name: str, *plugins: str) -> str | None:
        """The first resolved text of the element `name` in one of these plugins, or in what is managed for them."""
        managed = (plugin for each in self.lineage for plugin in each.managed)
        chosen = {plugin.artifact for plugin in self.plugins(*plugins)}
        for plugin in (*self.plugins(*plugins), *(plugin for plugin in managed if plugin.artifact in chosen)):
            for text in plugin.values.get(name, ()):
                resolved = pom.resolve(text, self.lineage)
                if resolved is not None:
                    return resolved
        return None


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """All modules of the app, the root first, and all pom files that Maven reads."""

    modules: tuple[Module, ...]
    files: tuple[str, ...]
    wrapped: bool
    """Whether the wrapper can be used: its script and its properties are there."""

    @property
    def root(self) -> Module:
        """The module of the app's directory."""
        return self.modules[0]

    @property
    def reactor(self) -> bool:
        """Whether there are modules below the root."""
        return len(self.modules) > 1


def read(files: AppFiles, limit: int = _MAX_MODULES) -> Project | None:
    """The project whose root pom is the app's pom.xml; None without one.

    Args:
        files: the app.
        limit: how many modules are read.

    Raises:
        LangError: a pom cannot be understood, or a module lies outside of the app.
    """
    poms: dict[str, Pom] = {}
    pending = [pom.FILE]
    found: list[str] = []
    while pending and len(found) < limit:
        file = pending.pop(0)
        if file in found or _pom(files, file, poms) is None:
            continue
        found.append(file)
        pending += [_module_file(files, file, module) for module in poms[file].modules]
    if not found:
        return None
    modules = tuple(
        Module(directory=posixpath.dirname(file), lineage=tuple(_lineage(files, poms[file], poms))) for file in found
    )
    return Project(
        modules=modules,
        files=tuple(poms),
        wrapped=files.exists("mvnw") and files.exists(WRAPPER),
    )


def launch(files: AppFiles, module: Module, *, guess: bool = True) -> Launch | None:
    """How what the module makes is started, or None when nothing shows that it is more than a library.

    Args:
        files: the app.
        module: one of its modules.
        guess: whether a main method in its sources is enough.
    """
    if module.pom.packaging not in {"jar", "war", "quarkus", "${packaging}"}:
        return None
    found = _framework(files, module) or _stated_main(module)
    if found is None and guess and module.pom.packaging != "war":
        source = mainclass.find(files, module.directory)
        found = (Kind.THIN, source[0], Evidence(file=source[1], reason="a main method")) if source else None
    if found is None:
        return None
    kind, main, evidence = found
    guessed = evidence.file != module.pom.file
    return Launch(kind=kind, main=main, directory=module.directory, evidence=evidence, guessed=guessed)


def _framework(files: AppFiles, module: Module) -> _Found | None:
    """What the plugin of a framework makes of the module."""
    if next(module.plugins(*_QUARKUS), None):
        return Kind.QUARKUS, None, Evidence(file=module.pom.file, reason="a Quarkus app")
    if next(module.plugins(_MICRONAUT), None):
        return Kind.MICRONAUT, _main_class(module), Evidence(file=module.pom.file, reason="a Micronaut app")
    boot = next(module.plugins(_BOOT), None)
    if boot is None or "true" in boot.values.get("skip", ()):
        return None
    # Inherited by all modules of a project, it makes apps only of those that have something to start.
    if boot in module.pom.plugins or mainclass.find(files, module.directory):
        return Kind.BOOT, None, Evidence(file=module.pom.file, reason="a Spring Boot app")
    return None


def _stated_main(module: Module) -> _Found | None:
    """The main class that the pom names, and whether a plugin packs everything into one jar with it."""
    packed = (_SHADE, _ASSEMBLY)
    main = mainclass.legal(module.value("mainClass", *packed) or module.value("Main-Class", *packed))
    if main:
        return Kind.FAT, main, Evidence(file=module.pom.file, reason="a jar with everything in it and a main class")
    main = _main_class(module)
    return (Kind.THIN, main, Evidence(file=module.pom.file, reason="a main class")) if main else None


def _main_class(module: Module) -> str | None:
    """The main class that plugins which start the app, or properties that they read, name."""
    main = mainclass.legal(module.value("mainClass", _JAR, _EXEC, _KOTLIN))
    for name in _MAIN_PROPERTIES:
        said = pom.stated(name, module.lineage)
        main = main or mainclass.legal(said[0] if said else None)
    return main


def repackages(project: Project) -> bool:
    """Whether Spring Boot's plugin makes something of a module."""
    return any(next(module.plugins(_BOOT), None) is not None for module in project.modules)


def holder(files: AppFiles) -> AppFiles | None:
    """The outermost directory around the app whose project has it as a module, itself or through others."""
    found: AppFiles | None = None
    for above in files.enclosing:
        path = (found or files).root.relative_to(above.root).as_posix()
        parent = _own(above)
        named = [posixpath.normpath(name) for name in parent.modules] if parent else []
        if path in named or posixpath.join(path, pom.FILE) in named:
            found = above
    return found


def inherits(files: AppFiles) -> bool:
    """Whether the app's pom inherits from one that lies around the app's directory."""
    own = _own(files)
    above = own.parent if own else None
    if above is None or not above.relative_path:
        return False
    for around in files.enclosing:
        depth = files.root.relative_to(around.root).as_posix()
        file = posixpath.normpath(posixpath.join(depth, above.relative_path))
        file = file if file.endswith(".xml") else posixpath.join(file, pom.FILE)
        if not file.startswith("..") and not posixpath.isabs(file) and not file.startswith(f"{depth}/"):
            found = _own(around) if file == pom.FILE else _pom(around, file, {})
            return found is not None and found.artifact == above.artifact
    return False


def needed(project: Project, module: Module) -> tuple[str, ...]:
    """The directories of the modules that one of them depends on, directly or not."""
    by_name = {_coordinates(each): each for each in project.modules}
    found: dict[str, None] = {module.directory: None}
    pending = [module]
    while pending:
        each = pending.pop()
        for group, artifact in (pair for above in each.lineage for pair in above.dependencies):
            name = (pom.resolve(group, each.lineage), pom.resolve(artifact, each.lineage))
            neighbour = by_name.get(name)
            if neighbour is not None and neighbour.directory not in found:
                found[neighbour.directory] = None
                pending.append(neighbour)
    return tuple(directory for directory in found if directory != module.directory)


def _coordinates(module: Module) -> tuple[str | None, str | None]:
    own = module.pom
    group = own.group or (own.parent.group if own.parent else "")
    return pom.resolve(group, module.lineage), pom.resolve(own.artifact, module.lineage)


def java_release(module: Module) -> Iterator[versions.Statement]:
    """What the poms say of the Java release, in order.

    Raises:
        LangError: something else than a release stands there.
    """
    toolchain = module.value("version", f"{pom.MAVEN}:maven-toolchains-plugin")
    if toolchain and toolchain[0].isdigit():
        yield jvm.statement(toolchain, source=f"{module.pom.file} toolchain", file=module.pom.file)
    for name in _LEVELS:
        said = pom.stated(name, module.lineage)
        if said:
            yield jvm.level(said[0], source=f"{said[1]} {name}", file=said[1])
    for name in ("release", "target", "source"):
        value = module.value(name, _COMPILER)
        if value:
            yield jvm.level(value, source=f"{module.pom.file} maven-compiler-plugin {name}", file=module.pom.file)
    target = module.value("jvmTarget", _KOTLIN)
    if target:
        yield jvm.level(target, source=f"{module.pom.file} kotlin-maven-plugin jvmTarget", file=module.pom.file)
    said = pom.stated(_LAST, module.lineage)
    if said:
        yield jvm.level(said[0], source=f"{said[1]} {_LAST}", file=said[1])


def implied_release(module: Module) -> Iterator[versions.Statement]:
    """What a framework's parent, which the app does not hold, says where nobody else does.

    Spring Boot's has a `java.version` (docs.spring.io/spring-boot/maven-plugin/using.html), Micronaut's takes its
    release out of properties of the app's (repo.maven.apache.org/maven2/io/micronaut/platform/micronaut-parent).
    """
    above = module.lineage[-1]
    parent = above.parent
    name = (parent.group, parent.artifact) if parent else None
    if name in _MICRONAUT_PARENTS:
        each = ((key, said) for key in _MICRONAUT_LEVELS if (said := pom.stated(key, module.lineage)))
        for key, (value, file) in islice(each, 1):
            yield jvm.level(value, source=f"{file} {key}", file=file)
    if parent is None or name != _STARTER:
        return
    major = re.match(r"([1-9])\.", pom.resolve(parent.version, (above,)) or "")
    if major is not None and pom.stated(_LEVELS[0], module.lineage) is None:
        release = "8" if int(major[1]) < _SPRING_ON_17 else "17"
        yield jvm.level(release, source=f"{above.file} {_STARTER[1]} {major[0]}x", file=above.file)


def kotlin(module: Module) -> tuple[str | None, str] | None:
    """The version of the Kotlin plugin that the module is compiled with, and where it stands; None without Kotlin."""
    plugin = next(module.plugins(_KOTLIN), None)
    if plugin is None:
        return None
    managed = (each for above in module.lineage for each in above.managed if each.artifact == plugin.artifact)
    for each in (plugin, *managed):
        value = pom.resolve(each.version, module.lineage) if each.version else None
        if value:
            return value, f"{module.pom.file} kotlin-maven-plugin"
    said = pom.stated("kotlin.version", module.lineage)
    return (said[0], f"{said[1]} kotlin.version") if said else (None, module.pom.file)


def manifests(files: AppFiles, project: Project) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """What Maven reads before any source, grouped by the directory it goes to."""
    groups: dict[str, list[str]] = {}
    for file in project.files:
        groups.setdefault(posixpath.dirname(file), []).append(file)
    if project.wrapped:
        groups[""].append("mvnw")
    found = [(f"./{directory}/" if directory else "./", tuple(names)) for directory, names in groups.items()]
    if files.has_directory(".mvn"):
        found.insert(1, ("./.mvn/", (".mvn",)))
    return tuple(found)


@once
def _own(files: AppFiles) -> Pom | None:
    """The pom of the directory, which all modules below it ask for."""
    return _pom(files, pom.FILE, {})


def _pom(files: AppFiles, file: str, known: dict[str, Pom]) -> Pom | None:
    if file not in known:
        text = _text_of(files, file)
        if text is None:
            return None
        known[file] = pom.parse(text, file)
    return known[file]


def _text_of(files: AppFiles, file: str) -> str | None:
    data = files.read_bytes(file)
    if data is not None and _ENCODING.search(data[:200]):
        return data.decode("latin-1").replace("\r\n", "\n")
    return None if data is None else files.read_text(file)


def _module_file(files: AppFiles, above: str, module: str) -> str:
    path = posixpath.normpath(posixpath.join(posixpath.dirname(above), module))
    if path.startswith(("../", "/")) or path == "..":
        raise LangError(
            f"the module {module[:80]!r} lies outside of the app's directory, which is all that its build sees",
            file=above,
            hint="Build from the directory that holds all modules.",
        )
    return path if path.endswith(".xml") and files.exists(path) else posixpath.normpath(posixpath.join(path, pom.FILE))


def _lineage(files: AppFiles, first: Pom, known: dict[str, Pom]) -> Iterator[Pom]:
    """A pom and those above it that are in the app."""
    each: Pom | None = first
    for _ in range(_MAX_PARENTS):
        if each is None:
            return
        yield each
        above = each.parent
        if above is None or not above.relative_path:
            return
        path = posixpath.normpath(posixpath.join(posixpath.dirname(each.file), above.relative_path))
        if path.startswith(("../", "/")) or path == "..":
            return
        file = path if path.endswith(".xml") else posixpath.join(path, pom.FILE)
        each = _pom(files, file, known)
        if each is not None and each.artifact != above.artifact:
            return
