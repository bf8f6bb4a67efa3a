"""Mirrors of package indexes: what the tools read, where it stands, and where it does not."""

import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs import indexes
from langs.errors import LangError
from langs.model import Settings
from tests.langs import splitter
from tests.langs.conftest import Write

ADDRESS = "https://mirror.example/a?b=c&d='e'"


def test_each_tool_is_told_in_its_own_words() -> None:
    contents = {name: indexes.content(name, ADDRESS).decode() for name in indexes.NAMES}

    assert {name for name, content in contents.items() if content == ADDRESS} == {
        "npm",
        "pypi",
        "go",
        "rubygems",
        "hex",
    }
    cargo = tomllib.loads(contents["crates"])
    assert cargo["source"]["crates-io"]["replace-with"] == "mirror"
    assert cargo["source"]["mirror"]["registry"] == f"sparse+{ADDRESS}/"
    assert json.loads(contents["composer"])["repositories"][0]["url"] == ADDRESS
    for name in ("maven", "nuget"):
        assert "&amp;d=&apos;e&apos;" in contents[name]


@pytest.mark.parametrize(
    "address",
    [
        "",
        "x",
        "ftp://a",
        "https://",
        "https://a b",
        "https://a\nb",
        'https://a"b',
        "https://a<b",
        "https://a\\b",
        "https://ä",
    ],
)
def test_what_is_no_address_is_an_error_that_does_not_repeat_it(address: str) -> None:
    for name in indexes.NAMES:
        with pytest.raises(LangError) as caught:
            indexes.content(name, address)

        assert len(address) < 2 or address not in caught.value.message


@given(st.from_regex(r"https://[!-~]{1,50}", fullmatch=True))
def test_no_address_breaks_out_of_a_file(address: str) -> None:
    try:
        maven, cargo, composer = (indexes.content(name, address) for name in ("maven", "crates", "composer"))
    except LangError:
        return

    assert maven.count(b"<") == 12
    assert set(tomllib.loads(cargo.decode())) == {"source"}
    assert len(json.loads(composer)["repositories"]) == 2


@pytest.mark.parametrize(
    ("files", "name", "variable", "step"),
    [
        pytest.param(
            {"package.json": '{"scripts": {"start": "node a.js"}}', "package-lock.json": "{}"},
            "npm",
            "NPM_CONFIG_REGISTRY",
            "npm ci",
            id="npm",
        ),
        pytest.param(
            {"requirements.txt": "flask\n", "app.py": "import flask\napp = flask.Flask(__name__)\n"},
            "pypi",
            "PIP_INDEX_URL",
            "requirements.txt",
            id="pip",
        ),
        pytest.param(
            {"go.mod": "module a\n", "main.go": "package main\n\nfunc main() {}\n"},
            "go",
            "GOPROXY",
            "go mod download",
            id="go",
        ),
    ],
)
def test_the_steps_that_ask_an_index_are_told_and_the_image_is_not(
    write: Write, files: dict[str, str], name: str, variable: str, step: str
) -> None:
    root = write(files)

    plain = langs.build(root, Settings())
    mirrored = langs.build(root, Settings(indexes=indexes.NAMES))

    instructions = splitter.split(mirrored.dockerfile)
    install = next(rest for keyword, rest in instructions if keyword == "RUN" and step in rest)
    last = mirrored.dockerfile[mirrored.dockerfile.rindex("FROM ") :]
    assert f"--mount=type=secret,id=fleetpacks-index-{name},required=true" in install
    assert f'export {variable}="$(cat /run/secrets/fleetpacks-index-{name})"' in install
    assert "fleetpacks-index" not in last
    assert mirrored.indexes == (name,)
    assert plain.indexes == ()
    assert last == plain.dockerfile[plain.dockerfile.rindex("FROM ") :]


def test_a_users_dockerfile_is_offered_no_mirror(write: Write) -> None:
    text = "FROM a\nRUN --mount=type=secret,id=fleetpacks-index-npm,required=true cat /run/secrets/*\n"

    built = langs.build(write({"Dockerfile": text}), Settings(indexes=indexes.NAMES))

    assert built.indexes == ()
