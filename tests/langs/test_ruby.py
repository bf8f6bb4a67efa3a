"""Ruby apps: what is one, which Ruby, what is installed when, and how it starts."""

from collections.abc import Mapping

import pytest
from hypothesis import given

import langs
from langs.errors import LangError
from langs.model import EPOCH, AppBuild, Settings, Version
from tests.langs import test_untrusted as untrusted
from tests.langs.conftest import Write
from tests.langs.test_untrusted import NASTY

RACK: Mapping[str, str] = {"Gemfile": 'gem "rack"\ngem "puma"\n', "config.ru": "run App\n"}
LOCK = "GEM\n  specs:\n    puma (6.6.0)\n    rack (3.1.16)\n"
RAILS: Mapping[str, str] = {
    "Gemfile": 'gem "rails"\ngem "puma"\ngem "propshaft"\ngem "bootsnap"\n',
    "Gemfile.lock": "GEM\n  specs:\n    rails (8.0.2)\n    puma (6.6.0)\n    bootsnap (1.18.4)\n",
    "config.ru": "run Rails.application\n",
    "config/application.rb": "",
    "app/models/a.rb": "",
}


def built(write: Write, files: Mapping[str, str], settings: Settings | None = None) -> AppBuild:
    return langs.build(write(files), settings or Settings())


@pytest.mark.parametrize(
    ("files", "language", "is_app"),
    [
        pytest.param(RACK, "ruby", True, id="Rack"),
        pytest.param({"Gemfile": "", "app.rb": ""}, "ruby", True, id="an entry beside a Gemfile"),
        pytest.param({"app.rb": "require 'sinatra'\n"}, "ruby", True, id="bare Sinatra"),
        pytest.param({"server.rb": "TCPServer.new(80)\n"}, "ruby", True, id="bare server"),
        pytest.param({"Gemfile": "gem 'rubocop'\n"}, "ruby", False, id="tools"),
        pytest.param({"Gemfile": "", "hello.rb": "require 'sinatra'\n"}, "ruby", True, id="a classic app of any name"),
        pytest.param({"Gemfile": "", "web.rb": "App.run! if __FILE__ == $0\n"}, "ruby", True, id="run! of any name"),
        pytest.param({"Gemfile": "", "lib.rb": "require 'sinatra/base'\n"}, "ruby", False, id="a class of Sinatra"),
        pytest.param({"Gemfile": "", "one.rb": "run!\n", "two.rb": "run!\n"}, "ruby", False, id="two scripts"),
        pytest.param({"Gemfile": "gemspec\n", "a.gemspec": "", "config.ru": ""}, "ruby", False, id="a library"),
        pytest.param({"gems.rb": "", "Procfile": "web: bundle exec ruby x.rb\n"}, "ruby", True, id="gems.rb"),
        pytest.param(
            {
                "Gemfile": "gem 'fastlane'\n",
                "package.json": '{"scripts": {"start": "node a.js"}, "dependencies": {"a": "1"}}',
            },
            "nodejs",
            True,
            id="a Node.js app's tools",
        ),
    ],
)
def test_evidence_decides(write: Write, files: Mapping[str, str], language: str, *, is_app: bool) -> None:
    found = langs.detect(write(files), Settings())

    assert found is not None
    assert (found.language, found.is_app) == (language, is_app)


@pytest.mark.parametrize("files", [{"Rakefile": "task :a\n"}, {".ruby-version": "3.4.4\n"}, {"script.rb": "puts 1\n"}])
def test_what_shows_no_app_is_none(write: Write, files: Mapping[str, str]) -> None:
    assert langs.detect(write(files), Settings()) is None


@pytest.mark.parametrize(
    ("more", "version", "source"),
    [
        ({}, "3.4.4", "default"),
        ({".ruby-version": "ruby-3.3.8\n", "Gemfile": 'ruby "3.4.1"\n'}, "3.3.8", ".ruby-version"),
        ({"Gemfile": 'ruby "3.2.8"\n'}, "3.2.8", "Gemfile ruby"),
        ({"Gemfile": 'ruby file: ".ruby"\n', ".ruby": "3.2\n"}, "3.2", "Gemfile ruby file: .ruby"),
        (
            {"Gemfile": 'ruby file: ".tools"\n', ".tools": "nodejs 22\nruby 3.3.1\n"},
            "3.3.1",
            "Gemfile ruby file: .tools",
        ),
        ({"Gemfile.lock": f"{LOCK}\nRUBY VERSION\n   ruby 3.3.6p108\n"}, "3.3.6", "Gemfile.lock RUBY VERSION"),
        ({".tool-versions": "ruby 3.2.1\n"}, "3.2.1", ".tool-versions"),
        ({"mise.toml": '[tools]\nruby = "3.3"\n'}, "3.3", "mise.toml"),
    ],
)
def test_a_version_is_taken_from_the_first_that_states_one(
    write: Write, more: Mapping[str, str], version: str, source: str
) -> None:
    files = {**RACK, **more, "Gemfile": RACK["Gemfile"] + more.get("Gemfile", "")}

    app = built(write, files)

    assert app.version == Version(value=version, source=source)
    assert f"FROM ruby:{version} AS install" in app.dockerfile
    assert f"FROM ruby:{version}-slim AS runtime" in app.dockerfile


