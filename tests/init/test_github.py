"""The workflow: the checkers have nothing to say, and its steps build and publish."""

import json
import os
import re
import secrets
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml

from orchestrator.config import environment
from orchestrator.errors import UsageError
from orchestrator.init.github import Runner, workflow
from orchestrator.init.project import BUILDKIT, AppFacts, Builder, Project
from tests.buildkit.real import private_daemon
from tests.cli.conftest import Run
from tests.conftest import RealCount
from tests.init import jobs
from tests.init.checkers import actionlint, complaints, loaded
from tests.init.projects import NASTY, full, project
from tests.lab import Lab

RUNNERS: tuple[Runner, ...] = ("hosted", "self-hosted")
BEHIND_SSHD = project(builders=(Builder(url="ssh://deploy@one.example"),), image="registry.example/shop")


def read(made: Project, runner: Runner) -> dict[str, Any]:
    [file] = workflow(made, runner=runner).files
    [document] = loaded(file.text)
    found: dict[str, Any] = document
    return found


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("made", [project(), full(), BEHIND_SSHD], ids=["small", "full", "sshd"])
def test_the_schema_of_workflows_has_nothing_to_say(made: Project, runner: Runner) -> None:
    document = read(made, runner)

    assert complaints(document, "github-workflows") == []
    # The schema can say no.
    assert complaints({**document, "job": {}}, "github-workflows") != []


@pytest.mark.full
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_actionlint_has_nothing_to_say() -> None:
    files = [workflow(made, runner=runner).files[0] for made in (project(), full(), BEHIND_SSHD) for runner in RUNNERS]

    for file in files:
        assert await actionlint(file.text) == []
    wrong = await actionlint(files[0].text.replace("github.event_name", "github.event_nam"))
    assert any("event_nam" in line for line in wrong)


def test_latest_is_for_the_main_branch_alone_and_a_pull_request_pushes_nothing() -> None:
    document = read(project(branch="trunk"), "hosted")

    steps = {step["name"]: step for step in document["jobs"]["images"]["steps"] if "name" in step}
    pushing = [name for name, step in steps.items() if "--push" in step["run"]]
    assert document["on"]["push"]["branches"] == ["trunk"]
    assert pushing == ["Publish"]
    assert steps["Publish"]["if"] == "github.event_name != 'pull_request'"
    assert steps["Publish"]["env"]["TAG"] == "${{ github.ref == 'refs/heads/trunk' && 'latest' || '{branch}' }}"
    assert "--no-push" in steps["Build what the pull request changes"]["run"]


def test_a_pull_request_from_elsewhere_runs_on_nobodys_machine() -> None:
    condition = (
        "github.event_name != 'pull_request' || github.event.pull_request.head.repo.full_name == github.repository"
    )

    assert read(project(), "self-hosted")["jobs"]["images"]["if"] == condition
    assert "if" not in read(project(), "hosted")["jobs"]["images"]
    # It would fail for want of what it is not given.
    for made in (BEHIND_SSHD, project(secrets=("NPM_TOKEN",))):
        assert read(made, "hosted")["jobs"]["images"]["if"] == condition


def test_one_app_by_hand_takes_nobodys_place_in_the_queue() -> None:
    group = read(project(), "hosted")["concurrency"]["group"]

    pushed, all_by_hand, one_by_hand = (
        jobs.filled(
            group, {"github.workflow": "images", "github.ref": "refs/heads/main", "inputs.apps || '.'": apps or "."}
        )
        for apps in ("", ".", "services/api")
    )

    assert pushed == all_by_hand != one_by_hand


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_builder_that_is_silent_ends_no_job(runner: Runner) -> None:
    [looking] = [
        step for step in read(full(), runner)["jobs"]["images"]["steps"] if "hosts check" in step.get("run", "")
    ]

    assert looking["run"] == "fleetpacks hosts check || true"


@pytest.mark.parametrize("runner", RUNNERS)
def test_no_expression_stands_in_a_command_and_every_action_is_named_by_commit(runner: Runner) -> None:
    steps = read(full(), runner)["jobs"]["images"]["steps"]

    assert [step["run"] for step in steps if "${{" in step.get("run", "")] == []
    used = [step["uses"].partition("@")[2] for step in steps if "uses" in step]
    assert used
    assert [each for each in used if len(each) != 40] == []


