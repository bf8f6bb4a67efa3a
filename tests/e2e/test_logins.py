"""A CI platform's login for its registry: it opens that, and is in nothing that a run leaves."""

import json
import secrets
from pathlib import Path

import anyio
import pytest

from tests.conftest import RealCount
from tests.e2e.conftest import Start
from tests.e2e.options.relay import relay
from tests.lab import Lab

pytestmark = pytest.mark.real


async def test_a_job_pushes_with_the_login_that_its_platform_gives_and_nothing_shows_it(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path
) -> None:
    password, repository = secrets.token_hex(16), f"ci-{secrets.token_hex(4)}"
    app = tmp_path / "source/app"
    app.mkdir(parents=True)
    (app / "Dockerfile").write_text("FROM scratch\nCOPY word /\n")
    (app / "word").write_text(secrets.token_hex(8))
    result = tmp_path / "result.json"

    async with relay(lab, login=f"gitlab-ci-token:{password}") as at:
        said = {
            "GITLAB_CI": "true",
            "CI_REGISTRY": at,
            "CI_REGISTRY_IMAGE": f"{at}/{repository}",
            "CI_REGISTRY_USER": "gitlab-ci-token",
            "CI_REGISTRY_PASSWORD": password,
        }
        words = ("--push", "--retries", "0", "--provenance", "max", "--result-file", str(result))
        async with build(app.parent, *words, variables=said) as running:
            ran = await running.end()
        async with build(app.parent, *words, "--force", variables=said | {"CI_REGISTRY_PASSWORD": "wrong"}) as running:
            refused = await running.end()
    real_count.record("build")

    assert (ran.code, refused.code) == (0, 1), [ran.err, ran.failed()]
    assert json.loads(await anyio.Path(result).read_text())["status"] == "failed"
    assert ran.completed()["app"].digest
    assert password not in str(ran.events) + ran.err + str(refused.events)
    left = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert left
    assert all(password.encode() not in path.read_bytes() for path in left)
