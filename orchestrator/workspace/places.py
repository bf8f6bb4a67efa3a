"""Directories whose names say that what lies in them is no app of this repository.

Names are compared without regard to case, and those that say what is tried also as the last of several words
(`api-e2e`, `Shop.Tests`, `_examples`), where they are in the plural: `load-test` may be a service. A name in the syntax
of a template (`{{cookiecutter.slug}}`, `__name__`) is that of a directory which something else is made from.
"""

import functools
import re

FOREIGN = frozenset({"bower_components", "node_modules", "site-packages", "third_party", "vendor", "venv"})
"""Other people's code."""
OUTPUT = frozenset({"__pycache__", "dist", "target"})
TRIALS = frozenset(
    {"bench", "benchmark", "cypress", "example", "fixture", "playwright", "spec", "test", "testdata", "testing"}
)
_TRIALS_OF = frozenset({"benches", "benchmarks", "demos", "e2e", "examples", "fixtures", "mocks", "samples", "tests"})
TO_BE_COPIED = frozenset({"boilerplates", "scaffolds", "templates"})
ELSEWHERE = frozenset({"supabase"})
"""Functions that a platform runs, and not an image."""
PARTS_OF_PAGES = frozenset({"_includes", "_layouts", "layouts", "partials", "themes", "views"})
"""Where generators of sites keep what they make pages of: an `index.html` there is none."""
ROOT_BELOW = "public"
"""A front controller or a page in here is that of the directory above, whose other files it may need."""

_NOT_LOOKED_AT = FOREIGN | OUTPUT | TRIALS | _TRIALS_OF | TO_BE_COPIED | ELSEWHERE
_SEPARATORS = re.compile(r"[-_.]")
_MADE_LATER = re.compile(r"\{\{|\{%|<%|\A__.*__\Z")


def is_looked_at(parts: tuple[str, ...]) -> bool:
    """Whether there may be an app in the directory whose path has these parts."""
    return not any(map(_says_otherwise, parts))


def holds_pages(parts: tuple[str, ...]) -> bool:
    """Whether a page there may be one of a site, and not what pages are made of."""
    return PARTS_OF_PAGES.isdisjoint(parts)


@functools.cache
def _says_otherwise(part: str) -> bool:
    name = part.lower()
    if name in _NOT_LOOKED_AT or _MADE_LATER.search(name):
        return True
    return _SEPARATORS.split(name)[-1] in _TRIALS_OF
