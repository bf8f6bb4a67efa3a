"""Bundler's files: what a Gemfile states as constants, and what Gemfile.lock has settled.

A Gemfile is a Ruby program, which nobody runs here: its constants count, also those in a branch that is never taken.
The lockfile is Bundler's own and simple: sections at the margin, their items indented
(`Bundler::LockfileParser` in rubygems/bundler).
"""

import posixpath
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import msgspec

from langs import phrases, versions
from langs.errors import LangError
from langs.files import AppFiles, once
from langs.phrases import Call, Tokens
from langs.syntaxes import RUBY
from langs.tokens import NAME, STRING, tokenize

NAMES: Final = (("Gemfile", "Gemfile.lock"), ("gems.rb", "gems.locked"))
"""A Gemfile and its lockfile, by either of their names."""

_ITEM: Final = re.compile(r"( {2,4})([A-Za-z0-9][A-Za-z0-9._-]*)(?: \(([^()]*)\))?!?", re.ASCII)
_SPECS: Final = "    "
"""How far the locked gems are indented; what each needs stands further in."""


class Gemfile(msgspec.Struct, frozen=True, kw_only=True):
    """What a Gemfile says."""

    file: str
    gems: frozenset[str] = frozenset()
    """The names of the gems that it asks for by constants."""
    ruby: str | None = None
    """The requirement, several joined by commas."""
    ruby_computed: bool = False
    """Whether there is one that is no constant."""
    ruby_file: str | None = None
    """The file that states the version of Ruby: `ruby file: ".ruby-version"`."""
    engine: str | None = None
    paths: tuple[str, ...] = ()
    """Directories of gems of the app's own, relative to the app."""
    includes: tuple[str, ...] = ()
    """Other Gemfiles: `eval_gemfile "gems/test.rb"`."""
    everything: bool = False
    """Whether it may read any file of the app: it asks for a gemspec's gems, or for files whose names are computed."""


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """What a lockfile settles."""

    file: str
    versions: dict[str, str] = {}
    """Gem -> version, all of them."""
    ruby: str | None = None
    """`3.4.4p34`, without the name of the engine."""
    bundler: str | None = None
    platforms: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an app's gems."""

    gemfile: Gemfile
    lock: Lock | None

    @property
    def names(self) -> frozenset[str]:
        """All gems that will be there, as far as it is known."""
        return self.gemfile.gems.union(self.lock.versions if self.lock else ())

    def release(self, gem: str) -> tuple[int, ...]:
        """The locked release of a gem; empty when it is not known."""
        found = re.match(r"[0-9]{1,6}(?:\.[0-9]{1,6}){0,3}", self.lock.versions.get(gem, "") if self.lock else "")
        return versions.release(found[0]) if found else ()


@once
def bundle(files: AppFiles) -> Bundle | None:
    """The app's Gemfile and lockfile; None without a Gemfile.

    Raises:
        LangError: one of them cannot be read.
    """
    found = read(files)
    return None if found is None else Bundle(gemfile=found, lock=read_lock(files, found))


@once
def read(files: AppFiles) -> Gemfile | None:
    """The app's Gemfile; None without one.

    Raises:
        LangError: it cannot be read.
    """
    file = files.first(*(name for name, _ in NAMES))
    return None if file is None else parse(files.read_text(file) or "", file)


def read_lock(files: AppFiles, gemfile: Gemfile) -> Lock | None:
    """The lockfile of this Gemfile; None without one.

    Raises:
        LangError: it cannot be read, or two versions of it were merged without choosing.
    """
    file = dict(NAMES)[gemfile.file]
    text = files.read_text(file)
    return None if text is None else parse_lock(text, file)