@pytest.mark.parametrize("more", [{".ruby-version": "jruby-9.4.8.0\n"}, {"Gemfile": 'ruby "3.1", engine: "jruby"\n'}])
def test_another_ruby_than_the_reference_one_is_not_supported(write: Write, more: Mapping[str, str]) -> None:
    with pytest.raises(LangError, match="jruby is not supported yet"):
        built(write, {**RACK, **more})


@pytest.mark.parametrize(
    ("gems", "command"),
    [
        (("rack", "puma"), "bundle exec puma --bind tcp://0.0.0.0:$PORT"),
        (("rack", "falcon"), "bundle exec falcon serve --bind http://0.0.0.0:$PORT"),
        (("rack", "unicorn"), "bundle exec unicorn --listen 0.0.0.0:$PORT"),
        (("rack", "rackup", "webrick"), "bundle exec rackup --host 0.0.0.0 --port $PORT"),
    ],
)
def test_a_rack_application_is_served_by_what_the_bundle_has(write: Write, gems: tuple[str, ...], command: str) -> None:
    app = built(write, {**RACK, "Gemfile": "".join(f'gem "{gem}"\n' for gem in gems)})

    assert app.start_command == command


def test_a_source_of_any_name_that_serves_is_run(write: Write) -> None:
    app = built(write, {"Gemfile": 'gem "sinatra"\ngem "puma"\n', "hello.rb": "require 'sinatra'\n"})

    assert app.start_command == "bundle exec ruby hello.rb"


def test_a_rack_application_without_a_server_is_an_error_unless_a_command_is_given(write: Write) -> None:
    files = {"Gemfile": 'gem "rack"\n', "config.ru": ""}

    with pytest.raises(LangError, match="no server"):
        built(write, files)
    assert built(write, files, Settings(run_command="bundle exec ruby x.rb")).start_command == "bundle exec ruby x.rb"


def test_manifests_come_first_then_the_installation_then_the_sources(write: Write) -> None:
    app = built(
        write,
        {
            **RACK,
            "Gemfile": RACK["Gemfile"] + 'gem "money", path: "vendor/money"\n',
            "Gemfile.lock": f"{LOCK}\nBUNDLED WITH\n   2.6.9\n",
            ".ruby-version": "3.4\n",
            "vendor/money/money.gemspec": "",
            "vendor/cache/rack-3.1.16.gem": "",
        },
    )

    order = [
        "gem install bundler --version 2.6.9",
        "COPY Gemfile Gemfile.lock .ruby-version ./\n",
        "COPY vendor/money ./vendor/money/\n",
        "COPY vendor/cache ./vendor/cache/\n",
        "bundle install",
        "COPY . .",
        "rm -rf vendor/cache",
    ]
    places = [app.dockerfile.index(text) for text in order]
    assert places == sorted(places)
    assert "BUNDLE_DEPLOYMENT=true" in app.dockerfile
    assert "BUNDLE_WITHOUT=development:test" in app.dockerfile


def test_without_a_lockfile_nothing_is_frozen_and_a_warning_says_so(write: Write) -> None:
    app = built(write, RACK)

    assert "BUNDLE_DEPLOYMENT" not in app.dockerfile
    assert any("no Gemfile.lock" in warning for warning in app.warnings)


def test_groups_that_are_left_out_can_be_set(write: Write) -> None:
    app = built(write, RACK, Settings(env={"BUNDLE_WITHOUT": "test"}))

    runtime = app.dockerfile.rpartition("FROM ")[2]
    assert runtime.index("BUNDLE_WITHOUT=development:test") < runtime.index('ENV BUNDLE_WITHOUT="test"')


def test_a_gemspec_needs_the_sources_first(write: Write) -> None:
    app = built(write, {**RACK, "Gemfile": 'gemspec\ngem "puma"\n', "Procfile": "web: puma\n"})

    assert app.dockerfile.index("COPY . .") < app.dockerfile.index("bundle install")


def test_the_library_of_a_gem_is_installed_in_the_runtime_image(write: Write) -> None:
    app = built(write, {**RACK, "Gemfile": 'gem "puma"\ngem "pg"\ngem "mysql2"\n'})

    runtime = app.dockerfile.rpartition("FROM ")[2]
    assert "apt-get install --yes --no-install-recommends libmariadb3 libpq5" in runtime
    assert "target=/var/cache/apt,sharing=locked" in runtime
    assert {mount.target for mount in app.cache} >= {"/var/cache/apt", "/var/lib/apt/lists"}


def test_a_hardened_image_cannot_have_the_library_of_a_gem(write: Write) -> None:
    with pytest.raises(LangError, match="libpq5"):
        built(write, {**RACK, "Gemfile": 'gem "puma"\ngem "pg"\n'}, Settings(hardened=True))


