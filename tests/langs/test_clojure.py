"""Clojure: what is started, and what stops with an error that says why."""

from collections.abc import Mapping

import pytest

import langs
from langs.errors import LangError
from langs.model import Settings, Version
from tests.langs.conftest import Write

LEIN = '(defproject a "1" :dependencies [[org.clojure/clojure "1.12.0"]] :main a.core)'
MAIN = "(ns a.core)\n(defn -main [])\n"
BUILD = "(defn uber [_] (b/uber {:main 'a.core}))"
TOOLS = ':build {:deps {io.github.clojure/tools.build {:mvn/version "0.10.10"}}}'


@pytest.mark.parametrize(
    ("files", "is_app", "manager"),
    [
        pytest.param({"project.clj": LEIN}, True, "leiningen", id="a main"),
        pytest.param({"project.clj": '(defproject a "1")'}, False, "leiningen", id="a library"),
        pytest.param({"project.clj": '(defproject a "1")', "src/a/core.clj": MAIN}, True, "leiningen", id="a -main"),
        pytest.param({"deps.edn": "{}"}, False, "tools-deps", id="a library of deps.edn"),
        pytest.param({"deps.edn": "{}", "src/a/core.cljc": MAIN}, True, "tools-deps", id="a -main of deps.edn"),
        pytest.param(
            {"deps.edn": '{:aliases {:test {:main-opts ["-m" "kaocha.runner"]}}}'}, False, "tools-deps", id="tests only"
        ),
        pytest.param(
            {"deps.edn": f"{{:aliases {{{TOOLS}}}}}", "build.clj": "(defn jar [_])"}, False, "tools-deps", id="a jar"
        ),
        pytest.param({"deps.edn": f"{{:aliases {{{TOOLS}}}}}", "build.clj": BUILD}, True, "tools-deps", id="uberjar"),
        pytest.param({"build.boot": "(set-env!)"}, False, "boot", id="Boot"),
    ],
)
def test_evidence_decides(write: Write, files: Mapping[str, str], manager: str, *, is_app: bool) -> None:
    detection = langs.detect(write(files), Settings())

    assert detection is not None
    assert (detection.language, detection.is_app, detection.package_manager) == ("clojure", is_app, manager)


def test_a_front_end_of_clojurescript_is_node(write: Write) -> None:
    root = write(
        {
            "package.json": '{"scripts": {"start": "node server.js"}, "dependencies": {"express": "4"}}',
            "deps.edn": '{:aliases {:cljs {:main-opts ["-m" "shadow.cljs.devtools.cli"]}}}',
            "src/a/core.cljs": "(defn -main [])",
        }
    )

    detection = langs.detect(root, Settings())

    assert detection is not None
    assert detection.language == "nodejs"


@pytest.mark.parametrize(
    ("files", "run", "command"),
    [
        ({"project.clj": LEIN, "src/a/core.clj": MAIN}, None, "java -cp app.jar clojure.main -m a.core"),
        ({"project.clj": LEIN}, None, "java -jar app.jar"),
        ({"project.clj": '(defproject a "1")', "src/a_b/c.clj": MAIN}, None, "java -cp app.jar clojure.main -m a-b.c"),
        (
            {"project.clj": '(defproject a "1" :plugins [[lein-ring "1"]] :ring {:handler a/b})'},
            None,
            "java -jar app.jar",
        ),
        (
            {"project.clj": LEIN, "src/a/core.clj": MAIN},
            "A=1 lein with-profile production trampoline run -m b.web $PORT",
            "A=1 java -cp app.jar clojure.main -m b.web $PORT",
        ),
        ({"project.clj": LEIN, "src/a/core.clj": MAIN}, "lein run", "java -cp app.jar clojure.main -m a.core"),
        (
            {"project.clj": LEIN},
            "java $JVM_OPTS -jar target/a-1-standalone.jar",
            "java $JVM_OPTS -jar target/a-1-standalone.jar",
        ),
        (
            {"deps.edn": '{:aliases {:run {:main-opts ["-m" "a.core"]}}}', "src/a/core.clj": MAIN},
            None,
            "java @.classpath clojure.main -m a.core",
        ),
        ({"deps.edn": "{}", "src/a/core.clj": MAIN}, None, "java @.classpath clojure.main -m a.core"),
        (
            {"deps.edn": '{:aliases {:w {:jvm-opts ["-Da=b c"] :main-opts ["-m" "a.core"]}}}'},
            "clojure -M:x:w $PORT",
            "java '-Da=b c' @.classpath clojure.main -m a.core $PORT",
        ),
        ({"deps.edn": f"{{:aliases {{{TOOLS}}}}}", "build.clj": BUILD}, None, "java -jar app.jar"),
        (
            {
                "deps.edn": f"{{:aliases {{{TOOLS}}}}}",
                "build.clj": "(defn uber [_] (b/uber {}))",
                "src/a/core.clj": MAIN,
            },
            None,
            "java -cp app.jar clojure.main -m a.core",
        ),
    ],
)
def test_the_image_starts_what_the_tool_would_start(
    write: Write, files: Mapping[str, str], run: str | None, command: str
) -> None:
    built = langs.build(write(files), Settings(run_command=run, language="clojure"))

    assert built.start_command == command
    assert built.processes[0].command == command


