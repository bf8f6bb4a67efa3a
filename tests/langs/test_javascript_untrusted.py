"""Whatever manifests of Node.js, Bun and Deno say, the rendered Dockerfile has the instructions of the template."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs.errors import LangError
from langs.model import Settings
from tests.langs.conftest import Write
from tests.langs.test_untrusted import NASTY, build, counts, plain

COPIES = {"COPY": 0, "LABEL": 0}
"""What is copied first depends on what is there; a title that is none is left out."""
PNPM: Mapping[str, str] = {
    "package.json": '{"name": "a", "scripts": {"build": "x", "start": "y"}}',
    "pnpm-lock.yaml": "lockfileVersion: '9.0'\n",
}
BUN: Mapping[str, str] = {"package.json": PNPM["package.json"], "bun.lock": ""}
DENO: Mapping[str, str] = {
    "deno.json": '{"tasks": {"build": "x", "start": "deno run main.ts"}}',
    "deno.lock": '{"version": "5", "specifiers": {"npm:a@1": "1.0.0"}}',
    "main.ts": "",
}


@given(tool=NASTY, engine=NASTY, path=NASTY, script=NASTY, dependency=NASTY)
def test_whatever_package_json_says_of_managers_the_instructions_stay(
    tool: str, engine: str, path: str, script: str, dependency: str
) -> None:
    package = {
        "packageManager": tool,
        "engines": {"pnpm": engine},
        "main": path,
        "prisma": {"schema": path},
        "pnpm": {"patchedDependencies": {"a@1": path}},
        "scripts": {"build": script, "start": f"pnpm run {script}"},
        "dependencies": {"a": dependency, "@prisma/client": "6"},
    }

    built = build({**PNPM, "package.json": json.dumps(package)}, Settings())

    if built is not None:
        found = counts(built)
        assert (found["FROM"], found["CMD"], found["USER"], found["EXPOSE"]) in {(3, 1, 1, 1), (4, 1, 1, 1)}


@given(text=NASTY)
def test_whatever_bun_is_told_the_instructions_stay(text: str) -> None:
    package = {"name": text, "scripts": {"build": text, "start": f"bun {text}"}, "engines": {"bun": text}}

    for files in (
        {"package.json": json.dumps(package)},
        {".bun-version": text},
        {"bunfig.toml": text},
        {"bunfig.toml": f"version = {json.dumps(text)}\n"},
    ):
        built = build({**BUN, **files}, Settings())
        if built is not None:
            assert counts(built) | COPIES == plain(BUN, Settings()) | COPIES


@given(text=NASTY)
def test_whatever_deno_is_told_the_instructions_stay(text: str) -> None:
    for more in ({"tasks": {"build": "x", "start": f"deno run {text}"}}, {"importMap": text}, {"lock": {"path": text}}):
        config = {"tasks": {"build": "x", "start": "deno run main.ts"}, **more}
        built = build({**DENO, "deno.json": json.dumps(config)}, Settings())
        if built is not None:
            found, expected = counts(built), plain(DENO, Settings())
            # What is no file of the app is not fetched for, and another lockfile is none.
            assert found["RUN"] <= expected["RUN"]
            assert found | COPIES | {"RUN": 0, "FROM": 0} == expected | COPIES | {"RUN": 0, "FROM": 0}
    for file in (".deno-version", ".dvmrc", "deno.lock"):
        built = build({**DENO, file: text}, Settings())
        if built is not None:
            assert counts(built)["USER"] == counts(built)["CMD"] == 1


@pytest.mark.parametrize("name", ["package.json", "deno.json", "pnpm-workspace.yaml", ".yarnrc.yml", "bunfig.toml"])
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("x" * 10_000_000, id="10 MB"),
        pytest.param("[" * 200_000, id="depth"),
        pytest.param('{"a": ' * 100_000, id="deep objects"),
        pytest.param("a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(90_000)), id="aliases"),
    ],
)
def test_a_bomb_is_an_error_that_names_the_file(write: Write, name: str, text: str) -> None:
    root = write({**(DENO if name == "deno.json" else PNPM), "yarn.lock": "__metadata:\n", name: text})
    language = "deno" if name == "deno.json" else "nodejs"

    with pytest.raises(LangError) as caught:
        langs.build(root, Settings(language=language))

    assert caught.value.file == name


@given(st.text())
def test_any_yaml_of_a_workspace_is_understood_or_an_error(text: str) -> None:
    built = build({**PNPM, "pnpm-workspace.yaml": text}, Settings())

    assert built is None or built.package_manager == "pnpm"
