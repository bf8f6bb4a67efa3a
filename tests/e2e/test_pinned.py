"""Base images that move between the look at them and the build: what is built is what the record tells of."""

import secrets
from pathlib import Path

import httpx
import pytest

from orchestrator.events import AppStarted, AppWarning
from orchestrator.registry.manifest import ACCEPTED
from tests.buildkit.test_source_policy import published
from tests.conftest import RealCount
from tests.e2e.conftest import Ran, Start
from tests.e2e.proxy import refusing
from tests.e2e.test_attestations import predicates
from tests.lab import Lab

pytestmark = pytest.mark.real


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source/app").mkdir(parents=True)
    return tmp_path / "source"


def _moved(lab: Lab, base: str, word: str) -> None:
    """Have the tag `1` point to what the tag `word` does."""
    with httpx.Client(trust_env=False, base_url=f"http://{lab.registry}/v2/{base}/manifests/") as http:
        found = http.get(word, headers={"Accept": ", ".join(ACCEPTED)}).raise_for_status()
        http.put("1", content=found.content, headers={"Content-Type": found.headers["Content-Type"]}).raise_for_status()


async def test_an_app_is_built_on_the_image_that_was_looked_up_though_its_tag_has_moved(
    lab: Lab, build: Start, source: Path, real_count: RealCount
) -> None:
    name = f"moving-{secrets.token_hex(6)}"
    base = f"{name}/base"
    one, two = [await published(lab, base, word) for word in ("one", "two")]
    _moved(lab, base, "one")
    # The builder's mirror of Docker Hub is the lab's registry; ours is the same behind the proxy.
    (source / "app/Dockerfile").write_text(f"FROM {base}:1\nCOPY Dockerfile /\n")

    def watch(method: str, path: str) -> None:
        # The record is asked for when all base images have been looked up, and before anything is built.
        if method == "GET" and "/manifests/fp-" in path:
            _moved(lab, base, "two")

    async with refusing(lab, watch) as host:
        image, variables = f"{host}/{name}/{{app}}", {"REGISTRY_MIRROR": host}

        async def run() -> Ran:
            async with build(source, "--provenance", "max", image=image, variables=variables) as running:
                ran = await running.end()
            assert ran.code == 0, (ran.failed(), ran.err)
            return ran

        first = await run()
        again = await run()
    real_count.record("build", times=2)

    assert _reasons(again) == [f"changed: base image {base}:1"]
    stands_on = [await _stands_on(lab, f"{name}/app", ran) for ran in (first, again)]
    assert [(one in told, two in told) for told in stands_on] == [(True, False), (False, True)]
    assert not any(isinstance(event, AppWarning) for ran in (first, again) for event in ran.events)


async def test_an_image_that_the_builder_cannot_find_as_it_was_looked_up_is_taken_as_it_is_and_not_recorded(
    lab: Lab, build: Start, source: Path, real_count: RealCount
) -> None:
    name = f"moving-{secrets.token_hex(6)}"
    base = f"{name}/base"
    await published(lab, base, "one")
    _moved(lab, base, "one")
    by_tag: list[str] = []
    ran: list[Ran] = []

    def forgets(method: str, path: str) -> int | None:
        """Has nothing by its digest that was looked up by its tag only once, which is how we ask."""
        if path.endswith(f"/{base}/manifests/1"):
            by_tag.append(method)
        return 404 if f"/{base}/manifests/sha256:" in path and len(by_tag) < 2 else None

    async with refusing(lab, forgets) as host:
        (source / "app/Dockerfile").write_text(f"FROM {host}/{base}:1\nCOPY Dockerfile /\n")
        for _ in range(2):
            async with build(source, image=f"{lab.registry}/{name}/{{app}}") as running:
                ran.append(await running.end())
    real_count.record("build", times=2)

    assert [each.code for each in ran] == [0, 0], [each.failed() for each in ran]
    [warning] = [event.message for event in ran[0].events if isinstance(event, AppWarning)]
    assert warning.startswith(f"{host}/{base}:1 cannot be had as it was looked up")
    # What was built then was not recorded.
    assert [_reasons(each) for each in ran] == [["no image of these inputs is recorded"]] * 2


async def test_what_was_looked_up_at_a_mirror_that_fails_afterwards_is_taken_as_it_is_where_it_is_from(
    lab: Lab, build: Start, source: Path, real_count: RealCount
) -> None:
    name = f"moving-{secrets.token_hex(6)}"
    base = f"{name}/base"
    # Docker Hub, which is the lab's registry for the builder, has another image of this name than the mirror.
    for place, word in ((base, "one"), (f"{name}/hub/{base}", "two")):
        await published(lab, place, word)
        _moved(lab, place, word)
    (source / "app/Dockerfile").write_text(f"FROM {base}:1\nCOPY Dockerfile /\n")

    def refuse(_method: str, path: str) -> int | None:
        # We ask by the tag, and the builder, which is told the digest, by that.
        return 404 if "/hub/" in path and "/manifests/sha256:" in path else None

    async with refusing(lab, refuse) as host:
        variables = {"REGISTRY_MIRROR": f"{host}/{name}/hub"}
        async with build(source, image=f"{lab.registry}/{name}/{{app}}", variables=variables) as running:
            ran = await running.end()
    real_count.record("build")

    assert ran.code == 0, [*ran.failed().values(), ran.err]
    mirror, gone = [event.message for event in ran.events if isinstance(event, AppWarning)]
    assert mirror.startswith(f"{base}:1 is taken from docker.io: ")
    assert gone.startswith(f"{base}:1 cannot be had as it was looked up")


def _reasons(ran: Ran) -> list[str]:
    return [event.reason for event in ran.events if isinstance(event, AppStarted)]


async def _stands_on(lab: Lab, image: str, ran: Ran) -> str:
    """The base images that an image's provenance tells of."""
    found = await predicates(lab, image, ran.completed()["app"].digest or "")
    (provenance,) = (told for kind, told in found.items() if kind.startswith("https://slsa.dev/provenance/"))
    return str(provenance["materials"] if "materials" in provenance else provenance["buildDefinition"])
