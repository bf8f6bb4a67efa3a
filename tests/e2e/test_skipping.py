"""What is not built again, on the real daemon and registry: one input changed in each of many apps, and one non-input.

The apps are built, one thing is changed in each, and they are built again: exactly those with a changed input are. Then
all are built by force, and what is in the registry must be what was there: an app that was skipped has the image that
a build would have made.
"""

import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from benchmarks.tap import tapped
from orchestrator.events import AppStarted
from tests.conftest import RealCount
from tests.e2e.conftest import Ran, Start
from tests.e2e.proxy import refusing
from tests.lab import Lab

pytestmark = pytest.mark.real

Change = Callable[[Path], object]


def _files(app: Path) -> None:
    """What every app consists of."""
    (app / "src/deep").mkdir(parents=True)
    (app / "src/deep/main.txt").write_text("main")
    (app / "run.sh").write_text("echo")
    (app / "notes.md").write_text("for people")
    (app / "logs").mkdir()
    (app / "logs/today").write_text("noise")
    (app / "current").symlink_to("src")
    (app / ".dockerignore").write_text("logs\n*.md\n.dockerignore\nfleetpacks.toml\n")
    (app / "Dockerfile").write_text("FROM scratch AS base\nARG TEXT=none\nLABEL text=$TEXT\nCOPY . /\nFROM base\n")


def _compose(app: Path) -> None:
    (app / "service").mkdir(parents=True)
    (app / "service/Dockerfile").write_text(
        "FROM scratch AS one\nARG A\nLABEL a=$A\nCOPY x /\nFROM one AS two\nCOPY x /y\n"
    )
    (app / "service/x").write_text("x")
    (app / "compose.yaml").write_text(_SERVICE)


_SERVICE = "services:\n  {app}:\n    build:\n      context: service\n      args: {{A: one}}\n      target: two\n"


def _replaced(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)