def test_a_directory_may_be_called_anything_but_an_expression() -> None:
    odd = project(apps=(AppFacts(name="odd", path=NASTY),))
    worse = project(apps=(AppFacts(name="worse", path="${{ secrets.X }}"),))

    assert read(odd, "hosted")["on"]["workflow_dispatch"]["inputs"]["apps"]["options"] == [".", NASTY]
    with pytest.raises(UsageError, match="reads as an expression"):
        workflow(worse, runner="hosted")


def test_builders_that_every_machine_reaches_are_used_from_everywhere_and_sockets_only_here() -> None:
    hosted, own = (read(full(), runner)["jobs"]["images"]["steps"] for runner in RUNNERS)

    operators = [
        next(step["env"]["OPERATOR"] for step in steps if "OPERATOR" in step.get("env", {})) for steps in (hosted, own)
    ]
    assert ["unix://" in text for text in operators] == [False, True]
    assert all("ssh://deploy@one.example?slots=8" in text for text in operators)
    assert [any(step.get("name") == "Start a builder" for step in steps) for steps in (hosted, own)] == [False, False]
    small = read(project(), "hosted")["jobs"]["images"]["steps"]
    assert any(step.get("name") == "Start a builder" for step in small)


EXPRESSIONS = {
    "github.event_name != 'pull_request'": "yes",
    "github.event_name == 'pull_request'": "",
    "github.ref == 'refs/heads/main' && 'latest' || '{branch}'": "latest",
    "inputs.apps || '.'": ".",
    "inputs.force && '--force' || ''": "",
    "secrets.REGISTRY_USER": "somebody",
    "secrets.REGISTRY_PASSWORD": "planted-'password\"",
}


@pytest.mark.real
def test_the_steps_on_ones_own_runner_publish_what_is_on_main_and_build_what_a_pull_request_changes(
    run: Run, lab: Lab, tmp_path: Path, real_count: RealCount
) -> None:
    source, temporary = tmp_path / "source", tmp_path / "runner"
    before = anyio.run(jobs.repository, source)
    temporary.mkdir()
    name = f"init-{secrets.token_hex(4)}"
    told = run(
        *("init", "github", "-C", source, "--runner", "self-hosted", "--package", "fleetpacks"),
        *("--image", f"{lab.registry}/{name}", "--host", lab.buildkit_host),
    )
    document = yaml.safe_load((source / ".github/workflows/images.yml").read_text())
    job = document["jobs"]["images"]
    # The volume of the runner's caches.
    job["env"] = {
        key: value.replace("/var/cache/fleetpacks", str(tmp_path / "kept")) for key, value in job["env"].items()
    }
    for step in job["steps"]:
        if "OPERATOR" in step.get("env", {}):
            step["env"]["OPERATOR"] = step["env"]["OPERATOR"].replace("/var/cache/fleetpacks", str(tmp_path / "kept"))
    base = {"PATH": f"{Path(sys.executable).parent}:{environment.read()['PATH']}", "HOME": str(tmp_path / "home")}
    base |= {"GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main"}
    requested = {
        **EXPRESSIONS,
        "github.event_name != 'pull_request'": "",
        "github.event_name == 'pull_request'": "yes",
        "github.event.pull_request.base.sha": before,
        "secrets.REGISTRY_USER": "",
        "secrets.REGISTRY_PASSWORD": "",
    }

    async def ran(expressions: dict[str, str]) -> list[jobs.Stepped]:
        return await jobs.github(
            job,
            source=source,
            temporary=temporary,
            environment=base,
            expressions=expressions,
            skip="Install fleetpacks".__eq__,
        )

    pushed = anyio.run(ran, EXPRESSIONS)
    login = json.loads((temporary / "docker/config.json").read_text())
    asked = anyio.run(ran, requested)
    real_count.record("build", times=3)

    assert (told.code, told.err.startswith("warning: put REGISTRY_USER")) == (0, True)
    assert {step.name: step.code for step in pushed} == {
        "Say where images go and who builds them": 0,
        "Log in to the registry": 0,
        "Look at the builders": 0,
        "Publish": 0,
        "Tell where the time went": 0,
    }, pushed
    assert list(login["auths"]) == [lab.registry]
    assert (temporary / "fleetpacks.toml").stat().st_mode & 0o077 == 0
    for app in ("api", "web"):
        # The record of what the image is made of, beside both.
        assert {len(tag) for tag in anyio.run(jobs.tags, lab.registry, f"{name}/{app}") - {"latest"}} == {12, 67}
    assert "2 succeeded, 0 failed" in pushed[-1].out
    by_name = {step.name: step for step in asked}
    assert by_name["Build what the pull request changes"].code == 0, asked
    assert "building 1 app" in by_name["Build what the pull request changes"].out
    assert "Publish" not in by_name
    assert (tmp_path / "kept/state").is_dir()


