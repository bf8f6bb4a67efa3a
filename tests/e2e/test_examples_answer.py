"""The main job: the example monorepo, built at once, pushed, each image started and asked."""

import json
import secrets
import sys
from pathlib import Path

import anyio
import httpx
import msgspec
import pytest

from orchestrator.config import environment
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


async def test_json_of_build_is_the_result_and_of_tag_a_line_per_reference(
    lab: Lab, tmp_path: Path, real_count: RealCount
) -> None:
    program = str(Path(sys.executable).with_name("fleetpacks"))
    variables = {"PATH": environment.read()["PATH"], "HOME": str(tmp_path), "BUILDKIT_HOST": lab.buildkit_host}
    image = f"{lab.registry}/e2e-{secrets.token_hex(4)}"

    built = await anyio.run_process(
        [program, "build", "-C", str(MONOREPO), "--image", image, "--json", "services/ledger"], env=variables
    )
    digest = json.loads(built.stdout)["apps"][0]["digest"]
    tagged = await anyio.run_process([program, "tag", "--json", f"{image}/ledger:latest", "a", "b"], env=variables)

    assert b"1 succeeded" in built.stderr
    assert [json.loads(line) for line in tagged.stdout.splitlines()] == [
        {"format": 1, "reference": f"{image}/ledger:{tag}", "digest": digest} for tag in ("a", "b")
    ]
    real_count.record("build")
