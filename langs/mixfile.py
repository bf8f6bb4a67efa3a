"""mix.exs: what a Mix project states as constants. It is an Elixir program, which nobody runs here."""

import posixpath
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

import msgspec

from langs import phrases
from langs.errors import LangError
from langs.files import AppFiles, require_plain_name
from langs.phrases import Tokens
from langs.syntaxes import ELIXIR
from langs.tokens import KEY, MARK, NAME, STRING, SYMBOL, TEMPLATE, tokenize

FILE: Final = "mix.exs"

_MAX_CHILDREN: Final = 200
_DEPENDENCY: Final = 3
"""How many tokens tell a dependency: `{:name,`."""
_ELSEWHERE: Final = frozenset({"dev", "test"})


class Dependency(msgspec.Struct, frozen=True, kw_only=True):
    """One dependency that counts in production."""

    name: str
    path: str | None = None
    in_umbrella: bool = False


class Mixfile(msgspec.Struct, frozen=True, kw_only=True):
    """What one mix.exs says."""

    directory: str = ""
    """Where it stands, relative to the app."""
    app: str | None = None
    elixir: str | None = None
    dependencies: tuple[Dependency, ...] = ()
    apps_path: str | None = None
    """Where an umbrella has its applications."""
    releases: tuple[str, ...] = ()
    default_release: str | None = None
    starts: bool = False
    """Whether it is an application with a callback module: one that runs something."""
    deploys_assets: bool = False
    """Whether the alias `assets.deploy` exists."""
    cookie: bool = False
    """Whether a release has a cookie of its own."""
    member: bool = False
    """Whether it belongs to an umbrella above it."""

    @property
    def names(self) -> frozenset[str]:
        """The names of its dependencies."""
        return frozenset(dependency.name for dependency in self.dependencies)


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """The project of the app, with the applications of its umbrella."""

    root: Mixfile
    children: tuple[Mixfile, ...] = ()

    @property
    def all(self) -> tuple[Mixfile, ...]:
        """The app's own mix.exs and those of the umbrella's applications."""
        return (self.root, *self.children)

    @property
    def names(self) -> frozenset[str]:
        """The names of all dependencies."""
        return frozenset(name for mixfile in self.all for name in mixfile.names)

    @property
    def starts(self) -> bool:
        """Whether something of it runs."""
        return any(mixfile.starts for mixfile in self.all)

    def paths(self) -> tuple[str, ...]:
        """Directories of dependencies that are part of the app, applications of the umbrella aside.

        Raises:
            LangError: one lies outside of the app.
        """
        found = {
            _inside(posixpath.join(mixfile.directory, each.path), mixfile): None
            for mixfile in self.all
            for each in mixfile.dependencies
            if each.path is not None and not each.in_umbrella
        }
        return tuple(path for path in found if path not in {child.directory for child in self.children})


def read(files: AppFiles) -> Project | None:
    """The project of the app; None without a mix.exs.

    Raises:
        LangError: a file cannot be read, or the umbrella's applications lie outside of the app.
    """
    text = files.read_text(FILE)
    if text is None:
        return None
    root = parse(text)
    if root.apps_path is None:
        return Project(root=root)
    apps = require_plain_name(_inside(root.apps_path, root))
    found = files.glob(f"{apps}/*/{FILE}")[:_MAX_CHILDREN]
    children = (parse(files.read_text(file) or "", posixpath.dirname(file)) for file in found)
    return Project(root=root, children=tuple(children))


@lru_cache(maxsize=8)  # an app is detected and then built: its files are parsed once
def parse(text: str, directory: str = "") -> Mixfile:
    """What the text of a mix.exs says by constants. Nothing in it is an error."""
    tokens = tokenize(text, ELIXIR)
    keys = {token.text for token in tokens if token.kind is KEY}
    places = [phrases.lookup(tokens, key) or "" for key in ("lockfile", "deps_path", "build_path") if key in keys]
    return Mixfile(
        directory=directory,
        app=phrases.lookup(tokens, "app"),
        elixir=phrases.lookup(tokens, "elixir"),
        dependencies=tuple(_dependencies(tokens)),
        apps_path=phrases.lookup(tokens, "apps_path"),
        releases=tuple(_releases(tokens)) if "releases" in keys else (),
        default_release=phrases.lookup(tokens, "default_release"),
        starts="mod" in keys,
        deploys_assets="assets.deploy" in keys,
        cookie="cookie" in keys,
        member=any(place.startswith("../") for place in places),
    )


def _dependencies(tokens: Tokens) -> Iterator[Dependency]:
    """The tuples that look like `{:name, "~> 1.0", only: :dev}`; there is nothing else in a mix.exs that does."""
    for index, token in enumerate(tokens[:-_DEPENDENCY]):
        mark, name, comma, stated = tokens[index : index + _DEPENDENCY + 1]
        if token.text != "{" or mark.kind is not MARK or name.kind is not SYMBOL or comma.text != ",":
            continue
        if stated.kind not in (STRING, TEMPLATE, KEY, NAME):
            continue
        said = _options(tokens, index + _DEPENDENCY)
        only = phrases.strings(said.get("only", ()))
        if not only or not _ELSEWHERE.issuperset(only):
            yield Dependency(
                name=name.text,
                path=phrases.constant(said.get("path", ())),
                in_umbrella="in_umbrella" in said,
            )


def _options(tokens: Tokens, start: int) -> dict[str, Tokens]:
    """The options of the tuple whose second part stands at `start`."""
    said: dict[str, Tokens] = {}
    index = start
    while index < len(tokens) and tokens[index].text not in {"{", "}"}:
        piece = tokens[index : phrases.piece_end(tokens, index)]
        if piece and piece[0].kind is KEY:
            said[piece[0].text] = piece[1:]
        index += max(len(piece), 1)
    return said


def _releases(tokens: Tokens) -> Iterator[str]:
    """The names in `releases: [name: [...]]`, or in the function that it calls."""
    for piece in phrases.assigned(tokens, "releases"):
        listed = piece
        if piece[0].kind is NAME:
            listed = _returned(tokens, piece[0].text)
        depth = 0
        for token in listed:
            if token.kind is MARK:
                depth += (token.text in {"[", "{", "("}) - (token.text in {"]", "}", ")"})
            elif token.kind is KEY and depth == 1:
                yield token.text
        return


def _returned(tokens: Tokens, function: str) -> Tokens:
    """What a function of this name consists of."""
    for _, statement in phrases.walk(phrases.statements(tokens, ELIXIR)):
        if statement.head in {"def", "defp"} and [token.text for token in statement.tokens[1:2]] == [function]:
            return _flat(statement.body)
    return ()


def _flat(body: Sequence[phrases.Statement]) -> Tokens:
    return tuple(token for statement in body for token in statement.tokens)


def _inside(path: str, mixfile: Mixfile) -> str:
    normal = posixpath.normpath(path)
    if posixpath.isabs(normal) or normal.split("/")[0] in {"..", "~", "."}:
        raise LangError(
            f"{path[:80]!r} is no directory in the app's, which is all that its build sees",
            file=posixpath.join(mixfile.directory, FILE),
            hint="Build from the directory that holds both.",
        )
    return normal
