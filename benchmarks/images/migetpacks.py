"""migetpacks' own Dockerfiles, made by its own scripts: these are run where they lie, and nothing of them is kept here.

Its `bin/build` writes a Dockerfile and calls `docker buildx build -f FILE`. The `docker` that it finds copies that file
and builds nothing.
"""

from collections.abc import Mapping
from pathlib import Path

import anyio
import msgspec

from benchmarks.images.cases import Compared
from benchmarks.images.peer import Made
from orchestrator.config import environment as variables

NAME = "migetpacks"
WHERE = "https://github.com/migetapp/migetpacks"
_DOCKER = """\
#!/bin/sh
while [ $# -gt 0 ]; do
  if [ "$1" = -f ]; then cp "$2" "${0%/*}/Dockerfile"; fi
  shift
done
"""
_PARTS = ("bin", "lib")


class Migetpacks(msgspec.Struct, frozen=True, kw_only=True):
    """A `Peer`: the scripts of one commit."""

    scripts: Path
    version: str
    name: str = NAME

    def said(self, compared: Compared) -> Mapping[str, str]:
        """The variables that a user would have to set for an app."""
        return compared.migetpacks

    async def make(self, compared: Compared, source: Path, work: Path, *, key: str, ours: str) -> Made:  # noqa: ARG002 -- others stand on what ours does
        """Let it make its Dockerfile of an app, beside which it also writes a `.dockerignore`."""
        made = await generate(self.scripts, source, work, key=key, said=self.said(compared))
        for command, instead in compared.spared.items():
            if command not in made:
                raise LookupError(f"there is no `{command}` in its Dockerfile")
            made = made.replace(command, instead)
        return Made(dockerfile=made, spared=compared.spared)


async def unpacked(checkout: Path, into: Path) -> Migetpacks:
    """The peer of a clone, with or without a work tree; its scripts are unpacked into a directory.

    Raises:
        SystemExit: it is no clone of the peer.
    """
    archive = into.with_suffix(".tar")
    git = ["git", "-C", str(checkout)]
    done = await anyio.run_process([*git, "archive", "--output", str(archive), "HEAD", *_PARTS], check=False)
    if done.returncode != 0:
        raise SystemExit(f"benchmarks: {checkout} is no clone of migetpacks\nhint: git clone {WHERE}")
    commit = await anyio.run_process([*git, "rev-parse", "--short=12", "HEAD"])
    await anyio.Path(into).mkdir()
    await anyio.run_process(["tar", "-xf", str(archive), "-C", str(into)])
    await anyio.Path(archive).unlink()
    return Migetpacks(scripts=into, version=commit.stdout.decode().strip())


async def generate(scripts: Path, source: Path, work: Path, *, key: str, said: Mapping[str, str]) -> str:
    """The Dockerfile that the scripts make for a source, beside which they also write a `.dockerignore`.

    Args:
        scripts: the peer's.
        source: the app, writable.
        work: an empty directory.
        key: of the package caches.
        said: more variables.

    Raises:
        LookupError: they make none.
    """
    docker = work / "docker"
    docker.write_text(_DOCKER)
    docker.chmod(0o700)
    env = {
        # What it does not know of its environment becomes a part of the Dockerfile: nothing else may be there.
        "PATH": f"{work}:{variables.read()['PATH']}",
        "HOME": str(work),
        "TMPDIR": str(work),
        "BUILDPACK_DIR": str(scripts),
        "SOURCE_DIR": str(source),
        "OUTPUT_IMAGE": "peer:local",
        "BUILD_CACHE_DIR": "/cache",
        "CACHE_KEY": key,
        **said,
    }
    # It ends with 0 wherever it can.
    done = await anyio.run_process(["bash", str(scripts / "bin" / "build")], cwd=work, env=env, check=False)
    made = work / "Dockerfile"
    if not made.exists():
        quoted = " ".join((done.stdout + done.stderr).decode(errors="replace").split())
        raise LookupError(f"migetpacks makes no Dockerfile of it: {quoted[-200:]}")
    return made.read_text(encoding="utf-8")
