"""The languages, in the order in which they are asked.

Evidence decides; the order decides only between languages that both show an app. Go and Rust stand first: nobody keeps
a package main beside a web app for tooling. Of those that share Maven, Gradle or sbt, the ones that Java's files are
found beside stand before Java. PHP, Elixir, Ruby and Python stand before what runs JavaScript: package.json is found in
everything that has a front end. Deno and Bun, which ask for files of their own, stand before Node.js. A Compose file
and a Dockerfile are what to fall back on, in this order: the first says more than the second, which it names. A page
that a server could send shows the least, and stands last.

What others must know of all languages is collected here, so that nothing outside of `langs` names one. They read it in
`langs.facts`, which imports no language: `poe facts` writes it down, and a test compares. jinja2 and packaging are
imported by the first call that needs them.
"""

from pathlib import Path
from typing import Final

import msgspec

from langs import (
    bun,
    clojure,
    compose,
    deno,
    dockerfile,
    dotnet,
    elixir,
    golang,
    java,
    kotlin,
    nodejs,
    php,
    procfile,
    python,
    ruby,
    rust,
    scala,
    static,
)
from langs.base import Language

LANGUAGES: Final[tuple[Language, ...]] = (
    golang,
    rust,
    scala,
    clojure,
    kotlin,
    java,
    dotnet,
    php,
    elixir,
    ruby,
    python,
    deno,
    bun,
    nodejs,
    compose,
    dockerfile,
    static,
)

NAMES: Final = tuple(language.NAME for language in LANGUAGES)

ASSETS: Final = (deno.NAME, bun.NAME, nodejs.NAME)
"""Languages that can make a part of an app in another one; the first that sees something of its own does."""


def facts() -> bytes:
    """What others must know of all languages, as `langs.facts` reads it."""
    variables = {variable: language.NAME for language in LANGUAGES for variable in language.VERSION_VARIABLES}
    tools = (golang, scala, clojure, elixir, ruby)
    said = {
        "names": NAMES,
        "version_variables": {**variables, **elixir.RUNTIME_VARIABLES},
        "tool_variables": [name for language in tools for name in language.VARIABLES],
        "generated": [language.NAME for language in LANGUAGES if language.IMAGES],
        "images": list(dict.fromkeys(name for language in LANGUAGES for name in language.IMAGES)),
        "manifests": {language.NAME: language.MANIFESTS for language in LANGUAGES},
        "entry_points": {language.NAME: language.ENTRY_POINTS for language in LANGUAGES},
        "procfile": procfile.FILE,
        "dockerfile": dockerfile.NAME,
        "dockerfiles": dockerfile.FILES,
        "compose_files": compose.FILES,
        "pages": static.NAME,
    }
    return msgspec.json.format(msgspec.json.encode(said), indent=2) + b"\n"


if __name__ == "__main__":
    Path(__file__).with_name("facts.json").write_bytes(facts())
