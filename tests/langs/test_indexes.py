"""Mirrors of package indexes: what the tools read, where it stands, and where it does not."""

import json
import re
import tomllib
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs import edn, indexes, nodemanagers
from langs.errors import LangError
from langs.model import Settings
from orchestrator.config import environment
from tests.langs import splitter
from tests.langs.conftest import Write

ADDRESS = "https://mirror.example/a?b=c&d='e'"


def test_each_tool_is_told_in_its_own_words() -> None:
    contents = {key: indexes.content(key, ADDRESS).decode() for key in indexes.INDEXES}

    assert {name for name, content in contents.items() if content == ADDRESS} == {
        "pypi",
        "go",
        "rubygems",
        "hex",
    }
    assert contents["npm"] == f"registry={ADDRESS}\n;address={ADDRESS}\n"
    cargo = tomllib.loads(contents["crates"])
    assert cargo["source"]["crates-io"]["replace-with"] == "mirror"
    assert cargo["source"]["mirror"]["registry"] == f"sparse+{ADDRESS}/"
    assert json.loads(contents["composer"])["repositories"][0]["url"] == ADDRESS
    for name in ("maven", "tools-deps", "nuget"):
        assert "&amp;d=&apos;e&apos;" in contents[name]
    assert f"  mirror: {ADDRESS}\n" in contents["sbt"]
    assert edn.parse(contents["leiningen"], "profiles.clj")
    assert f'"central" {{:name "mirror" :url "{ADDRESS}"}}' in contents["leiningen"]
    assert "it.url = 'https://mirror.example/a?b=c&d=\\'e\\''" in contents["gradle"]


@pytest.mark.parametrize("key", ["maven", "gradle", "leiningen", "tools-deps"])
def test_a_login_is_told_apart_where_addresses_hold_none(key: str) -> None:
    text = indexes.content(key, "https://me:p%40ss%27%3C%22%0A@mirror.example/m2").decode()

    assert "https://mirror.example/m2" in text
    assert "me" in text
    assert {"maven": "p@ss&apos;&lt;", "gradle": "p@ss\\'<\\\"\\n'", "leiningen": 'p@ss\'<\\"\\n"'}.get(
        key, "p@ss"
    ) in text


async def test_npm_has_a_login_apart_from_the_address_and_yarn_in_it(tmp_path: Path) -> None:
    address = "https://me:p%40ss@mirror.example/npm"
    (tmp_path / ".npmrc").write_bytes(indexes.content("npm", address))

    exports = indexes.INDEXES["npm"].exports.replace("/root/.npmrc", f"{tmp_path}/.npmrc")
    done = await anyio.run_process(f"{exports}env", env={"PATH": environment.read()["PATH"]})

    lines = (tmp_path / ".npmrc").read_text().splitlines()
    assert "//mirror.example/npm/:_auth=bWU6cEBzcw==" in lines
    told = dict(line.split("=", 1) for line in done.stdout.decode().splitlines())
    assert told["NPM_CONFIG_REGISTRY"] == "https://mirror.example/npm"
    assert told["YARN_REGISTRY"] == told["YARN_NPM_REGISTRY_SERVER"] == told["BUN_CONFIG_REGISTRY"] == address


def test_a_login_is_found_by_the_name_that_npm_makes_of_an_address() -> None:
    lines = indexes.content("npm", "https://me:pw@Mirror.Example:443/Npm/").decode().splitlines()

    assert lines[0] == "registry=https://Mirror.Example:443/Npm/"
    assert lines[1] == "//mirror.example/Npm/:_auth=bWU6cHc="


def test_apts_sources_lead_to_the_mirror_and_others_stay() -> None:
    sources = (
        "deb http://deb.debian.org/debian trixie main\nURIs: https://deb.debian.org/debian-security\nhttp://x/debian\n"
    )
    script = indexes.content("apt", "https://mirror.example/a&b#c'd/").decode()

    _, found, replaced, flags = script.split('"')

    assert flags == "g\n"
    pattern = found.replace(r"\{0,1\}", "?")
    assert re.sub(pattern, replaced.replace(r"\&", "&"), sources) == (
        "deb https://mirror.example/a&b#c'd/debian trixie main\n"
        "URIs: https://mirror.example/a&b#c'd/debian-security\nhttp://x/debian\n"
    )


