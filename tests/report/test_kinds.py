"""What a step's name says of it, for every Dockerfile that is made here."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.report.kinds import Kind, kind_of

_CASES = sorted(path.parent for path in (Path(__file__).parents[1] / "apps").glob("*/real.json"))


def vertexes(dockerfile: str) -> Iterator[str]:
    """Names of the vertices as BuildKit makes them of instructions."""
    stage, number = "", 0
    for instruction in re.sub(r"\\\n", "", dockerfile).splitlines():
        word = instruction.partition(" ")[0]
        if word == "FROM":
            stage = instruction.partition(" AS ")[2] or "stage-0"
            number = 0
        if word in {"FROM", "RUN", "COPY", "ADD", "WORKDIR"}:
            number += 1
            yield f"[{stage} {number}/9] {instruction}"


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.name)
def test_install_and_build_of_every_language_are_told_apart(case: Path) -> None:
    real = json.loads((case / "real.json").read_text())
    names = list(vertexes((case / "Dockerfile.golden").read_text()))

    installs = [name for name in names if real.get("install") and real["install"] in name]
    builds = [name for name in names if real.get("build") and real["build"] in name]

    assert {kind_of(name) for name in installs[:1]} <= {"install"}
    assert {kind_of(name) for name in builds[-1:]} <= {"build"}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("[internal] load build context", "context"),
        ("[internal] load build definition from Dockerfile", "context"),
        ("[internal] load .dockerignore", "context"),
        ("[internal] load metadata for docker.io/library/debian:bookworm-slim", "base"),
        ("[linux/arm64 runtime 1/4] FROM docker.io/library/node:22@sha256:1f", "base"),
        ("[1/3] FROM scratch", "base"),
        ("[linux/amd64 install 3/4] RUN make", "install"),
        ("[2/3] RUN apt-get -y install curl", "install"),
        ("[2/3] RUN apt-get update && apt-get install -y curl", "install"),
        ("[2/3] RUN --mount=type=cache,target=/root/.npm npm ci", "install"),
        ("[2/3] RUN python -m pip install --no-cache-dir -r requirements.txt", "install"),
        ("[2/3] RUN npm run build", "build"),
        ("[2/3] RUN make install", "build"),
        ("[3/3] COPY . .", "build"),
        ("exporting to image", "export"),
        ("exporting cache to registry", "export"),
        ("pushing registry.example/a:1", "push"),
        ("[auth] library/node:pull token for registry-1.docker.io", "base"),
        ("anything else", "other"),
    ],
)
def test_a_name_says_what_it_is_about(name: str, kind: Kind) -> None:
    assert kind_of(name) == kind
