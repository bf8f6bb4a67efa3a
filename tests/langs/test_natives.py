"""Native libraries: what dependencies are known to need, by which file, and what somebody declares."""

import json
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs import debian, locked, natives, packagejson
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import AppBuild, Evidence, Settings
from tests.langs import splitter
from tests.langs.conftest import Write

MAIN = {"main.py": "from http.server import HTTPServer\nif __name__ == '__main__':\n    HTTPServer(('', 1), None)\n"}
NODE = {"server.js": "require('http').createServer().listen(process.env.PORT)\n"}


def python(write: Write, requirements: str, settings: Settings | None = None, **files: str) -> AppBuild:
    root = write({**MAIN, "requirements.txt": requirements, **files})
    return langs.build(root, settings or Settings())


def manifest(**said: object) -> str:
    return json.dumps({"scripts": {"start": "node server.js"}, **said})


def node(write: Write, *names: str, settings: Settings | None = None, lock: str | None = None) -> AppBuild:
    files = {**NODE, "package.json": manifest(dependencies=dict.fromkeys(names, "^1.0.0"))}
    files |= {"package-lock.json": lock} if lock else {}
    return langs.build(write(files), settings or Settings())


def installed(text: str) -> Mapping[str, tuple[str, ...]]:
    """What apt installs, by the stage's name."""
    found: dict[str, tuple[str, ...]] = {}
    stage = ""
    for keyword, rest in splitter.split(text):
        if keyword == "FROM":
            stage = rest.rpartition(" ")[2]
        elif match := re.search(r"apt-get install --yes --no-install-recommends (.*)", rest):
            found[stage] = tuple(match[1].split())
    return found


@pytest.mark.parametrize(
    ("requirements", "build", "run"),
    [
        ("psycopg2==2.9.10", (), ("libpq5",)),
        ("psycopg2-binary==2.9.10", (), ()),
        ("psycopg==3.2", (), ("libpq5",)),
        ("psycopg[binary,pool]==3.2", (), ()),
        ("psycopg[c]==3.2", (), ("libpq5",)),
        ("psycopg==3.2\npsycopg-binary==3.2", (), ()),
        ("MySQLclient", (), ("libmariadb3",)),
        ("pycairo", ("libcairo2-dev",), ("libcairo2",)),
        ("lxml", (), ()),
        ("--no-binary lxml\nlxml", (), ("libxml2", "libxslt1.1")),
        ("--no-binary=:all:\nlxml\nflask", (), ("libxml2", "libxslt1.1")),
        ("python_magic\nweasyprint", (), ("libharfbuzz-subset0", "libmagic1", "libpango-1.0-0", "libpangoft2-1.0-0")),
        ("flask", (), ()),
    ],
)
def test_what_python_packages_need_is_installed_where_it_is_needed(
    write: Write, requirements: str, build: tuple[str, ...], run: tuple[str, ...]
) -> None:
    built = python(write, f"{requirements}\n")

    assert (built.apt, built.apt_run) == (build, run)
    stages = {"install": build, "runtime": run}
    assert installed(built.dockerfile) == {stage: packages for stage, packages in stages.items() if packages}


def uv_lock(wheels: Iterable[str]) -> str:
    listed = "".join(f'    {{ url = "https://files.example/{name}", hash = "sha256:0" }},\n' for name in wheels)
    return f"""
version = 1
requires-python = ">=3.12"

[[package]]
name = "shop"
version = "0.1"
source = {{ virtual = "." }}
dependencies = [{{ name = "reports" }}]

[package.dev-dependencies]
dev = [{{ name = "mysqlclient" }}]

[[package]]
name = "reports"
version = "1.0"
dependencies = [{{ name = "lxml" }}, {{ name = "psycopg", extra = ["binary"] }}]
sdist = {{ url = "https://files.example/reports-1.0.tar.gz", hash = "sha256:0" }}
wheels = [{{ url = "https://files.example/reports-1.0-py3-none-any.whl", hash = "sha256:0" }}]

[[package]]
name = "lxml"
version = "5.0"
sdist = {{ url = "https://files.example/lxml-5.0.tar.gz", hash = "sha256:0" }}
wheels = [
{listed}]

[[package]]
name = "psycopg"
version = "3.2"
wheels = [{{ url = "https://files.example/psycopg-3.2-py3-none-any.whl", hash = "sha256:0" }}]

[package.optional-dependencies]
binary = [{{ name = "psycopg-binary" }}]

[[package]]
name = "psycopg-binary"
version = "3.2"

[[package]]
name = "mysqlclient"
version = "2.2"
"""


