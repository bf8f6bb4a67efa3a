"""Elixir apps: releases and what runs under Mix, versions of Elixir and of Erlang/OTP, Phoenix."""

from collections.abc import Mapping

import pytest
from hypothesis import given

import langs
from langs.errors import LangError
from langs.model import AppBuild, Settings, Version
from tests.langs import test_untrusted as untrusted
from tests.langs.conftest import Write
from tests.langs.test_untrusted import NASTY

LINES = ("def project do", "[app: :shop, deps: deps()]", "end", "def application, do: [mod: {Shop, []}]")
MIX = "\n".join((*LINES, 'defp deps, do: [{:plug, "~> 1.0"}]\n'))
APP: Mapping[str, str] = {"mix.exs": MIX, "mix.lock": "%{}\n"}
PHOENIX: Mapping[str, str] = {
    "mix.exs": MIX.replace(":plug", ":phoenix") + 'defp aliases, do: ["assets.deploy": ["phx.digest"]]\n',
    "mix.lock": "%{}\n",
    "config/config.exs": "import Config\n",
    "config/prod.exs": "import Config\n",
    "config/runtime.exs": "import Config\n",
}
UMBRELLA: Mapping[str, str] = {
    "mix.exs": 'def project, do: [apps_path: "apps"]\n',
    "mix.lock": "%{}\n",
    "apps/core/mix.exs": "[app: :core]\n",
    "apps/web/mix.exs": "[app: :web, mod: {Web, []}]\n",
}


def built(write: Write, files: Mapping[str, str], settings: Settings | None = None) -> AppBuild:
    return langs.build(write(files), settings or Settings())


@pytest.mark.parametrize(
    ("files", "is_app"),
    [
        (APP, True),
        ({"mix.exs": "[app: :a]\n"}, False),
        ({"mix.exs": "[app: :a]\n", "Procfile": "web: mix run x.exs\n"}, True),
        (UMBRELLA, True),
        ({"mix.exs": '[app: :a, mod: {A, []}, lockfile: "../../mix.lock"]\n'}, False),
    ],
)
def test_what_starts_something_is_an_app(write: Write, files: Mapping[str, str], *, is_app: bool) -> None:
    found = langs.detect(write(files), Settings())

    assert found is not None
    assert (found.language, found.package_manager, found.is_app) == ("elixir", "mix", is_app)


@pytest.mark.parametrize(
    ("more", "version", "source", "otp"),
    [
        ({}, "1.18.4", "default", None),
        ({".elixir-version": "1.17.3\n"}, "1.17.3", ".elixir-version", None),
        ({".tool-versions": "erlang 26.2.5\nelixir 1.16.3-otp-26\n"}, "1.16.3", ".tool-versions", "26"),
        ({".tool-versions": "elixir 1.16.3-otp-26\n"}, "1.16.3", ".tool-versions", "26"),
        ({"mise.toml": '[tools]\nelixir = "1.17"\nerlang = "27"\n'}, "1.17", "mise.toml", "27"),
        ({".elixir-version": "1.17.3-otp-27"}, "1.17.3", ".elixir-version", "27"),
    ],
)
def test_versions_of_elixir_and_otp_are_taken_from_the_first_that_states_one(
    write: Write, more: Mapping[str, str], version: str, source: str, otp: str | None
) -> None:
    app = built(write, {**APP, **more})

    tag = f"{version}-otp-{otp}" if otp else version
    assert app.version == Version(value=version, source=source)
    assert (app.runtime_version.value if app.runtime_version else None) == otp
    assert f"FROM elixir:{tag} AS install" in app.dockerfile
    assert f"FROM elixir:{tag}-slim AS runtime" in app.dockerfile


