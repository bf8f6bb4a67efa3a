"""Scala: what a build of sbt packages, what is started, and what stops with an error that says why."""

import time
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs import sbt, scalamain
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import Settings, Version
from tests.langs.conftest import Write

MAIN = "object Main extends App {\n}\n"
SOURCE = "src/main/scala/com/example/app/Main.scala"
PACKAGER = 'addSbtPlugin("com.github.sbt" % "sbt-native-packager" % "1.11.1")\n'
MILL = 'object web extends ScalaModule {\n  def scalaVersion = "3.3.6"\n}\nobject core extends ScalaModule\n'
ASSEMBLY = 'addSbtPlugin("com.eed3si9n" % "sbt-assembly" % "2.3.1")\n'
START = '{"scripts": {"start": "node server.js"}, "dependencies": {"express": "4"}}'


@pytest.mark.parametrize(
    ("files", "language", "is_app"),
    [
        pytest.param({"build.sbt": "", SOURCE: MAIN}, "scala", True, id="a main"),
        pytest.param({"build.sbt": ""}, "scala", False, id="a library"),
        pytest.param({"build.sbt": "enablePlugins(PlayScala)"}, "scala", True, id="Play"),
        pytest.param({"other.sbt": "", "Main.scala": MAIN}, "scala", True, id="a build of another name"),
        pytest.param({"build.mill": MILL, "web/src/a/Main.scala": MAIN}, "scala", True, id="Mill"),
        pytest.param({"build.sc": MILL}, "scala", False, id="a library of Mill"),
        pytest.param({"build.mill.yaml": "extends: ScalaModule"}, "scala", True, id="Mill in YAML"),
        pytest.param({"main.scala": "//> using dep a::b:1\n"}, "scala", True, id="Scala CLI"),
        pytest.param({"package.json": START, "project/plan.md": ""}, "nodejs", True, id="a directory project/"),
        pytest.param({"package.json": START, "project/build.properties": ""}, "nodejs", True, id="build.properties"),
        pytest.param({"package.json": START, "project/plugins.sbt": ""}, "nodejs", True, id="plugins alone"),
        pytest.param({"package.json": START, "build.sbt": ""}, "nodejs", True, id="a library beside"),
    ],
)
def test_evidence_decides(write: Write, files: Mapping[str, str], language: str, *, is_app: bool) -> None:
    detection = langs.detect(write(files), Settings())

    assert detection is not None
    assert (detection.language, detection.is_app) == (language, is_app)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (MAIN, ("Main",)),
        ("package a.b\n\nobject C extends IOApp.Simple:\n", ("a.b.C",)),
        ("package a\npackage b\nobject C extends cask.MainRoutes {", ("a.b.C",)),
        ("package a\nobject C {\n  def main(args: Array[String]): Unit = ()\n}", ("a.C",)),
        ("package a\nobject B\nobject C:\n  def main(args: Array[String]) = ()", ("a.C",)),
        ("package a\n@main def run(port: Int) = ()", ("a.run",)),
        ("@main\ndef run() = ()", ("run",)),
        ("class C extends App", ()),
        ("object C extends Application", ()),
        ("// object C extends App", ()),
        ("package object a {\n}", ()),
    ],
)
def test_main_classes_are_found(text: str, names: tuple[str, ...]) -> None:
    assert scalamain.classes(text) == names


