"""One Gradle script, in Groovy or Kotlin, read and never run: the plugins it applies and the constants it states."""

import posixpath
import re
from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from langs import documents, phrases, properties, syntaxes, tokens, workspace
from langs.files import AppFiles, once
from langs.phrases import Statement, Tokens
from langs.tokens import END, NAME, NUMBER, STRING, TEMPLATE, Token

CATALOG: Final = "gradle/libs.versions.toml"
PROPERTIES: Final = "gradle.properties"
KOTLIN_JVM: Final = "org.jetbrains.kotlin.jvm"

_ALIASES: Final = {"kotlin": KOTLIN_JVM}
"""Names that `apply plugin` knows besides a plugin's id."""
_CONSTANT: Final = re.compile(r"(?:JavaVersion|JvmTarget)\.(?:VERSION|JVM)_([0-9_]+)", re.ASCII)
_TEMPLATE: Final = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)\}?", re.ASCII)
_RELEASES: Final = (
    *("languageVersion", "jvmToolchain", "release", "targetCompatibility", "sourceCompatibility"),
    "jvmTarget",
)
_APPLICATION: Final = "applicationName"
_MAIN_KEYS: Final = ("mainClass", "mainClassName")
_MANIFEST: Final = "Main-Class"
_PLACE: Final = "projectDir"
_PLACES: Final = re.compile(
    r"file\( \)|File\((?:settingsDir|rootDir|rootProject\.projectDir), \)"
    r"|(?:settingsDir|rootDir|rootProject\.projectDir)\.resolve\( \)"
)
"""How a directory is stated, with a space for the constant string in it."""


class _Catalog(msgspec.Struct):
    versions: dict[str, object] = {}
    plugins: dict[str, object] = {}


class Values(msgspec.Struct, frozen=True, kw_only=True):
    """What scripts refer to by name: gradle.properties and the version catalog, by names as scripts write them."""

    properties: Mapping[str, str] = {}
    versions: Mapping[str, str] = {}
    plugins: Mapping[str, tuple[str, str | None]] = {}
    """Accessor (`kotlin.jvm`) -> the plugin's id and version."""


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What a build script says."""

    file: str
    plugins: Mapping[str, str | None] = {}
    """Applied to its own project: id -> version, where one stands there."""
    below: frozenset[str] = frozenset()
    """Applied to the projects below."""
    versions: Mapping[str, str] = {}
    """Of all plugins with one, applied or not."""
    releases: tuple[tuple[str, str], ...] = ()
    """What it says of the Java release: (key, value), toolchains first."""
    main: str | None = None
    application: str | None = None
    """The name of the distribution's start script."""
    project: str | None = None
    """rootProject.name"""
    includes: tuple[str, ...] = ()
    """Projects of the build, as paths with slashes."""
    places: Mapping[str, str] = {}
    """Of projects that do not lie where their paths say: path with slashes -> directory, as stated."""
    unread: tuple[int, ...] = ()
    """Lines that say where a project lies, and are not understood."""
    neighbours: frozenset[str] = frozenset()
    """Projects that it names, as paths with slashes: those that its own depends on."""
    builds: tuple[str, ...] = ()
    """Directories of included builds."""
    constants: Mapping[str, str] = {}
    """Names that are assigned a constant: versions, as a rule."""
    modules: frozenset[str] = frozenset()
    """`group:artifact` of all that it names by a constant: what the project depends on, as a rule."""


@once
def values(files: AppFiles) -> Values:
    """What the app's scripts can refer to.

    Raises:
        LangError: the version catalog cannot be understood.
    """
    text = files.read_text(CATALOG)
    catalog = _Catalog() if text is None else documents.toml_as(text, _Catalog, CATALOG)
    versions = {_accessor(name): found for name, said in catalog.versions.items() if (found := _plain_version(said))}
    plugins: dict[str, tuple[str, str | None]] = {}
    for name, said in catalog.plugins.items():
        identifier, version = _plugin(said, versions)
        if identifier:
            plugins[_accessor(name)] = identifier, version
    return Values(
        properties=properties.parse(files.read_text(PROPERTIES) or ""),
        versions=versions,
        plugins=plugins,
    )


def parse(text: str, file: str, known: Values) -> Script:
    """The contents of a build or settings script; what is computed is not known."""
    syntax = syntaxes.KOTLIN if file.endswith(".kts") else syntaxes.GROOVY
    read = tokens.tokenize(text, syntax)
    reader = _Reader(read, known)
    for around, statement in phrases.walk(phrases.statements(read, syntax)):
        reader.take(tuple(each.head for each in around), statement)
    return reader.script(file)


