"""Gradle's scripts in both languages; what of a build is started, and how."""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs import gradle, gradlescript
from langs.errors import LangError
from langs.files import AppFiles
from langs.gradlescript import Values
from langs.model import Settings, Version
from tests.langs.conftest import Write

JAVA = "class Main {\n  public static void main(String[] a) {}\n}\n"
KOTLIN = "package shop\n\nfun main() {}\n"
WRAPPED = {"gradlew": "#!/bin/sh\n", "gradle/wrapper/gradle-wrapper.jar": "PK"}
WORDS = (
    "\n",
    *re.findall(
        r"\S+",
        """
plugins { } ( ) id 'java' apply plugin: version alias libs.plugins.a = sourceCompatibility of include
JavaVersion.VERSION_17 ':a' application mainClass manifest attributes 'Main-Class' . , kotlin "jvm" includeBuild
""",
    ),
)
NOTHING: set[str] = set()
CATALOG = """
[versions]
kotlin = "2.0.21"
java = "17"
spring-boot = { strictly = "3.4.1" }

[plugins]
kotlin-jvm = { id = "org.jetbrains.kotlin.jvm", version.ref = "kotlin" }
boot = { id = "org.springframework.boot", version.ref = "spring-boot" }
shadow = "com.gradleup.shadow:8.3.5"
"""


@pytest.mark.parametrize(
    ("file", "text", "plugins"),
    [
        ("build.gradle", "plugins {\n  id 'java'\n  id 'application'\n}", {"java", "application"}),
        ("build.gradle", "apply plugin: 'java'\napply plugin: 'kotlin'", {"java", "org.jetbrains.kotlin.jvm"}),
        ("build.gradle", "plugins { id 'a.b' version '1' apply false; id 'java' }", {"java"}),
        ("build.gradle", "// apply plugin: 'java'\n/* plugins { id 'java' } */", NOTHING),
        ("build.gradle", "def x = \"\"\"\napply plugin: 'java'\n\"\"\"", NOTHING),
        ("build.gradle", "subprojects { apply plugin: 'java' }", NOTHING),
        ("build.gradle", "allprojects { apply plugin: 'java' }", {"java"}),
        ("build.gradle.kts", 'plugins {\n  java\n  `java-library`\n  id("a.b") version "1" apply false\n}',
         {"java", "java-library"}),
        ("build.gradle.kts", 'plugins { kotlin("jvm") version "2.1.0"; application }',
         {"org.jetbrains.kotlin.jvm", "application"}),
        ("build.gradle.kts", "plugins { alias(libs.plugins.kotlin.jvm); alias(libs.plugins.boot) apply false }",
         {"org.jetbrains.kotlin.jvm"}),
        ("build.gradle.kts", 'apply(plugin = "java")', {"java"}),
        ("build.gradle.kts", 'plugins { id("our.conventions") }\napplication { mainClass = "a.B" }',
         {"our.conventions", "application"}),
        ("settings.gradle.kts", 'pluginManagement { plugins { kotlin("jvm") version "2.1.0" } }', NOTHING),
    ],
)  # fmt: skip
def test_the_plugins_that_a_script_applies_are_found(write: Write, file: str, text: str, plugins: set[str]) -> None:
    known = gradlescript.values(AppFiles(write({gradlescript.CATALOG: CATALOG})))

    assert set(gradlescript.parse(text, file, known).plugins) == plugins


