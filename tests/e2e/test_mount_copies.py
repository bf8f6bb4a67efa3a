"""Copies between cache mounts and directories, on each kind of real builder."""

import os
import secrets
from pathlib import Path

import pytest

import remote.address
from orchestrator.app import builder
from orchestrator.app.mountcopies import Copies
from orchestrator.app.mountsteps import Mount
from tests.cache.test_mounts_of_apps import as_it_is
from tests.conftest import RealCount
from tests.lab import Engine, Lab

pytestmark = pytest.mark.real


@pytest.mark.parametrize("kind", ["buildkitd", "engine_graph", "engine_containerd"])
async def test_a_mount_is_filled_once_and_read_as_it_was_filled(
    lab: Lab, tmp_path: Path, real_count: RealCount, request: pytest.FixtureRequest, *, kind: str
) -> None:
    engine: Engine | None = None if kind == "buildkitd" else request.getfixturevalue(kind)
    address = remote.address.parse(f"docker://{engine.socket}" if engine else lab.buildkit_host)
    image = f"{lab.registry}/library/debian:trixie-slim"
    mount = Mount(id=f"copies-{secrets.token_hex(8)}-npm", name="npm", sharing="shared", image=image)
    source = tmp_path / "source"
    (source / "npm/d").mkdir(parents=True)
    (source / "npm/d/with\nnewline").write_text("1")
    (source / "npm/.hidden").write_text("2")
    (source / "npm/link").symlink_to("/etc/passwd")
    os.mkfifo(source / "npm/pipe")
    (source / "npm/tool").write_text("3")
    (source / "npm/tool").chmod(0o6755)
    (source / "npm/.fleetpacks").mkdir()
    (source / "npm/.fleetpacks/ours").write_text("not theirs")

    async with builder.opened(address) as (client, _):
        copies = Copies(client, as_it_is)
        first = await copies.is_empty(mount)
        filled = await copies.fill(mount, source, ignore="npm/.fleetpacks\n")
        again = await copies.fill(mount, source, ignore="npm/.fleetpacks\n")
        one = await copies.read(mount, tmp_path / "one", base=None, limit=1_000_000)
        two = await copies.read(mount, tmp_path / "two", base=tmp_path / "one", limit=1_000_000)
    real_count.record("build", times=5)

    assert (first, filled, again, one, two) == (True, "filled", "full", "taken", "taken")
    for place in ("one", "two"):
        root = tmp_path / place / "npm"
        assert sorted(path.name for path in root.iterdir()) == [".hidden", "d", "link", "tool"]
        assert (root / "d/with\nnewline").read_text() == "1"
        assert str((root / "link").readlink()) == "/etc/passwd"
        assert (root / "tool").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "two/npm/tool").samefile(tmp_path / "one/npm/tool")
