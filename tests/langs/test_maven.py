"""pom.xml: properties, parents, modules; what of a project is started, and how."""

import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs import maven, pom
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import Settings, Version
from tests.langs.conftest import Write

MAIN = "package com.example;\n\npublic class Main {\n  public static void main(String[] args) {}\n}\n"
SOURCE = "src/main/java/com/example/Main.java"
COORDINATES = "<groupId>com.example</groupId><artifactId>shop</artifactId><version>1.2</version>"
BOOT = "<plugin><groupId>org.springframework.boot</groupId><artifactId>spring-boot-maven-plugin</artifactId>{}</plugin>"
MICRONAUT = "<plugin><groupId>io.micronaut.maven</groupId><artifactId>micronaut-maven-plugin</artifactId></plugin>"
ACTIVE = "<activation><activeByDefault>true</activeByDefault></activation>"
INACTIVE = "<profile><properties><java.version>8</java.version></properties></profile>"
TAGS = [f"<{slash}{name}>" for name in ("project", "modules", "build", "plugins", "properties") for slash in ("", "/")]


def project(content: str, coordinates: str = COORDINATES) -> str:
    return f'<project xmlns="http://maven.apache.org/POM/4.0.0">{coordinates}{content}</project>'


def plugins(*each: str) -> str:
    return f"<build><plugins>{''.join(each)}</plugins></build>"


def properties(**each: str) -> str:
    pairs = ((key.replace("_", "."), value) for key, value in each.items())
    return f"<properties>{''.join(f'<{key}>{value}</{key}>' for key, value in pairs)}</properties>"


def module(artifact: str, content: str = "") -> str:
    parent = "<parent><groupId>com.example</groupId><artifactId>shop</artifactId><version>1.2</version></parent>"
    return project(content, f"{parent}<artifactId>{artifact}</artifactId>")


def modules(*names: str) -> str:
    return "<packaging>pom</packaging><modules>" + "".join(f"<module>{name}</module>" for name in names) + "</modules>"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("17", "17"),
        ("${a}", "1"),
        ("${b}-${a}", "1-1"),
        ("${project.version}", "1.2"),
        ("${pom.artifactId}", "shop"),
        ("${unknown}", None),
        ("${cycle}", None),
        ("${open", None),
        ("${}", None),
        ("${growing}", None),
        ("", None),
    ],
)
def test_properties_are_resolved_as_far_as_they_are_known(text: str, expected: str | None) -> None:
    stated = properties(a="1", b="${a}", cycle="${cycle}", growing="${growing}${growing}")
    found = pom.parse(project(stated), "pom.xml")

    assert pom.resolve(text, (found,)) == expected


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.text("${}abcdef", max_size=40), max_size=6),
    st.text("${}abcdef", max_size=40),
)
def test_whatever_properties_say_of_each_other_it_comes_to_an_end(stated: Mapping[str, str], text: str) -> None:
    resolved = pom.resolve(text, (pom.Pom(file="pom.xml", properties=stated),))

    assert resolved is None or "${" not in resolved


def test_properties_made_to_grow_are_given_up() -> None:
    stated = {f"p{index}": f"${{p{index + 1}}}" * 10 for index in range(15)} | {"p15": "x" * 4000}
    began = time.monotonic()

    assert pom.resolve("${p0}", (pom.Pom(file="pom.xml", properties=stated),)) is None
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("content", "version", "source"),
    [
        (properties(java_version="17"), "17", "pom.xml java.version"),
        (properties(maven_compiler_release="11", maven_compiler_target="8"), "11", "pom.xml maven.compiler.release"),
        (properties(maven_compiler_target="${jdk}", jdk="1.8"), "8", "pom.xml maven.compiler.target"),
        (
            plugins(
                "<plugin><artifactId>maven-compiler-plugin</artifactId><version>3.13.0</version>"
                "<configuration><release>17</release></configuration></plugin>"
            ),
            "17",
            "pom.xml maven-compiler-plugin release",
        ),
        (
            f"<profiles><profile>{ACTIVE}{properties(java_version='11')}</profile>{INACTIVE}</profiles>",
            "11",
            "pom.xml java.version",
        ),
        (properties(java_version="${env.JAVA}"), "21", "default"),
        ("", "21", "default"),
    ],
)
def test_the_release_is_what_the_pom_compiles_for(write: Write, content: str, version: str, source: str) -> None:
    built = langs.build(write({"pom.xml": project(content), SOURCE: MAIN}), Settings())

    assert built.version == Version(value=version, source=source)


