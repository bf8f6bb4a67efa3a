"""MSBuild's project files (C#, F#, Visual Basic): what a project is, builds and leads to, read without running it.

Properties are taken as they stand: `Directory.Build.props` from the app's root down, then the project; what stands
under a condition counts only where nothing else is said. `$(Name)` is resolved among these. Targets, imports from SDKs
and functions (`$([MSBuild]::...)`) are not evaluated: what they would say is not known here.
"""

import posixpath
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Final

import msgspec

from langs import xml
from langs.errors import LangError
from langs.files import AppFiles, once

SUFFIXES: Final = (".csproj", ".fsproj", ".vbproj")
PROPS: Final = ("Directory.Build.props", "Directory.Build.targets", "Directory.Packages.props")

_PROPERTY: Final = re.compile(r"\$\(([A-Za-z_][A-Za-z0-9_.-]*)\)")
_HERE: Final = "$(MSBuildThisFileDirectory)"
_FRAMEWORK: Final = re.compile(r"net(?:coreapp)?([0-9]{1,3})\.([0-9]{1,3})(-[a-z]+[0-9.]*)?", re.ASCII | re.IGNORECASE)
_PATTERN: Final = re.compile(r"[A-Za-z0-9._@+*? /-]+", re.ASCII)
"""Paths and patterns that mean the same to MSBuild and to a builder."""
_NO_FILES: Final = frozenset({"ProjectReference", "PackageReference", "PackageVersion", "FrameworkReference", "Using"})
_MAX_ROUNDS: Final = 5
_MAX_VALUE: Final = 1000
_WEB: Final = "Microsoft.NET.Sdk.Web"
_WORKER: Final = "Microsoft.NET.Sdk.Worker"
_WASM: Final = "Microsoft.NET.Sdk.BlazorWebAssembly"
_TEST_PACKAGES: Final = frozenset({"microsoft.net.test.sdk", "mstest", "nunit", "tunit", "xunit", "xunit.v3"})


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """What a build needs of a project file."""

    file: str
    sdk: str | None = None
    """The first SDK that it names; None in the style of the .NET Framework."""
    program: bool = False
    """Whether something that can be started comes of it."""
    web: bool = False
    """Whether it needs ASP.NET Core to run."""
    wasm: bool = False
    """Whether it runs in a browser."""
    test: bool = False
    assembly: str = ""
    frameworks: tuple[tuple[int, int], ...] = ()
    """The lines of .NET that it targets, platforms left out, the newest first."""
    several: bool = False
    """Whether it names them as a list: publishing must then choose."""
    stated_in: str | None = None
    """The file that names them."""
    targets: str | None = None
    """As written, where nothing of it is a line of .NET."""
    alone: bool = False
    """Whether it asks for a single file, a native one or one with its own runtime."""
    references: tuple[str, ...] | None = ()
    """Project files that it depends on; None when not all of them are known."""
    imports: tuple[str, ...] = ()
    """Files of the app that are read with it."""
    sources: tuple[str, ...] = ()
    """Files outside of its directory that it is made of, and patterns of them."""
    unread: tuple[str, ...] = ()
    """What of these is not known, each with the file that says it."""
    broken: LangError | None = None
    """Why it cannot be built here: it leads out of the app."""

    @property
    def astray(self) -> tuple[str, ...]:
        """Those of `sources` that lie outside of the app."""
        return tuple(path for path in self.sources if path.startswith("../"))


class _Properties:
    """The properties of a project, by names in small letters: MSBuild knows no other."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[str, str]] = {}
        self._doubtful: dict[str, tuple[str, str]] = {}

    def add(self, root: xml.Element, file: str) -> None:
        """Take what a file says."""
        for group in root.all("PropertyGroup"):
            for each in group.children:
                sure = not (_attribute(group, "Condition") or _attribute(each, "Condition"))
                name = each.name.lower()
                # A property that names itself adds to what was there.
                if sure and f"$({name})" not in each.text.lower():
                    self._values[name] = (each.text, file)
                else:
                    self._doubtful.setdefault(name, (each.text, file))

    def get(self, name: str) -> tuple[str, str] | None:
        """A property's value, references resolved, and the file that says it."""
        said = self._values.get(name.lower()) or self._doubtful.get(name.lower())
        if said is None or not said[0].strip():
            return None
        text, file = said
        for _ in range(_MAX_ROUNDS):
            resolved = _PROPERTY.sub(self._replacement, text)[:_MAX_VALUE]
            if resolved == text:
                break
            text = resolved
        return text.strip(), file

    def set(self, name: str, value: str) -> None:
        """A property that MSBuild itself sets."""
        self._values[name.lower()] = (value, "")

    def flag(self, *names: str) -> bool:
        """Whether one of the properties is true."""
        return any((said := self.get(name)) is not None and said[0].lower() == "true" for name in names)

    def _replacement(self, match: re.Match[str]) -> str:
        said = self._values.get(match[1].lower()) or self._doubtful.get(match[1].lower())
        return match[0] if said is None else said[0]


