"""deps.edn and build.clj: what the Clojure CLI would run (https://clojure.org/reference/deps_edn)."""

import re
from collections.abc import Mapping
from typing import Final

import msgspec

from langs import edn
from langs.edn import Form, Keyword, Symbol
from langs.errors import LangError
from langs.files import AppFiles, once

FILE: Final = "deps.edn"
BUILD: Final = "build.clj"

_TOOLS_BUILD: Final = "io.github.clojure/tools.build"
_UBER: Final = ("uber", "uberjar")
_MAIN: Final = r":main\b"
_HINT: Final = "Every key of deps.edn is described at https://clojure.org/reference/deps_edn."


class Alias(msgspec.Struct, frozen=True, kw_only=True):
    """One alias: what `-M:name` adds."""

    main_options: tuple[str, ...] = ()
    jvm_options: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    build: bool = False
    """Whether it brings tools.build."""

    @property
    def main(self) -> str | None:
        """The namespace that it starts, if it starts one."""
        options = self.main_options
        named = next((index for index, option in enumerate(options) if option in {"-m", "--main"}), None)
        return None if named is None or named + 1 >= len(options) else options[named + 1]


class Deps(msgspec.Struct, frozen=True, kw_only=True):
    """What a build needs of a deps.edn."""

    clojure: str | None = None
    paths: tuple[str, ...] = ("src",)
    aliases: Mapping[str, Alias] = {}
    local_roots: tuple[str, ...] = ()
    """Directories and jars that stand in for libraries."""


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """What a build.clj can do."""

    uber: str | None = None
    """The function that makes an uberjar."""
    main: bool = False
    """Whether it says what an uberjar starts."""


@once
def read(files: AppFiles) -> Deps | None:
    """The app's deps.edn, or None without one.

    Raises:
        LangError: it is no map, or cannot be read.
    """
    text = files.read_text(FILE)
    return None if text is None else parse(text)


def read_build(files: AppFiles) -> Build:
    """The app's build.clj; without one it can do nothing.

    Raises:
        LangError: it cannot be read.
    """
    text = files.read_text(BUILD)
    return Build() if text is None else parse_build(text)


def parse(text: str) -> Deps:
    """The contents of a deps.edn.

    Raises:
        LangError: as `read`.
    """
    values = edn.parse(text, FILE)
    deps = values[0] if values else Form("{", ())
    if not isinstance(deps, Form) or deps.kind != "{":
        raise LangError("is no map", file=FILE, line=1, hint=_HINT)
    aliases = {
        key.name: edn.form(value) for key, value in edn.form(deps.get("aliases")).pairs() if isinstance(key, Keyword)
    }
    libraries = (edn.form(deps.get("deps")), *(_libraries(alias) for alias in aliases.values()))
    return Deps(
        clojure=_version(libraries[0], "org.clojure/clojure"),
        paths=edn.strings(deps.get("paths")) if deps.get("paths") is not None else ("src",),
        aliases={name: _alias(alias) for name, alias in aliases.items()},
        local_roots=tuple(
            root
            for each in libraries
            for _, value in each.pairs()
            if isinstance(root := edn.form(value).get("local/root"), str)
        ),
    )


def parse_build(text: str) -> Build:
    """The contents of a build.clj.

    Raises:
        LangError: as `read_build`.
    """
    defined = {
        form.items[1].name
        for form in edn.parse(text, BUILD)
        if isinstance(form, Form)
        and form.items[:1] in {(Symbol("defn"),), (Symbol("def"),)}
        and len(form.items) > 1
        and isinstance(form.items[1], Symbol)
    }
    return Build(uber=next((name for name in _UBER if name in defined), None), main=bool(re.search(_MAIN, text)))


def _libraries(alias: Form) -> Form:
    found = [
        item
        for key in ("extra-deps", "replace-deps", "deps", "override-deps")
        for item in edn.form(alias.get(key)).items
    ]
    return Form("{", tuple(found))


def _alias(alias: Form) -> Alias:
    libraries = _libraries(alias)
    return Alias(
        main_options=edn.strings(alias.get("main-opts")),
        jvm_options=edn.strings(alias.get("jvm-opts")),
        paths=(*edn.strings(alias.get("extra-paths")), *edn.strings(alias.get("replace-paths"))),
        build=any(isinstance(key, Symbol) and key.name == _TOOLS_BUILD for key, _ in libraries.pairs()),
    )


def _version(libraries: Form, name: str) -> str | None:
    version = edn.form(libraries.value_of(Symbol(name))).get("mvn/version")
    return version if isinstance(version, str) else None