def test_otp_can_be_forced_and_a_contradiction_is_a_warning(write: Write) -> None:
    settings = Settings(versions={"erlang": Version(value="27.1", source="$ERLANG_VERSION")})

    app = built(write, {**APP, ".tool-versions": "erlang 26.2.5\n"}, settings)

    assert app.runtime_version == Version(value="27", source="$ERLANG_VERSION")
    assert any("$ERLANG_VERSION" in warning and ".tool-versions" in warning for warning in app.warnings)


def test_an_otp_that_elixir_does_not_run_on_is_left_out_with_a_warning(write: Write) -> None:
    app = built(write, {**APP, ".elixir-version": "1.18.4\n", ".tool-versions": "erlang 24.3\n"})

    assert app.runtime_version is None
    assert "FROM elixir:1.18.4 AS install" in app.dockerfile
    assert any("Erlang/OTP 24" in warning for warning in app.warnings)


@pytest.mark.parametrize(
    ("more", "version", "otp"),
    [
        ({".tool-versions": "erlang 26.2\nelixir 1.16.0-otp-26\n"}, "1.16.0", "26"),
        # The newest one in the range that runs on it.
        ({".tool-versions": "erlang 26.2\n"}, "1.19.5", "26"),
        ({".tool-versions": "erlang 24.3\n"}, "1.16.3", "24"),
        # An Erlang that another Elixir was made for is none of this one.
        ({".elixir-version": "1.18.4\n", ".tool-versions": "elixir 1.16.0-otp-26\n"}, "1.18.4", None),
    ],
)
def test_an_elixir_and_an_otp_that_do_not_go_together_are_never_combined(
    write: Write, more: Mapping[str, str], version: str, otp: str | None
) -> None:
    app = built(write, {**APP, "mix.exs": MIX.replace(":shop,", ':shop, elixir: "~> 1.14",'), **more})

    assert app.version is not None
    assert app.version.value == version
    assert (app.runtime_version.value if app.runtime_version else None) == otp
    assert len(app.warnings) == (1 if ".elixir-version" in more else 0)


def test_what_an_umbrella_says_of_itself_comes_before_what_its_applications_require(write: Write) -> None:
    files = {**UMBRELLA, "apps/core/mix.exs": '[app: :core, elixir: "~> 1.18"]\n', ".tool-versions": "elixir 1.18.1\n"}

    app = built(write, files)

    assert app.version == Version(value="1.18.1", source=".tool-versions")
    assert not app.warnings


def test_a_requirement_becomes_a_release_inside(write: Write) -> None:
    app = built(write, {**APP, "mix.exs": MIX.replace(":shop,", ':shop, elixir: "~> 1.16.0",')})

    assert app.version is not None
    assert app.version.source == "mix.exs elixir"
    assert app.version.value.startswith("1.16")


def test_manifests_come_first_then_configuration_then_the_sources(write: Write) -> None:
    app = built(write, PHOENIX)

    order = [
        "mix local.hex --force --if-missing",
        "COPY mix.exs mix.lock ./\n",
        'mix deps.get --only "$MIX_ENV" --check-locked',
        "COPY config/config.exs config/prod.exs ./config/\n",
        "mix deps.compile",
        "COPY . .",
        "mix compile && mix assets.deploy",
        "mix release --overwrite --path /out",
        "ln -sf /proc/sys/kernel/random/uuid /out/releases/COOKIE",
    ]
    places = [app.dockerfile.index(text) for text in order]
    assert places == sorted(places)
    assert app.start_command == "bin/shop start"
    runtime = app.dockerfile.rpartition("FROM ")[2]
    assert "PHX_SERVER=true" in runtime
    assert "RELEASE_TMP=/tmp" in runtime
    assert "SECRET_KEY_BASE" not in app.dockerfile


def test_an_older_mix_cannot_check_its_lockfile(write: Write) -> None:
    assert "--check-locked" not in built(write, {**APP, ".elixir-version": "1.14.5"}).dockerfile


