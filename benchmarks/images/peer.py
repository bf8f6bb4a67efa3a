"""migetpacks' own Dockerfiles, made by its own scripts: these are run where they lie, and nothing of them is kept here.

Its `bin/build` writes a Dockerfile and calls `docker buildx build -f FILE`. The `docker` that it finds copies that file
and builds nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import anyio

from orchestrator.config import environment as variables

WHERE = "https://github.com/migetapp/migetpacks"
_DOCKER = """\
#!/bin/sh
while [ $# -gt 0 ]; do
  if [ "$1" = -f ]; then cp "$2" "${0%/*}/Dockerfile"; fi
  shift
done
"""
_PARTS = ("bin", "lib")


async def scripts(checkout: Path, into: Path) -> str:
    """Unpack the scripts of a clone, with or without a work tree, into a directory, and return their commit.

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
    return commit.stdout.decode().strip()


async def generate(scripts: Path, source: Path, work: Path, *, key: str, said: Mapping[str, str]) -> str:
    """The Dockerfile that the peer makes for a source, beside which it also writes a `.dockerignore`.

    Args:
        scripts: the peer's.
        source: the app, writable.
        work: an empty directory.
        key: of the package caches.
        said: more variables.

    Raises:
        LookupError: it makes none.
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


def bases(dockerfile: str) -> tuple[str, ...]:
    """What stages begin with, in their order, without other stages."""
    words = [line.split() for line in dockerfile.splitlines() if line.upper().startswith("FROM ")]
    stages = {name for _, _, *named in words for name in named[1:]}
    return tuple(name for _, name, *_ in words if name not in stages)


def replacements(theirs: Sequence[str], ours: Sequence[str], there: Collection[str]) -> Mapping[str, str]:
    """By which names of our base images those of theirs are replaced that are not to be had.

    Args:
        theirs: in the order of their stages; the last one is what the image runs on.
        ours: likewise.
        there: those of theirs that can be had.

    Raises:
        LookupError: none of ours has the repository and the place of one of theirs.
    """
    found: dict[str, str] = {}
    for number, name in enumerate(theirs):
        if name in there:
            continue
        last = number == len(theirs) - 1
        alike = [each for each in (ours[-1:] if last else ours[:-1]) if _repository(each) == _repository(name)]
        if not alike:
            raise LookupError(f"there is no {name} here, nor anything of ours that could stand for it")
        found[name] = alike[0]
    return found


def replaced(dockerfile: str, names: Mapping[str, str]) -> str:
    """The Dockerfile over other base images.

    Also without the line that asks for a frontend of its own, in the peer's favour: the daemon would have to pull that.
    """

    def line(text: str) -> str:
        first, *rest = text.split(" ")
        return " ".join([first, *(names.get(word, word) for word in rest)]) if first == "FROM" else text

    return "".join(f"{line(each)}\n" for each in dockerfile.splitlines() if not each.startswith("# syntax="))


def _repository(name: str) -> str:
    return name.rpartition(":")[0]
