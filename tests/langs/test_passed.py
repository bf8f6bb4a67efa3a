"""Variables of which nobody knows what they are for, and build arguments: where they stand in each Dockerfile."""

from pathlib import Path

import msgspec
import pytest

import langs
from langs.facts import GENERATED
from langs.model import AppBuild, Settings
from tests.langs import splitter
from tests.langs.test_apps import place_of

_APPS = Path(__file__).parents[1] / "apps"
_PASSED = Settings(passed={"SEEN_BY": 'the "app" $HOME'}, arguments={"ONLY_BUILT": "with"})
_ENV = 'ENV SEEN_BY="the \\"app\\" \\$HOME"'
_INSTALLS = {
    "nodejs-npm-express": "npm ci",
    "python-flask-pip": "pip --python /app/.venv/bin/python install",
    "ruby-sinatra": "bundle install",
    "go-ledger": "go mod download",
    "java-maven-javalin": "mvn -B --fail-never",
    "php-composer": "composer install",
    "elixir-release": "mix deps.get",
    "bun-express": "bun install",
    "deno-hono": "deno install",
}


def built(app: str, settings: Settings) -> AppBuild:
    said = _APPS / app / "settings.json"
    own = msgspec.json.decode(said.read_bytes(), type=dict[str, object]) if said.exists() else {}
    base = msgspec.to_builtins(settings)
    root = _APPS / app / "app"
    return langs.build(root / place_of(app), msgspec.convert({**base, **own}, Settings), within=root)


@pytest.mark.parametrize("app", sorted(path.name for path in _APPS.iterdir() if (path / "app").is_dir()))
def test_they_are_in_the_last_stage_of_every_language_and_arguments_are_not(app: str) -> None:
    made = built(app, _PASSED)
    _, _, last = made.dockerfile.rpartition("\nFROM ")

    assert made.args["ONLY_BUILT"] == "with"
    if made.language in GENERATED:
        assert _ENV in last
        assert "ONLY_BUILT" not in last
        assert "with" not in [rest for keyword, rest in splitter.split(made.dockerfile) if keyword == "ARG"]
        assert splitter.split(made.dockerfile)
    else:
        assert made.args["SEEN_BY"] == 'the "app" $HOME'


@pytest.mark.parametrize("app", _INSTALLS)
def test_no_dependency_is_installed_again_for_another_value(app: str) -> None:
    text = built(app, _PASSED).dockerfile
    other = built(app, Settings(passed={"SEEN_BY": "another"})).dockerfile

    assert _INSTALLS[app] in text
    assert text.index(_INSTALLS[app]) < text.index(_ENV)
    assert other.partition("ENV SEEN_BY=")[0].count("FROM") >= 1


def test_what_is_said_of_the_app_comes_before_what_is_only_passed() -> None:
    settings = Settings(env={"SEEN_BY": "the file"}, passed={"SEEN_BY": "x"}, arguments={"SEEN_BY": "y"})

    text = built("go-ledger", settings).dockerfile

    assert text.count('ENV SEEN_BY="the file"') == 2
    assert 'SEEN_BY="x"' not in text
    assert "ARG SEEN_BY" not in text