def test_an_umbrella_keeps_its_manifests_in_their_places(write: Write) -> None:
    app = built(write, {**UMBRELLA, "mix.exs": 'def project, do: [apps_path: "apps", releases: [all: [x: :y]]]\n'})

    assert "COPY apps/core/mix.exs ./apps/core/\n" in app.dockerfile
    assert "COPY apps/web/mix.exs ./apps/web/\n" in app.dockerfile
    assert "--skip-umbrella-children" in app.dockerfile
    assert app.start_command == "bin/all start"


def test_an_umbrella_without_releases_runs_under_mix(write: Write) -> None:
    app = built(write, UMBRELLA)

    assert app.start_command == "mix run --no-halt --no-compile --no-deps-check"
    assert "mix release" not in app.dockerfile
    assert "COPY --from=builder /opt/mix /opt/mix" in app.dockerfile


@pytest.mark.parametrize("line", ["web: mix phx.server", "release: mix ecto.migrate"])
def test_a_process_that_needs_mix_gets_it(write: Write, line: str) -> None:
    app = built(write, {**PHOENIX, "Procfile": f"{line}\n"})

    assert "mix release" not in app.dockerfile
    assert app.start_command in {"mix phx.server", "mix phx.server --no-compile --no-deps-check"}


def test_of_several_releases_the_one_that_is_started_is_made(write: Write) -> None:
    files = {**APP, "mix.exs": MIX.replace("[app: :shop,", "[app: :shop, releases: [a: [], b: []],")}

    with pytest.raises(LangError, match="several releases were found: a, b"):
        built(write, files)
    app = built(write, {**files, "Procfile": "web: _build/prod/rel/b/bin/b start\n"})
    assert "mix release b " in app.dockerfile
    assert "ln -s ../../.. /out/_build/prod/rel/b" in app.dockerfile


def test_a_cookie_of_the_projects_own_is_kept(write: Write) -> None:
    files = {**APP, "mix.exs": MIX.replace("[app: :shop,", '[app: :shop, releases: [shop: [cookie: "x"]],')}

    assert "COOKIE" not in built(write, files).dockerfile


def test_assets_with_packages_of_npm_get_node(write: Write) -> None:
    app = built(write, {**PHOENIX, "assets/package.json": "{}", "assets/package-lock.json": "{}"})

    assert "npm ci --prefix assets" in app.dockerfile
    assert app.dockerfile.index("npm ci") < app.dockerfile.index("COPY . .")


@pytest.mark.parametrize(
    "files",
    [
        {"mix.exs": MIX.replace('"~> 1.0"', 'path: "../plug"')},
        {"mix.exs": '[apps_path: "../apps"]\n'},
        {"mix.exs": '[apps_path: "apps/*"]\n'},
        {".elixir-version": "1.18.4\nRUN evil"},
        {".elixir-version": "{{ 7 * 7 }}"},
        {".tool-versions": "erlang ref:master\n"},
        {"mix.exs": MIX.replace(":shop,", ":shop, releases: [Evil: []],")},
        {"assets/package.json": "{}", "assets/yarn.lock": "", "mix.exs": PHOENIX["mix.exs"]},
    ],
)
def test_hostile_and_unsupported_files_are_errors_with_a_hint(write: Write, files: Mapping[str, str]) -> None:
    with pytest.raises(LangError) as caught:
        built(write, {**APP, **files})

    assert caught.value.hint


@given(app=NASTY, name=NASTY, version=NASTY, path=NASTY)
def test_whatever_mix_exs_says_the_instructions_stay(app: str, name: str, version: str, path: str) -> None:
    text = f'[app: :{app}, elixir: "{version}", mod: {{A, []}}, releases: [{name}: []], deps: [{{:b, path: "{path}"}}]]'

    made = untrusted.build({"mix.exs": text, ".elixir-version": version}, Settings(language="elixir"))

    if made is not None:
        found = untrusted.counts(made)
        assert (found["FROM"], found["USER"], found["CMD"], found["EXPOSE"]) == (3, 1, 1, 1)
        assert "evil" not in made.dockerfile
