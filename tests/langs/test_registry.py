"""One language is one module, one template, one line in the registry: nothing else names it."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import msgspec
import pytest

from langs import facts, registry
from tests.langs import splitter
from tests.langs.test_apps import build, settings_of

ROOT = Path(__file__).parents[2]
APPS = [app for app in sorted((ROOT / "tests/apps").glob("*/app")) if not (app / "Dockerfile").exists()]
GENERATED = [language for language in registry.LANGUAGES if language.IMAGES]
"""All but the fallback, whose name is also BuildKit's frontend's and a key of ours."""
_WORD = re.compile(r"[A-Za-z0-9_.-]+")
_FILE_OR_VARIABLE = re.compile(r"[A-Za-z0-9-]+[_.][A-Za-z0-9_.-]+")


def names() -> frozenset[str]:
    """Every word that only a language's own module may know."""
    return frozenset(
        name
        for each in GENERATED
        for name in (each.NAME, *each.VERSION_VARIABLES, *each.MANIFESTS, *each.ENTRY_POINTS, *each.IMAGES)
    )


def named(text: str) -> frozenset[str]:
    """The names in a literal; in a sentence a plain word such as `go` is one of English."""
    return names().intersection((_FILE_OR_VARIABLE if " " in text else _WORD).findall(text))


def strings(tree: ast.Module) -> Iterator[ast.Constant]:
    """The string literals that do something: no docstring, and none that stands below a name to describe it."""
    idle = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in idle:
            yield node


@pytest.mark.parametrize("package", ["orchestrator", "remote"])
def test_nothing_outside_of_langs_names_a_language(package: str) -> None:
    found: list[str] = []
    for file in (ROOT / package).rglob("*.py"):
        if file.name.endswith("_pb2.py"):
            continue
        for literal in strings(ast.parse(file.read_text(encoding="utf-8"))):
            found += [f"{file.relative_to(ROOT)}:{literal.lineno}: {word}" for word in named(str(literal.value))]

    assert found == []


def test_what_a_language_is_called_is_found_where_it_stands() -> None:
    """The search above finds something."""
    tree = ast.parse((ROOT / "langs/nodejs.py").read_text(encoding="utf-8"))

    found = {word for literal in strings(tree) for word in named(str(literal.value))}

    assert {"nodejs", "NODE_VERSION", "server.js", "node"} <= found


@pytest.mark.parametrize("app", APPS, ids=lambda app: app.parent.name)
def test_every_base_image_has_a_name_that_settings_may_replace(app: Path) -> None:
    case = app.parent.name
    said = settings_of(case)
    plain = build(case, said)
    replaced = msgspec.structs.replace(said, images={name: f"mirror.example/{name}" for name in facts.IMAGES})

    text = build(case, replaced).dockerfile

    language = next(each for each in GENERATED if plain.language == each.NAME)
    stages = [line.split() for line in text.splitlines() if line.startswith("FROM ")]
    aliases = {words[3] for words in stages}
    bases = {words[1].partition(":")[0] for words in stages if words[1] not in aliases}
    assert splitter.keywords(text).count("FROM") == len(stages)
    # A front end in it is another language's work.
    works = [language, *(each for each in GENERATED if "assets" in aliases and each.NAME in registry.ASSETS)]
    assert bases <= {f"mirror.example/{name}" for each in works for name in each.IMAGES}


def test_what_is_written_down_of_languages_is_what_they_say() -> None:
    assert (ROOT / "langs/facts.json").read_bytes() == registry.facts(), "poe facts"


async def test_the_registry_is_cheap_to_import() -> None:
    heavy = ["anyio", "h2", "httpx", "jinja2", "packaging", "pathspec"]

    ran = await anyio.run_process(
        [sys.executable, "-c", f"import sys, langs.registry; print(sorted(set(sys.modules) & set({heavy!r})))"],
        cwd=ROOT,
    )

    assert ran.stdout == b"[]\n"