@pytest.mark.parametrize(
    ("files", "settings", "match"),
    [
        ({"project.clj": '(defproject a "1")'}, Settings(), "no `:main`"),
        ({"project.clj": "(defproject"}, Settings(), "never closed"),
        ({"project.clj": LEIN.replace("1.12.0", "x\\ny")}, Settings(), "not understood"),
        ({"project.clj": LEIN}, Settings(run_command="lein figwheel"), "lein is not in the image"),
        ({"project.clj": '(defproject a "1" :main a$b)', "src/a$b.clj": ""}, Settings(), "no namespace"),
        ({"project.clj": LEIN.replace("a.core", 'a.core :uberjar-name "$(id).jar"')}, Settings(), "plain file name"),
        ({"deps.edn": "{}"}, Settings(), "nothing says what is started"),
        ({"deps.edn": '{:deps {a {:local/root "../a"}}}'}, Settings(), "outside of the app"),
        ({"deps.edn": "{}"}, Settings(run_command="clojure -M:a;b"), "not in the image|cannot stand"),
        ({"deps.edn": "{}", "src/a/core.clj": MAIN, ".java-version": "8"}, Settings(), "Java 8"),
        ({"build.boot": ""}, Settings(), "Boot is not supported"),
    ],
)
def test_what_cannot_be_built_is_an_error_with_a_hint(
    write: Write, files: Mapping[str, str], settings: Settings, match: str
) -> None:
    with pytest.raises(LangError, match=match) as caught:
        langs.build(write(files), settings)

    assert caught.value.hint


def test_the_version_is_clojures_own_and_javas_stands_beside_it(write: Write) -> None:
    root = write({"project.clj": LEIN.replace("1.12.0", "1.12.0-beta2"), ".java-version": "17\n"})

    built = langs.build(root, Settings())

    assert built.version == Version(value="1.12.0-beta2", source="project.clj")
    assert built.runtime_version == Version(value="17", source=".java-version")
    assert "FROM clojure:temurin-17-lein AS" in built.dockerfile
    assert "FROM eclipse-temurin:17-jre AS" in built.dockerfile


def test_a_project_without_a_version_of_clojure_gets_the_default(write: Write) -> None:
    built = langs.build(write({"deps.edn": "{}", "src/a/core.clj": MAIN}), Settings())

    assert built.version == Version(value="1.11.1", source="default")


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"project.clj": LEIN, "checkouts/x/project.clj": ""}, id="checkouts"),
        pytest.param({"project.clj": LEIN.replace('"1" ', '~(slurp "VERSION") ')}, id="slurp"),
        pytest.param({"deps.edn": '{:deps {a {:local/root "lib"}}}', "src/a/core.clj": MAIN}, id="local root"),
    ],
)
def test_dependencies_that_lie_among_the_sources_are_there_for_the_installation(
    write: Write, files: Mapping[str, str]
) -> None:
    text = langs.build(write(files), Settings()).dockerfile

    assert text.index("COPY . .") < text.index("RUN ")
