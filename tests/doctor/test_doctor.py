"""`fleetpacks doctor` against registries, builders and records."""

import json
import re
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

import anyio
import pytest

from orchestrator.app import doctoring
from orchestrator.app.doctoring import Examined, examine
from orchestrator.config import environment, load
from orchestrator.doctor import rules
from tests.buildkit.real import private_daemon
from tests.cli.conftest import Run
from tests.conftest import RealCount
from tests.docs.test_lists import listed, section
from tests.lab import Lab
from tests.registry.server import Answer, Fault, Server, running

_OLD = ("date", "Sun, 22 Nov 2015 14:00:00 GMT")


def source(root: Path, dockerfile: str = "FROM scratch\nCOPY said /\n") -> Path:
    (root / "api").mkdir(parents=True)
    (root / "api/Dockerfile").write_text(dockerfile)
    (root / "api/said").write_text(secrets.token_hex(8))
    return root


async def examined(root: Path, variables: Mapping[str, str]) -> Examined:
    said = {"PATH": environment.read()["PATH"], "HOME": str(root / "home"), "BUILDKIT_HOST": f"unix://{root}/none"}
    return await examine(load(root / "source", {**said, **variables}), root=root / "machine", seconds=0.01)


def kinds(found: Examined) -> dict[str, str]:
    return {each.kind: each.about for each in found.problems}


def test_what_it_tells_is_listed_all_of_it_and_nothing_else() -> None:
    table = section("docs/usage.md", "## `fleetpacks doctor`").partition("| problem | |")[2].partition("\n\n")[0]
    code = "".join(Path(module.__file__ or "").read_text() for module in (rules, doctoring))

    assert sorted(listed(table)) == sorted(set(re.findall(r'\bkind="([a-z-]+)"', code)))


async def test_what_a_registry_says_beside_its_answers_is_heard(tmp_path: Path) -> None:
    source(tmp_path / "source", "FROM debian:bookworm-slim\n")
    async with running(Server()) as server:
        limits = (("ratelimit-limit", "100;w=21600"), ("ratelimit-remaining", "4;w=21600"))
        server.faults.append(Fault(method="HEAD", answer=Answer(status=200, headers=(_OLD, *limits))))

        found = await examined(tmp_path, {"REGISTRY_MIRROR": server.host})

        asked = [(each.method, each.path) for each in server.seen if each.path != "/v2/"]
    assert asked == [("HEAD", "/v2/library/debian/manifests/bookworm-slim")]
    assert kinds(found) == {
        "builder-unreachable": f"unix://{tmp_path}/none",
        "clock": "this machine",
        "registry-limit": server.host,
    }
    assert {each.kind: each.cure for each in found.problems}["registry-limit"] == f"docker login {server.host}"


@pytest.mark.parametrize(("status", "kind"), [(429, "registry-limit"), (503, "registry-unreachable")])
async def test_a_registry_that_refuses_is_told_of_at_once(tmp_path: Path, status: int, kind: str) -> None:
    source(tmp_path / "source", "FROM debian:bookworm-slim\n")
    async with running(Server()) as server:
        server.faults += [Fault(method="HEAD", answer=Answer(status=status, headers=(("retry-after", "600"),)))] * 2

        found = await examined(tmp_path, {"REGISTRY_MIRROR": server.host})

        asked = len(server.requests("HEAD", "debian"))
    assert asked == 1
    assert kinds(found)[kind] == server.host


@pytest.mark.real
@pytest.mark.parametrize(("tag", "reached"), [("bookworm-slim", True), ("there-is-none", False)])
async def test_a_registry_that_builders_alone_need_and_reach_is_no_problem(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_count: RealCount, tag: str, *, reached: bool
) -> None:
    source(tmp_path / "source", f"FROM debian:{tag}\n")
    for name in ("HTTPS_PROXY", "https_proxy"):
        # Nobody is there; the lab's builder has a mirror of Docker Hub.
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    found = await examined(tmp_path, {"BUILDKIT_HOST": lab.buildkit_host})
    real_count.record("build")

    unseen = {each.what: each.why for each in found.unseen}
    assert unseen.get("docker.io", "").endswith("; builders reach it") is reached
    assert (kinds(found).get("registry-unreachable") == "docker.io") is not reached


