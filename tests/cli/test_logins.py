"""Whom the login for hardened images is told."""

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
