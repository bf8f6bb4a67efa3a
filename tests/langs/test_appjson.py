"""app.json: what is handed on to those who run the app, and what is never obeyed."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs import appjson
from langs.errors import LangError
from langs.model import Addon, Formation, Release, Script, Settings
from tests.langs.conftest import Write

GO = {"go.mod": "module a\n", "main.go": "package main\n\nfunc main() {}\n"}


def test_everything_that_heroku_writes_arrives() -> None:
    found = appjson.parse(
        """{
          "name": "shop", "image": "heroku/nodejs", "keywords": [1],
          "env": {
            "SHORT": "x", "VALUE": {"value": "y", "description": "z"}, "NUMBER": {"value": 5}, "ON": {"value": true},
            "SECRET": {"generator": "secret"}, "NEEDED": {"required": true}, "OPTIONAL": {"required": false}
          },
          "formation": {"web": {"quantity": 2, "size": "standard-1x"}, "worker": {}},
          "scripts": {"postdeploy": "./migrate", "pr-predestroy": {"command": "./drop"}},
          "addons": ["heroku-postgresql:mini", {"plan": "redis", "as": "CACHE", "options": {"version": "7"}}],
          "buildpacks": [{"url": "heroku/nodejs"}, "heroku/ruby"]
        }"""
    )

    assert found == appjson.AppJson(
        release=Release(
            env={
                "SHORT": "x",
                "VALUE": "y",
                "NUMBER": "5",
                "ON": "true",
                "SECRET": None,
                "NEEDED": None,
                "OPTIONAL": None,
            },
            formation=(Formation(name="web", quantity=2, size="standard-1x"), Formation(name="worker")),
            scripts=(
                Script(name="postdeploy", command="./migrate"),
                Script(name="pr-predestroy", command="./drop"),
            ),
            addons=(
                Addon(plan="heroku-postgresql:mini"),
                Addon(plan="redis", attached_as="CACHE", options={"version": "7"}),
            ),
        ),
        buildpacks=("heroku/nodejs", "heroku/ruby"),
    )


@pytest.mark.parametrize(
    ("buildpack", "language"),
    [
        ("heroku/nodejs", "nodejs"),
        ("miget/python", "python"),
        ("ruby", "ruby"),
        ("urn:cnb:registry:heroku/go", "go"),
        ("https://github.com/heroku/heroku-buildpack-jvm-common.git#v1", "jvm-common"),
        ("https://github.com/heroku/heroku-buildpack-gradle", "java"),
        ("https://buildpack-registry.s3.amazonaws.com/buildpacks/heroku-community/elixir.tgz", "elixir"),
        ("https://github.com/a/heroku-buildpack-golang/", "go"),
        ("heroku/dotnet", "dotnet"),
    ],
)
def test_a_buildpack_names_its_language(buildpack: str, language: str) -> None:
    assert appjson.language(buildpack) == language


def test_a_variable_is_never_a_setting(write: Write) -> None:
    names = ("OUTPUT_IMAGE", "RUN_COMMAND", "BUILD_COMMAND", "PORT", "GO_VERSION", "CACHE_IMAGE", "LANGUAGE", "USE_DHI")
    plain = langs.build(write(GO), Settings())

    built = langs.build(
        write({"app.json": json.dumps({"env": {name: {"value": "nodejs"} for name in names}})}), Settings()
    )

    assert built.dockerfile == plain.dockerfile
    assert built.port == plain.port
    assert built.start_command == plain.start_command
    assert built.release is not None
    assert set(built.release.env) == set(names)


def test_what_others_keep_in_a_file_of_this_name_is_passed_over(write: Write) -> None:
    built = langs.build(write({**GO, "app.json": '{"expo": {"name": "a"}, "displayName": "b"}'}), Settings())

    assert built.release == Release()


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"env": []}',
        '{"env": {"A": {"value": []}}}',
        '{"formation": [{"quantity": 1}]}',
        '{"formation": {"web": {"quantity": "many"}}}',
        '{"scripts": {"a": 1}}',
        '{"addons": [{"as": "x"}]}',
        '{"buildpacks": [1]}',
        '{"scripts": {"postdeploy": "a\\u0000b"}}',
        '{"env": {"A\\u001b[2J": "x"}}',
        "[" * 100_000,
    ],
)
def test_what_is_wrong_names_the_file(text: str) -> None:
    with pytest.raises(LangError) as caught:
        appjson.parse(text)

    assert caught.value.file == "app.json"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(["env", "formation", "scripts", "addons", "buildpacks", "value", "url", "plan"])
                | st.text(),
                inner,
            )
        ),
    ).map(json.dumps)
)
def test_any_app_json_is_understood_or_an_error(text: str) -> None:
    try:
        found = appjson.parse(text)
    except LangError:
        return

    assert all(isinstance(name, str) for name in found.release.env)
