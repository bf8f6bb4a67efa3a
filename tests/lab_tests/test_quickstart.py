"""Which builder the quickstart takes; all of it is run by `.ci/run`."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from orchestrator.config import environment
from tests.docker.scripted import VERSION, Answering, scripted
from tests.lab import engines, quickstart
from tests.lab.state import Engine, Layout

Set = Callable[[Mapping[str, str]], None]


@pytest.fixture
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Set:
    """Replace the environment by another one."""

    def replace(said: Mapping[str, str]) -> None:
        monkeypatch.setattr(environment, "read", lambda: {"HOME": str(tmp_path), **said})

    return replace


@pytest.mark.real
async def test_the_engine_that_was_named_is_taken(variables: Set, engine_graph: Engine) -> None:
    said: list[str] = []
    variables({"DOCKER_HOST": engine_graph.docker_host})

    found = await quickstart.own_engine(said.append, hub=False)

    assert found == f"docker://{engine_graph.socket}"
    assert said == [f"using Docker Engine {engine_graph.version} at $DOCKER_HOST={engine_graph.docker_host}"]


@pytest.mark.real
async def test_a_local_engine_that_nobody_named_is_taken_where_it_finds_base_images(
    variables: Set, engine_graph: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    variables({})
    for module in ("tests.lab.quickstart", "orchestrator.app.builder"):
        monkeypatch.setattr(f"{module}.ENGINE_SOCKET", str(engine_graph.socket))

    with_hub = await quickstart.own_engine(said.append, hub=True)
    without = await quickstart.own_engine(said.append, hub=False)

    assert with_hub == f"docker://{engine_graph.socket}"
    assert without is None
    assert len(said) == 1


async def test_what_is_no_usable_engine_is_left_with_a_word(variables: Set, tmp_path: Path) -> None:
    said: list[str] = []

    async def info(answering: Answering) -> None:
        await answering.whole({"message": "not here"}, status=500)

    podman = {**VERSION, "Components": [{"Name": "Podman Engine"}]}
    async with scripted(tmp_path / "s", info, version=podman):
        variables({"DOCKER_HOST": f"unix://{tmp_path}/s"})
        found = [await quickstart.own_engine(said.append, hub=True)]
    for host in (f"unix://{tmp_path}/none", "nonsense", "tcp://127.0.0.1:1"):
        variables({"DOCKER_HOST": host})
        found.append(await quickstart.own_engine(said.append, hub=True))

    assert found == [None] * 4
    assert ["Podman" in said[0], *("is of no use" in line for line in said)] == [True] * 5


async def test_without_any_engine_nothing_is_said(variables: Set, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    variables({})
    monkeypatch.setattr(quickstart, "ENGINE_SOCKET", "/nonexistent/docker.sock")

    assert await quickstart.own_engine(said.append, hub=True) is None
    assert said == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root's iptables")
async def test_the_rule_that_lets_an_engines_steps_out_goes_when_the_lab_goes(tmp_path: Path) -> None:
    place = Layout(root=tmp_path)

    await engines.route(place, "graph")
    await engines.route(place, "graph")
    made = await engines.forwards(place, "graph", "--check")
    await engines.clean(place, "/bin/true")
    left = await engines.forwards(place, "graph", "--check")

    assert (made, left) == (True, False)
