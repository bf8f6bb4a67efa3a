"""Images from mirrors, on builders whose configuration is not ours.

The lab's registry is Docker Hub for the lab's builders. A mirror is a path in it: what is there, and not where Docker
Hub has it, is built on because of `REGISTRY_MIRROR` alone.
"""

import io
import secrets
import tarfile
from pathlib import Path

import httpx
import pytest

from orchestrator.events import AppWarning
from tests.buildkit.test_source_policy import published
from tests.conftest import RealCount
from tests.e2e.conftest import Ran, Start
from tests.e2e.proxy import refusing
from tests.lab import Engine, Lab
from tests.tiers import FULL

pytestmark = pytest.mark.real

_OWN = """\
ARG WORD=one
FROM {name}/base:$WORD AS first
FROM scratch
COPY --from=first /content /first
COPY --from={name}/other:one /content /second
LABEL run={run}
"""


class Site:
    """An app with its own Dockerfile, and images that stand under names of its own."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.name = f"mirrored-{secrets.token_hex(6)}"
        self.app = folder / "source/app"
        (self.app / "deploy").mkdir(parents=True)
        (self.app / "deploy/Dockerfile").write_text(_OWN.format(name=self.name, run=secrets.token_hex(8)))
        (self.app / "fleetpacks.toml").write_text('dockerfile = "deploy/Dockerfile"\n')
        self._made = folder / "made"

    async def has(self, *places: str) -> None:
        """Publish both images below these paths."""
        for place in places:
            for image in ("base", "other"):
                await published(self.lab, f"{place}{self.name}/{image}", "one")

    async def built(self, build: Start, mirror: str, *words: str, host: str = "") -> Ran:
        """Build and push the app, and write its files."""
        image = f"{self.lab.registry}/{self.name}/{{app}}:latest"
        variables = {"REGISTRY_MIRROR": mirror}
        async with build(self.app.parent, *words, image=image, variables=variables, host=host) as running:
            return await running.end()


@pytest.fixture
def site(lab: Lab, tmp_path: Path) -> Site:
    return Site(lab, tmp_path)


def _warnings(ran: Ran) -> list[str]:
    """What was said of the app."""
    return [event.message for event in ran.events if isinstance(event, AppWarning) and event.app is not None]


def _well(ran: Ran) -> None:
    assert ran.code == 0, [*ran.failed().values(), ran.err]


async def test_a_users_own_dockerfile_is_built_on_what_a_mirror_has(
    lab: Lab, site: Site, build: Start, real_count: RealCount
) -> None:
    await site.has(f"{site.name}/hub/")

    ran = await site.built(build, f"{lab.registry}/{site.name}/hub", "--force")
    without = await site.built(build, f"{lab.registry}/{site.name}/elsewhere", "--force")
    real_count.record("build")

    _well(ran)
    assert _warnings(ran) == []
    # Docker Hub has none of it.
    assert without.code == 1
    assert without.failed()["app"].kind == "image"


async def test_what_a_mirror_does_not_have_comes_from_where_it_is_from_and_that_is_said_once(
    lab: Lab, site: Site, build: Start, real_count: RealCount
) -> None:
    await site.has("")
    await published(lab, f"{site.name}/hub/{site.name}/base", "one")

    ran = await site.built(build, f"{lab.registry}/{site.name}/hub")
    real_count.record("build")

    _well(ran)
    [warning] = _warnings(ran)
    assert warning.startswith(f"{site.name}/other:one is taken from docker.io: the mirror has no {lab.registry}/")


async def test_a_mirror_that_is_down_is_done_without(lab: Lab, site: Site, build: Start, real_count: RealCount) -> None:
    await site.has("")

    ran = await site.built(build, "127.0.0.1:1/hub")
    real_count.record("build")

    _well(ran)
    [warning] = _warnings(ran)
    assert warning.startswith("images are taken from docker.io, and not from its mirror 127.0.0.1:1: ")


@pytest.mark.parametrize("answer", [404, 0, 503] if FULL else [404])
async def test_a_mirror_that_fails_the_builder_after_it_has_answered_us_is_done_without(
    lab: Lab, site: Site, build: Start, real_count: RealCount, answer: int
) -> None:
    await site.has("", f"{site.name}/hub/")
    asked: list[str] = []

    def refuse(method: str, path: str) -> int | None:
        if "/hub/" not in path:
            return None
        asked.append(f"{method} {path}")
        # Ours is one question for each image.
        return answer if asked.count(asked[-1]) > 1 or method == "GET" else None

    async with refusing(lab, refuse) as host:
        ran = await site.built(build, f"{host}/{site.name}/hub", "--force")
    real_count.record("build")

    _well(ran)
    assert _warnings(ran)
    assert all("docker.io" in warning for warning in _warnings(ran))


async def test_an_engine_that_knows_no_source_policies_gets_the_mirrors_names(
    lab: Lab, engine_graph: Engine, site: Site, build: Start, real_count: RealCount
) -> None:
    await site.has(f"{site.name}/hub/")
    (site.app / "deploy/Dockerfile.dockerignore").write_text("**/*.log\n")
    (site.app / "left.log").write_text("x")
    (site.app / "taken.txt").write_text("x")
    with (site.app / "deploy/Dockerfile").open("a") as file:
        file.write("COPY . /context\n")

    ran = await site.built(build, f"{lab.registry}/{site.name}/hub", host=f"docker://{engine_graph.socket}")
    real_count.record("build")

    _well(ran)
    assert _warnings(ran) == []
    assert _files(lab, f"{site.name}/app") >= {"first", "second", "context/taken.txt"}
    assert not [name for name in _files(lab, f"{site.name}/app") if name.endswith(".log")]


def _files(lab: Lab, repository: str) -> set[str]:
    """The files in all layers of an image."""
    accept = {"accept": "application/vnd.docker.distribution.manifest.v2+json"}
    with httpx.Client(trust_env=False, base_url=f"http://{lab.registry}/v2/{repository}/") as http:
        manifest = http.get("manifests/latest", headers=accept).raise_for_status().json()
        blobs = [http.get(f"blobs/{each['digest']}").content for each in manifest["layers"]]
    names: set[str] = set()
    for blob in blobs:
        with tarfile.open(fileobj=io.BytesIO(blob)) as archive:
            names |= set(archive.getnames())
    return names
