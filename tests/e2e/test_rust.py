"""Rust's dependencies are not all compiled again when Cargo.lock has changed."""

import secrets
import shutil
from pathlib import Path

import pytest

from orchestrator.events import StepLog
from tests.conftest import RealCount
from tests.e2e.conftest import Start, need_bases
from tests.e2e.languages import appended, cases
from tests.lab import Lab
from tests.lab.container import answering, unpacked

pytestmark = [pytest.mark.real, pytest.mark.full]

_CASE = next(case for case in cases() if case.name == "rust-axum")
_ONE_OF_MANY, _ITSELF = "Compiling tokio v", "Compiling shortener v"


async def test_a_changed_lockfile_compiles_what_has_changed(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path
) -> None:
    await need_bases(lab, _CASE)
    name = f"a{secrets.token_hex(4)}"
    app = tmp_path / name
    shutil.copytree(_CASE.source, app)
    manifest = app / "Cargo.toml"
    # Else what another run has compiled is found.
    manifest.write_text(manifest.read_text(encoding="utf-8").replace('"shortener"', f'"{name}"', 1), encoding="utf-8")
    lock = app / "Cargo.lock"
    lock.write_text(lock.read_text(encoding="utf-8").replace('"shortener"', f'"{name}"', 1), encoding="utf-8")
    image = f"{lab.registry}/rust-{secrets.token_hex(4)}/{{app}}"
    said: list[str] = []

    for _ in range(2):
        async with build(tmp_path, name, image=image) as running:
            ran = await running.end()
        assert ran.code == 0, [*ran.failed().values(), ran.err]
        said.append("\n".join(event.text for event in ran.events if isinstance(event, StepLog)))
        appended(lock, "\n# %s\n", secrets.token_hex(6))
    async with unpacked(lab, f"{image.format(app=name)}:latest") as here, answering(here, path="/"):
        pass

    real_count.record("build", times=2)
    real_count.record("start")
    assert [_ONE_OF_MANY in each for each in said] == [True, False]
    assert [f"Compiling {name} v" in each for each in said] == [True, True]
