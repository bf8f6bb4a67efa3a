"""The pipeline: the schema has nothing to say, and its commands build and publish."""

import secrets
import sys
from pathlib import Path
from typing import Any

import anyio
import pytest
import yaml

from orchestrator.config import environment
from orchestrator.errors import UsageError
from orchestrator.init.gitlab import pipeline
from orchestrator.init.project import AppFacts, Project
from tests.cli.conftest import Run
from tests.conftest import RealCount
from tests.init import jobs
from tests.init.checkers import complaints, loaded
from tests.init.projects import NASTY, full, project
from tests.lab import Lab


def read(made: Project) -> dict[str, Any]:
    [file] = pipeline(made).files
    [document] = loaded(file.text)
    found: dict[str, Any] = document
    return found


def job(document: dict[str, Any], name: str) -> dict[str, Any]:
    """A job with what it extends."""
    return {**document[document[name]["extends"]], **document[name]}


@pytest.mark.parametrize("made", [project(), full(), project(hub="m.example", image="r.example/a")])
def test_the_schema_of_pipelines_has_nothing_to_say(made: Project) -> None:
    document = read(made)

    assert complaints(document, "gitlab-ci") == []
    assert complaints({**document, "images": {"script": 1}}, "gitlab-ci") != []


def test_latest_is_for_the_main_branch_alone_and_a_merge_request_pushes_nothing() -> None:
    document = read(project(branch="trunk"))

    assert document["images"]["rules"] == [
        {"if": '$CI_COMMIT_BRANCH == "trunk"', "variables": {"TAG": "latest"}},
        {"if": '$CI_PIPELINE_SOURCE == "web"', "variables": {"TAG": "{branch}"}},
    ]
    assert document["merge-request"]["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "merge_request_event"'}]
    assert [" --push " in line for line in document["merge-request"]["script"]] == [False]


def test_one_job_of_a_branch_publishes_at_a_time_and_a_builder_that_is_silent_ends_none() -> None:
    document = read(project())

    assert document["images"]["resource_group"] == "images-$CI_COMMIT_REF_SLUG"
    assert "resource_group" not in document["merge-request"]
    assert document[".fleetpacks"]["before_script"][-1] == "fleetpacks hosts check || true"


def test_a_builder_of_the_job_is_there_only_where_none_is_reached() -> None:
    near, far = read(project())[".fleetpacks"], read(full())[".fleetpacks"]

    assert near["services"][0]["command"] == ["--addr", "tcp://0.0.0.0:1234"]
    assert near["variables"]["BUILDKIT_HOST"] == "tcp://buildkitd:1234"
    assert "services" not in far
    assert "ssh://deploy@one.example" in far["variables"]["OPERATOR"]["value"]


def test_a_directory_that_gitlab_would_read_as_a_variable_is_refused() -> None:
    with pytest.raises(UsageError, match="reads as a variable"):
        read(project(apps=(AppFacts(name="odd", path=NASTY),)))


@pytest.mark.real
def test_the_commands_of_both_jobs_build_and_only_those_on_main_publish(
    run: Run, lab: Lab, tmp_path: Path, real_count: RealCount
) -> None:
    source = tmp_path / "source"
    before = anyio.run(jobs.repository, source)
    name = f"init-{secrets.token_hex(4)}"
    # A job reaches the builder by an address that is no socket of its machine.
    told = run("init", "gitlab", "-C", source, "--package", "fleetpacks", "--image", f"{lab.registry}/{name}")
    document = yaml.safe_load((source / ".gitlab-ci.yml").read_text())
    base = {"PATH": f"{Path(sys.executable).parent}:{environment.read()['PATH']}", "HOME": str(tmp_path / "home")}
    base |= {"CI": "true", "GITLAB_CI": "true", "CI_COMMIT_REF_NAME": "main", "CI_DEFAULT_BRANCH": "main", "APPS": "."}
    base |= {"REGISTRY_USER": "somebody", "REGISTRY_PASSWORD": "planted", "TAG": "latest"}
    base |= {"CI_MERGE_REQUEST_DIFF_BASE_SHA": before}

    async def ran(which: str) -> jobs.Stepped:
        found = job(document, which)
        # What the job's image and service would be: this machine, with the lab's builder.
        found["before_script"] = [line for line in found["before_script"] if "/venv" not in line]
        found["variables"] = {**found["variables"], "BUILDKIT_HOST": lab.buildkit_host}
        return await jobs.gitlab(
            found,
            source=source,
            environment=base,
            places={"/tmp/fleetpacks": str(tmp_path / which)},  # noqa: S108 -- of a container
        )

    asked = anyio.run(ran, "merge-request")
    tags = anyio.run(jobs.tags, lab.registry, f"{name}/web")
    pushed = anyio.run(ran, "images")
    real_count.record("build", times=3)

    assert told.code == 0
    assert (asked.code, tags) == (0, set()), asked.out
    assert "building 1 app" in asked.out
    assert pushed.code == 0, pushed.out
    assert "2 succeeded, 0 failed" in pushed.out
    assert {len(tag) for tag in anyio.run(jobs.tags, lab.registry, f"{name}/web") - {"latest"}} == {12, 67}
    assert (tmp_path / "images/docker/config.json").stat().st_mode & 0o077 == 0
