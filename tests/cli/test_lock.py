"""`fleetpacks lock`: which base images are meant is written down once, and every build obeys it."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator import app as application
from orchestrator.app.lock import Outcome, pin
from orchestrator.config import Config, environment, load, lock
from orchestrator.errors import ImageNotFoundError
from orchestrator.plan.planner import Request
from tests.cli.conftest import Run
from tests.lab import Lab
from tests.registry.server import Server, running

GO = {"go.mod": "module a\n\ngo 1.25\n", "main.go": "package main\n\nfunc main() {}\n"}
IMAGES = ("debian:bookworm-slim", "golang:1.25")
OWN = "FROM busybox:1\nCMD true\n"


def monorepo(root: Path) -> Path:
    """An app of ours, and one with a Dockerfile of its own, which pins for itself."""
    for name, text in {**{f"api/{name}": text for name, text in GO.items()}, "own/Dockerfile": OWN}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def variables(root: Path, host: str) -> Mapping[str, str]:
    return {"PATH": environment.read()["PATH"], "HOME": str(root / ".home"), "REGISTRY_MIRROR": host}


def config(root: Path, server: Server) -> Config:
    return load(root, variables(root, server.host))


def serve(server: Server) -> dict[str, str]:
    """Make the images be there, and say their digests."""
    return {
        name: server.add_manifest(f"library/{name.partition(':')[0]}", name.partition(":")[2], name.encode())
        for name in IMAGES
    }


async def pinned(root: Path, server: Server, *, check: bool = False) -> Outcome:
    return await pin(config(root, server), check=check)


async def test_what_generated_dockerfiles_stand_on_is_written_and_then_stands_in_them(tmp_path: Path) -> None:
    root = monorepo(tmp_path)
    async with running(Server()) as server:
        digests = serve(server)

        outcome = await pinned(root, server)
        again = await pinned(root, server)
        plan = await application.make_plan(config(root, server), Request())

    assert lock.read(root) == digests
    assert [(each.name, each.digest, each.before) for each in outcome.images] == [
        (name, digests[name], None) for name in IMAGES
    ]
    assert not again.outdated
    api, own = (app.build for app in plan.apps)
    for name in IMAGES:
        assert f"FROM {name}@{digests[name]} AS " in api.dockerfile
    assert f'image.base.name="{IMAGES[0]}"' in api.dockerfile
    assert f'image.base.digest="{digests[IMAGES[0]]}"' in api.dockerfile
    assert api.warnings == ()
    assert own.dockerfile == OWN
    assert [path.name for path in root.iterdir() if path.name.startswith(".fleetpacks")] == []


async def test_a_tag_that_moved_is_seen_and_moves_the_lock_only_when_it_is_written(tmp_path: Path) -> None:
    root = monorepo(tmp_path)
    async with running(Server()) as server:
        before = serve(server)
        await pinned(root, server)
        moved = server.add_manifest("library/golang", "1.25", b"a newer one")

        checked = await pinned(root, server, check=True)
        kept = lock.read(root)
        await pinned(root, server)

    assert checked.outdated
    assert [(each.digest, each.before) for each in checked.images if each.name == "golang:1.25"] == [
        (moved, before["golang:1.25"])
    ]
    assert kept == before
    assert lock.read(root) == {**before, "golang:1.25": moved}


async def test_what_no_app_needs_is_dropped(tmp_path: Path) -> None:
    root = monorepo(tmp_path)
    digest = "sha256:" + "0" * 64
    (root / lock.FILE).write_text(lock.text({"node:22": digest}))
    async with running(Server()) as server:
        digests = serve(server)

        outcome = await pinned(root, server)

    assert [(each.name, each.before) for each in outcome.images if each.digest is None] == [("node:22", digest)]
    assert lock.read(root) == digests


async def test_nothing_is_written_when_an_image_is_not_there(tmp_path: Path) -> None:
    root = monorepo(tmp_path)
    async with running(Server()) as server:
        registry = f'images.golang = "{server.host}/golang"\nimages.debian = "{server.host}/debian"\n'
        (root / "fleetpacks.toml").write_text(registry)
        server.add_manifest("debian", "bookworm-slim", b"x")

        with pytest.raises(ImageNotFoundError, match=f"{server.host}/golang:1.25"):
            await pinned(root, server)

    assert lock.read(root) is None


async def test_an_image_that_the_lock_does_not_have_is_a_warning(tmp_path: Path) -> None:
    root = monorepo(tmp_path)
    async with running(Server()) as server:
        digests = serve(server)
        (root / lock.FILE).write_text(lock.text({"golang:1.25": digests["golang:1.25"]}))

        plan = await application.make_plan(config(root, server), Request())

    warned = {app.app.path: app.build.warnings for app in plan.apps}
    assert warned == {"api": ("fleetpacks.lock does not have debian:bookworm-slim: run `fleetpacks lock`",), "own": ()}


@pytest.mark.real
def test_the_command_locks_checks_and_says_what_changed(run: Run, lab: Lab, tmp_path: Path) -> None:
    root = monorepo(tmp_path)
    said = variables(root, lab.registry)

    unlocked = run("lock", "-C", root, "--check", variables=said)
    locked = run("lock", "-C", root, variables=said)
    checked = run("lock", "-C", root, "--check", "--json", variables=said)
    (root / lock.FILE).write_text(lock.text({}))
    outdated = run("lock", "-C", root, "--check", variables=said)

    assert (unlocked.code, locked.code, checked.code, outdated.code) == (1, 0, 0, 1)
    assert "run `fleetpacks lock`" in unlocked.err
    assert [line.split()[::2] for line in locked.out.splitlines()] == [[name, "new"] for name in IMAGES]
    document = json.loads(checked.out)
    assert (document["file"], document["outdated"]) == (lock.FILE, False)
    assert [(each["name"], each["digest"] == each["before"]) for each in document["images"]] == [
        (name, True) for name in IMAGES
    ]
