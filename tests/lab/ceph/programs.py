"""Ceph's programs: Debian's, unpacked beside the system with all that they need and the machine has not."""

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from tests.lab import tools
from tests.lab.daemons import environment_of
from tests.lab.errors import LabError
from tests.lab.hosts.network import SYSTEM_PATH
from tests.lab.state import Layout

_PACKAGE = "ceph-osd"
_OTHERS = ("ceph-mon", "ceph-mgr", "ceph-mds", "ceph-fuse", "ceph-common")
_LIBRARIES = ("librados2", "libcephfs2", "librbd1", "python3-rados", "python3-ceph-argparse", "python3-ceph-common")
"""Of the same version as the programs, whatever the machine has."""


class Programs(msgspec.Struct, frozen=True, kw_only=True):
    """Where Ceph's programs and their parts are."""

    root: Path
    environment: Mapping[str, str]
    plugins: Path
    erasure_code: Path
    classes: Path
    modules: Path

    def __getitem__(self, name: str) -> str:
        """The path of a program."""
        return str(self.root / "usr" / "bin" / name)

    def command_line(self, template: str, *, configuration: Path) -> str:
        """The text of a script that runs Ceph's own command line.

        Args:
            template: with places for the environment and the words.
            configuration: the cluster's.
        """
        names = [name for name in ("PATH", *_OWN_VARIABLES) if name in self.environment]
        return template.format(
            environment="\n".join(f"export {name}={shlex.quote(self.environment[name])}" for name in names),
            python=shlex.quote(str(_python(self.root))),
            program=shlex.quote(self["ceph"]),
            configuration=shlex.quote(str(configuration)),
        )


_OWN_VARIABLES = ("LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME")


async def programs(place: Layout, *, say: Callable[[str], None]) -> Programs:
    """Have Ceph's programs.

    Args:
        place: the state directory.
        say: receives one line when they have to be downloaded.

    Raises:
        LabError: they are not to be had.
    """
    if not place.debian(f"{_PACKAGE}+").exists():
        say("downloading Ceph, once: 70 MB")
    root = await tools.debian_closure(place, _PACKAGE, *_OTHERS, *_LIBRARIES)
    libraries = [folder for top in ("usr/lib", "lib") for folder in sorted(root.glob(f"{top}/*-linux-gnu*"))]
    libraries += [folder / "ceph" for folder in libraries if (folder / "ceph").exists()]
    environment = {
        **environment_of(place),
        "PATH": SYSTEM_PATH,
        "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
        "PYTHONPATH": str(root / "usr/lib/python3/dist-packages"),
        # Each start of a daemon counts as another one, also where the kernel gives it the pid of one before.
        "CEPH_USE_RANDOM_NONCE": "1",
    }
    if sorted(root.glob("usr/lib/python3.*/os.py")):  # the machine has no Python of Debian's
        environment["PYTHONHOME"] = str(root / "usr")
    erasure_code = _part(root, "usr/lib/**/erasure-code")
    return Programs(
        root=root,
        environment=environment,
        plugins=erasure_code.parent,
        erasure_code=erasure_code,
        classes=_part(root, "usr/lib/**/rados-classes"),
        modules=root / "usr/share/ceph/mgr",
    )


def _part(root: Path, pattern: str) -> Path:
    found = sorted(root.glob(pattern))
    if found:
        return found[0]
    raise LabError(
        f"Debian's Ceph has no {pattern.rpartition('/')[2]}",
        hint=f"look into {root}; when it is deleted, it is downloaded again",
    )


def _python(root: Path) -> Path:
    return next(iter(sorted(root.glob("usr/bin/python3.*[0-9]"))), Path("/usr/bin/python3"))
