"""nixpacks' own Dockerfiles, made by `nixpacks build --out`, over what can stand for their base image.

That is an Ubuntu with Nix, which is on ghcr.io, and its first step installs the language from cache.nixos.org: neither
is to be had everywhere. So the image with the language on which our own `builder` stage stands is what its Dockerfile
begins with, too, and `nix-env` has nothing left to do there. What nixpacks adds is measured: what it copies, installs
and builds, its caches, and that it mostly ends where it began. That step is found cached after a change, here as there,
so times are what they would be. Sizes are in nixpacks' favour: Nix and its store are not in them. Versions are those of
our base images.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

import anyio
import msgspec

from benchmarks.images.cases import Compared, Nix
from benchmarks.images.peer import Made, StandIn, bases, stands_on
from orchestrator.config import environment as variables
from orchestrator.text import inline

NAME = "nixpacks"
BASE = "ghcr.io/railwayapp/nixpacks:"
"""What the name of its base image begins with."""
_STAGE = "builder"
_OUT = ".nixpacks"
_RUNS_ON = {"ubuntu:noble": "debian:bookworm-slim"}
"""What programs run on that need nothing else, and what is here of its kind."""
_PROGRAMS = {
    "nix-env": "#!/bin/sh\n",
    "nix-collect-garbage": "#!/bin/sh\n",
    # The user is root, here as there.
    "sudo": '#!/bin/sh\nexec "$@"\n',
}
_PLACE = "/opt/nixpacks"
_SIGNS = ("Error: ", "Nixpacks was unable")
_LONGEST = 200


class Nixpacks(msgspec.Struct, frozen=True, kw_only=True):
    """A `Peer`: a program."""

    program: Path
    version: str
    name: str = NAME

    def said(self, compared: Compared) -> Mapping[str, str]:
        """The variables that a user would have to set for an app."""
        return compared.nixpacks

    async def make(self, compared: Compared, source: Path, work: Path, *, key: str, ours: str) -> Made:
        """Let it make its Dockerfile of an app, in whose `.nixpacks` it is left, with what it copies from there."""
        words = [word for name, value in self.said(compared).items() for word in ("--env", f"{name}={value}")]
        said = await self._run("build", source, *words, "--out", str(source), "--cache-key", key, home=work)
        file = source / _OUT / "Dockerfile"
        if not file.exists():
            raise LookupError(f"nixpacks makes no Dockerfile of it: {_quoted(said)}")
        made = file.read_text(encoding="utf-8")
        planned = await self._run("plan", source, *words, "--format", "json", home=work)
        return Made(
            dockerfile=made,
            arguments=msgspec.json.decode(planned, type=_Plan).variables,
            became={name: _RUNS_ON[name] for name in bases(made) if name in _RUNS_ON},
            stand_in=stand_in(bases(made)[0], stands_on(ours, _STAGE), compared.nix),
        )

    async def _run(self, verb: str, source: Path, *words: str, home: Path) -> bytes:
        env = {"PATH": variables.read()["PATH"], "HOME": str(home), "TMPDIR": str(home)}
        command = [str(self.program), verb, str(source), *words]
        done = await anyio.run_process(command, cwd=home, env=env, check=False)
        return done.stdout if done.returncode == 0 else done.stdout + done.stderr


class _Plan(msgspec.Struct, frozen=True):
    variables: Mapping[str, str] = {}


async def found(word: str) -> Nixpacks:
    """The peer of a program.

    Args:
        word: its path, or its name on `$PATH`.

    Raises:
        SystemExit: it is no nixpacks.
    """
    program = shutil.which(word)
    told = b"" if program is None else (await anyio.run_process([program, "--version"], check=False)).stdout
    name, _, version = told.decode(errors="replace").strip().partition(" ")
    if program is None or name != NAME:
        raise SystemExit(f"benchmarks: {word} is no nixpacks\nhint: cargo install nixpacks --locked")
    return Nixpacks(program=Path(await anyio.Path(program).absolute()), version=version)


def stand_in(base: str, on: str, nix: Nix) -> StandIn | None:
    """What stands for its base image; None where it stands on another one.

    Args:
        base: what its Dockerfile begins with.
        on: the image with the language.
        nix: what Nix would bring beside that.
    """
    if not base.startswith(BASE):
        return None
    lines = (
        f"FROM {on}",
        "USER 0",
        *nix.lines,
        f"COPY . {_PLACE}/",
        # As in the real one, steps and the program are run by login shells, which begin with a `$PATH` of Debian's.
        rf"""RUN printf 'PATH={_PLACE}:%s\nPATH=$NIXPACKS_PATH:$PATH' "$PATH" >> /root/.profile""",
        'SHELL ["/bin/bash", "-ol", "pipefail", "-c"]',
    )
    return StandIn(
        base=base, on=on, dockerfile="".join(f"{line}\n" for line in lines), files={**_PROGRAMS, **nix.files}
    )


def _quoted(said: bytes) -> str:
    """The line that says why, or the end."""
    lines = said.decode(errors="replace").splitlines()
    why = next((line for line in lines if line.startswith(_SIGNS)), " ".join(lines)[-_LONGEST:])
    return inline(why.removeprefix("Error: "), _LONGEST)
