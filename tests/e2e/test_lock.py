"""`fleetpacks.lock`: a real build stands on the images that were locked."""

from pathlib import Path

import pytest

from orchestrator.app.lock import pin
from orchestrator.config import load, lock
from tests.cli.test_lock import IMAGES, monorepo, variables
from tests.conftest import RealCount
from tests.e2e.conftest import Start
from tests.lab import Lab


@pytest.mark.real
async def test_a_locked_app_is_built_on_the_images_of_the_lock(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path
) -> None:
    root = monorepo(tmp_path / "source")
    await pin(load(root, variables(tmp_path, lab.registry)))
    locked = lock.read(root)
    assert locked is not None
    digests = locked.images

    # The digests of its base images are known: it would be skipped where this test ran before.
    async with build(
        root, "api", "--force", "--locked", image=f"{lab.registry}/locked/{{app}}:latest"
    ) as running_build:
        ran = await running_build.end()
    real_count.record("build")

    assert ran.code == 0, [*ran.failed().values(), ran.err]
    steps = " ".join(ran.steps("api"))
    for name in IMAGES:
        assert f"{name}@{digests[name]}" in steps