@pytest.mark.parametrize(
    ("release", "key"), [("8.0.2", "SECRET_KEY_BASE_DUMMY=1"), ("7.0.8", "SECRET_KEY_BASE=precompile")]
)
def test_rails_assets_are_compiled_without_a_secret_in_the_image(write: Write, release: str, key: str) -> None:
    files = {**RAILS, "Gemfile.lock": RAILS["Gemfile.lock"].replace("8.0.2", release)}

    app = built(write, files)

    assert f"{key} \\\n    bundle exec rails assets:precompile" in app.dockerfile
    assert "SECRET_KEY_BASE" not in app.dockerfile.rpartition("FROM ")[2]


def test_rails_is_ready_for_a_root_that_cannot_be_written(write: Write) -> None:
    app = built(write, RAILS)

    assert "bootsnap precompile --gemfile" in app.dockerfile
    assert "bootsnap precompile app\n" in app.dockerfile
    runtime = app.dockerfile.rpartition("FROM ")[2]
    for said in ("RAILS_ENV=production", "RAILS_LOG_TO_STDOUT=1", "PIDFILE=/tmp/server.pid", "BOOTSNAP_READONLY=1"):
        assert said in runtime
    assert app.dockerignore is not None
    assert "config/master.key" in app.dockerignore


def test_bootsnap_knows_files_by_the_time_that_they_have_in_the_image_where_that_is_said(write: Write) -> None:
    app = built(write, RAILS, Settings(arguments={EPOCH: "0"}))

    told = 'RUN find {} -exec touch -h -d "@$SOURCE_DATE_EPOCH" {{}} + && bundle exec bootsnap precompile '
    assert told.format('"$GEM_HOME"') + "--gemfile\n" in app.dockerfile
    assert told.format(".") + "app\n" in app.dockerfile
    assert "touch" not in built(write, RAILS).dockerfile


def test_an_api_without_a_pipeline_compiles_no_assets(write: Write) -> None:
    app = built(write, {**RAILS, "Gemfile": 'gem "rails"\ngem "puma"\n', "Gemfile.lock": LOCK + "    rails (8.0.2)\n"})

    assert "assets:precompile" not in app.dockerfile


def test_a_lockfile_for_other_machines_only_is_a_warning(write: Write) -> None:
    app = built(write, {**RACK, "Gemfile.lock": f"{LOCK}\nPLATFORMS\n  arm64-darwin-24\n"})

    assert any("bundle lock --add-platform x86_64-linux" in warning for warning in app.warnings)


@pytest.mark.parametrize(
    "files",
    [
        {"Gemfile.lock": f"{LOCK}\nBUNDLED WITH\n   2.6.9; curl evil | sh\n"},
        {"Gemfile": 'gem "puma"\ngem "a", path: "../a"\n'},
        {"Gemfile": 'gem "puma"\neval_gemfile "/etc/passwd"\n'},
        {"Gemfile": 'gem "puma"\ngem "a", path: "a\\nRUN evil"\n', "a\nRUN evil/a.gemspec": ""},
        {".ruby-version": "3.4.4\nRUN evil\n$(id)", "Gemfile": 'gem "puma"\nruby "{{ 7 }}"\n'},
        {".ruby-version": "$(id)\n"},
    ],
)
def test_hostile_files_are_errors_with_a_hint(write: Write, files: Mapping[str, str]) -> None:
    with pytest.raises(LangError) as caught:
        built(write, {**RACK, **files})

    assert caught.value.hint


@pytest.mark.parametrize(("lock", "warned"), [("", True), ("RUBY VERSION\n   ruby 3.3.6p108\n", False)])
def test_a_computed_requirement_is_a_warning_where_nothing_else_says_the_version(
    write: Write, lock: str, *, warned: bool
) -> None:
    gems = 'ruby ENV["X"] || "3.2.1"\ngem "puma"\n'

    built = langs.build(write({"config.ru": "run 1\n", "Gemfile": gems, "Gemfile.lock": lock}), Settings())

    assert any("`ruby` is computed, and not understood" in warning for warning in built.warnings) == warned


@given(ruby=NASTY, gem=NASTY, path=NASTY, locked=NASTY, bundler=NASTY)
def test_whatever_bundlers_files_say_the_instructions_stay(
    ruby: str, gem: str, path: str, locked: str, bundler: str
) -> None:
    files = {
        ".ruby-version": ruby,
        "Gemfile": f'ruby "{ruby}"\ngem "puma"\ngem "{gem}", path: "{path}"\n',
        "Gemfile.lock": f"GEM\n  specs:\n    {locked} ({locked})\nBUNDLED WITH\n   {bundler}\n",
        "config.ru": "",
    }

    app = untrusted.build(files, Settings(language="ruby"))

    if app is not None:
        found = untrusted.counts(app)
        assert (found["FROM"], found["USER"], found["CMD"], found["EXPOSE"]) == (3, 1, 1, 1)
        assert "evil" not in app.dockerfile
