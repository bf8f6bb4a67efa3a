"""HEALTHCHECK: which path is asked for, by what, and what cannot be asked."""

import json
import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs import health
from langs.errors import LangError
from langs.model import AppBuild, Settings
from tests.langs import splitter
from tests.langs.conftest import Write

NODE = {"server.js": "require('http').createServer().listen(process.env.PORT)\n"}
GO = {"go.mod": "module a\ngo 1.25\n", "main.go": "package main\nfunc main() {}\n"}
RAILS = {
    "config.ru": "run 1\n",
    "config/application.rb": "",
    "Gemfile": 'gem "rails"\ngem "puma"\n',
    "Gemfile.lock": "GEM\n  specs:\n    puma (6.0.0)\n    rails (8.0.2)\n\nPLATFORMS\n  ruby\n",
    "config/routes.rb": 'Rails.application.routes.draw do\n  get "up" => "rails/health#show", as: :up\nend\n',
}
SPRING = "org.springframework.boot"
POM = f"""<project><artifactId>a</artifactId>
<dependencies><dependency><groupId>{SPRING}</groupId><artifactId>%s</artifactId></dependency></dependencies>
<build><plugins><plugin><groupId>{SPRING}</groupId><artifactId>spring-boot-maven-plugin</artifactId></plugin></plugins></build>
</project>"""
JAVA = {"src/main/java/A.java": "class A { public static void main(String[] a) {} }\n"}
ACTUATOR = {"pom.xml": POM % "spring-boot-starter-actuator", **JAVA}
GRADLE = {
    "build.gradle": f"plugins {{ id '{SPRING}' version '3.4.1' }}\n"
    f"dependencies {{ implementation '{SPRING}:spring-boot-starter-actuator' }}\n",
    **JAVA,
}
LARAVEL = {
    "artisan": "",
    "composer.json": '{"require": {"laravel/framework": "^11"}}',
    "public/index.php": "<?php\n",
    "bootstrap/app.php": "<?php\nreturn Application::configure()->withRouting(\n    health: '/up',\n);\n",
}
STREAMLIT = {"requirements.txt": "streamlit\n", "streamlit_app.py": "import streamlit as st\nst.write(1)\n"}


def built(write: Write, files: Mapping[str, str], settings: Settings) -> AppBuild:
    return langs.build(write(files), settings)


def check_of(app: AppBuild) -> list[str]:
    """The words of the last stage's check; none where it has none."""
    found = [rest for keyword, rest in splitter.split(app.dockerfile) if keyword == "HEALTHCHECK"]
    assert len(found) <= 1
    words: list[str] = json.loads(found[0].partition(" CMD ")[2]) if found else []
    return words


@pytest.mark.parametrize(
    ("files", "path", "bad"),
    [
        (NODE, "/", "500"),
        (GO, "/", "500"),
        (RAILS, "/up", "400"),
        ({**RAILS, "config/routes.rb": "  # get 'up' => 'rails/health#show'\n"}, "/", "500"),
        ({**RAILS, "config/routes.rb": "  get('/well', to: 'rails/health#show')\n"}, "/well", "400"),
        ({**RAILS, "Gemfile.lock": RAILS["Gemfile.lock"].replace("8.0.2", "7.0.8")}, "/", "500"),
        (ACTUATOR, "/actuator/health", "400"),
        ({**ACTUATOR, "src/main/resources/application.properties": "server.port = 80\n"}, "/actuator/health", "400"),
        ({**ACTUATOR, "src/main/resources/application.properties": "management.server.port=81\n"}, "/", "500"),
        (
            {**ACTUATOR, "src/main/resources/application.yaml": "server:\n  servlet:\n    context-path: /a\n"},
            "/",
            "500",
        ),
        ({**ACTUATOR, "src/main/resources/application.yml": "a: [\n"}, "/", "500"),
        ({**ACTUATOR, "pom.xml": POM % "spring-boot-starter-web"}, "/", "500"),
        (GRADLE, "/actuator/health", "400"),
        (LARAVEL, "/up", "400"),
        ({**LARAVEL, "bootstrap/app.php": "<?php\n"}, "/", "500"),
        (STREAMLIT, "/_stcore/health", "400"),
    ],
)
def test_true_asks_for_the_frameworks_own_path_or_for_the_root(
    write: Write, files: Mapping[str, str], path: str, bad: str
) -> None:
    app = built(write, files, Settings(healthcheck=True))

    assert check_of(app)[-2:] == [path, bad]
    assert app.healthcheck == path