def _edited(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def _same_stamp(path: Path, text: str) -> None:
    times = path.stat()
    assert len(path.read_text()) == len(text)
    path.write_text(text)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _linked(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def _made_a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _made_again(path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copytree(path, copy)
    shutil.rmtree(path)
    copy.rename(path)


def _touch(app: Path) -> None:
    for path in app.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)


INPUTS: Mapping[str, Change] = {
    "content": lambda app: (app / "src/deep/main.txt").write_text("other"),
    "content-of-the-same-size-and-time": lambda app: _same_stamp(app / "run.sh", "ECHO"),
    "one-byte-less": lambda app: (app / "run.sh").write_text("ech"),
    "emptied": lambda app: (app / "run.sh").write_text(""),
    "mode": lambda app: (app / "run.sh").chmod(0o755),
    "mode-of-a-directory": lambda app: (app / "src").chmod(0o700),
    "target-of-a-link": lambda app: _linked(app / "current", "run.sh"),
    "file-made-a-link": lambda app: _linked(app / "run.sh", "current"),
    "new-file": lambda app: (app / "src/new.txt").write_text(""),
    "new-directory": lambda app: (app / "src/empty").mkdir(),
    "new-link": lambda app: (app / "more").symlink_to("run.sh"),
    "removed-file": lambda app: (app / "run.sh").unlink(),
    "removed-link": lambda app: (app / "current").unlink(),
    "renamed-file": lambda app: (app / "run.sh").rename(app / "start.sh"),
    "file-made-a-directory": lambda app: _made_a_directory(app / "run.sh"),
    "dockerfile-instruction": lambda app: _edited(app / "Dockerfile", "COPY . /", "COPY . /there/"),
    "dockerfile-default": lambda app: _edited(app / "Dockerfile", "TEXT=none", "TEXT=some"),
    "ignored-more": lambda app: _edited(app / ".dockerignore", "logs", "logs\nrun.sh"),
    "ignored-less": lambda app: _edited(app / ".dockerignore", "*.md", ""),
    "ignore-file-of-the-dockerfile": lambda app: (app / "Dockerfile.dockerignore").write_text("src\n"),
    "argument": lambda app: (app / "fleetpacks.toml").write_text('env = { TEXT = "said" }\n'),
    "secret-declared": lambda app: (app / "fleetpacks.toml").write_text('secrets = ["TOKEN"]\n'),
    "named-dockerfile": lambda app: (
        (app / "Other").write_text("FROM scratch\nCOPY run.sh /\n"),
        (app / "fleetpacks.toml").write_text('dockerfile = "Other"\n'),
    ),
    "compose-argument": lambda app: _edited(app / "compose.yaml", "A: one", "A: two"),
    "compose-target": lambda app: _edited(app / "compose.yaml", "target: two", "target: one"),
    "compose-label": lambda app: _edited(app / "compose.yaml", "target: two", "target: two\n      labels: {b: c}"),
    "base-image": lambda _app: None,
}
"""Each changed alone; `base-image` by another image of that name in the registry."""
_SAME_IMAGE = {"secret-declared", "mode-of-a-directory"}
"""A secret leaves no trace; and of a directory that is there already, `COPY` leaves the mode as it is."""

NOT_INPUTS: Mapping[str, Change] = {
    "nothing": lambda app: app.exists(),
    "times": _touch,
    "owner": lambda app: os.chown(app / "run.sh", 1234, 1234),
    "written-again": lambda app: _replaced(app / "run.sh", "echo"),
    "directory-made-again": lambda app: _made_again(app / "src"),
    "ignored-content": lambda app: (app / "logs/today").write_text("more noise"),
    "ignored-new-file": lambda app: (app / "logs/tomorrow").write_text("noise"),
    "ignored-mode": lambda app: (app / "notes.md").chmod(0o600),
    "ignored-gone": lambda app: shutil.rmtree(app / "logs"),
    "comment-in-the-ignore-file": lambda app: _edited(app / ".dockerignore", "logs\n", "# a comment\nlogs\n"),
    "comment-in-the-configuration": lambda app: (app / "fleetpacks.toml").write_text("# nothing\n"),
    "port-of-a-dockerfile": lambda app: (app / "fleetpacks.toml").write_text("port = 8080\n"),
    "beside-the-app": lambda app: (app.parent.parent / "README.md").write_text("hello"),
    "compose-comment": lambda app: _edited(app / "compose.yaml", "services:", "# a comment\nservices:"),
    "compose-of-another-service": lambda app: _edited(
        app / "compose.yaml", "services:\n", "services:\n  db:\n    image: postgres\n"
    ),
}


@pytest.fixture
def source(tmp_path: Path, lab: Lab) -> Path:
    root = tmp_path / "source"
    for name in (*INPUTS, *NOT_INPUTS):
        app = root / "apps" / name
        if name.startswith("compose"):
            _compose(app)
            (app / "compose.yaml").write_text(_SERVICE.format(app=name))
        else:
            _files(app)
    dockerfile = root / "apps/base-image/Dockerfile"
    dockerfile.write_text(dockerfile.read_text().replace("scratch", f"{lab.registry}/skipping/base"))
    return root


async def test_exactly_what_has_changed_is_built_and_the_registry_has_what_a_build_makes(
    lab: Lab, build: Start, source: Path, tmp_path: Path, real_count: RealCount
) -> None:
    # Records outlive a test run.
    image, operator = f"{lab.registry}/skipping-{secrets.token_hex(6)}/{{app}}", tmp_path / "operator.toml"
    operator.write_text("[secrets.TOKEN]\nenv = 'TOKEN'\n")
    variables = {"FLEETPACKS_CONFIG": str(operator), "TOKEN": "x"}

    async def run(*words: str, **more: str) -> Ran:
        async with build(source, "--jobs", "8", *words, image=image, variables=variables | more) as running:
            ran = await running.end()
        assert (ran.code, ran.failed()) == (0, {}), ran.err
        real_count.record("build", times=sum(not event.skipped for event in ran.completed().values()))
        return ran

    await _base(build, lab, tmp_path, "one")
    first = await run()
    again = await run()
    for name, change in {**INPUTS, **NOT_INPUTS}.items():
        change(source / "apps" / name)
    await _base(build, lab, tmp_path, "two")
    changed = await run()
    forced = await run("--force")
    other_scope = await run(FLEETPACKS_TRUST_SCOPE="pull-request-7")
    trusting = await run(FLEETPACKS_TRUST_SCOPE="pull-request-8,local")

    everything = {*INPUTS, *NOT_INPUTS}
    assert _built(first) == everything
    assert _built(again) == set()
    assert _digests(again) == _digests(first)
    assert _built(changed) == set(INPUTS)
    # Not every input makes another image, but what was skipped has the image of a build.
    assert _digests(forced) == _digests(changed)
    other = {name for name in everything if _digests(changed)[name] != _digests(first)[name]}
    assert other == {*INPUTS} - _SAME_IMAGE
    assert _built(forced) == _built(other_scope) == everything
    assert _built(trusting) == set()
    reasons = {event.app: event.reason for event in changed.events if isinstance(event, AppStarted)}
    assert reasons["content"] == reasons["mode"] == reasons["new-file"] == "changed: files"
    assert reasons["secret-declared"] == "changed: secrets"
    assert reasons["base-image"] == f"changed: base image {lab.registry}/skipping/base"
    assert {event.reason for event in other_scope.events if isinstance(event, AppStarted)} == {"changed: trust scope"}


async def test_an_unchanged_run_costs_two_requests_an_app_and_one_a_base_image_and_no_solve(
    lab: Lab, build: Start, tmp_path: Path, real_count: RealCount
) -> None:
    source = tmp_path / "source"
    for number in range(10):
        (source / f"app{number}").mkdir(parents=True)
        (source / f"app{number}/Dockerfile").write_text("FROM debian:trixie-slim\nCOPY . /srv/\n")
        (source / f"app{number}/x").write_text(str(number))
    asked: list[str] = []

    def watch(method: str, path: str) -> None:
        asked.append(f"{method} {path}")

    async with refusing(lab, watch) as host:
        image, variables = f"{host}/unchanged-{secrets.token_hex(6)}/{{app}}", {"REGISTRY_MIRROR": host}
        async with build(source, image=image, variables=variables) as running:
            first = await running.end()
        asked.clear()
        async with (
            tapped(lab.buildkitd, tmp_path / "tap.sock") as tap,
            build(source, image=image, host=f"unix://{tmp_path}/tap.sock", variables=variables) as running,
        ):
            again = await running.end()
    real_count.record("build", times=10)

    assert (first.code, again.code) == (0, 0), again.err
    assert len(_built(first)) == 10
    assert (_built(again), _digests(again)) == (set(), _digests(first))
    assert all(event.skipped for event in again.completed().values())
    manifests = [each for each in asked if "/manifests/" in each]
    assert sorted(each.partition(" ")[0] for each in manifests) == ["GET"] * 10 + ["HEAD"] * 11
    # What is left is the question which scheme and which token the registry wants, asked once by each client.
    assert len(asked) - len(manifests) <= 2, asked
    assert tap.solves == 0


@pytest.mark.parametrize("status", [500, 429, 403, 0])
async def test_a_registry_that_answers_nothing_of_use_means_a_build(
    lab: Lab, build: Start, tmp_path: Path, real_count: RealCount, status: int
) -> None:
    app = tmp_path / "source/app"
    app.mkdir(parents=True)
    (app / "Dockerfile").write_text("FROM debian:trixie-slim\nCOPY Dockerfile /\n")
    # The base image cannot be looked up, but the builder has it from elsewhere.
    async with refusing(lab, lambda method, _path: status if method == "HEAD" else None) as host:
        variables = {"REGISTRY_MIRROR": host}
        async with build(tmp_path / "source", image=f"{lab.registry}/blind/{{app}}", variables=variables) as running:
            ran = await running.end()
    real_count.record("build")

    assert (ran.code, _built(ran)) == (0, {"app"}), ran.err
    (reason,) = (event.reason for event in ran.events if isinstance(event, AppStarted))
    assert "debian:trixie-slim" in reason


async def _base(build: Start, lab: Lab, tmp_path: Path, content: str) -> None:
    """Publish an image to build on."""
    root = tmp_path / "bases"
    (root / "base").mkdir(parents=True, exist_ok=True)
    (root / "base/content").write_text(content)
    (root / "base/Dockerfile").write_text("FROM scratch\nCOPY content /\n")
    async with build(root, "base", "--force", image=f"{lab.registry}/skipping/{{app}}") as running:
        assert (await running.end()).code == 0


def _built(ran: Ran) -> set[str]:
    return {event.app for event in ran.events if isinstance(event, AppStarted)}


def _digests(ran: Ran) -> dict[str, str | None]:
    return {name: event.digest for name, event in ran.completed().items()}