class _Sources:
    """The files outside of its directory that a project names."""

    def __init__(self, project: str) -> None:
        self._project = project
        self.found: dict[str, None] = {}
        self.unread: dict[str, None] = {}

    def add(self, root: xml.Element, file: str) -> None:
        """Take what a file says: paths begin at the project, wherever they stand."""
        items = (each for group in root.all("ItemGroup") for each in group.children if each.name not in _NO_FILES)
        for each in items:
            for word in f"{_attribute(each, 'Include')};{each.text_of('HintPath') or ''}".split(";"):
                path = word.strip().replace("\\", "/")
                if path.startswith(_HERE) or ".." in path.split("/"):
                    self._take(path, file)

    def _take(self, path: str, file: str) -> None:
        here = path.startswith(_HERE)
        joined = _joined(path.removeprefix(_HERE), file if here else self._project)
        directory = posixpath.dirname(self._project)
        if not _PATTERN.fullmatch(joined):
            self.unread[f"{file}: {path[:80]!r}"] = None
        elif joined.startswith("../") or (directory and not joined.startswith(f"{directory}/")):
            self.found[joined] = None


@once
def files_of(files: AppFiles) -> tuple[str, ...]:
    """The app's project files, shallow ones first."""
    # Without one of these at the top, most apps are in another language, and may be large.
    marked = any(
        name.endswith((".sln", ".slnx")) or name.startswith("Directory.") or (name.endswith("proj") and "." in name)
        for name in files.glob("*")
    )
    marked = marked or files.exists("global.json")
    if not marked and not files.may_be_near(SUFFIXES):
        return ()
    return tuple(file for file in (files.listing if marked else files.near) if file.endswith(SUFFIXES))


class _Document(msgspec.Struct, frozen=True):
    """An XML file of the app, which is parsed once."""

    file: str

    def __call__(self, files: AppFiles) -> xml.Element:
        return xml.parse(files.read_text(self.file) or "", self.file)


class _Reading(msgspec.Struct, frozen=True):
    """A project file of the app, which is read once, whoever refers to it."""

    file: str

    def __call__(self, files: AppFiles) -> Project:
        return _read(files, self.file)


def read(files: AppFiles, file: str) -> Project | None:
    """A project, or None without the file.

    Raises:
        LangError: it is no project.
    """
    return files.once(_Reading(file)) if files.exists(file) else None


def _read(files: AppFiles, file: str) -> Project:
    root = files.once(_Document(file))
    if root.name != "Project":
        raise LangError(f"is no project: its root is <{root.name[:80]}>", file=file, hint="Expected <Project>.")
    properties = _Properties()
    stem = posixpath.basename(file).rpartition(".")[0]
    properties.set("MSBuildProjectName", stem)
    imports: dict[str, None] = {}
    for props in above(files, posixpath.dirname(file), PROPS):
        imports[props] = None
        parsed = files.once(_Document(props))
        if props.endswith(PROPS[0]):
            properties.add(parsed, props)
        imports |= dict.fromkeys(_imports(files, parsed, props))
    properties.add(root, file)
    imports |= dict.fromkeys(_imports(files, root, file))
    sources = _Sources(file)
    sources.add(root, file)
    for each in imports:
        # One that cannot be read is the build's business.
        with suppress(LangError):
            sources.add(files.once(_Document(each)), each)
    sdk = _sdk(root)
    output = properties.get("OutputType")
    kind = output[0].lower() if output else "exe" if sdk in {_WEB, _WORKER} else "library"
    packages = {_attribute(each, "Include").lower() for each in _items(root, "PackageReference")}
    shared = {_attribute(each, "Include").lower() for each in _items(root, "FrameworkReference")}
    said = properties.get("TargetFrameworks") or properties.get("TargetFramework")
    lines = _lines(said[0]) if said else ()
    assembly = properties.get("AssemblyName")
    references = _references(root, file)
    outside = next((path for path in (*(references or ()), *imports) if path.startswith("../")), None)
    return Project(
        file=file,
        sdk=sdk,
        program=kind == "exe" and sdk != _WASM and (bool(lines) or said is None or "$(" in said[0]),
        web=sdk == _WEB or "microsoft.aspnetcore.app" in shared,
        wasm=sdk == _WASM,
        test=properties.flag("IsTestProject") or bool(packages & _TEST_PACKAGES),
        assembly=assembly[0] if assembly else stem,
        frameworks=lines,
        several=properties.get("TargetFrameworks") is not None,
        stated_in=said[1] if said else None,
        targets=said[0] if said and not lines else None,
        alone=properties.flag("PublishAot", "PublishSingleFile", "SelfContained", "PublishTrimmed"),
        references=references,
        imports=tuple(imports),
        sources=tuple(sources.found),
        unread=tuple(sources.unread),
        broken=None if outside is None else _outside(outside, file),
    )


