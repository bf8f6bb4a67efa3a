from collections.abc import Mapping

import pytest

import langs
from langs import versions
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import Releases, Settings, Version
from tests.langs.conftest import Write


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


def test_the_first_statement_wins_and_a_contradiction_is_a_warning() -> None:
    stated = [versions.npm("20", source=".nvmrc"), versions.npm(">=18", source="a"), versions.npm("^22", source="b")]

    version, warnings = versions.resolve(stated, settings=Settings(), table="nodejs", default="22.16.0", line=1)

    assert (version.value, version.source) == ("20", ".nvmrc")
    assert len(warnings) == 1
    assert ".nvmrc" in warnings[0]
    assert "b" in warnings[0]


@pytest.mark.parametrize(
    ("said", "value", "source", "contradicted"),
    [
        (">=18 20.11.0", "20.11.0", "b", 0),
        (">=18 20", "20", "b", 0),
        (">=18 ^20 20.11.0", "20.11.0", "c", 0),
        ("* 20.11.0", "20.11.0", "b", 0),
        ("lts/* 20.11.0", "20.11.0", "b", 0),
        (">=18 * 20.11.0", "20.11.0", "c", 0),
        (">=18 latest 20.11.0", "20.11.0", "c", 0),
        (">=18 20.11.0 18.20.0", "20.11.0", "b", 1),
        (">=18 >=16 20.11.0", "20.11.0", "c", 0),
        (">=18 <20", "19.2.0", "a and b", 0),
        (">=18 <20 18.1.0", "18.1.0", "c", 0),
        ("<20 >=18", "19.2.0", "a and b", 0),
        (">=20.5 20", "20.11.0", "a and b", 0),
        ("^20 >=18", "20.11.0", "a", 0),
        ("^18||^20 20.2.0", "20.2.0", "b", 0),
        (">=18 <16", "22.1.0", "a", 1),
        (">=18 16.1.0 20.1.0", "20.1.0", "c", 1),
        ("20 20.11.0", "20", "a", 0),
        ("latest 20.11.0", "22.1.0", "a", 1),
        (">=30 30.1.0", "30.1.0", "b", 0),
        (">=30 <40", "30", "a", 0),
    ],
)
def test_what_lies_inside_of_the_first_statement_decides(said: str, value: str, source: str, contradicted: int) -> None:
    stated = [versions.npm(text, source=name) for text, name in zip(said.split(), "abc", strict=False)]
    settings = Settings(
        releases={
            "nodejs": Releases(
                read="9999-12-31", newest_first=((22, 1, 0), (20, 11, 0), (19, 2, 0), (18, 20, 0), (16, 1, 0))
            )
        }
    )

    version, warnings = versions.resolve(stated, settings=settings, table="nodejs", default="22.1.0", line=1)

    assert (version.value, version.source) == (value, source)
    assert len(warnings) == contradicted


@pytest.mark.parametrize(
    ("files", "file"),
    [
        ({"index.js": "createServer()"}, ".nvmrc"),
        ({"index.js": "createServer()"}, ".node-version"),
        ({"config.ru": "run 1\n", "Gemfile": 'gem "puma"\n'}, ".ruby-version"),
        ({"main.py": "import flask\n"}, ".python-version"),
    ],
)
def test_the_version_of_the_machine_is_none(write: Write, files: Mapping[str, str], file: str) -> None:
    built = langs.build(write({**files, file: "system\n"}), Settings())

    assert built.version is not None
    assert built.version.source == "default"


def test_a_warning_quotes_what_was_written_and_what_became_of_it() -> None:
    stated = [versions.elixir("~> 1.14", source="mix.exs elixir"), versions.elixir("1.13.0", source=".tool-versions")]
    settings = Settings(releases={"elixir": Releases(read="9999-12-31", newest_first=((1, 20, 3), (1, 13, 0)))})

    _, warnings = versions.resolve(stated, settings=settings, table="elixir", default="1.18.4", line=2)

    assert list(warnings) == [
        (
            "mix.exs elixir asks for `~> 1.14`, which became 1.20.3; "
            ".tool-versions asks for 1.13.0, which does not allow it; mix.exs elixir wins"
        )
    ]


@pytest.mark.parametrize(
    ("files", "value"),
    [
        ({"package.json": '{"engines": {"node": ">=18"}, "scripts": {"start": "node x.js"}}'}, "nodejs 20.11.0"),
        ({"main.py": "import flask\n", "pyproject.toml": '[project]\nrequires-python = ">=3.9"\n'}, "python 3.11.4"),
        ({"config.ru": "run 1\n", "Gemfile": 'gem "puma"\nruby "~> 3.1"\n'}, "ruby 3.2.2"),
        ({"index.php": "<?php\n", "composer.json": '{"require": {"php": ">=8.1"}}'}, "php 8.3"),
        ({"mix.exs": '[app: :a, mod: {A, []}, elixir: "~> 1.14"]\n'}, "elixir 1.16.0"),
    ],
)
def test_a_pin_of_a_version_manager_decides_inside_of_the_manifests_range(
    write: Write, files: Mapping[str, str], value: str
) -> None:
    language, _, pinned = value.partition(" ")

    built = langs.build(write({**files, ".tool-versions": f"{value}\n"}), Settings())

    assert built.language == language
    assert built.version == Version(value=pinned, source=".tool-versions")
    assert not [warning for warning in built.warnings if "asks for" in warning]


def test_where_nothing_is_said_the_default_is_taken_and_not_the_newest() -> None:
    for stated in ([], [versions.npm("*", source="engines")]):
        version, warnings = versions.resolve(stated, settings=Settings(), table="nodejs", default="22.16.0", line=1)

        assert (version.value, warnings) == ("22.16.0", ())


@pytest.mark.parametrize(("read", "value"), [("9999-12-31", "22.1.0"), ("1999-12-31", None)])
def test_a_refreshed_table_counts_where_it_is_newer(read: str, value: str | None) -> None:
    settings = Settings(releases={"nodejs": Releases(read=read, newest_first=((22, 1, 0),))})
    stated = [versions.npm(">=18 <23", source="engines")]

    version, _ = versions.resolve(stated, settings=settings, table="nodejs", default="22.16.0", line=1)
    shipped, _ = versions.resolve(stated, settings=Settings(), table="nodejs", default="22.16.0", line=1)

    assert version.value == (value or shipped.value)
    assert shipped.value != "22.1.0"


def test_a_refreshed_table_reaches_the_languages(write: Write) -> None:
    root = write({"package.json": '{"engines": {"node": ">=18"}, "scripts": {"start": "node x.js"}}'})
    table = Releases(read="9999-12-31", newest_first=((19, 4, 2),))

    built = langs.build(root, Settings(releases={"nodejs": table}))

    assert built.version is not None
    assert built.version.value == "19.4.2"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        (".tool-versions", "ruby 3.3\nnodejs 20.1.0 18.0.0 # c\n", "20.1.0"),
        (".tool-versions", "nodejs system\n", None),
        ("mise.toml", '[tools]\nnode = "20"\n', "20"),
        ("mise.toml", '[tools]\nnode = ["20.1", "18"]\n', "20.1"),
        (".mise.toml", '[tools]\nnode = { version = "20" }\n', "20"),
        (".config/mise.toml", '[tools]\nnode = "20"\n', "20"),
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
