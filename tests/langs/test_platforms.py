"""Compilers that make programs for another platform than the one that they run on."""

from collections.abc import Mapping
from pathlib import Path

import pytest

import langs
from langs.model import Settings

_BOTH = ("linux/amd64", "linux/arm64")
_GO = {"go.mod": "module a\n\nrequire b v1\n", "go.sum": "", "main.go": "package main\nfunc main() {}\n"}


def _text(folder: Path, settings: Settings) -> str:
    for name, text in _GO.items():
        (folder / name).write_text(text)
    return langs.build(folder, settings).dockerfile


def test_go_compiles_on_the_builders_platform_for_the_images_and_downloads_once_for_all(tmp_path: Path) -> None:
    text = _text(tmp_path, Settings(platforms=_BOTH))

    first, second = (line for line in text.splitlines() if line.startswith("FROM "))
    downloaded, compiled = text.index("go mod download"), text.index(" go build ")
    assert first.startswith("FROM --platform=$BUILDPLATFORM golang:")
    assert not second.startswith("FROM --platform")
    assert downloaded < text.index("ARG TARGETOS") < compiled
    assert 'export GOOS="$TARGETOS" GOARCH="$TARGETARCH" GOARM="${TARGETVARIANT#v}" && go build' in text


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"platforms": _BOTH, "build_command": "make"},
        {"platforms": _BOTH, "env": {"CGO_ENABLED": "1"}},
        {"platforms": _BOTH, "passed": {"CGO_ENABLED": "1"}},
        {"platforms": _BOTH, "variables": {"GO_INSTALL_TOOLS_IN_IMAGE": "true"}},
    ],
    ids=["nothing said", "a command of the app's", "C", "C, handed on", "tools in the image"],
)
def test_go_compiles_where_the_image_runs_when_something_else_needs_that(
    tmp_path: Path, settings: Mapping[str, object]
) -> None:
    text = _text(tmp_path, Settings(**settings))  # type: ignore[arg-type]  # each is what its field takes

    assert "--platform" not in text
    assert "GOARCH" not in text


def test_the_stage_that_holds_many_manifests_runs_on_the_builder_too(tmp_path: Path) -> None:
    (tmp_path / "go.work").write_text("go 1.25\nuse (\n" + "".join(f"\t./m{n}\n" for n in range(60)) + ")\n")
    for number in range(60):
        (tmp_path / f"m{number}").mkdir()
        (tmp_path / f"m{number}/go.mod").write_text(f"module example.com/m{number}\n\ngo 1.25\n")

    text = _text(tmp_path, Settings(platforms=_BOTH))

    froms = [line for line in text.splitlines() if line.startswith("FROM ")]
    assert [line.startswith("FROM --platform=$BUILDPLATFORM golang:") for line in froms] == [True, True, False]