def closure(files: AppFiles, first: Project) -> tuple[Project, ...]:
    """A project and all that it depends on; all of the app's where a reference is computed.

    Raises:
        LangError: as `read`, or a project that is referred to is missing, or lies outside of the app.
    """
    found = {first.file: first}
    pending = [first]
    while pending:
        project = pending.pop()
        if project.broken is not None:
            raise project.broken
        if project.references is None:
            return tuple(each for file in files_of(files) if (each := read(files, file)) is not None)
        for reference in project.references:
            if reference in found:
                continue
            each = read(files, reference)
            if each is None:
                hint = "Correct the path, upper and lower case included."
                raise LangError(f"refers to {reference[:200]!r}, which is not there", file=project.file, hint=hint)
            found[reference] = each
            pending.append(each)
    return tuple(found.values())


def _attribute(element: xml.Element, name: str) -> str:
    return element.attributes.get(name, "").strip()


def _items(root: xml.Element, name: str) -> Iterator[xml.Element]:
    return root.all("ItemGroup", name)


def _sdk(root: xml.Element) -> str | None:
    element = root.first("Sdk")
    said = _attribute(root, "Sdk") or (_attribute(element, "Name") if element else "")
    if not said:
        imported = next((_attribute(each, "Sdk") for each in root.all("Import") if _attribute(each, "Sdk")), "")
        said = imported
    # `Sdk="Microsoft.NET.Sdk.Web/8.0.0;Another"`: several, each with a version.
    return said.partition(";")[0].partition("/")[0].strip() or None


def _lines(text: str) -> tuple[tuple[int, int], ...]:
    found: set[tuple[int, int]] = set()
    for word in text.split(";"):
        match = _FRAMEWORK.fullmatch(word.strip())
        # `net48` has no dot and is the .NET Framework; `net8.0-windows` runs nowhere else.
        if match and match[3] is None:
            found.add((int(match[1]), int(match[2])))
    return tuple(sorted(found, reverse=True))


def _references(root: xml.Element, file: str) -> tuple[str, ...] | None:
    found: list[str] = []
    for each in _items(root, "ProjectReference"):
        for word in _attribute(each, "Include").split(";"):
            path = word.strip()
            if not path:
                continue
            if any(character in path for character in "$*?%@"):
                return None
            found.append(_joined(path, file))
    return tuple(dict.fromkeys(found))


def _joined(path: str, file: str) -> str:
    """A path that a file states, from the app's directory; MSBuild takes both kinds of slashes.

    What is not below the app's directory begins with `../`.
    """
    plain = path.replace("\\", "/")
    if posixpath.isabs(plain):
        return f"../{plain.lstrip('/')}"
    return posixpath.normpath(posixpath.join(posixpath.dirname(file), plain))


def _outside(path: str, file: str) -> LangError:
    return LangError(
        f"{path[:200]!r} lies outside of the app's directory, which is all that its build sees",
        file=file,
        hint="Build from the directory that holds both, such as that of the solution.",
    )


def above(files: AppFiles, directory: str, names: Iterable[str]) -> list[str]:
    """The files of these names in a directory of the app and above it, the root's first."""
    parts = directory.split("/") if directory else []
    levels = ["/".join(parts[:depth]) for depth in range(len(parts) + 1)]
    names = tuple(names)
    return [path for level in levels for name in names if files.exists(path := posixpath.join(level, name))]


def _imports(files: AppFiles, root: xml.Element, file: str) -> list[str]:
    """The files of the app that a file imports by a plain path."""
    found: list[str] = []
    for each in root.all("Import"):
        path = _attribute(each, "Project").removeprefix(_HERE)
        if path and "$" not in path and not _attribute(each, "Sdk"):
            joined = _joined(path, file)
            if joined.startswith("../") or files.exists(joined):
                found.append(joined)
    return found