@pytest.mark.parametrize(
    ("file", "text", "version"),
    [
        ("build.gradle", "sourceCompatibility = 1.8", ("8", "build.gradle sourceCompatibility")),
        ("build.gradle", "sourceCompatibility = '17'", ("17", "build.gradle sourceCompatibility")),
        ("build.gradle", "sourceCompatibility = JavaVersion.VERSION_11", ("11", "build.gradle sourceCompatibility")),
        ("build.gradle", "def v = '17'\nsourceCompatibility = v", ("17", "build.gradle sourceCompatibility")),
        ("build.gradle", "targetCompatibility javaVersion", ("11", "build.gradle targetCompatibility")),
        ("build.gradle", "java { toolchain { languageVersion = JavaLanguageVersion.of(17) } }\nsourceCompatibility=11",
         ("17", "build.gradle toolchain")),
        ("build.gradle.kts", "java { toolchain { languageVersion.set(JavaLanguageVersion.of(17)) } }",
         ("17", "build.gradle.kts toolchain")),
        ("build.gradle.kts", "java.toolchain.languageVersion = JavaLanguageVersion.of(libs.versions.java.get())",
         ("17", "build.gradle.kts toolchain")),
        ("build.gradle.kts", "tasks.withType<JavaCompile> { options.release.set(11) }",
         ("11", "build.gradle.kts release")),
        ("build.gradle.kts", 'java { sourceCompatibility = JavaVersion.toVersion("17") }',
         ("17", "build.gradle.kts sourceCompatibility")),
        ("build.gradle.kts", 'java { sourceCompatibility = JavaVersion.toVersion(property("javaVersion")!!) }',
         ("11", "build.gradle.kts sourceCompatibility")),
        ("build.gradle", "sourceCompatibility = findProperty('none') ?: 17",
         ("17", "build.gradle sourceCompatibility")),
        ("build.gradle", "sourceCompatibility = findProperty('unknown')", ("21", "default")),
        ("build.gradle.kts", 'tasks.compileJava { options.compilerArgs.add("-parameters") }', ("21", "default")),
    ],
)  # fmt: skip
def test_the_release_is_what_the_script_says(write: Write, file: str, text: str, version: tuple[str, str]) -> None:
    applied = "apply plugin: 'java'" if file == "build.gradle" else "plugins { java }"
    files = {
        file: f"{applied}\n{text}\n",
        "gradle.properties": "javaVersion=11\n",
        gradlescript.CATALOG: CATALOG,
        "src/main/java/Main.java": JAVA,
    }

    built = langs.build(write(files), Settings())

    assert built.version == Version(value=version[0], source=version[1])


@pytest.mark.parametrize(
    ("url", "java"),
    [
        ("https\\://services.gradle.org/distributions/gradle-8.10.2-bin.zip", "21"),
        ("https\\://services.gradle.org/distributions/gradle-7.6-all.zip", "17"),
        ("https\\://services.gradle.org/distributions/gradle-6.9.4-bin.zip", "11"),
        ("https\\://services.gradle.org/distributions/gradle-4.10-bin.zip", "8"),
        ("https\\://example.org/custom.zip", "21"),
    ],
)
def test_where_nothing_is_said_java_is_what_the_wrappers_gradle_runs_on(write: Write, url: str, java: str) -> None:
    files = {**WRAPPED, gradle.WRAPPER: f"distributionUrl={url}\n", "build.gradle": "apply plugin: 'java'\n"}

    built = langs.build(write({**files, "src/main/java/Main.java": JAVA}), Settings())

    assert built.version is not None
    assert built.version.value == java
    assert "sh ./gradlew" in built.dockerfile


def test_a_wrapper_without_its_jar_is_not_used(write: Write) -> None:
    files = {"gradlew": "", gradle.WRAPPER: "distributionUrl=x\n", "build.gradle": "apply plugin: 'java'\n"}

    built = langs.build(write({**files, "src/main/java/Main.java": JAVA}), Settings())

    assert "gradlew " not in built.dockerfile.replace("COPY", "").replace("gradlew build.gradle", "")
    assert "\n    gradle --no-daemon" in built.dockerfile