_DOCKER = """\
#!/bin/sh
# Stands in for the platform's docker, with a real daemon that the test has started: its socket gets where it belongs.
echo "$@" > {told}
for word; do case $word in *:/run/buildkit) ln -s {socket} "${{word%:/run/buildkit}}/buildkitd.sock" ;; esac; done
"""


@pytest.mark.real
@pytest.mark.apart
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_steps_on_githubs_runners_start_a_builder_and_keep_all_layers_in_the_registry(
    lab: Lab, tmp_path: Path, real_count: RealCount
) -> None:
    source, temporary, programs, daemon = (tmp_path / name for name in ("source", "runner", "bin", "daemon"))
    await jobs.repository(source)
    for folder in (temporary, programs, daemon):
        folder.mkdir()
    name = f"init-{secrets.token_hex(4)}"
    job = read(project(image=f"{lab.registry}/{name}/{{app}}"), "hosted")["jobs"]["images"]
    (programs / "docker").write_text(_DOCKER.format(told=temporary / "told", socket=daemon / "s"))
    (programs / "docker").chmod(0o755)
    path = f"{programs}:{Path(sys.executable).parent}:{environment.read()['PATH']}"
    base = {"PATH": path, "HOME": str(tmp_path), "GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/main"}
    base |= {"GITHUB_REF_NAME": "main"}

    async with private_daemon(lab, daemon):
        ran = await jobs.github(
            job,
            source=source,
            temporary=temporary,
            environment=base,
            expressions={**EXPRESSIONS, "inputs.apps || '.'": "web", "inputs.force && '--force' || ''": "--force"},
            skip="Install fleetpacks".__eq__,
        )
    real_count.record("build", times=2)

    told = (temporary / "told").read_text().split()
    assert {step.name: step.code for step in ran}["Start a builder"] == 0
    assert [step for step in ran if step.code] == []
    assert told[:5] == ["run", "--detach", "--privileged", "--name", "buildkitd"]
    assert told[-3:] == [BUILDKIT, "--group", str(os.getgid())]
    assert "latest" in await jobs.tags(lab.registry, f"{name}/web")
    assert await jobs.tags(lab.registry, f"{name}/api") == set()
    [cached] = await jobs.tags(lab.registry, f"{name}/cache")
    assert "web" in cached


@pytest.mark.full
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_is_installed_is_there_for_the_steps_behind_it(tmp_path: Path) -> None:
    checkout = str(Path(__file__).parents[2])
    job = read(project(package=checkout), "hosted")["jobs"]["images"]
    behind = {"name": "Ask", "run": "command -v fleetpacks; fleetpacks --version"}
    only = {**job, "steps": [*(step for step in job["steps"] if step.get("name") == "Install fleetpacks"), behind]}

    ran = await jobs.github(
        only,
        source=tmp_path,
        temporary=tmp_path,
        environment={"PATH": environment.read()["PATH"], "HOME": str(tmp_path)},
        expressions={},
    )

    assert [step.code for step in ran] == [0, 0], ran
    # The version is that of the commit, which an installation in place does not know.
    assert re.fullmatch(rf"{tmp_path}/fleetpacks/bin/fleetpacks\nfleetpacks [0-9.]+\S*\n", ran[-1].out)
