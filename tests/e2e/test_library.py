"""The same engine as a library, in this process, on asyncio and on trio."""

import io
import secrets
from pathlib import Path

import msgspec
import pytest

from orchestrator.app import make_plan
from orchestrator.app.build import BuildOptions, run_build
from orchestrator.config import Flags, environment, load
from orchestrator.events import AppCompleted, AppFailed, Event
from orchestrator.plan.planner import Request
from tests.conftest import RealCount
from tests.lab import Lab

pytestmark = pytest.mark.real


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    backend: str = request.param
    return backend


async def test_a_monorepo_is_built_on_either_event_loop(lab: Lab, tmp_path: Path, real_count: RealCount) -> None:
    root = tmp_path / "shop"
    for name in ("one", "two", "three"):
        (root / name).mkdir(parents=True)
        (root / name / "Dockerfile").write_text("FROM scratch\nCOPY token.txt /\n")
        (root / name / "token.txt").write_text(secrets.token_hex(8))
    (root / "three" / "Dockerfile").write_text("FROM scratch\nCOPY missing.txt /\n")
    variables = {"PATH": environment.read()["PATH"], "HOME": str(tmp_path)}
    flags = Flags(image=f"{lab.registry}/library-{secrets.token_hex(4)}", hosts=(lab.buildkit_host,), jobs=3)
    out = io.StringIO()

    config = load(root, variables, flags)
    plan = await make_plan(config, Request(secrets_needed=True))
    code = await run_build(config, plan, BuildOptions(progress="json"), progress=out)

    events = [msgspec.json.decode(line, type=Event) for line in out.getvalue().splitlines()]
    assert code == 1
    assert {event.app for event in events if isinstance(event, AppCompleted)} == {"one", "two"}
    assert {event.app for event in events if isinstance(event, AppFailed)} == {"three"}
    real_count.record("build", times=2)
