"""Nx's integrated layout: apps that have a project.json and no package.json, in a workspace with one manifest for all.

What such an app needs of others stands in its imports, which Nx's plugins follow and we do not: its build sees all
libraries, and Nx builds it by its own task graph. Other apps, which nobody imports, are not there unless a project or
nx.json names them. The image gets what that wrote, and what the root's manifest
installs for production. An app is what Nx itself would start by Node.js: a project whose `serve` has that executor.

https://nx.dev/reference/project-configuration; where executors write: their schemas, in the packages of these names.
"""

import posixpath
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final

import msgspec

from langs import jsonc, nx, packagejson, render, workspace
from langs.base import RUN_SETTING
from langs.documents import table, texts
from langs.errors import LangError
from langs.files import AppFiles, is_plain_name, once
from langs.model import Detection, Evidence, Settings
from langs.taskgraph import BUILD

_SERVE: Final = "serve"
_NODE: Final = frozenset({"@nx/js:node", "@nx/node:node", "@nrwl/js:node", "@nrwl/node:execute", "@nrwl/node:node"})
"""Executors that start what was built by Node.js."""
_ESBUILD: Final = frozenset({"@nx/esbuild:esbuild", "@nrwl/esbuild:esbuild"})
_IN_PLACE: Final = frozenset({"@nx/js:swc", "@nx/js:tsc", "@nrwl/js:swc", "@nrwl/js:tsc"})
"""Executors whose output has the directories of the sources."""
_PRODUCTION: Final = "production"
_PROGRAMS: Final = (".cjs", ".js", ".mjs")
_ROOT: Final = "{workspaceRoot}/"


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """An app of the workspace at `root`. All paths are from there."""

    root: AppFiles
    path: str
    name: str
    serves: bool
    """Whether Nx starts it by Node.js."""
    output: str | None = None
    """Where its build writes; None: that does not show."""
    main: str | None = None
    """What is started of it."""
    target: str = BUILD
    """What builds it, with its configuration."""
    inferred: bool = False
    """Whether project.json does not have that target: then a plugin of Nx makes it, out of files of its tool."""

    @property
    def start(self) -> str | None:
        """What starts it, in the root; None where it does not show what its build writes."""
        return f"node {self.main.replace(' ', chr(92) + ' ')}" if self.main else None

    @property
    def problem(self) -> LangError | None:
        """Why it does not show what starts it, where that is known."""
        if not self.inferred:
            return None
        return LangError(
            f"the target {self.target[:80]!r} is missing, which makes what `serve` starts",
            file=nx.PROJECT,
            hint=f"Nx may infer it: write it down, with `outputs` or an `outputPath`; or set {RUN_SETTING}.",
        )

    @property
    def place(self) -> workspace.Place:
        """Where it stands in what is built.

        Raises:
            LangError: its directory's name cannot stand in a Dockerfile.
        """
        known = _known(self.root)
        said = "".join((known.said, self.root.read_text(posixpath.join(self.path, nx.PROJECT)) or ""))
        aside = (
            path
            for path, name in known.apps.items()
            if not f"{path}/".startswith(f"{self.path}/") and f'"{name}"' not in said and f'"{name}:' not in said
        )
        return msgspec.structs.replace(workspace.place(self.path, (".",), members=aside), home=".")

    def found(self, manager: str) -> Detection:
        """What it was recognised as."""
        reason = "Nx starts it by Node.js" if self.serves else "a project of Nx"
        return Detection(
            language="nodejs",
            evidence=(Evidence(file=nx.PROJECT, reason=reason),),
            package_manager=manager,
            packages=workspace.from_root(self.root, (".",)),
            is_app=self.serves,
        )

    def only(self, commands: Iterable[str], *, installed: bool) -> tuple[str, ...]:
        """What of the workspace is in the image; all of it where more is started than what was built.

        Args:
            commands: those of all processes.
            installed: whether what was installed lies in the workspace.
        """
        if self.output is None or list(commands) != [self.start]:
            return ()
        return (self.output, packagejson.FILE, *(("node_modules",) if installed else ()))

    def building(self, settings: Settings, prefix: str) -> Settings:
        """The settings of the app with the command line that builds it, in the root; one of the user's own stays.

        Args:
            settings: the app's.
            prefix: how a program of the workspace is called, up to its name.
        """
        if settings.build_command is not None:
            return settings
        variables = " ".join(f"{name}={value}" for name, value in nx.ENVIRONMENT)
        run = render.words(("run", f"{self.name}:{self.target}", "--output-style=stream"))
        command = f"{variables} {prefix}{nx.NAME} {run} && {nx.TIDY}"
        return msgspec.structs.replace(settings, build_command=command)


