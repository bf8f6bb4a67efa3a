"""Variables of the builder's environment that speak to one language's tools: what reaches which step, and quoted."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs.errors import LangError
from langs.facts import TOOL_VARIABLES
from langs.model import Settings
from tests.langs import splitter
from tests.langs.conftest import Write

GO = {"go.mod": "module a\n\ngo 1.25\n", "main.go": "package main\n\nfunc main() {}\n"}
RUBY = {"Gemfile": 'gem "puma"\n', "Gemfile.lock": "", "config.ru": "run ->(e) { [200, {}, []] }\n"}
ELIXIR = {
    "mix.exs": 'defmodule A.MixProject do\n  use Mix.Project\n  def project, do: [app: :a, deps: [{:plug, "~> 1.0"}]]\n'
    "  def application, do: [mod: {A, []}]\nend\n",
    "mix.lock": "%{}\n",
}
CLOJURE = {"project.clj": '(defproject a "1" :main a.core)', "src/a/core.clj": "(ns a.core)\n(defn -main [] 1)\n"}
SBT = {
    "build.sbt": 'scalaVersion := "3.5.2"\nlazy val one = (project in file("one")).enablePlugins(JavaAppPackaging)\n'
    'lazy val two = (project in file("two")).enablePlugins(JavaAppPackaging)\n',
    "project/plugins.sbt": 'addSbtPlugin("com.github.sbt" % "sbt-native-packager" % "1.10.4")\n',
    "one/src/main/scala/A.scala": "object A extends App\n",
    "two/src/main/scala/B.scala": "object B extends App\n",
}
APPS = {"go": GO, "ruby": RUBY, "elixir": ELIXIR, "clojure": CLOJURE, "scala": SBT}
NASTY = 'a\'b "c" $(id) `id` {{ 7 * 7 }} \\ ; USER 0 << X'


def dockerfile(write: Write, app: dict[str, str], **variables: str) -> str:
    return langs.build(write(app), Settings(variables=variables)).dockerfile


def steps(text: str, part: str) -> list[str]:
    """The RUN instructions that hold a text, line breaks gone."""
    return [rest.replace("\\\n", " ") for keyword, rest in splitter.split(text) if keyword == "RUN" and part in rest]


@pytest.mark.parametrize(
    ("app", "name", "before"),
    [(RUBY, "BUNDLE_WITHOUT", "bundle install"), (ELIXIR, "MIX_ENV", "mix deps.get")],
    ids=["ruby", "elixir"],
)
def test_what_says_which_part_of_an_app_is_meant_is_said_to_the_installation_and_to_the_image(
    write: Write, app: dict[str, str], name: str, before: str
) -> None:
    text = dockerfile(write, app, **{name: "staging"})
    own = langs.build(write(app), Settings(variables={name: "staging"}, env={name: "mine"})).dockerfile

    assert text.index(f'ENV {name}="staging"') < text.index(before)
    assert text.count(f'ENV {name}="staging"') == 2
    assert f'ENV {name}="mine"' in own
    assert "staging" not in own


def test_a_release_stands_where_the_procfile_looks_for_it(write: Write) -> None:
    app = {**ELIXIR, "Procfile": "web: _build/staging/rel/a/bin/a start\n"}

    text = dockerfile(write, app, MIX_ENV="staging")

    assert "ln -s ../../.. /out/_build/staging/rel/a" in text


@pytest.mark.parametrize(
    ("variables", "flags"),
    [
        ({"GO_LINKER_SYMBOL": "main.version", "GO_LINKER_VALUE": "1.0"}, "-s -w -X 'main.version=1.0'"),
        ({"GO_LINKER_SYMBOL": "example.com/a-b/c.Version"}, "-s -w -X 'example.com/a-b/c.Version='"),
        ({"GO_LINKER_SYMBOL": "main.v", "GO_LINKER_VALUE": "it's $(id)"}, '-s -w -X "main.v=it\'s $(id)"'),
        ({"GO_LINKER_VALUE": "1.0"}, "-s -w"),
        ({}, "-s -w"),
    ],
)
def test_a_linkers_value_is_in_the_build_step_alone(write: Write, variables: dict[str, str], flags: str) -> None:
    text = dockerfile(write, GO, **variables)

    (step,) = steps(text, "go build")
    assert f"-ldflags={flags}" in shlex.split(step)
    assert text.count("-X ") == step.count("-X ")
    # What comes before is the same for every value: no installation runs again.
    assert text.split("RUN --mount")[0] == dockerfile(write, GO).split("RUN --mount")[0]


@pytest.mark.parametrize(
    ("symbol", "value"),
    [
        ("version", "1"),
        ("main.v'", "1"),
        ("main.v=1 -X", "1"),
        ("main.v", "'\""),
        ("main.v", "a\nb"),
        ("main.v", "<<X"),
    ],
)
def test_what_the_linker_cannot_be_told_is_an_error(write: Write, symbol: str, value: str) -> None:
    with pytest.raises(LangError):
        dockerfile(write, GO, GO_LINKER_SYMBOL=symbol, GO_LINKER_VALUE=value)


def test_gos_own_tools_are_in_the_image_where_that_is_asked_for(write: Write) -> None:
    copied = "COPY --from=builder /usr/local/go /usr/local/go"

    assert copied in dockerfile(write, GO, GO_INSTALL_TOOLS_IN_IMAGE="true")
    assert copied not in dockerfile(write, GO, GO_INSTALL_TOOLS_IN_IMAGE="false")


@pytest.mark.parametrize(
    ("variables", "command"),
    [
        ({"SBT_PROJECT": "two"}, "sbt two/stage"),
        ({"SBT_PROJECT": "one", "SBT_CLEAN": "true"}, "sbt clean one/stage"),
        ({"SBT_PROJECT": "one", "SBT_PRE_TASKS": "flyway 'testOnly A'"}, "sbt flyway 'testOnly A' one/stage"),
        ({"SBT_PROJECT": "one", "SBT_TASKS": "compile one/stage"}, "sbt compile one/stage"),
        ({"SBT_PROJECT": "one", "SBT_TASKS": "'$(id); id'"}, "sbt '$(id); id'"),
    ],
)
def test_sbt_runs_the_tasks_that_are_asked_for(write: Write, variables: dict[str, str], command: str) -> None:
    text = dockerfile(write, SBT, SBT_OPTS="-Xmx2G", **variables)

    assert [step.endswith(command) for step in steps(text, "sbt") if "update" not in step] == [True]
    before, _, runtime = text.rpartition("\nFROM ")
    assert before.index('ENV SBT_OPTS="-Xmx2G"') < before.index("sbt update")
    assert "SBT_OPTS" not in runtime


def test_a_project_of_sbt_that_there_is_not_is_an_error(write: Write) -> None:
    with pytest.raises(LangError, match=r"\$SBT_PROJECT") as caught:
        dockerfile(write, SBT, SBT_PROJECT="$(id)")

    assert "one, two" in caught.value.hint


def test_leiningen_runs_the_task_that_is_asked_for(write: Write) -> None:
    text = dockerfile(write, CLOJURE, LEIN_BUILD_TASK="do ring, 'uber jar'", LEIN_JVM_OPTS="-Xmx1g")

    assert steps(text, "lein do ring, 'uber jar'")
    before, _, runtime = text.rpartition("\nFROM ")
    assert 'ENV LEIN_JVM_OPTS="-Xmx1g"' in before
    assert "LEIN_" not in runtime


@pytest.mark.parametrize("language", APPS)
def test_what_speaks_to_another_language_changes_nothing(write: Write, language: str) -> None:
    app = APPS[language] if language != "scala" else {**SBT, "Procfile": "web: one/target/universal/stage/bin/one\n"}
    root = write(app)
    everything = {**dict.fromkeys(TOOL_VARIABLES, "main.x"), "SBT_PROJECT": "one"}

    mine = [name for name in TOOL_VARIABLES if name in langs.build(root, Settings(variables=everything)).dockerfile]

    prefixes = {"go": "GO_", "ruby": "BUNDLE_", "elixir": "MIX_", "clojure": "LEIN_", "scala": "SBT_"}
    assert [name for name in mine if not name.startswith(prefixes[language])] == []


@given(st.sampled_from(sorted(APPS)), st.sampled_from(TOOL_VARIABLES), st.text(max_size=30) | st.just(NASTY))
def test_no_value_ends_its_place(
    tmp_path_factory: pytest.TempPathFactory, language: str, name: str, value: str
) -> None:
    root = tmp_path_factory.mktemp("app")
    for path, text in APPS[language].items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    plain = Settings(run_command="one/target/universal/stage/bin/one" if language == "scala" else None)
    variables = {name: value, "GO_LINKER_SYMBOL": "main.v"} if name == "GO_LINKER_VALUE" else {name: value}

    try:
        built = langs.build(root, Settings(run_command=plain.run_command, variables=variables))
    except LangError:
        return

    def kinds(text: str) -> list[str]:
        return [keyword for keyword, _ in splitter.split(text) if keyword not in {"ENV", "COPY"}]

    assert kinds(built.dockerfile) == kinds(langs.build(root, plain).dockerfile)