class _Reader:
    """Gathers what the statements of one script say."""

    def __init__(self, tokens: Tokens, known: Values) -> None:
        self._tokens = tokens
        self._known = known
        self._plugins: dict[str, str | None] = {}
        self._below: set[str] = set()
        self._versions: dict[str, str] = {}
        self._releases: list[tuple[str, str]] = []
        self._main: str | None = None
        self._application: str | None = None
        self._project: str | None = None
        self._includes: list[str] = []
        self._places: dict[str, str] = {}
        self._unread: list[int] = []
        self._builds: list[str] = []
        self._constants: dict[str, str] = {}

    def script(self, file: str) -> Script:
        order = {key: index for index, key in enumerate(_RELEASES)}
        return Script(
            file=file,
            plugins=self._plugins,
            below=frozenset(self._below),
            versions=self._versions,
            releases=tuple(sorted(self._releases, key=lambda pair: order[pair[0]])),
            main=self._main,
            application=self._application,
            project=self._project,
            includes=tuple(dict.fromkeys(self._includes)),
            places=self._places,
            unread=tuple(dict.fromkeys(self._unread)),
            neighbours=_neighbours(self._tokens),
            builds=tuple(dict.fromkeys(self._builds)),
            constants=self._constants,
            modules=_modules(self._tokens),
        )

    def take(self, around: tuple[str, ...], statement: Statement) -> None:
        if "pluginManagement" in around:
            self._take_managed(around, statement)
        elif around[-1:] == ("plugins",):
            self._take_plugin(around, statement)
        elif statement.head == "apply":
            self._take_applied(around, statement)
        elif "buildscript" not in around:
            if statement.head == "application" and statement.body:
                # Who configures it has it, be it from a plugin of the build's own.
                self._plugins.setdefault("application", None)
            self._take_setting(statement)
        self._take_constant(statement)

    def _take_managed(self, around: tuple[str, ...], statement: Statement) -> None:
        if around[-1:] == ("plugins",):
            self._take_plugin((*around, "apply false"), statement)
        elif statement.head == "includeBuild":
            call = phrases.call(statement)
            self._builds += [path] if call and (path := call.constant()) else []

    def _take_plugin(self, around: tuple[str, ...], statement: Statement) -> None:
        words = [token.text for token in statement.tokens]
        call = phrases.call(statement)
        if call is None:
            return
        constant = call.constant()
        version: str | None = None
        if statement.head == "alias":
            accessor = _dotted(call.arguments[0] if call.arguments else ()).removeprefix("libs.plugins.")
            identifier, version = self._known.plugins.get(accessor, (None, None))
        elif statement.head == "kotlin":
            identifier = f"org.jetbrains.kotlin.{constant}" if constant else None
        elif statement.head == "id":
            identifier = constant or next((token.text for token in statement.tokens[1:2]), None)
        else:
            identifier = statement.head or None
        version = self._value(next(phrases.assigned(statement.tokens, "version"), ())) or version
        if identifier is None:
            return
        if version:
            self._versions[identifier] = version
        withheld = words[-2:] == ["apply", "false"] or "apply false" in around
        withheld = withheld or words[-4:] == ["apply", "(", "false", ")"]
        if not withheld:
            self._plugins[_ALIASES.get(identifier, identifier)] = version

    def _take_applied(self, around: tuple[str, ...], statement: Statement) -> None:
        call = phrases.call(statement)
        named = call.keyword("plugin") if call else None
        if named is None:
            return
        named = _ALIASES.get(named, named)
        if {"subprojects", "allprojects"}.intersection(around):
            self._below.add(named)
        if "subprojects" not in around:
            self._plugins.setdefault(named, None)

    def _take_setting(self, statement: Statement) -> None:
        tokens = statement.tokens
        texts = {token.text for token in tokens}
        for key in filter(texts.__contains__, _RELEASES):
            value = self._value(next(phrases.assigned(tokens, key), ()))
            if value:
                self._releases.append((key, value))
        for piece in phrases.assigned(tokens, *_MAIN_KEYS) if not texts.isdisjoint(_MAIN_KEYS) else ():
            self._main = self._main or self._value(piece)
        if _MANIFEST in texts:
            self._main = self._main or _manifest_main(tokens)
        for piece in phrases.assigned(tokens, _APPLICATION) if _APPLICATION in texts else ():
            self._application = self._value(piece)
        words = [token.text for token in tokens[:4]]
        if words[:3] == ["rootProject", ".", "name"]:
            self._project = self._value(next(phrases.assigned(tokens, "name"), ()))
        self._take_place(tokens)
        if statement.head in {"include", "includeBuild"}:
            call = phrases.call(statement)
            said = [text for each in call.arguments for text in phrases.strings(each)] if call else []
            if statement.head == "include":
                self._includes += [text.strip(":").replace(":", "/") for text in said]
            else:
                self._builds += said[:1]

    def _take_place(self, tokens: Tokens) -> None:
        """`project(":api").projectDir = file("services/api")`."""
        at = next((index for index, token in enumerate(tokens) if token.text == _PLACE), None)
        if at is None or [token.text for token in tokens[at + 1 : at + 2]] != ["="]:
            self._unread += [token.line for token in tokens if token.text == "setProjectDir"]
            return
        before, value = tokens[:at], [token for token in tokens[at + 2 :] if token.kind is not END]
        named = [token.text for token in before if token.kind is STRING]
        stated = [token.text for token in value if token.kind is STRING]
        shape = "".join(" " if token.kind is STRING else token.text for token in value)
        whose = "".join(" " if token.kind is STRING else token.text for token in before)
        plain = whose == "project( )." and named[0].startswith(":") and _PLACES.fullmatch(shape.replace("newF", "F"))
        if plain and _is_inside(stated[0]):
            self._places[named[0].strip(":").replace(":", "/")] = stated[0]
        else:
            self._unread.append(tokens[at].line)

    def _take_constant(self, statement: Statement) -> None:
        tokens = statement.tokens
        for index, token in enumerate(tokens[1:-1], start=1):
            if token.text == "=" and tokens[index - 1].kind in (NAME, STRING) and index + 2 == len(tokens):
                last = tokens[index + 1]
                if last.kind in (STRING, NUMBER):
                    self._constants.setdefault(tokens[index - 1].text, last.text)

    def _value(self, piece: Tokens) -> str | None:
        """The constant that a piece of script comes to, as far as it can be told."""
        found = phrases.resolved(self._tokens, piece)
        if found is not None or not piece:
            return found
        template = _TEMPLATE.fullmatch(piece[0].text) if len(piece) == 1 and piece[0].kind is TEMPLATE else None
        if template:
            named = Token(NAME, template[1], piece[0].line)
            return self._known.properties.get(template[1]) or phrases.resolved(self._tokens, (named,))
        names = _dotted(piece)
        constant = _CONSTANT.search(names)
        if constant:
            return constant[1].replace("_", ".")
        catalog = re.search(r"\blibs\.versions\.(.+?)(?:\.get)?(?:\.toInt)?$", names)
        return self._known.versions.get(catalog[1]) if catalog else self._computed(piece)

    def _computed(self, piece: Tokens) -> str | None:
        """The number in `of(17)` and `findProperty("x") ?: 17`, or what a name in it stands for."""
        constants = [token.text for token in piece if token.kind in (STRING, NUMBER)]
        for each in constants:
            if each in self._known.properties:
                return self._known.properties[each]
        last = next((token for token in reversed(piece) if token.kind is NAME), None)
        if constants or last is None:
            return next((each for each in constants if each[:1].isdigit()), None)
        return self._known.properties.get(last.text) or phrases.resolved(self._tokens, (last,))