@pytest.mark.parametrize(
    ("files", "run", "tasks", "command"),
    [
        ({"build.sbt": "", SOURCE: MAIN}, None, "export Runtime/fullClasspathAsJars", "java @.classpath Main"),
        (
            {"build.sbt": 'Compile / mainClass := Some("a.B")', SOURCE: MAIN},
            "sbt run",
            "export Runtime/fullClasspathAsJars",
            "java @.classpath a.B",
        ),
        ({"build.sbt": "", "project/a.sbt": ASSEMBLY, SOURCE: MAIN}, None, "sbt assembly", "java -jar app.jar"),
        (
            {"build.sbt": "enablePlugins(JavaAppPackaging)", "project/a.sbt": PACKAGER},
            None,
            "sbt stage",
            "bin/start",
        ),
        (
            {"build.sbt": 'lazy val a = (project in file(".")).enablePlugins(PlayScala)'},
            None,
            "sbt stage",
            "bin/start -Dhttp.port=$PORT",
        ),
        (
            {
                "build.sbt": 'lazy val core = project\nlazy val web = project.in(file("apps/web"))\n'
                "  .enablePlugins(JavaServerAppPackaging)",
                "project/a.sbt": PACKAGER,
            },
            "apps/web/target/universal/stage/bin/web",
            "sbt web/stage",
            "apps/web/target/universal/stage/bin/web",
        ),
        (
            {"build.mill": MILL, "mill": "", ".mill-version": "1.0.1", "web/src/a/Main.scala": MAIN},
            "./mill web.run",
            "sh ./mill -i web.assembly",
            "java -jar app.jar",
        ),
        (
            {"build.sc": "object app extends RootModule with ScalaModule", "millw": "", "src/Main.scala": MAIN},
            None,
            "sh ./millw -i assembly",
            "java -jar app.jar",
        ),
        (
            {"build.sbt": "enablePlugins(JavaAppPackaging)", "project/a.sbt": PACKAGER + ASSEMBLY},
            "java -jar target/scala-3.3.6/a-assembly-1.jar",
            "sbt assembly",
            "java -jar target/scala-3.3.6/a-assembly-1.jar",
        ),
    ],
)
def test_what_the_build_can_make_is_what_is_started(
    write: Write, files: Mapping[str, str], run: str | None, tasks: str, command: str
) -> None:
    built = langs.build(write(files), Settings(run_command=run, language="scala"))

    assert tasks in built.dockerfile
    assert built.start_command == command


@pytest.mark.parametrize(
    ("files", "match"),
    [
        ({"build.sbt": ""}, "no main class"),
        ({"build.sbt": "", "A.scala": MAIN, "src/main/scala/B.scala": "@main def b = 1"}, "several main classes"),
        (
            {"build.sbt": "".join(f"lazy val {name} = project.enablePlugins(PlayScala)\n" for name in "ab")},
            "several projects can be packaged: a, b",
        ),
        ({"build.sbt": 'scalaVersion := "3\\nRUN id"', SOURCE: MAIN}, "not understood"),
        ({"build.sbt": 'mainClass := Some("a b; id")', SOURCE: MAIN}, "no name of a class"),
        ({"build.sbt": "", "project/build.properties": "sbt.version=2.0.0", SOURCE: MAIN}, "sbt 2 is not supported"),
        ({"build.sbt": "", ".java-version": "22", SOURCE: MAIN}, "no image of sbt with Java 22"),
        ({"build.sbt": "", SOURCE: MAIN, "Procfile": "web: sbt console\n"}, "sbt is not in the image"),
        ({"build.mill": MILL, "web/src/A.scala": MAIN}, "bootstrap script is not there"),
        ({"build.mill": MILL, "mill": ""}, "no module has a main class"),
        ({"build.mill": MILL, "mill": "", "web/src/A.scala": MAIN, "core/src/A.scala": MAIN}, "several modules"),
        ({"build.mill.yaml": ""}, "Mill with a build in YAML is not supported"),
        ({"a.scala": "//> using scala 3"}, "the Scala CLI is not supported"),
    ],
)
def test_what_cannot_be_built_is_an_error_with_a_hint(write: Write, files: Mapping[str, str], match: str) -> None:
    with pytest.raises(LangError, match=match) as caught:
        langs.build(write(files), Settings(language="scala"))

    assert caught.value.hint


@pytest.mark.parametrize(
    ("files", "value", "source"),
    [
        ({"build.sbt": 'ThisBuild / scalaVersion := "3.3.6"'}, "3.3.6", "build.sbt scalaVersion"),
        ({"build.sbt": 'scalaVersion in ThisBuild := "2.13.16"'}, "2.13.16", "build.sbt scalaVersion"),
        ({"build.sbt": 'val v = "3.4.0-RC1"\nscalaVersion := v'}, "3.4.0-RC1", "build.sbt scalaVersion"),
        (
            {"build.sbt": "scalaVersion := V.scala", "project/V.scala": 'object V { val scala = "2.12.20" }'},
            "2.12.20",
            "build.sbt scalaVersion",
        ),
        ({"build.sbt": "", ".scala-version": "3.6.4\n"}, "3.6.4", ".scala-version"),
        ({"build.sbt": '// scalaVersion := "2.11.0"'}, "3.5.2", "default"),
    ],
)
def test_the_version_is_scalas_own_and_javas_stands_beside_it(
    write: Write, files: Mapping[str, str], value: str, source: str
) -> None:
    built = langs.build(write({**files, SOURCE: MAIN}), Settings())

    assert built.version == Version(value=value, source=source)
    assert built.runtime_version == Version(value="21", source="default")