UV_PROJECT = '[project]\nname = "shop"\nversion = "0.1"\nrequires-python = ">=3.12"\ndependencies = ["reports"]\n'


@pytest.mark.parametrize(
    ("wheels", "run"),
    [
        (("lxml-5.0-cp312-cp312-manylinux_2_28_x86_64.whl", "lxml-5.0-cp312-cp312-win_amd64.whl"), ()),
        (("lxml-5.0-cp312-cp312-win_amd64.whl", "lxml-5.0-cp312-cp312-musllinux_1_2_x86_64.whl"), None),
        ((), None),
    ],
)
def test_a_lockfile_tells_what_is_installed_and_whether_it_is_compiled(
    write: Write, wheels: tuple[str, ...], run: tuple[str, ...] | None
) -> None:
    root = write({**MAIN, "pyproject.toml": UV_PROJECT, "uv.lock": uv_lock(wheels)})

    built = langs.build(root, Settings())

    # Neither the developers' mysqlclient, nor psycopg's library, which its extra brings.
    assert built.apt_run == (("libxml2", "libxslt1.1") if run is None else run)
    assert [each.file for each in built.needs] == (["uv.lock"] if run is None else [])


@pytest.mark.parametrize(
    ("file", "text", "manifest_file", "manifest_text"),
    [
        (
            "poetry.lock",
            (
                '[[package]]\nname = "a"\nversion = "1"\nfiles = []\n\n[package.dependencies]\nmysqlclient = "*"\n\n'
                '[[package]]\nname = "mysqlclient"\nversion = "2"\nfiles = [{file = "mysqlclient-2.tar.gz"}]\n'
            ),
            "pyproject.toml",
            '[tool.poetry]\nname = "b"\npackage-mode = false\n[tool.poetry.dependencies]\npython = "^3.12"\na = "*"\n',
        ),
        (
            "pdm.lock",
            (
                '[[package]]\nname = "a"\nversion = "1"\ndependencies = [\n    "mysqlclient; os_name > \'3\'"]\n\n'
                '[[package]]\nname = "mysqlclient"\nversion = "2"\n'
            ),
            "pyproject.toml",
            '[project]\nname = "b"\nversion = "1"\nrequires-python = ">=3.12"\ndependencies = ["a"]\n',
        ),
        (
            "Pipfile.lock",
            '{"default": {"a": {}, "mysqlclient": {"version": "==2"}}, "develop": {"psycopg2": {}}}',
            "Pipfile",
            '[packages]\na = "*"\n',
        ),
    ],
)
def test_all_lockfiles_of_python_are_read(
    write: Write, file: str, text: str, manifest_file: str, manifest_text: str
) -> None:
    root = write({**MAIN, manifest_file: manifest_text, file: text})

    built = langs.build(root, Settings())

    assert built.apt_run == ("libmariadb3",)
    assert built.needs == (Evidence(file=file, reason="mysqlclient runs with libmariadb3"),)


@pytest.mark.parametrize("broken", ["version = \n", '"mysqlclient"', f"a = {'[' * 5000}"])
def test_a_lockfile_that_cannot_be_read_decides_nothing(write: Write, broken: str) -> None:
    root = write({**MAIN, "pyproject.toml": UV_PROJECT, "uv.lock": f'\n[[package]]\nname = "mysqlclient"\n{broken}'})

    built = langs.build(root, Settings())

    assert built.apt_run == ()


@pytest.mark.parametrize(
    ("name", "build", "run"),
    [
        ("sharp", (), ()),
        ("@prisma/client", (), ("openssl",)),
        ("puppeteer", (), ("chromium",)),
        ("pg-native", (), ("libpq5",)),
        (
            "canvas",
            ("libcairo2-dev", "libgif-dev", "libpango1.0-dev", "librsvg2-dev"),
            ("fontconfig", "libcairo2", "libgif7", "libjpeg62-turbo", "libpangocairo-1.0-0", "librsvg2-2"),
        ),
    ],
)
def test_what_node_packages_need_is_installed_where_it_is_needed(
    write: Write, name: str, build: tuple[str, ...], run: tuple[str, ...]
) -> None:
    built = node(write, name)

    assert (built.apt, built.apt_run) == (build, run)
    assert all(each.file == "package.json" and each.reason.startswith(f"{name} ") for each in built.needs)


