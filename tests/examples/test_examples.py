"""The example apps are real: locked by real tools, with enough packages, and without a word about this machine."""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
from packaging.requirements import Requirement

from tests.examples.answers import EXAMPLES, MONOREPO, NOT_APPS, Example

BASE_IMAGES = {
    *("node:22.16.0", "node:22", "node:22.16.0-slim", "node:22-slim"),
    *("python:3.12.8", "python:3.12", "python:3.12.8-slim", "python:3.12-slim"),
    *("golang:1.25.0", "golang:1.25", "debian:bookworm-slim"),
}


class _NpmLock(msgspec.Struct):
    packages: dict[str, dict[str, object]]


class _UvPackage(msgspec.Struct):
    name: str
    source: dict[str, str]


class _UvLock(msgspec.Struct):
    package: list[_UvPackage]


def npm(text: str) -> set[str]:
    lock = msgspec.json.decode(text, type=_NpmLock)
    # Compilers for other machines are in the file, but never installed here: they would make the count a lie.
    return {path.rpartition("node_modules/")[2] for path, entry in lock.packages.items() if path and "os" not in entry}


def uv(text: str) -> set[str]:
    lock = msgspec.convert(tomllib.loads(text), _UvLock)
    return {package.name for package in lock.package if "registry" in package.source}


def pip(text: str) -> set[str]:
    lines = (line.strip().removesuffix("\\").strip() for line in text.splitlines())
    requirements = [Requirement(line) for line in lines if line and not line.startswith(("#", "--hash="))]
    assert all(str(requirement.specifier).startswith("==") for requirement in requirements)
    return {requirement.name for requirement in requirements}


def go(text: str) -> set[str]:
    entries = [line.split() for line in text.splitlines()]
    assert all(len(entry) == 3 and entry[2].startswith("h1:") for entry in entries)
    # A module with no line but its go.mod's was looked at, not downloaded.
    return {module for module, version, _ in entries if not version.endswith("/go.mod")}


def urls(path: Path) -> Iterator[str]:
    return (match[0] for match in re.finditer(r"https?://[^\s\"'`,)}]+", path.read_text()))


PARSERS: Mapping[str, Callable[[str], set[str]]] = {
    "package-lock.json": npm,
    "uv.lock": uv,
    "requirements.txt": pip,
    "src/locked.txt": pip,
    "go.sum": go,
}

each_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)


_MADE = {"node_modules", ".venv", "dist", "__pycache__"}
FILES = sorted(
    path for path in MONOREPO.rglob("*") if path.is_file() and _MADE.isdisjoint(path.relative_to(MONOREPO).parts)
)


def packages(example: Example) -> set[str]:
    text = (example.directory / example.lockfile).read_text()
    return PARSERS[example.lockfile](text)


@each_example
def test_every_app_locks_at_least_five_third_party_packages(example: Example) -> None:
    locked = packages(example)

    assert len(locked) >= 5, locked


@each_example
def test_the_package_that_computes_the_answer_is_in_the_lockfile(example: Example) -> None:
    assert example.answer["app"] == example.name
    assert example.answer["computed_by"] in packages(example)


@each_example
def test_every_app_is_described_in_the_readme_with_its_answer(example: Example) -> None:
    readme = (MONOREPO / "README.md").read_text()

    answers = [json for line in readme.splitlines() for json in line.split("`") if json.startswith("{")]

    assert f"`{example.path}`" in readme
    assert example.answer in [msgspec.json.decode(answer) for answer in answers]


def test_every_directory_with_a_manifest_is_in_the_table() -> None:
    manifests = {"package.json", "pyproject.toml", "requirements.txt", "go.mod", "Dockerfile"}

    found = {path.parent.relative_to(MONOREPO).as_posix() for path in FILES if path.name in manifests}

    assert found == {example.path for example in EXAMPLES} | set(NOT_APPS)


def test_lockfiles_name_one_index_and_no_other_file_names_any() -> None:
    lockfiles = [path for path in FILES if path.name == "uv.lock"]
    named_in_text = {"github.com", "opencollective.com", "www.patreon.com", "feross.org", "harbour.example"}

    locked = [urlsplit(url) for path in lockfiles for url in urls(path)]
    elsewhere = {urlsplit(url).netloc for path in FILES if path not in lockfiles for url in urls(path)}

    assert {url.scheme for url in locked} == {"https"}
    # uv writes down the index and the host that its files are served from; a site's own would have a port or a user.
    assert len({url.netloc for url in locked}) == 2
    assert {url.netloc for url in locked} == {url.hostname for url in locked}
    assert elsewhere <= named_in_text


def test_own_dockerfiles_use_the_well_known_images_and_run_as_an_ordinary_user() -> None:
    dockerfiles = [path for path in FILES if path.name == "Dockerfile"]

    for path in dockerfiles:
        words = [line.split() for line in path.read_text().splitlines() if line.strip()]
        assert words[0][0] == "FROM"
        assert {line[1] for line in words if line[0] == "FROM"} <= BASE_IMAGES
        assert [line[1] for line in words if line[0] == "USER"] == ["1000:1000"]

    assert dockerfiles