def test_the_sbt_of_long_ago_gets_the_java_of_its_time(write: Write) -> None:
    built = langs.build(
        write({"build.sbt": "", "project/build.properties": "sbt.version=0.13.18\n", SOURCE: MAIN}), Settings()
    )

    assert built.runtime_version == Version(value="8", source="project/build.properties sbt.version")
    assert "eclipse-temurin-8u352-b08" in built.dockerfile


@pytest.mark.parametrize(
    ("files", "command"),
    [
        ({"build.sbt": "enablePlugins(JavaAppPackaging)", SOURCE: MAIN}, "java -cp 'lib/*' Main"),
        (
            {"build.sbt": "enablePlugins(PlayScala)"},
            "java -Duser.dir=/app -Dhttp.port=$PORT -cp 'lib/*' play.core.server.ProdServerStart",
        ),
    ],
)
def test_an_image_without_a_shell_starts_the_class_itself(write: Write, files: Mapping[str, str], command: str) -> None:
    built = langs.build(write(files), Settings(hardened=True))

    assert built.start_command == command
    assert '"/bin/sh"' not in built.dockerfile.splitlines()[-1]


def test_any_image_of_sbt_may_be_named(write: Write) -> None:
    settings = Settings(images={"sbtscala/scala-sbt": "registry.example/sbt:mine"})

    built = langs.build(write({"build.sbt": "", ".java-version": "22", SOURCE: MAIN}), settings)

    assert "FROM registry.example/sbt:mine AS builder" in built.dockerfile


MARKS = ["(", ")", "{", "}", '"', '"""', "/*", "*/", "//", "\n", " ", ",", ":=", "%", ".", '"a"', 's"$a"']
WORDS = [
    "lazy val ",
    "project",
    "in",
    "file",
    "enablePlugins",
    "PlayScala",
    "scalaVersion",
    "mainClass",
    "Some",
    "name",
]
PIECES = st.sampled_from([*MARKS, *WORDS, "object ", "extends App", "@main def ", "package ", "def main(", "Array["])


@given(text=st.one_of(st.text(), st.lists(PIECES).map("".join)))
def test_any_build_is_read(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    root = tmp_path_factory.mktemp("app")
    (root / "build.sbt").write_text(text, encoding="utf-8", newline="")

    try:
        found = sbt.read(AppFiles(root))
    except LangError:
        return

    assert found is not None
    assert found.files == ("build.sbt",)
    assert all(isinstance(name, str) for name in scalamain.classes(text))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("package " + "a." * 400_000, id="package"),
        pytest.param("object A " * 100_000, id="objects"),
        pytest.param("\nobject A\n" * 40_000 + "  def main(\n" * 40_000, id="methods"),
        pytest.param("@main " * 150_000, id="annotations"),
        pytest.param("lazy val a = project\n" * 40_000, id="projects"),
        pytest.param("(" * 500_000, id="brackets"),
    ],
)
def test_no_text_makes_the_readers_slow(write: Write, text: str) -> None:
    root = write({"build.sbt": text})
    begun = time.process_time()

    scalamain.classes(text)
    sbt.read(AppFiles(root))

    assert time.process_time() - begun < 10


@pytest.mark.parametrize(
    ("text", "version", "source"),
    [
        ('crossScalaVersions := Seq("2.13.16", "3.3.6", "2.12.20")', "3.3.6", "build.sbt crossScalaVersions"),
        ('val three = "3.4.2"\ncrossScalaVersions := List("2.13.16", three)', "3.4.2", "build.sbt crossScalaVersions"),
        ('crossScalaVersions := Seq("3.3.6")\nscalaVersion := "2.13.16"', "2.13.16", "build.sbt scalaVersion"),
        ("crossScalaVersions := Seq(Latest.scala)", "3.5.2", "default"),
    ],
)
def test_the_highest_of_the_crossed_versions_counts_where_no_other_is_said(
    write: Write, text: str, version: str, source: str
) -> None:
    built = langs.build(write({"build.sbt": text, SOURCE: MAIN}), Settings())

    assert built.version == Version(value=version, source=source)
    assert any("no constant of the build" in warning for warning in built.warnings) == (source == "default")