@lru_cache(maxsize=4)  # an app is detected and then built: its files are parsed once
def parse(text: str, file: str) -> Gemfile:
    """What the text of a Gemfile says by constants. Nothing in it is an error."""
    gems: dict[str, None] = {}
    paths: dict[str, None] = {}
    includes: dict[str, None] = {}
    ruby: Call | None = None
    everything = False
    tokens = tokenize(text, RUBY)
    for around, statement in phrases.walk(phrases.statements(tokens, RUBY)):
        call = phrases.call(statement)
        if call is None:
            continue
        match statement.head:
            case "gem":
                gems |= dict.fromkeys(filter(None, [call.constant()]))
                paths |= dict.fromkeys(filter(None, [call.keyword("path") or _path_around(around)]))
                everything = everything or ("path" in call.keywords and call.keyword("path") is None)
            case "path":
                paths |= dict.fromkeys(filter(None, [call.constant()]))
                everything = everything or call.constant() is None
            case "gemspec" | "require_relative":
                everything = True
                paths |= dict.fromkeys(filter(None, [call.keyword("path")]))
            case "eval_gemfile":
                includes |= dict.fromkeys(filter(None, [call.constant()]))
                everything = everything or call.constant() is None
            case "ruby":
                ruby = ruby or call
            case _:
                pass
    requirement = _requirement(tokens, ruby) if ruby else None
    ruby_file = _ruby_file(ruby) if ruby else None
    return Gemfile(
        file=file,
        gems=frozenset(gems),
        ruby=requirement,
        ruby_computed=bool(ruby and (ruby.arguments or ruby.keywords)) and requirement is None and ruby_file is None,
        ruby_file=ruby_file,
        engine=ruby.keyword("engine") if ruby else None,
        paths=tuple(paths),
        includes=tuple(includes),
        everything=everything,
    )


def parse_lock(text: str, file: str) -> Lock:
    """What the text of a lockfile settles; lines of other sections and of later formats say nothing.

    Raises:
        LangError: it holds the marks of a conflict, which Bundler refuses too.
    """
    section = ""
    versions: dict[str, str] = {}
    platforms: list[str] = []
    paths: list[str] = []
    ruby = bundler = None
    for number, line in enumerate(text.split("\n"), start=1):
        if line.startswith(("<<<<<<<", "=======", ">>>>>>>")):
            hint = "Choose one side, then run `bundle install`."
            raise LangError("holds two versions that were merged without choosing", file=file, line=number, hint=hint)
        if line[:1] not in {"", " "}:
            section = line.strip()
            continue
        item = _ITEM.fullmatch(line.rstrip())
        word = line.strip()
        if section == "BUNDLED WITH":
            bundler = word or bundler
        elif section == "RUBY VERSION":
            ruby = word.removeprefix("ruby ") if word.startswith("ruby ") else ruby
        elif section == "PLATFORMS" and word:
            platforms.append(word)
        elif section == "PATH" and line.startswith("  remote: "):
            paths.append(line.removeprefix("  remote: ").strip())
        elif section in {"GEM", "GIT", "PATH"} and item and item[1] == _SPECS:
            # One gem may stand here for several platforms: `1.2.3-x86_64-linux`.
            versions.setdefault(item[2], (item[3] or "").partition("-")[0])
    return Lock(
        file=file, versions=versions, ruby=ruby, bundler=bundler, platforms=tuple(platforms), paths=tuple(paths)
    )


def inside(path: str, file: str) -> str:
    """A directory of the app, as a Gemfile names it; `.` for the app itself.

    Raises:
        LangError: it lies outside of the app.
    """
    normal = posixpath.normpath(path)
    if posixpath.isabs(normal) or normal.split("/")[0] in {"..", "~"}:
        raise LangError(
            f"{path[:80]!r} lies outside of the app's directory, which is all that its build sees",
            file=file,
            hint="Build from the directory that holds both, or publish the gem.",
        )
    return normal


def _path_around(around: Sequence[phrases.Statement]) -> str | None:
    """The directory of the `path "..." do` block that something stands in."""
    for outer in around:
        call = phrases.call(outer)
        if call is not None and outer.head == "path":
            return call.constant()
    return None


def _requirement(tokens: Tokens, call: Call) -> str | None:
    """The requirements in the arguments and in lists among them; None when not all of them are constants."""
    stated: list[str] = []
    for piece in call.arguments:
        listed = len(piece) > 2 and (piece[0].text, piece[-1].text) == ("[", "]")  # noqa: PLR2004 -- the brackets
        said = tuple(each for each in piece[1:-1] if each.text != ",") if listed else piece
        if listed and all(each.kind is STRING for each in said):
            stated += phrases.strings(said)
        elif (one := phrases.resolved(tokens, piece)) is not None:
            stated.append(one)
        else:
            return None
    return ", ".join(stated) or None


def _ruby_file(call: Call) -> str | None:
    """The file of `ruby file: "X"`, or of `ruby File.read("X")` however its text is trimmed."""
    named = call.keyword("file")
    if named is not None or not call.arguments:
        return named
    piece = call.arguments[0]
    reads = any(token.kind is NAME and token.text == "read" for token in piece)
    return next(iter(phrases.strings(piece)), None) if reads and piece[0].text in {"File", "IO"} else None
