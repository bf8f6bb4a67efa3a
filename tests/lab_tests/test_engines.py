"""The lab's Docker Engines, in a lab of their own: up, killed, up again, and gone without a trace."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.lab import Lab
from tests.lab.engines import running
from tests.lab.mounts import mount_points
from tests.lab.process import strays
from tests.lab_tests.test_commands import OwnLab, kill

pytestmark = pytest.mark.real

_KINDS = ("graph", "containerd")
_FILES = tuple(f"engines/{kind}/{name}" for kind in _KINDS for name in ("dockerd.json", "containerd.toml"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def own(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[OwnLab]:
    # A socket's path must be short.
    own = OwnLab(lab, tmp_path_factory.mktemp("e") / "lab")
    try:
        yield own
    finally:
        await own.run("down")


async def up(own: OwnLab) -> None:
    status, output = await own.run("up", "--no-images", "--no-builder", "--engines")
    assert status == 0, output


def bridges() -> set[str]:
    return {path.name for path in Path("/sys/class/net").glob("fp-*")}


async def test_both_engines_come_up_outlive_being_killed_and_leave_nothing(own: OwnLab) -> None:
    before = bridges()

    await up(own)
    first = own.record().daemons
    engines = running(own.layout)
    await up(own)
    again = own.record().daemons
    kill(first["engine-graph"])
    kill(first["containerd-of-containerd"])
    await up(own)
    mended = own.record().daemons
    answering = running(own.layout)
    made = bridges() - before
    status, output = await own.run("down")

    assert [engine.kind for engine in engines] == list(_KINDS)
    assert engines[0].version.startswith("20.10.")
    assert again == first
    assert mended["engine-graph"] != first["engine-graph"]
    assert mended["registry"] == first["registry"]
    assert len(answering) == len(made) == len(_KINDS)
    assert (status, own.record().daemons) == (0, {}), output
    assert not any(daemon.alive() for daemon in mended.values())
    assert strays(own.layout.root, files=_FILES) == ()
    assert mount_points(own.layout.root) == ()
    assert bridges() == before