def test_npms_lockfile_tells_what_production_has(write: Write) -> None:
    packages = {
        "": {"dependencies": {"reports": "1"}},
        "node_modules/reports": {"version": "1"},
        "node_modules/reports/node_modules/@prisma/client": {"version": "5"},
        "node_modules/puppeteer": {"version": "24", "dev": True},
        "node_modules/canvas": {"version": "3", "optional": True},
    }
    lock = json.dumps({"lockfileVersion": 3, "packages": packages})

    built = node(write, "reports", lock=lock)

    assert built.apt_run == ("openssl",)
    assert built.needs == (Evidence(file="package-lock.json", reason="@prisma/client runs with openssl"),)


def test_what_developers_alone_use_needs_nothing_at_run_time(write: Write) -> None:
    root = write({**NODE, "package.json": manifest(devDependencies={"puppeteer": "24", "playwright": "1"})})

    assert langs.build(root, Settings()).apt_run == ()


def test_a_member_of_a_workspace_needs_what_its_neighbours_need(write: Write) -> None:
    root = write(
        {
            "package.json": json.dumps({"workspaces": ["packages/*", "apps/*"]}),
            "package-lock.json": '{"lockfileVersion": 3, "packages": {"node_modules/canvas": {}}}',
            "packages/db/package.json": json.dumps({"name": "db", "dependencies": {"@prisma/client": "5"}}),
            "packages/web/package.json": json.dumps({"name": "web", "dependencies": {"puppeteer": "24"}}),
            "apps/api/server.js": NODE["server.js"],
            "apps/api/package.json": manifest(name="api", dependencies={"db": "*"}),
        }
    )

    built = langs.build(root / "apps/api", Settings(), within=root)

    assert built.apt_run == ("openssl",)
    assert [each.file for each in built.needs] == ["../../packages/db/package.json"]


def test_a_browser_is_found_where_it_is_and_variables_of_yours_come_before(write: Write) -> None:
    settings = Settings(env={"PUPPETEER_SKIP_DOWNLOAD": "false"})

    text = node(write, "puppeteer", settings=settings).dockerfile

    assert text.count('ENV PUPPETEER_EXECUTABLE_PATH="/usr/bin/chromium"') == 2
    assert text.count('ENV PUPPETEER_SKIP_DOWNLOAD="false"') == 2
    assert "PLAYWRIGHT" not in text


def test_bun_compiles_nothing(write: Write) -> None:
    root = write(
        {"package.json": manifest(dependencies={"canvas": "3"}, packageManager="bun@1.3.4"), **NODE, "bun.lock": "{}"}
    )

    built = langs.build(root, Settings(language="bun"))

    assert (built.apt, "libcairo2" in built.apt_run) == ((), True)