@pytest.mark.parametrize(
    ("files", "command", "task"),
    [
        pytest.param(
            {"build.gradle": "plugins { id 'java'; id 'org.springframework.boot' version '3.4.1' }"},
            "java $JAVA_OPTS -Dserver.port=$PORT -jar app.jar",
            ":bootJar",
            id="Spring Boot",
        ),
        pytest.param(
            {"build.gradle": "plugins { id 'war'; id 'java'; id 'org.springframework.boot' version '3.4.1' }"},
            "java $JAVA_OPTS -Dserver.port=$PORT -jar app.jar",
            ":bootWar",
            id="Spring Boot in a WAR",
        ),
        pytest.param(
            {
                "settings.gradle": "rootProject.name = 'shop'",
                "build.gradle": "plugins { id 'application' }\napplication { mainClass = 'a.Main' }",
            },
            "bin/shop",
            ":installDist",
            id="an application",
        ),
        pytest.param(
            {"build.gradle": "plugins { id 'application' }\nmainClassName = 'a.Main'\napplicationName = 'till'"},
            "bin/till",
            ":installDist",
            id="an application with a name",
        ),
        pytest.param(
            {
                "build.gradle.kts": 'plugins { java; id("com.gradleup.shadow") version "8.3.5" }\n'
                'tasks.jar { manifest { attributes["Main-Class"] = "a.Main" } }'
            },
            "java $JAVA_OPTS -jar app.jar",
            ":shadowJar",
            id="a jar with everything in it",
        ),
        pytest.param(
            {"build.gradle": "apply plugin: 'java'\njar { manifest { attributes('Main-Class': 'a.Main') } }"},
            'java $JAVA_OPTS -cp "app.jar:lib/*" a.Main',
            ":fleetpacksLibraries",
            id="a main class in the manifest",
        ),
        pytest.param(
            {"build.gradle": "apply plugin: 'java'", "src/main/java/Main.java": JAVA},
            'java $JAVA_OPTS -cp "app.jar:lib/*" Main',
            ":jar",
            id="a main method",
        ),
        pytest.param(
            {"build.gradle": "plugins { id 'java'; id 'io.quarkus' }"},
            "java $JAVA_OPTS -Dquarkus.http.host=0.0.0.0 -Dquarkus.http.port=$PORT -jar quarkus-run.jar",
            ":quarkusBuild",
            id="Quarkus",
        ),
        pytest.param(
            {
                "settings.gradle.kts": 'include(":apps:api", ":libs")',
                "apps/api/build.gradle.kts": 'plugins { application }\napplication { mainClass.set("a.Main") }',
                "libs/build.gradle.kts": "plugins { `java-library` }",
            },
            "bin/api",
            ":apps:api:installDist",
            id="a project below",
        ),
        pytest.param(
            {"build.gradle.kts": 'plugins { application; id("io.ktor.plugin") }\n'
             'application { mainClass = "io.ktor.server.netty.EngineMain" }'},
            "bin/app -port=$PORT",
            ":installDist",
            id="Ktor's own main class",
        ),
    ],
)  # fmt: skip
def test_what_starts_is_what_the_build_makes(write: Write, files: Mapping[str, str], command: str, task: str) -> None:
    built = langs.build(write(files), Settings())

    assert built.start_command == command
    assert f" {task}" in built.dockerfile