async def test_what_could_not_be_looked_at_is_said(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()

    found = await examined(tmp_path, {"BUILDKIT_HOST": "tcp://127.0.0.1:1"})

    assert [each.what for each in found.unseen] == [
        *("earlier builds", "overlayfs", "registries", "sizes of packets", "the machine of tcp://127.0.0.1:1"),
        *("what apps need", "what processors wait for"),
    ]
    assert found.exit_code == 1


def test_no_builder_is_told_with_what_to_do(run: Run, tmp_path: Path) -> None:
    ran = run("doctor", "-C", source(tmp_path / "source"), "--host", f"unix://{tmp_path}/none")
    told = run("doctor", "-C", tmp_path / "source", "--host", f"unix://{tmp_path}/none", "--json")

    assert (ran.code, ran.err) == (1, "")
    assert f"\nbuilder-unreachable: unix://{tmp_path}/none: " in f"\n{ran.out}"
    assert "\n  cure: " in ran.out
    assert "\nnot looked at: earlier builds: " in ran.out
    document = json.loads(told.out)
    assert (told.code, document["format"]) == (1, 1)
    assert set(document) == {"format", "looked", "problems", "unseen"}
    assert {"builder-unreachable"} <= {each["kind"] for each in document["problems"]}


@pytest.mark.real
def test_a_machine_that_builds_is_looked_at_all_over(run: Run, lab: Lab, tmp_path: Path, real_count: RealCount) -> None:
    root = source(tmp_path / "source")
    words = ("-C", root, "--host", lab.buildkit_host)
    built = run("build", *words, "--image", f"{lab.registry}/doctor-{secrets.token_hex(4)}")

    ran = run("doctor", *words, "--json", variables={"OUTPUT_IMAGE": f"{lab.registry}/shop"})

    real_count.record("build")
    real_count.record("answer")
    found = json.loads(ran.out)
    assert built.code == 0
    assert set(found["looked"]) == {"this machine", lab.buildkit_host, lab.registry, "earlier builds"}
    assert ran.code == (1 if found["problems"] else 0)
    seen = doctoring.earlier(load(root, {"HOME": str(tmp_path / "home")}))
    assert seen is not None
    assert [(each.app, each.steps, each.pulled) for each in seen] == [("api", 1, 0)]
    assert seen[0].seconds > 0
    # What is wrong with a machine under test may be anything, but not this.
    told = {each["kind"] for each in found["problems"]}
    assert told.isdisjoint({"no-builder", "builder-unreachable", "registry-unreachable", "clock", "overlay-missing"})


@pytest.mark.real
@pytest.mark.full
@pytest.mark.apart
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_what_a_pull_and_its_unpacking_took_is_in_the_record(
    lab: Lab, tmp_path: Path, real_count: RealCount
) -> None:
    root = source(tmp_path / "source", "FROM debian:bookworm-slim\nRUN echo > /x\n")
    (tmp_path / "daemon").mkdir()
    variables = {"PATH": environment.read()["PATH"], "HOME": str(tmp_path / "home")}
    program = str(Path(sys.executable).with_name("fleetpacks"))
    image = f"{lab.registry}/doctor-{secrets.token_hex(4)}"

    async with private_daemon(lab, tmp_path / "daemon") as (_, socket):
        words = ["build", "-C", str(root), "--image", image, "--host", f"unix://{socket}"]
        await anyio.run_process([program, *words], env=variables)

    real_count.record("build")
    [built] = list(doctoring.earlier(load(root, variables)) or ())
    assert (built.app, built.cached, built.steps) == ("api", 0, 1)
    assert built.pulled > 10_000_000
    assert 0 < built.pulling < built.seconds
    assert 0 < built.unpacking < built.seconds