@pytest.mark.parametrize(
    ("parent", "files", "content", "expected"),
    [
        ("2.7.18", {}, "", ("8", "pom.xml spring-boot-starter-parent 2.x")),
        ("3.4.1", {}, "", ("17", "pom.xml spring-boot-starter-parent 3.x")),
        ("4.0.0", {}, "", ("17", "pom.xml spring-boot-starter-parent 4.x")),
        ("2.7.18", {}, properties(java_version="11"), ("11", "pom.xml java.version")),
        ("3.4.1", {".tool-versions": "java temurin-25.0.1\n"}, "", ("25", ".tool-versions")),
        ("3.4.1", {".java-version": "21\n"}, "", ("21", ".java-version")),
        ("${boot}", {}, properties(boot="3.4.1"), ("17", "pom.xml spring-boot-starter-parent 3.x")),
        ("${boot}", {}, "", ("21", "default")),
        ("RELEASE", {}, "", ("21", "default")),
    ],
)
def test_spring_boots_parent_states_a_release_where_nobody_else_does(
    write: Write, parent: str, files: dict[str, str], content: str, expected: tuple[str, str]
) -> None:
    coordinates = (
        "<parent><groupId>org.springframework.boot</groupId><artifactId>spring-boot-starter-parent</artifactId>"
        f"<version>{parent}</version><relativePath/></parent><artifactId>shop</artifactId>"
    )

    built = langs.build(write({**files, "pom.xml": project(content, coordinates), SOURCE: MAIN}), Settings())

    assert built.version == Version(value=expected[0], source=expected[1])
    assert built.warnings == ()


@pytest.mark.parametrize(
    ("group", "content", "expected"),
    [
        (
            "io.micronaut.platform",
            properties(jdk_version="17", release_version="17"),
            ("17", "pom.xml release.version"),
        ),
        ("io.micronaut", properties(jdk_version="11"), ("11", "pom.xml jdk.version")),
        (
            "io.micronaut.platform",
            properties(release_version="17", maven_compiler_release="25"),
            ("25", "pom.xml maven.compiler.release"),
        ),
        ("io.micronaut.platform", "", ("21", "default")),
        ("com.example", properties(jdk_version="17"), ("21", "default")),
    ],
)
def test_micronauts_parent_takes_the_release_out_of_the_apps_properties(
    write: Write, group: str, content: str, expected: tuple[str, str]
) -> None:
    coordinates = (
        f"<parent><groupId>{group}</groupId><artifactId>micronaut-parent</artifactId><version>4.10.12</version>"
        "</parent><artifactId>shop</artifactId>"
    )

    built = langs.build(write({"pom.xml": project(content, coordinates), SOURCE: MAIN}), Settings())

    assert built.version == Version(value=expected[0], source=expected[1])
    assert built.warnings == ()


def test_a_parent_in_the_app_states_the_release_for_its_modules(write: Write) -> None:
    root = write(
        {
            "pom.xml": project(modules("api") + properties(java_version="17")),
            "api/pom.xml": module("api"),
            f"api/{SOURCE}": MAIN,
        }
    )

    built = langs.build(root, Settings())

    assert built.version == Version(value="17", source="pom.xml java.version")
    assert "-pl api -am package" in built.dockerfile
    assert "COPY api/pom.xml ./api/" in built.dockerfile


