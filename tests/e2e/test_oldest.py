"""The oldest buildkitd that fleetpacks takes builds, publishes and reports as the current one does."""

import json
import secrets
from pathlib import Path

import httpx
import pytest

from orchestrator.model import Registry
from orchestrator.registry import reference
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.manifest import content
from tests.buildkit.real import private_daemon
from tests.conftest import RealCount
from tests.e2e.conftest import Ran, Start, exit_code_of
from tests.examples.answers import EXAMPLES, MONOREPO
from tests.lab import Lab
from tests.lab.container import started

pytestmark = pytest.mark.real

_EXAMPLE = next(example for example in EXAMPLES if example.name == "legacy-cron")


async def test_the_same_app_is_the_same_on_the_oldest_daemon(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path
) -> None:
    place = f"{lab.registry}/oldest-{secrets.token_hex(4)}"
    folder = tmp_path / "daemon"
    folder.mkdir()

    async with build(MONOREPO, _EXAMPLE.path, image=f"{place}/current/{{app}}") as running:
        current = await running.end()
    async with (
        private_daemon(lab, folder, program=lab.oldest_buildkitd, snapshotter="overlayfs") as (_, socket),
        build(MONOREPO, _EXAMPLE.path, host=f"unix://{socket}", image=f"{place}/oldest/{{app}}") as running,
    ):
        oldest = await running.end()

    assert [(ran.code, exit_code_of(ran), ran.left) for ran in (current, oldest)] == [(0, 0, ())] * 2
    real_count.record("build", times=2)
    assert await _runs_as(lab, current) == await _runs_as(lab, oldest)
    # The oldest pushes within its export.
    assert set(current.steps(_EXAMPLE.name)) - {"pushing image"} == set(oldest.steps(_EXAMPLE.name))
    async with (
        started(lab, f"{place}/oldest/{_EXAMPLE.name}:latest") as container,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        real_count.record("start")
        answer = await http.get(container.url)
        assert (container.uid, answer.status_code, json.loads(answer.text)) == (1000, 200, _EXAMPLE.answer)
        real_count.record("answer")


async def test_a_failing_step_fails_alike_on_the_oldest_daemon(lab: Lab, build: Start, tmp_path: Path) -> None:
    source, folder = tmp_path / "source", tmp_path / "daemon"
    folder.mkdir()
    (source / "broken").mkdir(parents=True)
    (source / "broken" / "Dockerfile").write_text("FROM debian:bookworm-slim\nRUN echo last words; exit 7\n")

    async with build(source) as running:
        current = await running.end()
    async with (
        private_daemon(lab, folder, program=lab.oldest_buildkitd, snapshotter="overlayfs") as (_, socket),
        build(source, host=f"unix://{socket}") as running,
    ):
        oldest = await running.end()

    said = [(ran.code, ran.failed()["broken"]) for ran in (current, oldest)]
    assert [(code, failed.kind, failed.message, failed.hint) for code, failed in said] == [
        (1, said[0][1].kind, said[0][1].message, said[0][1].hint)
    ] * 2


async def _runs_as(lab: Lab, ran: Ran) -> dict[str, object]:
    """How the image is started, of its configuration."""
    completed = ran.completed()[_EXAMPLE.name]
    at = reference.parse(f"{completed.image}@{completed.digest}")
    async with RegistryClient(Credentials(None), {lab.registry: Registry(host=lab.registry, insecure=True)}) as client:
        manifest = await client.get_manifest(at)
        blob = bytearray()

        async def keep(chunk: bytes) -> None:
            blob.extend(chunk)

        await client.get_blob(at, content(manifest, str(at)).config, keep)
    config: dict[str, object] = json.loads(blob)["config"]
    return config
