"""The languages, in the order in which they are asked.

Evidence decides; the order decides only between languages that both show an app. Go and Rust stand first: nobody keeps
a package main beside a web app for tooling. Of those that share Maven, Gradle or sbt, the ones that Java's files are
found beside stand before Java. PHP, Elixir, Ruby and Python stand before what runs JavaScript: package.json is found in
everything that has a front end. Deno and Bun, which ask for files of their own, stand before Node.js. A Compose file
and a Dockerfile are what to fall back on, in this order: the first says more than the second, which it names. A page
that a server could send shows the least, and stands last.

What others must know of all languages is collected here, so that nothing outside of `langs` names one. Importing this
is cheap: whoever reads configuration does. jinja2 and packaging are imported by the first call that needs them.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

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

VERSION_VARIABLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        **{variable: language.NAME for language in LANGUAGES for variable in language.VERSION_VARIABLES},
        **elixir.RUNTIME_VARIABLES,
    }
)
"""Environment variable -> the language whose version it forces, or what a language runs on."""

GENERATED: Final = frozenset(language.NAME for language in LANGUAGES if language.IMAGES)
"""Languages whose Dockerfiles are ours."""

TOOL_VARIABLES: Final = (
    *golang.VARIABLES,
    *scala.VARIABLES,
    *clojure.VARIABLES,
    *elixir.VARIABLES,
    *ruby.VARIABLES,
)
"""Environment variables that speak to the tools of one language."""

MANIFESTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {language.NAME: language.MANIFESTS for language in LANGUAGES}
)
"""Language -> the files that make a directory worth a look, and that govern its sources below."""

ENTRY_POINTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {language.NAME: language.ENTRY_POINTS for language in LANGUAGES}
)
"""Language -> the names of sources that may be an app by themselves."""

ASSETS: Final = (deno.NAME, bun.NAME, nodejs.NAME)
"""Languages that can make a part of an app in another one; the first that sees something of its own does."""

IMAGES: Final = tuple(dict.fromkeys(name for language in LANGUAGES for name in language.IMAGES))
"""The well-known names of all base images."""