@pytest.mark.parametrize(
    ("files", "command", "steps"),
    [
        pytest.param(
            {"pom.xml": project(plugins(BOOT.format("")))},
            "java $JAVA_OPTS -Dserver.port=$PORT -jar app.jar",
            ("/out/lib ./lib\n", "BOOT-INF/classpath.idx"),
            id="Spring Boot",
        ),
        pytest.param(
            {
                "pom.xml": project(
                    plugins(
                        "<plugin><artifactId>maven-assembly-plugin</artifactId><configuration><archive><manifest>"
                        "<mainClass>com.example.Main</mainClass></manifest></archive></configuration></plugin>"
                    )
                )
            },
            "java $JAVA_OPTS -jar app.jar",
            ("^Main-Class:",),
            id="an assembled jar",
        ),
        pytest.param(
            {
                "pom.xml": project(
                    plugins("<plugin><artifactId>maven-shade-plugin</artifactId><version>3.6.0</version></plugin>")
                ),
                SOURCE: MAIN,
            },
            'java $JAVA_OPTS -cp "app.jar:lib/*" com.example.Main',
            ("copy-dependencies",),
            id="a shaded jar without a main class",
        ),
        pytest.param(
            {
                "pom.xml": project(properties(exec_mainClass="com.example.Stated")),
                SOURCE: MAIN,
            },
            'java $JAVA_OPTS -cp "app.jar:lib/*" com.example.Stated',
            ("copy-dependencies",),
            id="a main class by property",
        ),
        pytest.param(
            {
                "pom.xml": project(
                    plugins(
                        "<plugin><groupId>io.quarkus.platform</groupId><artifactId>quarkus-maven-plugin</artifactId></plugin>"
                    )
                )
            },
            "java $JAVA_OPTS -Dquarkus.http.host=0.0.0.0 -Dquarkus.http.port=$PORT -jar quarkus-run.jar",
            ("target/quarkus-app",),
            id="Quarkus",
        ),
        pytest.param(
            {"pom.xml": project(plugins(MICRONAUT) + properties(exec_mainClass="com.example.Stated"))},
            'java $JAVA_OPTS -Dmicronaut.server.port=$PORT -cp "app.jar:lib/*" com.example.Stated',
            ("copy-dependencies", "cp target/original-*.jar /out/app.jar"),
            id="Micronaut",
        ),
        pytest.param(
            {"pom.xml": project(plugins(MICRONAUT))},
            "java $JAVA_OPTS -Dmicronaut.server.port=$PORT -jar app.jar",
            ("^Main-Class:",),
            id="Micronaut without a main class that is known",
        ),
        pytest.param(
            {"pom.xml": project(""), SOURCE: MAIN, "Procfile": "web: java -jar target/shop-1.2.jar\n"},
            "java -jar target/shop-1.2.jar",
            ("COPY --from=builder --chown=1000:1000 /app ./",),
            id="a path of the build in the Procfile",
        ),
    ],
)
def test_what_starts_is_what_the_build_makes(
    write: Write, files: Mapping[str, str], command: str, steps: tuple[str, ...]
) -> None:
    built = langs.build(write(files), Settings())

    assert built.start_command == command
    assert all(step in built.dockerfile for step in steps)


@pytest.mark.parametrize(
    ("started", "libraries"),
    [
        pytest.param(plugins(BOOT.format("")), "./lib", id="Spring Boot"),
        pytest.param(properties(exec_mainClass="com.example.Stated"), "./lib", id="dependencies beside the jar"),
        pytest.param(
            plugins(
                "<plugin><groupId>io.quarkus.platform</groupId><artifactId>quarkus-maven-plugin</artifactId></plugin>"
            ),
            "./lib",
            id="Quarkus",
        ),
        pytest.param(plugins(MICRONAUT) + properties(exec_mainClass="com.example.Stated"), "./lib", id="Micronaut"),
    ],
)
def test_the_jars_of_other_modules_are_no_part_of_the_layer_of_dependencies(
    write: Write, started: str, libraries: str
) -> None:
    alone = {"pom.xml": project(started)}
    modular = {"pom.xml": project(modules("a", "b")), "a/pom.xml": module("a", started), "b/pom.xml": module("b")}
    layers = [f"COPY --from=builder --chown=1000:1000 /out/{name} {libraries}" for name in ("lib", "own")]

    single = langs.build(write(alone), Settings()).dockerfile
    several = langs.build(write(modular), Settings()).dockerfile

    assert "\n".join(layers) in several
    assert layers[0] in single
    assert "/out/own" not in single


@pytest.mark.parametrize(
    ("files", "is_app"),
    [
        pytest.param({"pom.xml": project("")}, False, id="nothing to start"),
        pytest.param({"pom.xml": project("<packaging>war</packaging>"), SOURCE: MAIN}, False, id="a plain WAR"),
        pytest.param(
            {"pom.xml": project("<packaging>war</packaging>" + plugins(BOOT.format("")))}, True, id="Boot WAR"
        ),
        pytest.param({"pom.xml": project("<packaging>maven-plugin</packaging>"), SOURCE: MAIN}, False, id="a plugin"),
        pytest.param(
            {"pom.xml": project(plugins(BOOT.format("<configuration><skip>true</skip></configuration>")))},
            False,
            id="Boot's plugin skipped",
        ),
        pytest.param(
            {
                "pom.xml": project(modules("a", "b")),
                "a/pom.xml": module("a", plugins(BOOT.format(""))),
                "b/pom.xml": module("b", plugins(BOOT.format(""))),
            },
            False,
            id="a root of several apps",
        ),
        pytest.param(
            {
                "pom.xml": project(modules("a", "b")),
                "a/pom.xml": module("a", plugins(BOOT.format(""))),
                "b/pom.xml": module("b"),
                f"b/{SOURCE}": MAIN,
            },
            True,
            id="an app and a library with a main method",
        ),
        pytest.param(
            {
                "pom.xml": project(modules("a", "b") + plugins(BOOT.format(""))),
                "a/pom.xml": module("a"),
                "b/pom.xml": module("b"),
                f"b/{SOURCE}": MAIN,
            },
            True,
            id="Boot's plugin inherited by a library",
        ),
    ],
)
def test_only_what_can_be_started_is_an_app(write: Write, files: Mapping[str, str], is_app: bool) -> None:  # noqa: FBT001  (a table's column)
    detection = langs.detect(write(files), Settings())

    assert detection is not None
    assert (detection.language, detection.is_app, detection.package_manager) == ("java", is_app, "maven")