@pytest.mark.parametrize(
    ("files", "builder"),
    [
        ({**MAIN, "requirements.txt": "flask\n"}, "install"),
        ({**NODE, "package.json": manifest()}, "install"),
        ({**NODE, "package.json": manifest(packageManager="bun@1.3.4"), "bun.lock": "{}"}, "install"),
        ({"main.ts": "Deno.serve(() => new Response())\n", "deno.json": "{}"}, "install"),
        ({"config.ru": "run 1\n", "Gemfile": 'gem "puma"\n'}, "install"),
        ({"go.mod": "module a\ngo 1.25\n", "main.go": "package main\nfunc main() {}\n"}, "builder"),
        (
            {
                "Cargo.toml": '[package]\nname = "a"\nversion = "0.1.0"\nedition = "2021"\n',
                "src/main.rs": "fn main() {}\n",
            },
            "builder",
        ),
        (
            {
                "pom.xml": "<project><artifactId>a</artifactId></project>",
                "src/main/java/A.java": "class A { public static void main(String[] a) {} }\n",
            },
            "install",
        ),
        (
            {
                "build.gradle": "plugins { id 'application' }\napplication { mainClass = 'A' }\n",
                "src/main/java/A.java": "class A { public static void main(String[] a) {} }\n",
            },
            "install",
        ),
        ({"build.sbt": 'scalaVersion := "3.3.7"\n', "Main.scala": "@main def run() = println(1)\n"}, "builder"),
        ({"deps.edn": "{}", "src/a.clj": "(ns a)\n(defn -main [])\n"}, "install"),
        (
            {"mix.exs": "defmodule A do\n  def project, do: [app: :a]\n  def application, do: [mod: {A, []}]\nend\n"},
            "install",
        ),
        ({"public/index.php": "<?php echo 1;\n", "composer.json": "{}"}, "builder"),
        ({"A.csproj": '<Project Sdk="Microsoft.NET.Sdk.Web"></Project>'}, "builder"),
        ({"index.html": "<p>\n"}, "site"),
    ],
)
def test_declared_packages_are_installed_before_what_changes_in_every_language(
    write: Write, files: Mapping[str, str], builder: str
) -> None:
    built = langs.build(write(files), Settings(apt=("zip", "bc=1.07.1-3"), apt_run=("jq", "tzdata")))

    assert installed(built.dockerfile) == {builder: ("bc=1.07.1-3", "zip"), "runtime": ("jq", "tzdata")}
    assert (built.apt, built.apt_run) == (("bc=1.07.1-3", "zip"), ("jq", "tzdata"))
    stages = re.split(r"^FROM ", built.dockerfile, flags=re.MULTILINE)
    for stage in stages:
        before = stage.partition("apt-get install")[0] if "apt-get install" in stage else ""
        assert "COPY" not in before
        assert "ENV" not in before
    assert {"/var/cache/apt", "/var/lib/apt/lists"} <= {mount.target for mount in built.cache}


def test_a_front_end_has_the_packages_of_its_build_and_none_of_the_image(write: Write) -> None:
    files = {
        **MAIN,
        "requirements.txt": "flask\n",
        "package.json": json.dumps({"scripts": {"build": "vite build"}, "dependencies": {"puppeteer": "24"}}),
    }

    built = langs.build(write(files), Settings(apt=("zip",)))

    assert installed(built.dockerfile) == {"assets-install": ("zip",), "install": ("zip",)}
    assert "PUPPETEER" not in built.dockerfile


def test_a_declared_version_comes_before_what_is_inferred(write: Write) -> None:
    built = python(write, "psycopg2\n", Settings(apt_run=("libpq5=15.6-0+deb12u1",)))

    assert built.apt_run == ("libpq5=15.6-0+deb12u1",)


@pytest.mark.parametrize(
    ("requirements", "settings", "said"),
    [
        ("psycopg2", Settings(), "psycopg2 runs with libpq5"),
        ("flask", Settings(apt_run=("jq",)), "jq cannot be installed"),
    ],
)
def test_nothing_can_be_installed_in_a_hardened_image(
    write: Write, requirements: str, settings: Settings, said: str
) -> None:
    hardened = Settings(hardened=True, run_command="python main.py", apt_run=settings.apt_run)

    with pytest.raises(LangError, match=said) as caught:
        python(write, f"{requirements}\n", hardened)

    assert "images" in (caught.value.hint or "")


def test_a_hardened_images_build_has_packages(write: Write) -> None:
    built = python(
        write,
        "pycairo\n",
        Settings(hardened=True, images={"python": "registry.example/python"}, run_command="python main.py"),
    )
    plain = python(write, "flask\n", Settings(hardened=True, apt=("zip",), run_command="python main.py"))

    # What is in an image of one's own is for its owner to say.
    assert installed(built.dockerfile) == {}
    assert installed(plain.dockerfile) == {"install": ("zip",)}


@pytest.mark.parametrize(
    "image", ["python:3.12-alpine", "registry.example/alpine/python", "gcr.io/distroless/python3-debian12"]
)
def test_what_an_image_without_apt_has_is_its_makers_to_say(write: Write, image: str) -> None:
    built = python(write, "psycopg2\n", Settings(images={"python": image}, run_command="python main.py"))

    assert (installed(built.dockerfile), built.needs) == ({}, ())