@pytest.mark.parametrize(
    ("files", "language", "is_app"),
    [
        pytest.param(
            {"settings.gradle.kts": "", "build.gradle.kts": "plugins { java }", "src/main/java/Main.java": JAVA},
            "java",
            True,
            id="Kotlin's scripts and only Java sources",
        ),
        pytest.param(
            {"build.gradle.kts": 'plugins { kotlin("jvm") }', "src/main/java/Main.java": JAVA},
            "java",
            True,
            id="Kotlin's plugin and only Java sources",
        ),
        pytest.param(
            {"build.gradle": "apply plugin: 'kotlin'", "src/main/kotlin/shop/Main.kt": KOTLIN},
            "kotlin",
            True,
            id="Kotlin in Groovy's scripts",
        ),
        pytest.param(
            {
                "build.gradle.kts": 'plugins { kotlin("jvm") }',
                "src/main/java/Util.java": "class Util {}",
                "src/main/kotlin/shop/Main.kt": KOTLIN,
            },
            "kotlin",
            True,
            id="Kotlin beside Java",
        ),
        pytest.param(
            {
                "build.gradle.kts": 'plugins { id("our.kotlin") }\napplication { mainClass = "shop.MainKt" }',
                "src/main/kotlin/shop/Main.kt": KOTLIN,
            },
            "kotlin",
            True,
            id="Kotlin's plugin is applied elsewhere",
        ),
        pytest.param(
            {"build.gradle.kts": 'plugins { id("com.android.application") }', "src/main/java/Main.java": JAVA},
            "java",
            False,
            id="Android",
        ),
        pytest.param({"settings.gradle": "", "build.gradle": ""}, "java", False, id="nothing to start"),
        pytest.param(
            {"build.gradle": "plugins { id 'java-library' }", "src/main/java/Main.java": "class Main {}"},
            "java",
            False,
            id="a library",
        ),
    ],
)
def test_sources_decide_the_language(
    write: Write,
    files: Mapping[str, str],
    language: str,
    is_app: bool,  # noqa: FBT001  (a table's column)
) -> None:
    detection = langs.detect(write(files), Settings())

    assert detection is not None
    assert (detection.language, detection.is_app, detection.package_manager) == (language, is_app, "gradle")


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({"build.gradle.kts": 'plugins { kotlin("jvm") version "2.0.0" }'}, ("2.0.0", "build.gradle.kts plugins")),
        (
            {"build.gradle": "plugins { id 'org.jetbrains.kotlin.jvm' version '1.9.24' }"},
            ("1.9.24", "build.gradle plugins"),
        ),
        (
            {"build.gradle": "buildscript { ext.kotlin_version = '1.8.10' }\napply plugin: 'kotlin'"},
            ("1.8.10", "build.gradle kotlin_version"),
        ),
        (
            {"build.gradle.kts": "plugins { alias(libs.plugins.kotlin.jvm) }", gradlescript.CATALOG: CATALOG},
            ("2.0.21", "build.gradle.kts plugins"),
        ),
        (
            {
                "build.gradle.kts": 'plugins { kotlin("jvm") version "2.0.0" }',
                "gradle.properties": "kotlinVersion=1.9.0\n",
            },
            ("1.9.0", "gradle.properties kotlinVersion"),
        ),
        ({"build.gradle": "apply plugin: 'kotlin'", ".kotlin-version": "2.2.0\n"}, ("2.2.0", ".kotlin-version")),
        ({"build.gradle": "apply plugin: 'kotlin'"}, ("2.1.0", "default")),
        ({"build.gradle": "ext.kotlin_version = '2.+'\napply plugin: 'kotlin'"}, ("2.1.0", "default")),
    ],
)
def test_kotlin_has_a_version_of_its_own_beside_the_jvms(
    write: Write, files: Mapping[str, str], version: tuple[str, str]
) -> None:
    built = langs.build(write({**files, "src/main/kotlin/shop/Main.kt": KOTLIN, ".java-version": "17"}), Settings())

    assert built.language == "kotlin"
    assert built.version == Version(value=version[0], source=version[1])
    assert built.runtime_version == Version(value="17", source=".java-version")
    assert "gradle:jdk17" in built.dockerfile


def test_what_gradle_reads_before_any_source_is_copied_before_it(write: Write) -> None:
    root = write(
        {
            **WRAPPED,
            "settings.gradle": "pluginManagement { includeBuild 'build-logic' }\ninclude 'api'",
            "build.gradle": "",
            "versions.gradle": "",
            "gradle.properties": "a=b",
            gradle.WRAPPER: "distributionUrl=gradle-8.5-bin.zip",
            gradlescript.CATALOG: CATALOG,
            "buildSrc/build.gradle": "",
            "build-logic/build.gradle": "",
            "api/build.gradle": "plugins { id 'application' }",
            "api/gradle.lockfile": "",
            "api/src/main/java/Main.java": JAVA,
        }
    )

    text = langs.build(root, Settings()).dockerfile
    before = text.partition("FROM install")[0]

    for copied in (
        "COPY gradlew gradle.properties build.gradle settings.gradle versions.gradle ./\n",
        "COPY gradle ./gradle/\n",
        "COPY buildSrc ./buildSrc/\n",
        "COPY build-logic ./build-logic/\n",
        "COPY api/gradle.lockfile api/build.gradle ./api/\n",
    ):
        assert copied in before
    assert "src" not in before.replace("buildSrc", "")


