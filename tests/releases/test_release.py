"""Releases: which version, of what, and in the full tier a whole one into the lab's registry."""

import secrets
import sys
import zipfile
from pathlib import Path

import anyio
import pytest

from orchestrator.config import environment
from tests.conftest import RealCount
from tests.lab import Lab
from tests.release import ROOT, Checkout, RefusedError, commands, look, version_of

_CHANGELOG = "# Changelog\n\n## 1.2.3\n\nThe first version.\n\n## 0.9.0rc1\n"


@pytest.mark.parametrize(
    ("tags", "version"), [(("v1.2.3",), "1.2.3"), (("stable", "v0.9.0rc1"), "0.9.0rc1"), (("v1.2.3", "v1"), "1.2.3")]
)
def test_the_version_is_the_tags(tags: tuple[str, ...], version: str) -> None:
    assert version_of(Checkout(tags=tags, changed=()), _CHANGELOG) == version


@pytest.mark.parametrize(
    ("checkout", "why"),
    [
        (Checkout(tags=("stable",), changed=()), "has no tag of a version"),
        (Checkout(tags=("v1.2.3", "v1.2.4"), changed=()), "has 2 tags of versions"),
        (Checkout(tags=("v1.2.3",), changed=("a.py",)), "a.py differs from the commit"),
        (Checkout(tags=("v1.2.4",), changed=()), "CHANGELOG.md has no section `## 1.2.4`"),
    ],
)
def test_what_is_no_release_is_refused(checkout: Checkout, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        version_of(checkout, _CHANGELOG)


def test_only_a_release_proper_becomes_the_latest() -> None:
    _, proper = commands("1.2.3", "r.example/team", Path("dist"))
    _, candidate = commands("1.2.3rc1", "r.example/team", Path("dist"))

    assert "r.example/team/{app}:1.2.3" in proper
    assert ("latest" in proper, "latest" in candidate) == (True, False)


async def tagged(clone: Path, version: str) -> None:
    """A clone of this checkout, with all that differs from its commit, and a tag on it."""
    run = anyio.run_process
    await run(["git", "clone", "--quiet", "--no-tags", "--shared", str(ROOT), str(clone)])
    changelog = clone / "CHANGELOG.md"
    changelog.write_text(changelog.read_text().replace("## Unreleased", f"## {version}"))
    await run(["git", "-c", "user.name=n", "-c", "user.email=e", "commit", "--quiet", "-am", version], cwd=clone)
    await run(["git", "tag", f"v{version}"], cwd=clone)


async def test_git_says_what_is_checked_out(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("one\n")
    commit = ["-c", "user.name=n", "-c", "user.email=e", "commit", "--quiet", "-m", "first"]
    for words in (["init", "--quiet"], ["add", "."], commit, ["tag", "v9.8.7"]):
        await anyio.run_process(["git", *words], cwd=tmp_path)

    clean = await look(tmp_path)
    (tmp_path / "README.md").write_text("two\n")
    changed = await look(tmp_path)
    (tmp_path / "README.md").write_text("one\n")
    (tmp_path / "notes.txt").write_text("of mine\n")
    unknown = await look(tmp_path)

    assert clean == Checkout(tags=("v9.8.7",), changed=())
    assert changed == Checkout(tags=("v9.8.7",), changed=("README.md",))
    assert unknown == Checkout(tags=("v9.8.7",), changed=("notes.txt",))


async def test_what_is_no_checkout_is_no_release(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="is no checkout that git knows"):
        await look(tmp_path)


@pytest.mark.full
@pytest.mark.real
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_tag_becomes_a_wheel_and_images_of_its_version(lab: Lab, tmp_path: Path, real_count: RealCount) -> None:
    clone, image = tmp_path / "clone", f"{lab.registry}/release-{secrets.token_hex(6)}"
    await tagged(clone, "9.8.7")
    said = {**environment.read(), "BUILDKIT_HOST": lab.buildkit_host, "HOME": str(tmp_path / "home")}

    words = [sys.executable, "-m", "tests.release", "--root", str(clone), "--image", image]
    done = await anyio.run_process(words, check=False, env=said, cwd=ROOT)
    real_count.record("build", times=2)

    assert done.returncode == 0, done.stderr.decode()
    wheel = clone / "dist/fleetpacks-9.8.7-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as files:
        assert files.read("orchestrator/version.txt").decode().strip() == "9.8.7"
    assert done.stdout.decode().splitlines()[-3:] == [
        "dist/fleetpacks-9.8.7-py3-none-any.whl",
        f"{image}/fleetpacks:9.8.7",
        f"{image}/dropin:9.8.7",
    ]


@pytest.mark.full
async def test_a_source_without_git_and_without_tags_is_installed_all_the_same(tmp_path: Path) -> None:
    source = tmp_path / "source"
    archive = await anyio.run_process(["git", "archive", "HEAD", "--prefix=source/"], cwd=ROOT)
    await anyio.run_process(["tar", "-x", "-C", str(tmp_path)], input=archive.stdout)

    words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path / "out"), "."]
    await anyio.run_process(words, cwd=source)

    assert [path.name for path in (tmp_path / "out").iterdir()] == ["fleetpacks-0.1.0.dev0-py3-none-any.whl"]
