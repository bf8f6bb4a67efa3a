"""The main job: the example monorepo, built at once, pushed, each image started and asked."""

import json
import secrets
from pathlib import Path

import httpx
import msgspec
import pytest

from orchestrator.model import Registry
from orchestrator.registry import reference
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from tests.conftest import RealCount
from tests.e2e.conftest import Start, exit_code_of
from tests.examples.answers import EXAMPLES, MONOREPO
from tests.lab import Lab
from tests.lab.container import started

pytestmark = pytest.mark.real


async def test_every_app_of_the_monorepo_is_built_pushed_and_answers_as_uid_1000_on_a_read_only_root(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path
) -> None:
    place = f"{lab.registry}/e2e-{secrets.token_hex(4)}"
    document = tmp_path / "result.json"

    async with build(MONOREPO, "--result-file", str(document), image=f"{place}/{{app}}:v1") as running:
        ran = await running.end()

    assert (ran.code, exit_code_of(ran), ran.left) == (0, 0, ())
    completed = ran.completed()
    assert set(completed) == {example.name for example in EXAMPLES}
    result = msgspec.json.decode(document.read_bytes())
    assert result["status"] == "success"
    assert {app["name"]: app["digest"] for app in result["apps"]} == {
        name: event.digest for name, event in completed.items()
    }
    real_count.record("build", times=len(completed))
    async with (
        RegistryClient(Credentials(None), {lab.registry: Registry(host=lab.registry, insecure=True)}) as registry,
        httpx.AsyncClient(trust_env=False) as http,
    ):
        for example in EXAMPLES:
            tagged = f"{place}/{example.name}:v1"
            manifest = await registry.get_manifest(reference.parse(tagged))
            assert manifest.digest == completed[example.name].digest
            async with started(lab, tagged) as container:
                real_count.record("start")
                answer = await http.get(container.url)
                assert container.uid == 1000
                assert (answer.status_code, json.loads(answer.text)) == (200, example.answer)
                real_count.record("answer")


async def test_a_second_build_executes_nothing_and_gives_the_same_images(
    lab: Lab, build: Start, real_count: RealCount
) -> None:
    place = f"{lab.registry}/e2e-{secrets.token_hex(4)}"

    async with build(MONOREPO, image=f"{place}/{{app}}") as running:
        first = (await running.end()).completed()
    async with build(MONOREPO, image=f"{place}/{{app}}", variables={"TAG_LATEST": "true"}) as running:
        second = (await running.end()).completed()

    assert {name: event.digest for name, event in first.items()} == {
        name: event.digest for name, event in second.items()
    }
    assert [(event.steps, event.cached) for event in second.values() if event.steps != event.cached] == []
    real_count.record("build", times=len(first) + len(second))
