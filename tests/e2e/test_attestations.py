"""Provenance and SBOM, attested by the real builder and found in the registry."""

import json
import secrets
from pathlib import Path
from urllib.parse import quote

import anyio
import httpx
import pytest

from orchestrator import __version__
from orchestrator.registry.manifest import ACCEPTED
from tests.conftest import RealCount
from tests.e2e.conftest import Start
from tests.lab import Engine, Lab

pytestmark = pytest.mark.real

_SCANNER = """\
FROM debian:trixie-slim
COPY scan.sh /scan.sh
ENTRYPOINT ["/bin/sh", "/scan.sh"]
"""
_SCAN = """\
cat > "$BUILDKIT_SCAN_DESTINATION/found.spdx.json" <<END
{"_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://spdx.dev/Document",
 "predicate": {"spdxVersion": "SPDX-2.3", "name": "$(ls "$BUILDKIT_SCAN_SOURCE" | tr '\\n' ' ')"}}
END
"""
"""A stand-in for a real scanner: it lists the top of the image, by the protocol of BuildKit's docs/attestations."""


async def predicates(lab: Lab, image: str, digest: str) -> dict[str, dict[str, object]]:
    """What is attested of an image, by the predicate's type."""
    found: dict[str, dict[str, object]] = {}
    async with httpx.AsyncClient(trust_env=False, base_url=f"http://{lab.registry}/v2/{image}/") as http:
        index = (await http.get(f"manifests/{digest}", headers={"Accept": ", ".join(ACCEPTED)})).json()
        for entry in index["manifests"]:
            if entry.get("annotations", {}).get("vnd.docker.reference.type") != "attestation-manifest":
                continue
            manifest = (await http.get(f"manifests/{entry['digest']}", headers={"Accept": ", ".join(ACCEPTED)})).json()
            for layer in manifest["layers"]:
                statement = json.loads((await http.get(f"blobs/{layer['digest']}")).text)
                found[statement["predicateType"]] = statement["predicate"]
    return found


async def test_an_image_says_how_and_of_what_it_was_made_and_so_does_the_skipped_one(
    lab: Lab, build: Start, tmp_path: Path, real_count: RealCount
) -> None:
    name = f"attested-{secrets.token_hex(6)}"
    (tmp_path / "tools/scanner").mkdir(parents=True)
    (tmp_path / "tools/scanner/Dockerfile").write_text(_SCANNER)
    (tmp_path / "tools/scanner/scan.sh").write_text(_SCAN)
    app = tmp_path / "source/app"
    app.mkdir(parents=True)
    (app / "Dockerfile").write_text("FROM scratch\nCOPY content /\n")
    (app / "content").write_text("x")
    for words in (
        ("init", "--quiet", "."),
        ("remote", "add", "origin", "https://user:secret@git.example/shop.git?token=secret#secret"),
        ("add", "."),
        ("-c", "user.name=n", "-c", "user.email=e", "commit", "--quiet", "-m", "first"),
    ):
        await anyio.run_process(["git", *words], cwd=app.parent)
    revision = (await anyio.run_process(["git", "rev-parse", "HEAD"], cwd=app.parent)).stdout.decode().strip()
    # What is built was not committed before it was.
    (app / "content").write_text("y")
    image = f"{lab.registry}/{name}/{{app}}"
    asked = ("--provenance", "max", "--sbom-scanner", f"{lab.registry}/{name}/scanner:latest")

    async with build(tmp_path / "tools", image=image) as running:
        assert (await running.end()).code == 0
    async with build(app.parent, *asked, image=image) as running:
        first = await running.end()
    commit = ("-c", "user.name=n", "-c", "user.email=e", "commit", "--quiet", "-a", "-m", "second")
    await anyio.run_process(["git", *commit], cwd=app.parent)
    # Another machine, which has nothing but the registry.
    async with build(app.parent, *asked, image=image, variables={"HOME": str(tmp_path / "elsewhere")}) as running:
        again = await running.end()
    async with build(app.parent, image=image) as running:
        plain = await running.end()
    real_count.record("build", times=3)

    assert first.code == again.code == plain.code == 0, first.err
    built, skipped = first.completed()["app"], again.completed()["app"]
    assert (skipped.skipped, skipped.digest, skipped.revision) == (True, built.digest, f"{revision}-dirty")
    assert built.platforms == skipped.platforms
    assert [each.partition("/")[0] for each in built.platforms] == ["linux"]
    # What is attested is a part of what was asked for.
    assert not plain.completed()["app"].skipped
    found = await predicates(lab, f"{name}/app", built.digest or "")
    assert found["https://spdx.dev/Document"]["name"] == "content "
    (provenance,) = (text for kind, text in found.items() if kind.startswith("https://slsa.dev/provenance/"))
    told = json.dumps(provenance)
    assert f'"{revision}-dirty"' in told
    assert "https://git.example/shop.git" in told
    assert f'"pkg:generic/fleetpacks@{quote(__version__, safe="")}"' in told
    assert "secret" not in told


async def test_an_engine_that_cannot_attest_says_so(engine_graph: Engine, build: Start, tmp_path: Path) -> None:
    app = tmp_path / "source/app"
    app.mkdir(parents=True)
    (app / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")

    async with build(app.parent, "--provenance", "min", host=f"docker://{engine_graph.socket}") as running:
        ran = await running.end()

    assert ran.code == 2
    assert "--provenance" in ran.err
    assert "hint: " in ran.err
