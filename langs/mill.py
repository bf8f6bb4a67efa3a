"""Mill's build definitions: build.mill and build.sc, read without running them (https://mill-build.org)."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from langs import base, phrases, scalamain, scalaplan, tokens
from langs.errors import LangError
from langs.files import AppFiles, once
from langs.phrases import Statement
from langs.scalaplan import Plan
from langs.syntaxes import SCALA
from langs.tokens import NAME

FILES: Final = ("build.mill", "build.mill.scala", "build.sc", "build.mill.yaml")
LAUNCHERS: Final = ("mill", "millw")
"""Bootstrap scripts, which fetch the version of Mill that the build asks for."""

_VERSIONS: Final = (".mill-version", ".config/mill-version", ".mill-jvm-version", ".mill-opts", ".mill-jvm-opts")
_CACHES: Final = (("coursier", "/root/.cache/coursier"), ("mill", "/root/.cache/mill"))
_WORD: Final = r"[A-Za-z_][A-Za-z0-9_]*"
_ROOT: Final = frozenset({"RootModule", "MillBuildRootModule"})


class Module(msgspec.Struct, frozen=True, kw_only=True):
    """One module that stands at the top of a build."""

    name: str
    """Empty for the root module."""
    main: str | None = None


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """What a build says."""

    file: str
    launcher: str | None
    manifests: tuple[str, ...]
    scala: str | None
    modules: tuple[Module, ...]


@once
def read(files: AppFiles) -> Build | None:
    """The app's build, or None without one.

    Raises:
        LangError: a file cannot be read.
    """
    file = files.first(*FILES)
    if file is None:
        return None
    read_ = tokens.tokenize(files.read_text(file) or "", SCALA) if file != FILES[-1] else ()
    launcher = files.first(*LAUNCHERS)
    others = (launcher, *(name for name in _VERSIONS if files.exists(name)))
    parts = (*files.glob("*.mill"), *files.glob("*.sc"), *files.glob("*/package.mill"), *files.glob("mill-build/*"))
    return Build(
        file=file,
        launcher=launcher,
        manifests=tuple(dict.fromkeys(name for name in (file, *parts, *others) if name is not None)),
        scala=phrases.lookup(read_, "scalaVersion"),
        modules=_modules(phrases.statements(read_, SCALA)),
    )


def plan(files: AppFiles, said: Build, wanted: str | None) -> Plan:
    """How the build is packaged: as the assembly of the module that has a main class.

    Raises:
        LangError: there is nothing to start, or more than one thing; or Mill cannot be fetched.
    """
    if said.file == FILES[-1]:
        raise base.unsupported("Mill with a build in YAML", said.file)
    if said.launcher is None:
        raise LangError(
            "Mill's bootstrap script is not there",
            file=said.file,
            hint="Commit the file `mill` of Mill's documentation.",
        )
    found = {module: scalamain.find(files, sources(files, module)) for module in said.modules}
    candidates = [module for module in said.modules if found[module] or module.main is not None]
    candidates = [each for each in candidates if each.name and f"out/{each.name}/" in (wanted or "")] or candidates
    if len(candidates) != 1:
        names = ", ".join(sorted(module.name for module in candidates))
        what = f"several modules have main classes: {names[:200]}" if candidates else "no module has a main class"
        raise LangError(what, file=said.file, hint=scalaplan.RUN_HINT)
    module = candidates[0]
    if module.name and not re.fullmatch(_WORD, module.name):
        raise LangError(f"{module.name[:80]!r} is no name of a module", file=said.file, hint="Use letters and digits.")
    scalaplan.main_class(module.main, (name for _, name in found[module]), said.file, needed=wanted is None)
    prefix = f"{module.name}." if module.name else ""
    groups: dict[str, list[str]] = {}
    for file in said.manifests:
        groups.setdefault(file.rpartition("/")[0], []).append(file)
    return Plan(
        manager="mill",
        manifests=tuple((f"./{where}/" if where else "./", tuple(names)) for where, names in groups.items()),
        install=f"sh ./{said.launcher} -i {prefix}prepareOffline",
        compile=f"sh ./{said.launcher} -i {prefix}assembly",
        kind="assembly",
        directory=f"out/{module.name}/assembly.dest" if module.name else "out/assembly.dest",
        caches=_CACHES,
        ignored=("out",),
        scala=said.scala,
        scala_source=f"{said.file} scalaVersion",
        scala_file=said.file,
        start="java -jar app.jar",
        title=module.name or None,
    )


def sources(files: AppFiles, module: Module) -> Iterator[str]:
    """A module's sources: in Mill's own place, and in that of sbt and Maven, which lies below it."""
    return iter(files.below(f"{module.name}/src" if module.name else "src"))


def _modules(statements: Sequence[Statement]) -> tuple[Module, ...]:
    found: list[Module] = []
    for statement in statements:
        names = [token.text for token in statement.tokens if token.kind is NAME]
        if names[:1] != ["object"] or "extends" not in names[2:3]:
            continue
        root = names[1] == "package" or bool(_ROOT & set(names))
        inside = [token for each in statement.body for token in each.tokens]
        said = next((words for piece in phrases.assigned(inside, "mainClass") if (words := phrases.strings(piece))), ())
        found.append(Module(name="" if root else names[1], main=said[0] if len(said) == 1 else None))
    return tuple(found)