@pytest.mark.parametrize("path", ["..:other", "../other", "/etc"])
def test_a_project_outside_of_the_app_is_refused(write: Write, path: str) -> None:
    with pytest.raises(LangError, match="outside of the app's directory") as caught:
        langs.detect(write({"settings.gradle": f"include '{path}'", "build.gradle": ""}), Settings())

    assert caught.value.file == "settings.gradle"


@given(
    st.sampled_from(["build.gradle", "build.gradle.kts", "settings.gradle"]),
    st.one_of(
        st.text(),
        st.text("plugins{}()'\"\n apyid=:.$/*"),
        st.lists(st.sampled_from(WORDS)).map(" ".join),
    ),
)
def test_any_script_is_read(file: str, text: str) -> None:
    found = gradlescript.parse(
        text, file, Values(properties={"a": "b"}, versions={"a": "1"}, plugins={"a": ("b", "1")})
    )

    assert found.file == file


@given(st.one_of(st.text(), st.text("[versions]plugins=\n\"'{}.a-_:1 ")))
def test_any_catalog_is_understood_or_an_error(text: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "gradle").mkdir()
        Path(directory, gradlescript.CATALOG).write_text(text, encoding="utf-8", newline="")
        try:
            found = gradlescript.values(AppFiles(Path(directory)))
        except LangError:
            return

    assert all(isinstance(version, str) for version in found.versions.values())


def test_a_project_that_settings_above_include_is_a_part_of_their_build(write: Write) -> None:
    root = write(
        {
            "settings.gradle": "include 'api', 'lib'",
            "build.gradle": "",
            "api/build.gradle": "plugins { id 'application' }\nmainClassName = 'a.Main'",
            "lib/build.gradle": "plugins { id 'java-library' }",
            "other/build.gradle": "plugins { id 'application' }\nmainClassName = 'a.Main'",
        }
    )

    found = {
        name: detection.is_app
        for name in (".", "api", "lib", "other")
        if (detection := langs.detect(root / name, Settings(), within=root))
    }

    assert found == {".": True, "api": False, "lib": False, "other": True}
    assert langs.build(root / "api", Settings(), within=root).context == ".."


def test_a_project_is_built_with_those_that_it_names(write: Write) -> None:
    root = write(
        {
            "settings.gradle.kts": 'include("api", "web", "libs:text-tools", "libs:words", "unused")',
            "build.gradle.kts": "",
            "api/build.gradle.kts": 'plugins { application }\napplication { mainClass = "a.Main" }\n'
            "dependencies { implementation(projects.libs.textTools) }",
            "web/build.gradle.kts": 'plugins { application }\napplication { mainClass = "a.Main" }\n'
            'dependencies { implementation(project(path = ":libs:words")) }',
            "libs/text-tools/build.gradle.kts": "plugins { `java-library` }\n"
            'dependencies { api(project(":libs:words")) }',
            "libs/words/build.gradle.kts": "plugins { `java-library` }",
            "unused/build.gradle.kts": "plugins { `java-library` }",
        }
    )

    found = {name: langs.detect(root / name, Settings(), within=root) for name in ("api", "web")}
    api, web = (langs.build(root / name, Settings(), within=root) for name in ("api", "web"))

    assert {name: each.packages if each else None for name, each in found.items()} == {
        "api": ("libs/text-tools", "libs/words"),
        "web": ("libs/words",),
    }
    allowed = {line[1:] for line in (api.dockerignore or "").splitlines() if line.startswith("!")}
    assert {"api", "libs/text-tools", "libs/words", "unused/build.gradle.kts"} <= allowed
    assert allowed.isdisjoint({"web", "unused"})
    assert ":api:installDist" in api.dockerfile
    assert api.dockerfile.partition("FROM install")[0] == web.dockerfile.partition("FROM install")[0]


