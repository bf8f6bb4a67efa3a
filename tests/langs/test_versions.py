import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

import langs
from langs import specifiers, versions
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import Settings
from tests.langs.conftest import Write

TAG = re.compile(r"[0-9]+(\.[0-9]+){0,2}((rc|beta|alpha|a|b)[0-9]+)?")
RANGES = st.one_of(
    st.text(), st.text("0123456789.xX*^~<>=| -v,!"), st.from_regex(r"\A[\^~<>=]{0,2}[0-9]{1,3}(\.[0-9]{1,2}){0,2}\Z")
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("22.16.0", "22.16.0"),
        ("22", "22"),
        ("v20.11.0", "20.11.0"),
        (" 20.11\n", "20.11"),
        (">=18", "22.16.0"),
        (">= 18", "22.16.0"),
        ("^20.1", "20"),
        ("^20.1 || ^22", "22.16.0"),
        ("^18 || ^20", "20"),
        (">=18 <21", "18"),
        (">=18.5.0 <18.9.0", "18.5.0"),
        ("20.x.x", "20"),
        ("20.*", "20"),
        ("*", "22.16.0"),
        ("", "22.16.0"),
        ("~20.11.1", "20.11.1"),
        ("18 - 20", "18"),
        ("20 - 22", "22.16.0"),
        (">22", "23"),
        ("<=24", "22.16.0"),
        ("lts/iron", "20"),
        ("lts/*", "22.16.0"),
        ("node", "22.16.0"),
    ],
)
def test_npm_ranges_become_tags(text: str, value: str) -> None:
    version, warnings = versions.resolve([versions.npm(text, source="x")], default="22.16.0", line=1)

    assert version.value == value
    assert version.source == "x"
    assert not warnings


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3.12.8", "3.12.8"),
        ("3.13", "3.13"),
        ("3.14.0rc1", "3.14.0rc1"),
        (">=3.11,<3.14", "3.12.8"),
        (">=3.13", "3.13"),
        ("~=3.12", "3.12.8"),
        ("~=3.13.1", "3.13"),
        ("==3.11.*", "3.11"),
        ("==3.11.4", "3.11.4"),
        (">=3.8,<3.12,!=3.9.0", "3.8"),
        (">=3.9, !=3.10.1", "3.12.8"),
        ("===3.12.1", "3.12.1"),
    ],
)
def test_python_specifiers_become_tags(text: str, value: str) -> None:
    version, _ = versions.resolve([specifiers.pep440(text, source="x")], default="3.12.8", line=2)

    assert version.value == value


@pytest.mark.parametrize(
    "text", ["<22", "<3", "twenty", "22; rm -rf /", "22\nRUN x", "$(id)", ">=1 junk", "1.2.3.4", "٣", ">=", "22-slim"]
)
def test_what_is_not_understood_names_file_and_text(text: str) -> None:
    with pytest.raises(LangError) as caught:
        versions.resolve([versions.npm(text, source="engines", file="package.json")], default="22.16.0", line=1)

    assert caught.value.file == "package.json"
    assert repr(text.strip())[1:-1][:10] in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"main.py": "import flask\n", ".python-version": "three\n"}, "3.12"),
        ({"main.py": "import flask\n", "requirements.txt": "", "runtime.txt": ">=three"}, "3.12"),
        ({"main.py": "import flask\n", "mise.toml": "tools.python = '>=3.11.dev1'\n"}, "3.12"),
        ({"main.go": "package main\nfunc main() {}\n", ".go-version": "newest\n"}, "1.25"),
        ({"index.js": "createServer()", ".nvmrc": "newest\n"}, "22.16.0"),
    ],
)
def test_what_is_not_understood_gets_an_example_of_its_own_language(
    write: Write, files: Mapping[str, str], said: str
) -> None:
    with pytest.raises(LangError, match="is not understood") as caught:
        langs.build(write(files), Settings())

    assert f" {said}" in caught.value.hint


@given(RANGES)
def test_whatever_npm_says_the_tag_is_legal(text: str) -> None:
    try:
        version, _ = versions.resolve([versions.npm(text, source="x")], default="22.16.0", line=1)
    except LangError:
        return

    assert TAG.fullmatch(version.value)


@given(RANGES)
def test_whatever_python_says_the_tag_is_legal(text: str) -> None:
    try:
        version, _ = versions.resolve([specifiers.pep440(text, source="x")], default="3.12.8", line=2)
    except LangError:
        return

    assert TAG.fullmatch(version.value)


@given(
    low=st.tuples(st.just(3), st.integers(6, 16), st.integers(0, 12)),
    high=st.one_of(st.none(), st.tuples(st.just(3), st.integers(6, 16), st.integers(0, 12))),
)
def test_the_chosen_python_lies_in_the_range(low: tuple[int, int, int], high: tuple[int, int, int] | None) -> None:
    text = f">={'.'.join(map(str, low))}" + (f",<{'.'.join(map(str, high))}" if high else "")
    try:
        version, _ = versions.resolve([specifiers.pep440(text, source="x")], default="3.12.8", line=2)
    except LangError:
        assert high is not None
        assert low >= high
        return

    newest = version.value if version.value.count(".") == 2 else f"{version.value}.999"
    assert SpecifierSet(text).contains(Version(newest))


def test_the_first_statement_wins_and_a_contradiction_is_a_warning() -> None:
    stated = [versions.npm("20", source=".nvmrc"), versions.npm(">=18", source="a"), versions.npm("^22", source="b")]

    version, warnings = versions.resolve(stated, default="22.16.0", line=1)

    assert (version.value, version.source) == ("20", ".nvmrc")
    assert len(warnings) == 1
    assert ".nvmrc" in warnings[0]
    assert "b" in warnings[0]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        (".tool-versions", "ruby 3.3\nnodejs 20.1.0 18.0.0 # c\n", "20.1.0"),
        (".tool-versions", "nodejs system\n", None),
        ("mise.toml", '[tools]\nnode = "20"\n', "20"),
        ("mise.toml", '[tools]\nnode = ["20.1", "18"]\n', "20.1"),
        (".mise.toml", '[tools]\nnode = { version = "20" }\n', "20"),
        ("mise.toml", '[tools]\npython = "3.12"\n', None),
    ],
)
def test_files_of_version_managers_are_read(write: Write, name: str, text: str, value: str | None) -> None:
    files = AppFiles(write({name: text}))

    stated = list(versions.tool_files(files, ("nodejs", "node"), versions.npm))

    assert [statement.exact for statement in stated] == ([value] if value else [])


@pytest.mark.parametrize(
    "text", ["[tools]\nnode = 22", "tools = 1", "[tools", "[tools]\nnode = [[1]]", "a = " + "[" * 9999]
)
def test_a_broken_mise_file_is_an_error(write: Write, text: str) -> None:
    with pytest.raises(LangError) as caught:
        list(versions.tool_files(AppFiles(write({"mise.toml": text})), ("node",), versions.npm))
    assert caught.value.file == "mise.toml"