@pytest.mark.parametrize(
    "address",
    [
        "",
        "x",
        "ftp://a",
        "https://",
        "https://a b",
        "https://a\nb",
        'https://a"b',
        "https://a<b",
        "https://a\\b",
        "https://ä",
    ],
)
def test_what_is_no_address_is_an_error_that_does_not_repeat_it(address: str) -> None:
    for name in indexes.NAMES:
        with pytest.raises(LangError) as caught:
            indexes.content(name, address)

        assert len(address) < 2 or address not in caught.value.message


@given(st.from_regex(r"https://[!-~]{1,50}", fullmatch=True))
def test_no_address_breaks_out_of_a_file(address: str) -> None:
    try:
        maven, cargo, composer = (indexes.content(name, address) for name in ("maven", "crates", "composer"))
    except LangError:
        return

    assert maven.count(b"<") in {12, 22}
    assert set(tomllib.loads(cargo.decode())) == {"source"}
    assert len(json.loads(composer)["repositories"]) == 2


@pytest.mark.parametrize(
    ("files", "name", "variable", "step"),
    [
        pytest.param(
            {"package.json": '{"scripts": {"start": "node a.js"}}', "package-lock.json": "{}"},
            "npm",
            "NPM_CONFIG_REGISTRY",
            "npm ci",
            id="npm",
        ),
        pytest.param(
            {"requirements.txt": "flask\n", "app.py": "import flask\napp = flask.Flask(__name__)\n"},
            "pypi",
            "PIP_INDEX_URL",
            "requirements.txt",
            id="pip",
        ),
        pytest.param(
            {"go.mod": "module a\n", "main.go": "package main\n\nfunc main() {}\n"},
            "go",
            "GOPROXY",
            "go mod download",
            id="go",
        ),
        pytest.param(
            {"Gemfile": 'gem "pg"\ngem "puma"\n', "Gemfile.lock": "", "config.ru": "run 1\n"},
            "rubygems",
            "BUNDLE_MIRROR__ALL",
            "bundle install",
            id="bundler",
        ),
    ],
)
def test_the_steps_that_ask_an_index_are_told_and_the_image_is_not(
    write: Write, files: dict[str, str], name: str, variable: str, step: str
) -> None:
    root = write(files)

    plain = langs.build(root, Settings())
    mirrored = langs.build(root, Settings(indexes=(name,)))

    instructions = splitter.split(mirrored.dockerfile)
    install = next(rest for keyword, rest in instructions if keyword == "RUN" and step in rest)
    last = mirrored.dockerfile[mirrored.dockerfile.rindex("FROM ") :]
    place = ",target=/root/.npmrc" if name == "npm" else ""
    value = "sed -n s/^registry=//p /root/.npmrc" if name == "npm" else f"cat /run/secrets/fleetpacks-index-{name}"
    assert f"--mount=type=secret,id=fleetpacks-index-{name}{place},required=true" in install
    assert f'export {variable}="$({value})"' in install
    assert "fleetpacks-index" not in last
    assert mirrored.indexes == (name,)
    assert plain.indexes == ()
    assert last == plain.dockerfile[plain.dockerfile.rindex("FROM ") :]


def test_pnpm_forgets_the_mirror_in_each_step_that_leaves_its_notes(write: Write) -> None:
    manifest = '{"scripts": {"start": "node a.js"}, "dependencies": {"a": "1"}, "devDependencies": {"b": "1"}}'
    root = write({"package.json": manifest, "pnpm-lock.yaml": "lockfileVersion: '9.0'\n"})

    plain = langs.build(root, Settings())
    mirrored = langs.build(root, Settings(indexes=("npm",)))

    ran = [rest for keyword, rest in splitter.split(mirrored.dockerfile) if keyword == "RUN"]
    installs = [rest for rest in ran if "pnpm install" in rest]
    prunes = [rest for rest in ran if "pnpm prune" in rest]
    assert [rest.count(" forget") for rest in installs] == [1]
    assert [rest.endswith(" forget") and rest.index(" recall && ") < rest.index("pnpm prune") for rest in prunes] == [
        True
    ]
    assert ".modules.yaml" not in plain.dockerfile


