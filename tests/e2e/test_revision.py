"""The revision in an image's labels, on every kind of builder: it is there, and costs no step."""

import secrets
from pathlib import Path

import anyio
import pytest

from tests.conftest import RealCount
from tests.e2e.conftest import Start
from tests.e2e.test_dropin import config_of
from tests.lab import Engine, Lab

pytestmark = pytest.mark.real

_LABEL = "org.opencontainers.image"
_GIT = ("git", "-c", "user.name=test", "-c", "user.email=test@localhost")
# What a step writes tells whether it was executed.
_APP = """\
build = "date +%N > built"
images.node = "REGISTRY/library/debian:trixie-slim"
"""


async def _git(*words: str, cwd: Path) -> str:
    return (await anyio.run_process([*_GIT, *words], cwd=cwd)).stdout.decode().strip()


async def _committed(root: Path, notes: str) -> str:
    (root / "notes.md").write_text(notes)
    await _git("add", ".", cwd=root)
    await _git("commit", "-q", "-m", notes, cwd=root)
    return await _git("rev-parse", "HEAD", cwd=root)


@pytest.fixture
async def root(lab: Lab, tmp_path: Path) -> Path:
    """A repository with an app of which nothing is installed, and one that has a Dockerfile."""
    root = tmp_path / "shop"
    for name in ("web", "own"):
        (root / name).mkdir(parents=True)
        (root / name / "index.js").write_text(f"// {secrets.token_hex(8)}\nrequire('http').createServer().listen(1)\n")
    (root / "web/fleetpacks.toml").write_text(_APP.replace("REGISTRY", lab.registry))
    (root / "own/Dockerfile").write_text("FROM scratch\nCOPY index.js /\n")
    (root / "own/fleetpacks.toml").write_text('language = "dockerfile"\n')
    await _git("init", "-q", cwd=root)
    await _git("remote", "add", "origin", "https://alice:secret@git.example/shop.git?x=secret", cwd=root)
    return root


@pytest.mark.parametrize("on", ["buildkitd", "engine_containerd", "engine_graph"])
async def test_an_image_says_its_revision_and_another_one_executes_nothing_again(  # noqa: PLR0917 -- fixtures
    on: str, lab: Lab, build: Start, root: Path, real_count: RealCount, request: pytest.FixtureRequest
) -> None:
    engine: Engine | None = None if on == "buildkitd" else request.getfixturevalue(on)
    host = f"docker://{engine.socket}" if engine else ""
    place = f"{lab.registry}/revision-{secrets.token_hex(4)}/{{app}}"

    first = await _committed(root, "first")
    async with build(root, image=f"{place}:one", host=host) as running:
        ran = await running.end()
    second = await _committed(root, "second")
    async with build(root, "--force", "web", image=f"{place}:two", host=host) as running:
        again = await running.end()
    real_count.record("build", times=3)

    assert (ran.code, again.code) == (0, 0), [ran.err, again.err]
    images = [f"{place.format(app=app)}:{tag}" for app, tag in (("web", "one"), ("web", "two"), ("own", "one"))]
    one, two, own = [await config_of(lab, image) for image in images]
    for config, revision in ((one, first), (two, second)):
        assert config["config"]["Labels"][f"{_LABEL}.revision"] == revision
        assert config["config"]["Labels"][f"{_LABEL}.source"] == "https://git.example/shop.git"
    assert one["rootfs"] == two["rootfs"]
    assert "secret" not in str(one)
    web = again.completed()["web"]
    assert (web.cached, web.skipped) == (web.steps, False)
    # Who writes a Dockerfile labels its image.
    assert not own["config"].get("Labels")


async def test_what_is_skipped_says_what_it_was_built_from_and_what_must_be_the_same_says_nothing(
    lab: Lab, build: Start, root: Path, real_count: RealCount
) -> None:
    place = f"{lab.registry}/revision-{secrets.token_hex(4)}/{{app}}"

    first = await _committed(root, "first")
    (root / "notes.md").write_text("changed")
    async with build(root, "web", image=f"{place}:one") as running:
        ran = await running.end()
    await _committed(root, "second")
    async with build(root, "web", image=f"{place}:two") as running:
        skipped = (await running.end()).completed()["web"]
    same: list[str | None] = []
    for notes in ("third", "fourth"):
        await _committed(root, notes)
        async with build(root, "--force", "--reproducible", "web", image=f"{place}:same") as running:
            same.append((await running.end()).completed()["web"].digest)
    real_count.record("build", times=3)

    labels = (await config_of(lab, f"{place.format(app='web')}:two"))["config"]["Labels"]
    assert (skipped.skipped, skipped.digest) == (True, ran.completed()["web"].digest)
    assert labels[f"{_LABEL}.revision"] == skipped.revision == f"{first}-dirty"
    labels = (await config_of(lab, f"{place.format(app='web')}:same"))["config"]["Labels"]
    assert f"{_LABEL}.revision" not in labels
    assert same[0] == same[1]