_MOVED = {
    "build.gradle": "",
    "services/svc/build.gradle": "plugins { id 'application' }\nmainClassName = 'a.Main'\n"
    "dependencies { implementation project(':libs:one') }",
    "services/web/build.gradle": "plugins { id 'application' }\nmainClassName = 'a.Main'",
    "shared/one/build.gradle": "plugins { id 'java-library' }",
}


@pytest.mark.parametrize(
    ("file", "place"),
    [
        ("settings.gradle", "file('{}')"),
        ("settings.gradle", 'file("{}")'),
        ("settings.gradle", "new File(settingsDir, '{}')"),
        ("settings.gradle", "new File(rootDir, './{}')"),
        ("settings.gradle.kts", 'file("{}")'),
        ("settings.gradle.kts", 'File(settingsDir, "{}")'),
        ("settings.gradle.kts", 'rootDir.resolve("{}")'),
    ],
)
def test_a_project_lies_where_the_settings_say(write: Write, file: str, place: str) -> None:
    places = {":svc": "services/svc", ":web": "services/web", ":libs:one": "shared/one"}
    said = [f'include("{path}")\nproject("{path}").projectDir = {place.format(at)}\n' for path, at in places.items()]
    root = write({**_MOVED, file: "".join(said)})

    detection = langs.detect(root / "services/svc", Settings(), within=root)
    built = langs.build(root / "services/svc", Settings(), within=root)

    assert detection is not None
    assert (detection.is_app, detection.packages) == (True, ("shared/one",))
    assert built.context == "../.."
    assert built.warnings == ()
    assert " :svc:installDist" in built.dockerfile
    assert "!shared/one" in (built.dockerignore or "").splitlines()


@pytest.mark.parametrize(
    "statement",
    [
        'project(":svc").projectDir = file("$where/svc")',
        'project(":svc").projectDir = file("../svc")',
        'project(":svc").projectDir = file(where)',
        "rootProject.children.each { it.projectDir = file(it.name) }",
        "project(':svc').setProjectDir(file('services/svc'))",
    ],
)
def test_a_place_that_cannot_be_read_is_a_warning(write: Write, statement: str) -> None:
    root = write({**_MOVED, "settings.gradle": f"include ':svc', ':web'\n{statement}\n"})

    built = langs.build(root / "services/svc", Settings(), within=root)

    assert len(built.warnings) == 1
    assert built.warnings[0].startswith("../../settings.gradle:2: projectDir is not read")


@pytest.mark.parametrize(
    ("script", "properties", "version", "warned"),
    [
        ('plugins { kotlin("jvm") version "$kv"; application }', "kv=1.9.25\n", "1.9.25", False),
        ('val kv = "1.9.24"\nplugins { kotlin("jvm") version "${kv}"; application }', "", "1.9.24", False),
        ('plugins { kotlin("jvm") version "1.9.+"; application }', "", "1.9", False),
        ('plugins { kotlin("jvm") version "$kv"; application }', "", "2.1.0", True),
        ('plugins { kotlin("jvm") version "${of(kv)}"; application }', "kv=1.9.25\n", "2.1.0", True),
    ],
)
def test_kotlins_version_may_have_a_name_and_a_guess_is_a_warning(
    write: Write, script: str, properties: str, version: str, *, warned: bool
) -> None:
    main = '\napplication { mainClass = "shop.MainKt" }\n'
    files = {"build.gradle.kts": script + main, "gradle.properties": properties, "src/main/kotlin/shop/Main.kt": KOTLIN}

    built = langs.build(write(files), Settings())

    assert built.language == "kotlin"
    assert built.version is not None
    assert built.version.value == version
    assert any("no constant of the build" in warning for warning in built.warnings) == warned
