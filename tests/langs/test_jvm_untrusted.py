"""Whatever poms, scripts and version files say, a JVM app's Dockerfile has the instructions of its template."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs.errors import LangError
from langs.model import AppBuild, Settings
from tests.langs import splitter
from tests.langs.test_untrusted import NASTY

MAIN = "package a;\nclass Main {\n  public static void main(String[] a) {}\n}\n"
SOURCE = "src/main/java/a/Main.java"
POM = """<project><artifactId>{artifact}</artifactId><version>{version}</version>
<properties><java.version>{java}</java.version><exec.mainClass>{main}</exec.mainClass></properties></project>"""
GRADLE = """apply plugin: 'application'
sourceCompatibility = {java}
mainClassName = {main}
applicationName = {name}
"""


def build(files: Mapping[str, str]) -> AppBuild | None:
    with tempfile.TemporaryDirectory() as directory:
        for path, text in files.items():
            file = Path(directory, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
        try:
            return langs.build(Path(directory), Settings())
        except LangError as error:
            refused = error
    assert refused.hint
    return None


def instructions(built: AppBuild) -> list[str]:
    return [keyword for keyword in splitter.keywords(built.dockerfile) if keyword != "LABEL"]


@given(artifact=NASTY, version=NASTY, java=NASTY, main=NASTY)
def test_whatever_a_pom_says_the_instructions_stay(artifact: str, version: str, java: str, main: str) -> None:
    says = {"artifact": artifact, "version": version, "java": java, "main": main}
    expected = build({"pom.xml": POM.format(artifact="a", version="1", java="17", main="a.Main"), SOURCE: MAIN})
    assert expected is not None

    built = build({"pom.xml": POM.format(**{key: escape(text) for key, text in says.items()}), SOURCE: MAIN})

    if built is not None:
        assert instructions(built) == instructions(expected)
        assert splitter.cmd(built.dockerfile)[:2] == ["/bin/sh", "-c"]


@given(java=NASTY, main=NASTY, name=NASTY, project=NASTY)
def test_whatever_a_script_says_the_instructions_stay(java: str, main: str, name: str, project: str) -> None:
    def script(*said: str) -> Mapping[str, str]:
        java, main, name, project = (json.dumps(text) for text in said)
        return {
            "build.gradle": GRADLE.format(java=java, main=main, name=name),
            "settings.gradle": f"rootProject.name = {project}\n",
        }

    expected = build(script("17", "a.Main", "a", "b"))
    assert expected is not None

    built = build(script(java, main, name, project))

    if built is not None:
        assert instructions(built) == instructions(expected)


@pytest.mark.parametrize("file", [".java-version", "system.properties", ".sdkmanrc", ".kotlin-version"])
@given(text=NASTY)
def test_whatever_a_version_file_says_the_instructions_stay(file: str, text: str) -> None:
    prefix = {"system.properties": "java.runtime.version=", ".sdkmanrc": "java="}.get(file, "")
    app = {"build.gradle": "apply plugin: 'kotlin'\n", "src/main/kotlin/Main.kt": "fun main() {}\n"}
    expected = build(app)
    assert expected is not None

    built = build({**app, file: prefix + text})

    if built is not None:
        assert instructions(built) == instructions(expected)


@given(st.lists(NASTY, min_size=1, max_size=3))
def test_whatever_directories_are_called_modules_stay_in_the_app(names: list[str]) -> None:
    modules = "".join(f"<module>{escape(name)}</module>" for name in names)
    text = f"<project><packaging>pom</packaging><artifactId>a</artifactId><modules>{modules}</modules></project>"

    built = build({"pom.xml": text, "Procfile": "web: java -jar a.jar\n"})

    if built is not None:
        copied = next(rest for keyword, rest in splitter.split(built.dockerfile) if keyword == "COPY")
        assert copied == "pom.xml ./"