def test_several_apps_are_told_apart_by_the_start_command(write: Write) -> None:
    root = write(
        {
            "pom.xml": project(modules("a", "b")),
            "a/pom.xml": module("a", plugins(BOOT.format(""))),
            "b/pom.xml": module("b", plugins(BOOT.format(""))),
        }
    )

    with pytest.raises(LangError, match="several modules can be started: a, b"):
        langs.build(root, Settings(language="java"))
    built = langs.build(root, Settings(language="java", run_command="java -jar b/target/b.jar"))

    assert "-pl b -am package" in built.dockerfile


def test_a_build_command_of_ones_own_still_gets_the_dependencies_beside_the_jar(write: Write) -> None:
    root = write({"pom.xml": project(""), SOURCE: MAIN})

    text = langs.build(root, Settings(build_command="mvn -Pproduction package")).dockerfile

    assert '"mvn -Pproduction package"' in text
    assert "mvn -B -DskipTests org.apache.maven.plugins:maven-dependency-plugin" in text


def test_an_archive_for_a_servlet_container_is_named_and_not_built(write: Write) -> None:
    root = write({"pom.xml": project("<packaging>war</packaging>"), SOURCE: MAIN})

    with pytest.raises(LangError, match="WAR"):
        langs.build(root, Settings())


@pytest.mark.parametrize("path", ["../other", "/etc", "a/../../b", ".."])
def test_a_module_outside_of_the_app_is_refused(write: Write, path: str) -> None:
    with pytest.raises(LangError, match="outside of the app's directory") as caught:
        langs.detect(write({"pom.xml": project(modules(path))}), Settings())

    assert caught.value.file == "pom.xml"


def test_modules_that_name_each_other_come_to_an_end(write: Write) -> None:
    root = write({"pom.xml": project(modules("a", ".")), "a/pom.xml": module("a", modules("..", "../a"))})

    found = maven.read(AppFiles(root))

    assert found is not None
    assert [each.directory for each in found.modules] == ["", "a"]


@pytest.mark.parametrize(
    ("files", "runs"),
    [
        ({"mvnw": "#!/bin/sh\n"}, "mvn -B"),
        (
            {"mvnw": "#!/bin/sh\n", ".mvn/wrapper/maven-wrapper.properties": "distributionUrl=x\n"},
            "sh ./mvnw -B",
        ),
        ({".mvn/wrapper/maven-wrapper.properties": "distributionUrl=x\n"}, "mvn -B"),
    ],
)
def test_a_whole_wrapper_is_used_whether_it_may_be_executed_or_not(
    write: Write, files: Mapping[str, str], runs: str
) -> None:
    built = langs.build(write({"pom.xml": project(""), SOURCE: MAIN, **files}), Settings())

    assert f"\n    {runs} --fail-never" in built.dockerfile
    assert ("COPY .mvn ./.mvn/" in built.dockerfile) == any(path.startswith(".mvn") for path in files)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<project>", "not valid XML"),
        ("", "not valid XML"),
        ('<!DOCTYPE p [<!ENTITY a "b">]><project>&a;</project>', "document type declaration"),
        ('<!DOCTYPE p SYSTEM "file:///etc/passwd"><project/>', "document type declaration"),
        ("<a>" * 500 + "</a>" * 500, "too deeply"),
    ],
)
def test_a_pom_that_is_none_or_made_to_do_harm_is_refused(write: Write, text: str, message: str) -> None:
    with pytest.raises(LangError, match=message) as caught:
        langs.detect(write({"pom.xml": text, SOURCE: MAIN}), Settings())

    assert caught.value.file == "pom.xml"


