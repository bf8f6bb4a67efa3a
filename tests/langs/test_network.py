"""The operator's network and mirrors in generated Dockerfiles: what fetches something sees them, and no image does."""

import re

import msgspec
import pytest

from langs import indexes, network
from langs.model import Settings
from tests.langs import splitter
from tests.langs.test_apps import GENERATED, build, settings_of

_ALL = (network.SCRIPT, network.CA, network.KEY_STORE)
_FETCHES = re.compile(
    r"npm (?:ci|install|pack)\b|yarn install|pnpm install|bun install|deno (?:install|cache)|pip .*install"
    r"|uv sync|poetry install|pdm (?:sync|install)|go mod download|cargo (?:fetch|build)|\bmvnw? -B"
    r"|fleetpacksFetch \|\|"
    r"|sbt update|lein deps|clojure -P|gem install|bundle install|composer install|dotnet restore"
    r"|mix (?:deps\.get|local\.hex)|install-php-extensions|apt-get install"
)
_TOOLCHAINS = re.compile(r"rustup target add|mix deps\.compile")
"""What fetches something that no package index has."""
_JAVA = frozenset({"java", "kotlin", "scala", "clojure"})


def _around(case: str) -> Settings:
    return msgspec.structs.replace(settings_of(case), network=_ALL, indexes=indexes.NAMES)


@pytest.mark.parametrize("case", GENERATED)
def test_each_step_that_fetches_sees_the_network_and_a_mirror(case: str) -> None:
    instructions = splitter.split(build(case, _around(case)).dockerfile)

    ran = [rest for keyword, rest in instructions if keyword == "RUN"]
    for step in filter(_FETCHES.search, ran):
        assert f"--mount=type=secret,id={network.SCRIPT},required=true" in step
        assert f"--mount=type=secret,id={network.CA},required=true" in step
        assert "--mount=type=secret,id=fleetpacks-index-" in step
    for step in filter(_TOOLCHAINS.search, ran):
        assert f"--mount=type=secret,id={network.SCRIPT},required=true" in step
    for step in ran:
        seen = f"id={network.SCRIPT}," in step
        assert (f". {network.path(network.SCRIPT)} && " in step) == seen


@pytest.mark.parametrize("case", GENERATED)
def test_what_stands_in_an_images_history_names_nothing_but_files_of_the_step(case: str) -> None:
    instructions = splitter.split(build(case, _around(case)).dockerfile)

    last = max(index for index, (keyword, _) in enumerate(instructions) if keyword == "FROM")
    told = [rest for keyword, rest in instructions[last:] if "fleetpacks" in rest and keyword != "COPY"]
    # A distribution's packages are the only ones that are installed into an image itself.
    assert all(re.search("apt-get install|install-php-extensions", rest) for rest in told)
    commands = [re.sub(r"--mount=\S+\s+(?:\\\n\s*)?", "", rest) for rest in told]
    assert all(command.count("fleetpacks") == 1 for command in commands)


@pytest.mark.parametrize("case", GENERATED)
def test_java_alone_has_a_store_of_its_own(case: str) -> None:
    built = build(case, _around(case))

    assert (f"id={network.KEY_STORE}," in built.dockerfile) == (built.language in _JAVA)


@pytest.mark.parametrize("case", GENERATED)
def test_where_nothing_is_said_nothing_is_told(case: str) -> None:
    assert "fleetpacks-network" not in build(case).dockerfile


def test_without_certificates_there_is_the_script_alone() -> None:
    assert network.seen((network.SCRIPT,), ("maven",)) == (network.Network(secrets=(network.SCRIPT,)),)
    assert network.seen((), ("maven",)) == ()
