"""Where an image has to be the same on every day, its steps are told of one time, and nothing tells another."""

import msgspec
import pytest

from langs.model import EPOCH, Settings
from tests.langs import splitter
from tests.langs.test_apps import GENERATED, build, settings_of

DEBIAN = next(case for case in GENERATED if build(case).apt_run)
"""One whose image gets Debian packages."""


def at_one_time(case: str) -> Settings:
    settings = settings_of(case)
    return msgspec.structs.replace(settings, arguments={**settings.arguments, EPOCH: "0"})


@pytest.mark.parametrize("case", GENERATED)
def test_every_stage_that_runs_anything_of_an_app_is_told_of_the_time_and_the_image_is_not(case: str) -> None:
    built = build(case, at_one_time(case))

    told: dict[str, bool] = {}
    silent: list[str] = []
    name = ""
    for keyword, rest in splitter.split(built.dockerfile):
        if keyword == "FROM":
            base, _, name = rest.split()
            # A stage has the arguments of the one that it stands on.
            told[name] = told.get(base, False)
        elif (keyword, rest) == ("ARG", EPOCH):
            told[name] = True
        # Whatever asks for a package or builds has a cache of packages.
        elif keyword == "RUN" and "type=cache" in rest and not told[name] and "apt-get" not in rest:
            silent.append(rest)
    assert silent == []
    assert not told["runtime"]
    assert built.args[EPOCH] == "0"


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("nodejs-pnpm-fastify", "RUN rm -f node_modules/.modules.yaml node_modules/.pnpm-workspace-state*.json"),
        (DEBIAN, " && rm -rf /var/log/apt /var/log/alternatives.log /var/log/dpkg.log "),
        ("ruby-sinatra", "'(' -name gem_make.out -o -name mkmf.log ')' -delete"),
        ("python-psycopg", "\nENV CFLAGS=-g0 CXXFLAGS=-g0\n"),
        ("python-uv-workspace", "RUN find /app/.venv -name uv_cache.json -delete && "),
        ("java-maven-javalin", ' -Dproject.build.outputTimestamp=1980-01-01T00:00:02Z"\n'),
        ("java-maven-spring", " && java -cp /tmp Stamp app.jar;"),
        ("java-gradle-javalin", "preserveFileTimestamps = false; reproducibleFileOrder = true"),
        ("clojure-lein-json", "java -cp /tmp Stamp /out/app.jar"),
    ],
)
def test_what_tells_the_day_of_an_installation_or_a_build_goes_where_that_is_asked_for(case: str, words: str) -> None:
    assert words in build(case, at_one_time(case)).dockerfile
    assert words not in build(case).dockerfile


@pytest.mark.parametrize("case", [case for case in GENERATED if "gradle" in case])
def test_every_archive_of_gradle_is_made_where_it_was_told_of_the_time(case: str) -> None:
    built = [rest for keyword, rest in splitter.split(build(case, at_one_time(case)).dockerfile) if keyword == "RUN"]

    own = [rest for rest in built if "--no-daemon" in rest]
    assert own
    assert [rest for rest in own if "-I /tmp/fleetpacks.gradle" not in rest] == []


@pytest.mark.parametrize(
    ("epoch", "said"),
    [
        ("0", "1980-01-01T00:00:02Z"),
        ("1700000000", "2023-11-14T22:13:20Z"),
        ("99999999999", "2099-12-31T23:59:59Z"),
        ("9" * 5000, None),
        ("yesterday", None),
        ("\u0661", None),
        ("", None),
    ],
)
def test_maven_is_told_a_time_that_jars_can_have(epoch: str, said: str | None) -> None:
    settings = msgspec.structs.replace(settings_of("java-maven-javalin"), arguments={EPOCH: epoch})

    text = build("java-maven-javalin", settings).dockerfile

    assert (f" -Dproject.build.outputTimestamp={said}" in text) == (said is not None)
    assert ("outputTimestamp" in text) == (said is not None)