async def test_what_pnpm_notes_of_a_mirror_is_put_back_as_it_was(tmp_path: Path) -> None:
    notes = tmp_path / "node_modules/.modules.yaml"
    notes.parent.mkdir()
    before = "registries:\n  '@a': https://a.example/\n  default: https://me:pw@mirror.example/npm/\nskipped: []\n"
    notes.write_text(before)
    env = {"PATH": environment.read()["PATH"], "NPM_CONFIG_REGISTRY": "https://me:pw@mirror.example/npm"}

    async def told(word: str) -> str:
        command = nodemanagers.PNPM.forgetting("true", again=False).replace(" forget", f" {word}")
        await anyio.run_process(command, cwd=tmp_path, env=env)
        return notes.read_text()

    forgotten, known = await told("forget"), await told("recall")

    assert forgotten == before.replace("https://me:pw@mirror.example/npm", "https://registry.npmjs.org")
    assert known == before


def test_no_process_is_told_of_a_mirror_of_gems_by_an_argument(write: Write) -> None:
    lock = "GEM\n\nBUNDLED WITH\n   2.6.7\n"
    root = write({"Gemfile": 'gem "puma"\n', "Gemfile.lock": lock, "config.ru": "run 1\n"})

    built = langs.build(root, Settings(indexes=("rubygems",)))

    [asked] = [rest for _, rest in splitter.split(built.dockerfile) if "gem install bundler" in rest]
    # The shell's own word, which is no process.
    told = (
        """printf ':sources:\\n- "%s"\\n' "$BUNDLE_MIRROR__ALL" > /dev/shm/gemrc && GEMRC=/dev/shm/gemrc gem install"""
    )
    assert told in asked
    assert built.dockerfile.count("$BUNDLE_MIRROR__ALL") == 1


SCALA = {"build.sbt": 'scalaVersion := "3.5.2"\n', "src/main/scala/A.scala": "object A extends App\n"}
CLJ = {"src/a/core.clj": "(ns a.core)\n(defn -main [] 1)\n"}
JAVA = {"src/main/java/A.java": "class A { public static void main(String[] a) {} }\n"}


@pytest.mark.parametrize(
    ("files", "key", "step"),
    [
        (JAVA | {"pom.xml": "<project><artifactId>a</artifactId></project>"}, "maven", "mvn"),
        (JAVA | {"build.gradle": "apply plugin: 'java'\n"}, "gradle", "fleetpacksFetch"),
        (SCALA, "sbt", "sbt update"),
        (CLJ | {"project.clj": '(defproject a "1" :main a.core)'}, "leiningen", "lein deps"),
        (
            CLJ | {"project.clj": '(defproject a "1" :main a.core :profiles {:uberjar {:aot :all}})'},
            "leiningen",
            "lein with-profile user,uberjar deps",
        ),
        (CLJ | {"deps.edn": '{:paths ["src"]}'}, "tools-deps", "clojure"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_all_that_fetch_from_maven_central_are_told_of_its_one_mirror(
    write: Write, files: dict[str, str], key: str, step: str
) -> None:
    built = langs.build(write(files), Settings(indexes=("maven",), run_command="java -cp app.jar A"))

    mount = f"--mount=type=secret,id=fleetpacks-index-{key},"
    ran = [rest for keyword, rest in splitter.split(built.dockerfile) if keyword == "RUN" and step in rest]
    told = [mount in rest for rest in ran if "printf" not in rest]
    assert told
    assert all(told)
    assert built.indexes == (key,)
    assert "fleetpacks-index" not in built.dockerfile[built.dockerfile.rindex("\nFROM ") :]


def test_apt_asks_its_mirror_in_its_own_step(write: Write) -> None:
    root = write({"Gemfile": 'gem "pg"\ngem "puma"\n', "Gemfile.lock": "", "config.ru": "run 1\n"})

    built = langs.build(root, Settings(indexes=("apt",)))

    (step,) = (rest for keyword, rest in splitter.split(built.dockerfile) if keyword == "RUN" and "apt-get" in rest)
    assert "--mount=type=secret,id=fleetpacks-index-apt,target=/run/apt-mirror.sed,required=true" in step
    # What is made of the sources is in memory only.
    assert "--mount=type=tmpfs,target=/run/apt-mirror" in step
    assert step.index("export APT_CONFIG=/run/apt-mirror/conf") < step.index("apt-get update")
    assert built.dockerfile.count("fleetpacks-index") == step.count("fleetpacks-index")
    assert built.indexes == ("apt",)


def test_a_users_dockerfile_is_offered_no_mirror(write: Write) -> None:
    text = "FROM a\nRUN --mount=type=secret,id=fleetpacks-index-npm,required=true cat /run/secrets/*\n"

    built = langs.build(write({"Dockerfile": text}), Settings(indexes=indexes.NAMES))

    assert built.indexes == ()
