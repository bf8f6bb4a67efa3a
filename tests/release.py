"""`poe release`: the wheel and the container images of a tag, from one command. It publishes images, and no wheel.

    python -m tests.release --image registry.example/team

The version is the tag's: `v1.2.3` on a clean checkout whose CHANGELOG has a section `## 1.2.3`. hatch-vcs finds it for
the wheel; the image's build has no history, and is told.
"""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from subprocess import CalledProcessError  # noqa: TID251 -- what anyio raises
from typing import NoReturn

import anyio
import msgspec

from orchestrator.config import environment

ROOT = Path(__file__).parents[1]
_TAG = re.compile(r"v([0-9]+\.[0-9]+\.[0-9]+(?:(?:a|b|rc)[0-9]+)?)", re.ASCII)
_TOLD = "SETUPTOOLS_SCM_PRETEND_VERSION"


class Checkout(msgspec.Struct, frozen=True, kw_only=True):
    """What git says of a checkout."""

    tags: tuple[str, ...]
    """On the commit that is checked out."""
    changed: tuple[str, ...]
    """Files that differ from it, or are not in it."""


class RefusedError(Exception):
    """There is nothing to release; the message says why."""


def version_of(checkout: Checkout, changelog: str) -> str:
    """The version to release.

    Raises:
        RefusedError: there is no such tag or two, files differ, or nobody has said what is new.
    """
    versions = [match[1] for tag in checkout.tags if (match := _TAG.fullmatch(tag))]
    if len(versions) != 1:
        found = f"has {len(versions)} tags of versions" if versions else "has no tag of a version"
        raise RefusedError(f"the commit {found}: git tag -a v1.2.3")
    if checkout.changed:
        raise RefusedError(f"{checkout.changed[0]} differs from the commit: commit it, and tag again")
    if f"## {versions[0]}" not in changelog.splitlines():
        raise RefusedError(f"CHANGELOG.md has no section `## {versions[0]}`: name what is unreleased so, and tag again")
    return versions[0]


def commands(version: str, image: str, dist: Path) -> tuple[Sequence[str], Sequence[str]]:
    """What makes the wheel, and what makes the images and pushes them.

    Args:
        version: the release's.
        image: where images go, as `registry.example/team`.
        dist: where the wheel goes.
    """
    programs = Path(sys.executable).parent
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(dist), "."]
    # A release candidate is nobody's latest.
    latest = ["--tag", "latest"] if version.replace(".", "").isdigit() else []
    build = [
        str(programs / "fleetpacks"),
        "build",
        "--image",
        f"{image}/{{app}}:{version}",
        *latest,
        "--push",
        "--force",
    ]
    return wheel, [*build, "--provenance", "max", "--progress", "plain"]


async def look(root: Path) -> Checkout:
    """Ask git.

    Raises:
        RefusedError: it is not there, or knows of no checkout.
    """
    try:
        tags = await anyio.run_process(["git", "tag", "--points-at", "HEAD"], cwd=root)
        # What git does not know goes into the wheel and the images, too; what it ignores does not.
        changed = await anyio.run_process(["git", "status", "--porcelain", "--untracked-files=normal"], cwd=root)
    except (OSError, CalledProcessError) as error:
        raise RefusedError(f"{root} is no checkout that git knows: clone it") from error
    return Checkout(
        tags=tuple(tags.stdout.decode().split()),
        changed=tuple(line[3:] for line in changed.stdout.decode().splitlines()),
    )


async def release(root: Path, image: str) -> None:
    """Make a release of a checkout.

    Args:
        root: the checkout.
        image: where images go.
    """
    try:
        version = version_of(await look(root), (root / "CHANGELOG.md").read_text(encoding="utf-8"))
    except RefusedError as error:
        _refuse(str(error))
    dist = root / "dist"
    wheel, build = commands(version, image, dist)
    await anyio.run_process(wheel, cwd=root, stdout=None, stderr=None)
    made = dist / f"fleetpacks-{version}-py3-none-any.whl"
    if not made.exists():
        _refuse(f"the wheel is not {made.name}: {', '.join(sorted(path.name for path in dist.iterdir()))}")
    said = {**environment.read(), "BUILD_VARS": json.dumps({_TOLD: version})}
    done = await anyio.run_process(build, cwd=root, env=said, check=False, stdout=None, stderr=None)
    if done.returncode:
        sys.exit(done.returncode)
    sys.stdout.write(f"{made.relative_to(root)}\n{image}/fleetpacks:{version}\n{image}/dropin:{version}\n")


def _refuse(why: str) -> NoReturn:
    sys.stderr.write(f"error: {why}\n")
    sys.exit(2)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="poe release", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--image", required=True, metavar="REGISTRY/PATH", help="where the images go")
    parser.add_argument("--root", type=Path, default=ROOT, metavar="DIR", help="the checkout; default: this one")
    said = parser.parse_args()
    anyio.run(release, said.root.resolve(), said.image)


if __name__ == "__main__":
    main()