def test_a_pom_of_an_older_encoding_is_read(write: Write) -> None:
    root = write({SOURCE: MAIN})
    text = '<?xml version="1.0" encoding="ISO-8859-1"?>' + project(
        "<name>Caf\u00e9</name>" + properties(java_version="17")
    )
    Path(root, "pom.xml").write_bytes(text.encode("latin-1"))

    assert langs.build(root, Settings()).version == Version(value="17", source="pom.xml java.version")


@given(
    st.one_of(
        st.text(),
        st.text("<>/${}project modules"),
        st.lists(st.sampled_from([*TAGS, "<module>a</module>", "<plugin></plugin>", "<a>${a}</a>"])).map("".join),
    )
)
def test_any_pom_is_understood_or_an_error(text: str) -> None:
    try:
        found = pom.parse(text, "pom.xml")
    except LangError:
        return

    assert found.packaging


@pytest.mark.parametrize(
    ("files", "apps"),
    [
        pytest.param(
            {
                "pom.xml": project(modules("lib", "web")),
                "lib/pom.xml": module("lib"),
                "web/pom.xml": module("web", plugins(BOOT.format(""))),
            },
            {"."},
            id="one of the modules starts: all of it is one app",
        ),
        pytest.param(
            {
                "pom.xml": project(modules("api", "web")),
                "api/pom.xml": module("api", plugins(BOOT.format(""))),
                "web/pom.xml": module("web", plugins(BOOT.format(""))),
            },
            {"api", "web"},
            id="several start: each is an app",
        ),
        pytest.param(
            {
                "pom.xml": project(modules("nested")),
                "nested/pom.xml": module("nested", modules("web")),
                "nested/web/pom.xml": module("web", plugins(BOOT.format(""))),
            },
            {"."},
            id="a module's module",
        ),
        pytest.param(
            {
                "pom.xml": project("<packaging>pom</packaging>"),
                "web/pom.xml": module("web", plugins(BOOT.format(""))),
            },
            {"web"},
            id="a parent that does not know its child",
        ),
    ],
)
def test_a_monorepos_apps_are_the_outermost_that_start_one_thing(
    write: Write, files: Mapping[str, str], apps: set[str]
) -> None:
    root = write(files)

    found = {
        directory
        for directory in (str(Path(path).parent) for path in files)
        if (detection := langs.detect(root / directory, Settings(), within=root)) is not None and detection.is_app
    }

    assert found == apps


def test_a_module_that_inherits_from_above_is_built_with_what_it_depends_on(write: Write) -> None:
    needs = "<dependencies><dependency><groupId>{}</groupId><artifactId>{}</artifactId></dependency></dependencies>"
    root = write(
        {
            "pom.xml": project(modules("web", "words", "unused")),
            "checks.xml": "<checks/>",
            "web/pom.xml": module("web", plugins(BOOT.format("")) + needs.format("${project.groupId}", "words")),
            "words/pom.xml": module("words"),
            "unused/pom.xml": module("unused"),
        }
    )

    detection = langs.detect(root / "web", Settings(), within=root)
    built = langs.build(root / "web", Settings(), within=root)

    assert detection is not None
    assert detection.packages == ("words",)
    assert built.context == ".."
    allowed = {line[1:] for line in (built.dockerignore or "").splitlines() if line.startswith("!")}
    poms = {"pom.xml", "web/pom.xml", "words/pom.xml", "unused/pom.xml"}
    assert allowed == {"web", "words", "checks.xml", *poms}
    assert "mvn -B --fail-never -DskipTests -Dspring-boot.repackage.skip=true package" in built.dockerfile
    assert "mvn -B -DskipTests -pl web -am package" in built.dockerfile


def test_a_module_that_needs_nothing_around_it_is_built_alone(write: Write) -> None:
    root = write({"pom.xml": project(modules("web")), "web/pom.xml": project(plugins(BOOT.format("")))})

    assert langs.build(root / "web", Settings(), within=root).context == "."


def test_a_build_of_a_module_begins_in_its_directory_and_its_own_command_starts_there(write: Write) -> None:
    root = write({"pom.xml": project(modules("web")), "web/pom.xml": module("web")})
    settings = Settings(build_command="./package", run_command="java -jar target/web.jar")

    text = langs.build(root / "web", settings, within=root).dockerfile

    assert text.index("WORKDIR /app/web") < text.index("./package")
    assert text.rindex("WORKDIR /app/web") > text.index("AS runtime")


def test_a_module_with_a_parent_in_a_repository_is_built_alone(write: Write) -> None:
    web = project(plugins(BOOT.format("")))
    root = write({"pom.xml": project(modules("web")), "web/pom.xml": web})

    assert "app.jar" in langs.build(root / "web", Settings(), within=root).dockerfile