class _Known(msgspec.Struct, frozen=True, kw_only=True):
    """The projects of a workspace."""

    apps: Mapping[str, str]
    """The directories of apps -> their names."""
    said: str
    """What nx.json and all others say."""


@once
def _known(root: AppFiles) -> _Known:
    apps: dict[str, str] = {}
    texts_of = [root.read_text(nx.FILE) or ""]
    for file in root.listing:
        path, _, last = file.rpartition("/")
        if last != nx.PROJECT or not path:
            continue
        text = ""
        # What cannot be read names nobody; Nx will say why.
        with suppress(LangError):
            text = root.read_text(file) or ""
            said = jsonc.parse(text or "{}", dict[str, object], file)
            if said.get("projectType") == "application" and is_plain_name(path):
                name = said.get("name")
                apps[path] = name if isinstance(name, str) and name else posixpath.basename(path)
                continue
        texts_of.append(text)
    return _Known(apps=apps, said="".join(texts_of))


@once
def of(files: AppFiles) -> Project | None:
    """The project in an app's directory, where nothing but project.json says what it is.

    Raises:
        LangError: a file is no JSON.
    """
    if not files.exists(nx.PROJECT) or files.first(packagejson.FILE, packagejson.JSON5):
        return None
    root = next((above for above in files.enclosing if above.exists(nx.FILE)), None)
    manifest = packagejson.read(root) if root else None
    if root is None or manifest is None or nx.PACKAGE not in manifest.everything:
        return None
    path = files.root.relative_to(root.root).as_posix()
    said = jsonc.parse(files.read_text(nx.PROJECT) or "{}", dict[str, object], nx.PROJECT)
    name, targets = said.get("name"), table(said.get("targets"))
    name = name if isinstance(name, str) and name else posixpath.basename(path)
    serve = table(targets.get(_SERVE))
    built = _built(serve, name)
    target = table(targets.get(built))
    configurations = table(target.get("configurations"))
    options = {**table(target.get("options")), **table(configurations.get(_PRODUCTION))}
    output, main = _written(target, options, path, name)
    return Project(
        root=root,
        path=path,
        name=name,
        serves=_executor(serve) in _NODE,
        output=output,
        main=main,
        target=f"{built}:{_PRODUCTION}" if _PRODUCTION in configurations else built,
        inferred=built not in targets,
    )


def _built(serve: Mapping[str, object], name: str) -> str:
    """The target that `serve` starts, as Nx names it without the project; a configuration of developers is none."""
    options = table(serve.get("options"))
    said = options.get("buildTarget")
    project, _, rest = said.partition(":") if isinstance(said, str) else ("", "", "")
    target = rest.partition(":")[0]
    return target if project == name and target else BUILD


def _written(
    target: Mapping[str, object], options: Mapping[str, object], path: str, name: str
) -> tuple[str | None, str | None]:
    """Where a target writes, and the program that it writes there."""
    said = options.get("outputPath")
    said = said if isinstance(said, str) else table(said).get("base")
    outputs = texts(target.get("outputs"))
    text = said if isinstance(said, str) else next(iter(outputs), "")
    text = text.replace("{projectRoot}", path).replace("{projectName}", name).removeprefix(_ROOT)
    place = posixpath.normpath(text) if text else "."
    if not _is_below(place):
        return None, None
    if place.endswith(_PROGRAMS):
        return posixpath.dirname(place) or None, place
    main = posixpath.normpath(posixpath.join(place, _main(_executor(target), options, path)))
    return place, main if _is_below(main) else None


def _executor(target: Mapping[str, object]) -> str:
    said = target.get("executor")
    return said if isinstance(said, str) else ""


def _main(executor: str, options: Mapping[str, object], path: str) -> str:
    """The program's file, in the directory that is written."""
    named, main = options.get("outputFileName"), options.get("main")
    if isinstance(named, str) and named:
        return named
    source = posixpath.normpath(main) if isinstance(main, str) and main else "main.ts"
    if executor in _IN_PLACE:
        inside = posixpath.relpath(source, path) if source.startswith(f"{path}/") else source
        inside = posixpath.basename(inside) if options.get("stripLeadingPaths") is True else inside
        return f"{posixpath.splitext(inside)[0]}.js"
    stem = posixpath.splitext(posixpath.basename(source))[0]
    return f"{stem}{_ending(options) if executor in _ESBUILD else '.js'}"


def _ending(options: Mapping[str, object]) -> str:
    """What esbuild's programs end in, as Nx has it."""
    formats = texts(options.get("format")) or ("esm",)
    said = table(table(options.get("esbuildOptions")).get("outExtension")).get(".js")
    if "esm" in formats:
        return ".mjs" if said == ".mjs" else ".js"
    return ".js" if said == ".js" else ".cjs"


def _is_below(path: str) -> bool:
    return path != "." and is_plain_name(path)
