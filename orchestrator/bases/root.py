"""The bare root, made by debootstrap: a minimal Debian out of its packages, as one tar file."""

import os
import shutil
import subprocess  # noqa: TID251 -- for what its streams are called; anyio runs the process
from collections.abc import Mapping
from pathlib import Path

import anyio

from langs.indexes import DISTRIBUTION
from orchestrator.bases.recipes import Root
from orchestrator.errors import ConfigError

_HINT = "Install it (Debian: apt-get install debootstrap), or stand on an image that you have: --root IMAGE."
_KEYS = "Can Debian's mirror be reached, and are its keys here (apt-get install debian-archive-keyring gpgv)?"
_LAST = 15
"""Lines of a log that are shown."""


async def bootstrap(root: Root, work: Path, mirror: str, environment: Mapping[str, str]) -> Path:
    """Make the root's file system.

    It runs in mount and pid namespaces of its own, so that whatever it mounts and starts in the new root is gone when
    it ends, in whichever way.

    Args:
        root: what it consists of.
        work: an empty directory; the tar file is made in it.
        mirror: what `deb.debian.org` has, and where; the image's own package manager asks there, too.
        environment: of the processes.

    Raises:
        ConfigError: debootstrap is not there, may not do what it has to, or fails; so it does where nobody can tell
            whether the packages are the distribution's.
    """
    program = shutil.which("debootstrap", path=environment.get("PATH"))
    if program is None:
        raise ConfigError("debootstrap is not on this machine, and makes the bare root", hint=_HINT)
    if os.geteuid() != 0:
        raise ConfigError(
            "debootstrap makes the bare root, and needs root", hint="Run it as root, or say --root IMAGE."
        )
    target = work / "root"
    await _run(command(program, root, target, mirror), environment, doing="debootstrap", hint=_KEYS)
    tar = work / "rootfs.tar"
    excluded = [f"--exclude=./{pattern}" for pattern in root.exclude]
    packed = [
        "tar",
        "--create",
        "--numeric-owner",
        "--sort=name",
        *excluded,
        "-C",
        str(target),
        "--file",
        str(tar),
        ".",
    ]
    await _run(packed, environment, doing="packing the new root", hint="Is there room for it?")
    return tar


def command(program: str, root: Root, target: Path, mirror: str) -> list[str]:
    """What makes the root's file system.

    Args:
        program: debootstrap.
        root: what it consists of.
        target: where.
        mirror: what `deb.debian.org` has, and where.
    """
    words = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
    # Where the distribution's keys are not to be had, debootstrap would only warn, and take what any mirror says.
    words += [program, "--force-check-gpg", "--variant=minbase", f"--include={','.join(root.include)}"]
    return [*words, root.suite, str(target), f"{mirror.rstrip('/')}/{DISTRIBUTION}"]


async def _run(words: list[str], environment: Mapping[str, str], *, doing: str, hint: str) -> None:
    try:
        done = await anyio.run_process(words, check=False, env=environment, stderr=subprocess.STDOUT)
    except FileNotFoundError as error:
        raise ConfigError(f"{doing}: {words[0]} is not on this machine", hint=_HINT) from error
    if done.returncode:
        said = "\n".join(done.stdout.decode(errors="replace").splitlines()[-_LAST:])
        raise ConfigError(f"{doing} ended with {done.returncode}:\n{said}", hint=hint)
