"""Whom the logins are told that the environment gives."""

import base64
import json
from pathlib import Path

import pytest

from orchestrator.app.logins import given
from orchestrator.config import load
from orchestrator.registry.credentials import Credentials

_LOGIN = {"DHI_USERNAME": "robot", "DHI_PASSWORD": "hunter2"}


@pytest.mark.parametrize(
    ("mirror", "expected"),
    [
        ({}, {"dhi.io": "robot", "m.example": "alice", "n.example": None}),
        # What the mirror does not have comes from where it is from.
        ({"DHI_MIRROR": "n.example/dhi"}, {"dhi.io": "robot", "m.example": "alice", "n.example": "robot"}),
        # The mirror has a login of its own.
        ({"DHI_MIRROR": "m.example/dhi"}, {"dhi.io": "robot", "m.example": "alice", "n.example": None}),
        ({"DHI_MIRROR": "dhi.io/ours"}, {"dhi.io": "robot", "m.example": "alice", "n.example": None}),
    ],
)
async def test_the_login_for_hardened_images_is_for_their_host_and_for_a_mirror_without_one(
    tmp_path: Path, mirror: dict[str, str], expected: dict[str, str | None]
) -> None:
    (tmp_path / "source").mkdir()
    file = tmp_path / "config.json"
    auth = {"auth": base64.b64encode(b"alice:pw").decode()}
    file.write_text(json.dumps({"auths": {"m.example": auth, "dhi.io": auth}}))

    credentials = Credentials(file, given(load(tmp_path / "source", {**_LOGIN, **mirror})))

    found = {host: await credentials.lookup(host) for host in expected}
    assert {host: each and each.username for host, each in found.items()} == expected


_GITLAB = {
    "GITLAB_CI": "true",
    "CI_REGISTRY": "registry.gitlab.example:5050",
    "CI_REGISTRY_USER": "gitlab-ci-token",
    "CI_REGISTRY_PASSWORD": "hunter2",
    "CI_REGISTRY_IMAGE": "registry.gitlab.example:5050/team/shop",
}
_GITHUB = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_REPOSITORY": "Team/Shop",
    "GITHUB_ACTOR": "octocat",
    "GITHUB_TOKEN": "hunter2",
}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        (_GITLAB, {"registry.gitlab.example:5050": "gitlab-ci-token"}),
        # It is the registry's own, wherever images go.
        (_GITLAB | {"OUTPUT_IMAGE": "m.example/x"}, {"registry.gitlab.example:5050": "gitlab-ci-token"}),
        (_GITLAB | {"CI_REGISTRY_PASSWORD": ""}, {}),
        (_GITLAB | {"CI_REGISTRY": "https://bob@registry.example/x"}, {}),
        (_GITLAB | {"CI_REGISTRY": "m.example"}, {"m.example": "alice"}),
        (_GITLAB | {"GITLAB_CI": ""}, {}),
        (_GITHUB, {"ghcr.io": "octocat"}),
        (_GITHUB | {"CACHE_IMAGE": "ghcr.io/team/cache", "OUTPUT_IMAGE": "m.example/x"}, {"ghcr.io": "octocat"}),
        (_GITHUB | {"OUTPUT_IMAGE": "m.example/x"}, {}),
        (_GITHUB | {"OUTPUT_IMAGE": "ghcr.io.example/x"}, {}),
        (_GITHUB | {"GITHUB_SERVER_URL": "https://git.example"}, {}),
        (_GITHUB | {"GITHUB_TOKEN": ""}, {}),
        (_GITHUB | {"GITHUB_ACTIONS": ""}, {}),
        (_GITHUB | _GITLAB | {"GITHUB_ACTIONS": ""}, {"registry.gitlab.example:5050": "gitlab-ci-token"}),
    ],
)
async def test_a_platforms_login_is_for_its_own_registry_and_comes_behind_dockers(
    tmp_path: Path, variables: dict[str, str], expected: dict[str, str]
) -> None:
    (tmp_path / "source").mkdir()
    file = tmp_path / "config.json"
    auth = {"auth": base64.b64encode(b"alice:pw").decode()}
    file.write_text(json.dumps({"auths": {"m.example": auth}}))
    hosts = ("registry.gitlab.example:5050", "registry.gitlab.example", "ghcr.io", "docker.io", "registry.example")

    logins = given(load(tmp_path / "source", variables))
    credentials = Credentials(file, logins)

    found = {host: each.username for host in {*hosts, *logins} if (each := await credentials.lookup(host))}
    assert found == expected
    assert "hunter2" not in repr(logins)
