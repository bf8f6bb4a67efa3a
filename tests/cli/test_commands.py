"""detect, apps and plan, as programs and people see them."""

import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from orchestrator.skip.memory import Memory

Run = Callable[..., Any]

_GOLDEN = Path(__file__).parent / "golden"


def _lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_apps_of_the_example_are_as_committed(run: Run, monorepo: Path) -> None:
    ran = run("apps", "--json", monorepo)

    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (_GOLDEN / "apps.jsonl").read_text()


def test_detect_answers_in_the_order_given_also_for_what_is_nothing(run: Run, monorepo: Path, tmp_path: Path) -> None:
    directories = [monorepo / "tools/legacy-cron", tmp_path, monorepo / "services/gateway", monorepo / "packages/money"]

    ran = run("detect", "--json", *directories)

    assert (ran.code, ran.err) == (0, "")
    assert (
        ran.out.replace(str(monorepo), "MONOREPO").replace(str(tmp_path), "EMPTY")
        == (_GOLDEN / "detect.jsonl").read_text()
    )


@pytest.mark.parametrize(
    ("files", "expected", "said"),
    [
        ({"Gemfile": 'ruby "~> 3.3.0"\ngem "rack"\n', "config.ru": "run 1\n"}, (0, "ruby", "3.3"), "warning: "),
        ({"package.json": '{"engines": {"node": "22.15.0"}}'}, (0, "nodejs", "22."), ""),
        ({"a.scala": "//> using scala 3\n@main def a() = 1\n"}, (2, "scala", ""), "error: "),
        ({"go.mod": "module x\n\ngo 1.$(id)\n", "main.go": "package main\nfunc main() {}\n"}, (2, "go", ""), "error: "),
    ],
    ids=["no way to start it", "a library", "not supported", "a version that is none"],
)
def test_what_cannot_be_built_is_recognised_all_the_same(
    run: Run, tmp_path: Path, files: dict[str, str], expected: tuple[int, str, str], said: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    ran = run("detect", "--json", tmp_path)

    [document] = _lines(ran.out)
    version = (document["version"] or {"value": ""})["value"]
    assert (ran.code, document["language"], version[:3]) == expected
    assert document["start_command"] is None
    assert (ran.err.partition(": ")[0] + ": " if said else ran.err) == said


def test_plan_of_the_example_has_the_promised_fields(run: Run, monorepo: Path) -> None:
    ran = run(
        "plan",
        "--json",
        "-C",
        monorepo,
        "--image",
        "r.example/shop/{app}:v1",
        "--tag",
        "next",
        "services",
        variables={"BUILDKIT_HOST": "unix:///run/other.sock"},
    )

    documents = _lines(ran.out)
    assert (ran.code, ran.err) == (0, "")
    assert [each["path"] for each in documents] == [
        "services/billing",
        "services/gateway",
        "services/ledger",
        "services/reports",
    ]
    gateway = documents[1]
    assert list(gateway) == [
        "format", "path", "language", "version", "runtime_version", "package_manager", "start_command", "evidence",
        "considered", "name", "depends_on", "packages", "chosen", "image", "tags", "dockerfile", "cache",
        "processes", "platforms", "apt", "apt_run", "needs", "healthcheck", "release", "host", "placed", "parts",
        "reason", "warnings",
    ]  # fmt: skip
    assert (gateway["image"], gateway["tags"]) == ("r.example/shop/gateway:v1", ["v1", "next"])
    assert gateway["dockerfile"].count("\nFROM ") >= 2
    assert gateway["host"] == "unix:///run/other.sock"
    assert gateway["reason"] == "requested"
    assert documents[3]["processes"].keys() >= {"web", "worker"}


def test_people_see_aligned_columns(run: Run, monorepo: Path) -> None:
    ran = run("plan", "-C", monorepo, "apps", "tools")

    assert ran.out == (
        "apps/api           nodejs      22.16.0 (package.json engines.node)  monorepo/api:latest          requested\n"
        "apps/storefront    nodejs      22 (.nvmrc)                          monorepo/storefront:latest   requested\n"
        "tools/legacy-cron  dockerfile                                       monorepo/legacy-cron:latest  requested\n"
    )


def test_people_see_which_node_a_front_end_gets_and_which_package_wants_it(run: Run, tmp_path: Path) -> None:
    manifest = {"scripts": {"build": "ng build"}, "devDependencies": {"@angular/core": "22"}}
    packages = {"node_modules/@angular/core": {"engines": {"node": "^22.22.3 || >=26"}}}
    (tmp_path / "web").mkdir()
    (tmp_path / "web/package.json").write_text(json.dumps(manifest))
    (tmp_path / "web/package-lock.json").write_text(json.dumps({"packages": packages}))

    ran = run("plan", "-C", tmp_path, "web")

    assert "  static  nodejs 22.23.3 (package-lock.json: @angular/core needs ^22.22.3 || >=26)  " in ran.out


def test_people_see_every_tag(run: Run, monorepo: Path) -> None:
    ran = run("plan", "-C", monorepo, "--image", "r.example/{app}:v1", "--tag", "next", "apps/api")

    assert "  r.example/api:v1, :next  requested\n" in ran.out


def test_detect_says_what_it_saw_and_fails_for_what_it_could_not_look_at(
    run: Run, monorepo: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/package.json").write_text("{")
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours/fleetpacks.toml").write_text("prot = 1\n")

    ran = run("detect", tmp_path / "absent", monorepo / "tools/legacy-cron", tmp_path / "broken", tmp_path / "ours")

    assert ran.code == 2
    assert ran.out == f"{monorepo}/tools/legacy-cron  dockerfile    Dockerfile\n"
    assert f"error: {tmp_path}/absent: no such directory\nhint: " in ran.err
    assert f"error: {tmp_path}/broken/package.json: is not valid JSON" in ran.err
    assert f"error: {tmp_path}/ours/fleetpacks.toml:1: prot: unknown key" in ran.err


def test_detect_prints_a_document_of_every_directory_and_what_is_wrong_with_it(run: Run, tmp_path: Path) -> None:
    texts = {
        "broken": ("package.json", "{"),
        "ours": ("fleetpacks.toml", "prot = 1\n"),
        "library": ("go.mod", "module x\n\ngo one\n"),
        "site": ("index.html", "<p>hello</p>\n"),
    }
    for name, (file, text) in texts.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text(text)
    names = ["absent", *texts]

    ran = run("detect", "--json", *(tmp_path / name for name in names))

    documents = {document["path"].rpartition("/")[2]: document for document in _lines(ran.out)}
    assert list(documents) == names
    assert ran.code == 2
    for name, expected in {
        "absent": "no such directory",
        "broken": "is not valid JSON",
        "ours": "unknown key",
        "library": "'one' of go.mod go is not understood",
    }.items():
        assert expected in documents[name]["problem"]
        assert documents[name]["version"] is None
        assert documents[name]["problem"] in ran.err
    assert (documents["library"]["language"], documents["site"]["problem"]) == ("go", None)


_POOL = """\
[[hosts]]
url = "tcp://one.invalid:1"

[[hosts]]
url = "ssh://two.invalid?platform=linux/amd64"
slots = 2
"""


def test_a_plan_says_where_apps_go_of_several_builders_and_why_without_asking_any(
    run: Run, monorepo: Path, tmp_path: Path
) -> None:
    operator = tmp_path / "operator.toml"
    operator.write_text(_POOL)
    variables = {"FLEETPACKS_CONFIG": str(operator), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    hosts = ["tcp://one.invalid:1", "ssh://two.invalid?platform=linux/amd64"]

    first = _lines(run("plan", "-C", monorepo, "--json", variables=variables).out)
    memory = Memory(tmp_path / "cache/fleetpacks/built", monorepo.resolve())
    moved = {each["path"]: next(host for host in hosts if host != each["host"]) for each in first}
    for path, host in moved.items():
        memory.built_on(path, host)
    memory.save()
    second = _lines(run("plan", "-C", monorepo, "--json", variables=variables).out)
    shown = run("plan", "-C", monorepo, first[0]["path"], variables=variables)

    assert all(each["host"] in hosts and each["placed"] == {"reason": "drawn", "warm": []} for each in first)
    assert {each["path"]: each["host"] for each in second} == moved
    assert {each["placed"]["reason"] for each in second} == {"cached"}
    assert all(each["placed"]["warm"][0] == "app" for each in second)
    assert f"  on {moved[first[0]['path']]} (it was built" in shown.out


def test_an_empty_source_has_no_apps_and_no_plan(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    listed, planned = run("apps", tmp_path / "empty"), run("plan", "-C", tmp_path / "empty")

    assert (listed.code, listed.out, listed.err) == (0, "", "")
    assert planned.code == 2
    assert planned.err.startswith("error: no app was found in ")


def test_the_source_comes_from_the_environment_when_nothing_is_said(run: Run, monorepo: Path) -> None:
    ran = run("apps", variables={"SOURCE_DIR": str(monorepo), "PROJECT_PATH": "tools"})

    assert ran.out == "tools/legacy-cron  legacy-cron  dockerfile\n"


def test_drop_in_variables_name_the_one_app_exactly(run: Run, monorepo: Path) -> None:
    variables = {
        "SOURCE_DIR": str(monorepo),
        "PROJECT_PATH": "services/gateway",
        "OUTPUT_IMAGE": "r.example/team/gateway:v3",
        "RUN_COMMAND": "gateway --quiet",
        "TAG_LATEST": "true",
    }

    (document,) = _lines(run("plan", "--json", variables=variables).out)

    assert (document["image"], document["tags"]) == ("r.example/team/gateway:v3", ["v3", "latest"])
    assert document["start_command"] == "gateway --quiet"


def test_a_variable_of_one_app_refuses_several(run: Run, monorepo: Path) -> None:
    ran = run("plan", "-C", monorepo, "apps", variables={"RUN_COMMAND": "x"})

    assert ran.code == 2
    assert "error: $RUN_COMMAND: can only speak of one app, and 2 are selected: api, storefront" in ran.err


def test_told_its_language_a_directory_without_evidence_is_an_app(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "odd"
    (source / "src").mkdir(parents=True)
    (source / "src/begin.py").write_text("print(1)\n")

    ran = run("plan", "--json", "-C", source, variables={"LANGUAGE": "python", "RUN_COMMAND": "python src/begin.py"})

    (document,) = _lines(ran.out)
    assert (document["language"], document["start_command"]) == ("python", "python src/begin.py")


def test_what_has_no_effect_on_an_app_with_its_own_dockerfile_is_a_warning(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "api").mkdir(parents=True)
    (source / "web").mkdir()
    (source / "fleetpacks.toml").write_text('port = 1\nversions.python = "3.12"\n[apps.api]\nport = 8080\n')
    (source / "api/Dockerfile").write_text("FROM scratch\n")
    (source / "api/fleetpacks.toml").write_text('versions.go = "1.25"\nversions.nodejs = "22"\nport = 9090\n')
    (source / "web/Dockerfile").write_text("FROM scratch\n")
    in_vain = "has no effect on the image: the app has its own Dockerfile"
    keys = [f"`{key}` {in_vain}" for key in ("port", "versions.go", "versions.nodejs")]
    variables = {"RUN_COMMAND": "x", "PROJECT_PATH": "api"}

    as_text = run("plan", "-C", source)
    documents = _lines(run("plan", "--json", "-C", source).out)
    told = run("plan", "-C", source, variables=variables)

    assert as_text.code == 0
    assert as_text.err == "".join(f"warning: api: {each}\n" for each in keys)
    assert [each["warnings"] for each in documents] == [keys, []]
    assert told.err.startswith(
        f"warning: api: `run` in fleetpacks.toml or $RUN_COMMAND {in_vain}\nwarning: api: `port`"
    )


def test_dockerfiles_are_written_and_never_over_a_foreign_file(run: Run, monorepo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    first = run("plan", "-C", monorepo, "--dockerfile", out)
    again = run("plan", "-C", monorepo, "--dockerfile", out)
    (out / "gateway/Dockerfile").write_text("mine\n")
    refused = run("plan", "-C", monorepo, "--dockerfile", out)

    assert (first.code, again.code, refused.code) == (0, 0, 2)
    assert not (out / "legacy-cron").exists()
    assert (out / "api/Dockerfile").read_text().startswith("# Generated by fleetpacks")
    assert (out / "api/Dockerfile.dockerignore").exists()
    assert refused.err.startswith(f"error: --dockerfile: {out}/gateway/Dockerfile exists and differs\nhint: ")
    assert (out / "gateway/Dockerfile").read_text() == "mine\n"


def test_a_dockerfile_that_ends_within_a_line_is_written_with_its_end(run: Run, tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    (source / "compose.yaml").write_text("services: {a: {build: {dockerfile_inline: FROM scratch}}}\n")

    first = run("plan", "-C", source, "--dockerfile", out)
    again = run("plan", "-C", source, "--dockerfile", out)

    assert (first.code, again.code) == (0, 0)
    assert (out / "a/Dockerfile").read_text() == "FROM scratch\n"


def test_a_symlink_in_a_dockerfiles_place_is_not_written_through(run: Run, monorepo: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    (tmp_path / "out/api").mkdir(parents=True)
    (tmp_path / "out/api/Dockerfile").symlink_to(victim)

    ran = run("plan", "-C", monorepo, "--dockerfile", tmp_path / "out", "apps/api")

    assert ran.code == 2
    assert not victim.exists()


def test_names_that_are_no_text_are_escaped(run: Run, tmp_path: Path) -> None:
    source = tmp_path / "source"
    directory = source / os.fsdecode(b"caf\xe9\x1b[31m")
    directory.mkdir(parents=True)
    (directory / "Dockerfile").write_text("FROM scratch\n")

    as_text, as_json = run("apps", source), run("apps", "--json", source)

    assert as_text.out == "caf\\xe9\\x1b[31m  caf-31m  dockerfile\n"
    assert _lines(as_json.out)[0]["path"] == "caf\\xe9\x1b[31m"


@pytest.mark.parametrize("word", ["c\x9b31m", "a\u202eb", "a\x7fb", "a\U000e0041b", "a\u2028b"])
def test_json_of_strange_names_is_inert_and_means_the_same(run: Run, tmp_path: Path, word: str) -> None:
    source = tmp_path / "source"
    (source / word).mkdir(parents=True)
    (source / word / "Dockerfile").write_text("FROM scratch\n")

    outputs = [
        run("apps", "--json", source).out,
        run("plan", "--json", "-C", source).out,
        run("detect", "--json", source / word).out,
    ]

    assert all(output.removesuffix("\n").isprintable() for output in outputs)
    assert [_lines(output)[0]["path"] for output in outputs] == [word, word, str(source / word)]


async def test_a_real_process_prints_the_same(start: Callable[..., Awaitable[Any]], monorepo: Path) -> None:
    ran = await start("apps", "--json", str(monorepo))

    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (_GOLDEN / "apps.jsonl").read_text()


async def test_branch_and_revision_come_from_the_checkout_when_no_platform_says_them(
    start: Callable[..., Awaitable[Any]], tmp_path: Path
) -> None:
    source = tmp_path / "shop"
    (source / "a").mkdir(parents=True)
    (source / "a/Dockerfile").write_text("FROM scratch\n")
    identity = ("-c", "user.name=x", "-c", "user.email=x@example")
    for words in (("init", "-q", "-b", "fix/it"), ("add", "."), (*identity, "commit", "-q", "-m", "x")):
        await anyio.run_process(["git", *words], cwd=source)
    revision = (await anyio.run_process(["git", "rev-parse", "HEAD"], cwd=source)).stdout.decode()

    ran = await start("plan", "--json", "-C", str(source), "--image", "r.example/x:{branch}-{sha}")

    assert ran.err == ""
    assert _lines(ran.out)[0]["image"] == f"r.example/x:fix-it-{revision[:12]}"


def test_a_ci_platform_names_the_image(run: Run, monorepo: Path) -> None:
    variables = {"GITLAB_CI": "true", "CI_REGISTRY_IMAGE": "registry.example/shop"}

    ran = run("plan", "--json", "-C", monorepo, "apps/api", variables=variables)

    assert _lines(ran.out)[0]["image"] == "registry.example/shop/api:latest"


def test_what_keeps_a_directory_from_being_an_app_is_said_by_each_command(run: Run, tmp_path: Path) -> None:
    root = tmp_path / "source"
    (root / "api").mkdir(parents=True)
    (root / "api/requirements.txt").write_text("flask\n")
    (root / "api/app.py").write_text("import flask\napp = flask.Flask(\n")

    detected = run("detect", "--json", root / "api")
    listed = run("apps", root)
    planned = run("plan", "-C", root)
    (root / "web").mkdir()
    (root / "web/Dockerfile").write_text("FROM x\n")
    beside = run("plan", "-C", root)

    [document] = _lines(detected.out)
    assert detected.code == 0
    assert "api/app.py: cannot be parsed" in document["problem"]
    assert document["problem"] in detected.err
    assert (listed.code, listed.out, planned.code) == (0, "", 2)
    for ran in (listed, planned):
        assert "no app was found in" in ran.err
        assert "  api/app.py: cannot be parsed" in ran.err
        assert '`run` below [apps."api"]' in ran.err
    assert beside.code == 0
    assert beside.err.startswith("warning: api is left out: api/app.py: cannot be parsed")


def test_a_worker_is_planned_as_an_app_without_a_port(run: Run, tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs/requirements.txt").write_text("celery\n")
    (tmp_path / "jobs/Procfile").write_text("worker: celery -A tasks worker\n")

    ran = run("plan", "--json", "-C", tmp_path)

    [document] = _lines(ran.out)
    assert (ran.code, document["start_command"]) == (0, "celery -A tasks worker")
    assert document["processes"] == {"worker": "celery -A tasks worker"}
    assert "EXPOSE" not in document["dockerfile"]


def test_a_site_shows_the_version_of_the_language_that_builds_it(run: Run, tmp_path: Path) -> None:
    root = tmp_path / "site"
    root.mkdir()
    (root / "package.json").write_text('{"scripts": {"build": "vite build"}, "devDependencies": {"vite": "5"}}')
    (root / "index.html").write_text("<p>\n")

    detected, planned = run("detect", root), run("plan", "-C", root)

    assert detected.out.split("  ")[1:3] == ["static", "nodejs 22.16.0 (default)"]
    assert "  nodejs 22.16.0 (default)  " in planned.out