def _manifest_main(tokens: Tokens) -> str | None:
    at = next(index for index, token in enumerate(tokens) if token.text == _MANIFEST)
    return next((token.text for token in tokens[at + 1 : at + 4] if token.kind is STRING), None)


def _neighbours(tokens: Tokens) -> frozenset[str]:
    """`project(":libs:text")`, `project(path: ":libs:text")` and `projects.libs.textTools`."""
    found: set[str] = set()
    for index, token in enumerate(tokens):
        if token.kind is not NAME:
            continue
        following = tokens[index + 1 : index + 6]
        if token.text == "project" and following and following[0].text == "(":
            named = next((each.text for each in following if each.kind is STRING), "")
            found.update([named.strip(":").replace(":", "/")] if named.startswith(":") else ())
        elif token.text == "projects" and following and following[0].text == ".":
            parts: list[str] = []
            for dot, name in zip(tokens[index + 1 :: 2], tokens[index + 2 :: 2], strict=False):
                if dot.text != "." or name.kind is not NAME:
                    break
                parts.append(name.text)
            found.add("/".join(parts))
    return frozenset(found)


def _modules(tokens: Tokens) -> frozenset[str]:
    """`"group:artifact"`, with or without a version, which may be computed."""
    words = (token.text.split(":") for token in tokens if token.kind in (STRING, TEMPLATE) and ":" in token.text)
    return frozenset(":".join(each[:2]) for each in words if all(each[:2]))


def _is_inside(path: str) -> bool:
    return workspace.is_inside(posixpath.normpath(path))


def _dotted(piece: Tokens) -> str:
    return ".".join(token.text for token in piece if token.kind is NAME)


def _accessor(alias: str) -> str:
    return re.sub(r"[-_]", ".", alias)


def _plain_version(said: object) -> str | None:
    return said if isinstance(said, str) else _text(said, "strictly", "require", "prefer")


def _plugin(said: object, versions: Mapping[str, str]) -> tuple[str | None, str | None]:
    if isinstance(said, str):
        identifier, _, stated = said.partition(":")
        return identifier, stated or None
    version = _text(said, "version")
    for pair in _pairs(said):
        if pair[0] == "version" and version is None:
            reference = _text(pair[1], "ref")
            version = versions.get(_accessor(reference)) if reference else _plain_version(pair[1])
    return _text(said, "id"), version


def _pairs(said: object) -> Iterator[tuple[object, object]]:
    if isinstance(said, dict):
        yield from said.items()


def _text(said: object, *keys: str) -> str | None:
    found = {key: value for key, value in _pairs(said) if isinstance(value, str)}
    return next((found[key] for key in keys if key in found), None)