@pytest.mark.parametrize(
    "word", ["jq", "g++", "libstdc++6", "libpq5=15.6-0+deb12u1", "git=1:2.39.5-0", "jq/bookworm-backports"]
)
def test_names_of_debians_packages_are_taken(word: str) -> None:
    assert debian.checked("apt", (word,)) == (word,)


@pytest.mark.parametrize(
    "word",
    [
        *(
            "",
            "j",
            "JQ",
            "jq ",
            " jq",
            "jq\n",
            "-y",
            "--purge",
            "jq-",
            "jq.",
            "jq=",
            "jq=1-",
            "jq=$(id)",
            "jq/",
            "jq/-t",
        ),
        *(
            "jq;id",
            "jq&&id",
            "`id`",
            "$(id)",
            "jq|sh",
            "lib.*",
            "^jq$",
            "jq?",
            "./a.deb",
            "/a.deb",
            "jq:i386",
            "jq^",
            "jq ",
        ),
        *("jq\\", 'jq"', "jq'", "jq\0", "jq=1:2\n", "é" * 3, "a" * 200),
    ],
)
def test_what_is_more_than_a_name_is_refused(write: Write, word: str) -> None:
    with pytest.raises(LangError, match="is not the name of a Debian package"):
        python(write, "flask\n", Settings(apt_run=(word,)))


def test_every_row_of_the_table_names_packages_that_may_be_installed() -> None:
    rows = [row for table in natives.TABLES.values() for row in table.values()]

    for row in rows:
        debian.checked("run", row.run)
        debian.checked("build", row.build)
        assert row.run or row.build
    assert set(natives.TABLES["npm"]).isdisjoint({"sharp"})


def _never(*_: object) -> None:
    pytest.fail("parsed")


def test_a_lockfile_without_such_names_is_not_parsed(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write({"package-lock.json": '{"packages": {"node_modules/express": {}}}', "package.json": "{}"})
    monkeypatch.setattr("langs.documents.json_as", _never)

    found = locked.node(AppFiles(root), packagejson.PackageJson(dependencies={"express": "4"}), None)

    assert found.names == {"express": "package.json"}


def toml(said: object) -> str:
    """A value on one line."""
    if isinstance(said, dict):
        entries = cast("dict[str, object]", said).items()
        return "{" + ", ".join(f"{key} = {toml(value)}" for key, value in entries) + "}"
    if isinstance(said, list):
        return f"[{', '.join(map(toml, cast('list[object]', said)))}]"
    return json.dumps(said or "")


_SAID = st.recursive(
    st.sampled_from(["mysqlclient", "a", "b>=1; x", "", "b.whl", "any.whl", 1, None, True]),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["name", "dependencies", "optional-dependencies", "files", "wheels", "sdist", "url", "file", "dev"]
            ),
            below,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(
    st.sampled_from([*locked.PYTHON, *locked.NPM]),
    _SAID.map(lambda said: msgspec.json.encode({"/canvas": 1, "mysqlclient": 1, "packages": said, "default": said}))
    | _SAID.map(lambda said: f'"mysqlclient" = 1\npackage = {toml(said)}\n'.encode())
    | st.binary(max_size=200).map(lambda data: b'"mysqlclient" "/canvas"' + data),
)
def test_whatever_a_lockfile_says_is_no_error(file: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / file).write_bytes(content)
        files = AppFiles(Path(directory))

        by_python = locked.python(files, {"a"})
        by_node = locked.node(files, packagejson.PackageJson(), None)

    assert {*by_python.names.values(), *by_node.names.values()} <= {file}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            Settings(images={"node": "gcr.io/distroless/nodejs22"}),
            "Change `images.node` in fleetpacks.toml to an image",
        ),
        (Settings(images={"node": "gcr.io/distroless/nodejs22:latest"}), "Change `images.node`"),
        (Settings(hardened=True), "Unset $USE_DHI for this app"),
    ],
)
def test_the_hint_for_packages_in_an_image_without_a_shell_names_what_chose_it(
    write: Write, settings: Settings, said: str
) -> None:
    root = write({"index.js": "require('http').createServer().listen(1)\n"})

    with pytest.raises(LangError, match="jq cannot be installed in") as caught:
        langs.build(root, msgspec.structs.replace(settings, apt_run=("jq",)))

    assert caught.value.hint.startswith(said)
    assert ("USE_DHI" in caught.value.hint) == settings.hardened