@pytest.mark.parametrize(
    ("files", "program"),
    [
        (NODE, "node"),
        (GO, "bash"),
        (RAILS, "ruby"),
        (ACTUATOR, "bash"),
        (LARAVEL, "php"),
        (STREAMLIT, "python"),
        ({"main.ts": "Deno.serve(() => new Response())\n", "deno.json": "{}"}, "deno"),
        ({"index.html": "<p>\n"}, "bash"),
    ],
)
def test_what_runs_the_app_asks_it_and_the_path_is_a_word_of_its_own(
    write: Write, files: Mapping[str, str], program: str
) -> None:
    app = built(write, files, Settings(healthcheck="/healthz?deep=1"))

    words = check_of(app)
    assert (words[0], words[-2:]) == (program, ["/healthz?deep=1", "400"])
    assert not any("healthz" in word for word in words[:-2])
    last = app.dockerfile.rpartition("\nFROM ")[2]
    assert re.search(
        r"^HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD \[.*\]$", last, re.MULTILINE
    )


@pytest.mark.parametrize("said", [None, False])
def test_nobody_is_asked_where_nobody_wants_it(write: Write, said: bool | None) -> None:  # noqa: FBT001 -- the setting
    app = built(write, NODE, Settings(healthcheck=said))

    assert (check_of(app), app.healthcheck) == ([], None)


@pytest.mark.parametrize(
    "path",
    ["", "healthz", "/a b", "/a\n", "/$(id)", "/`id`", '/"', "/'", "/\\", "/a;b", "/a|b", "/#", "/é", "/" + "a" * 200],
)
def test_what_is_no_path_is_refused(write: Write, path: str) -> None:
    with pytest.raises(LangError, match="is not a path"):
        built(write, NODE, Settings(healthcheck=path))


def test_a_hardened_image_asks_by_its_interpreter(write: Write) -> None:
    app = built(write, NODE, Settings(hardened=True, healthcheck=True))

    assert check_of(app)[0] == "node"


def test_a_hardened_image_with_nothing_that_asks_is_an_error(write: Write) -> None:
    with pytest.raises(LangError, match=r"nothing in dhi\.io/golang:1\.25\S* could ask") as caught:
        built(write, GO, Settings(hardened=True, healthcheck=True))

    assert "Kubernetes" in (caught.value.hint or "")
    assert "unset $USE_DHI" in caught.value.hint


def test_an_image_that_somebody_named_is_what_the_hint_is_about(write: Write) -> None:
    with pytest.raises(LangError, match="nothing in scratch could ask") as caught:
        built(write, GO, Settings(images={"debian": "scratch"}, healthcheck=True))

    assert "change `images.debian` in fleetpacks.toml to an image that has bash" in caught.value.hint
    assert "USE_DHI" not in caught.value.hint


def test_a_dockerfile_of_ones_own_says_it_itself(write: Write) -> None:
    app = built(write, {"Dockerfile": "FROM scratch\n"}, Settings(healthcheck=True, own=("healthcheck", "apt")))

    assert app.healthcheck is None
    assert [warning.partition(" ")[0] for warning in app.warnings] == ["`healthcheck`", "`apt`"]


@given(st.text(max_size=30))
def test_whatever_is_said_becomes_one_word_or_an_error(text: str) -> None:
    try:
        words = health.words(text, health.SHELL, has_shell=True, image="debian", images={})
    except LangError:
        return

    assert words[-2:] == (text, "400")
    assert re.fullmatch(r"/[!-~]*", text)
