"""iptables, also on a machine that has none: the lab installs nothing there."""

import os
import shlex
from pathlib import Path
from typing import Literal

import anyio

from tests.lab import tools
from tests.lab.errors import LabError
from tests.lab.state import Layout

Verb = Literal["--check", "--append", "--delete"]

_PACKAGE = "iptables"
_PROGRAM = """\
#!/bin/sh
here={root}
for libraries in "$here"/usr/lib/*/xtables; do :; done
XTABLES_LIBDIR=$libraries LD_LIBRARY_PATH=${{libraries%/*}} exec "$here/usr/sbin/xtables-nft-multi" iptables "$@"
"""


async def iptables(place: Layout) -> Path:
    """The machine's own, else Debian's, with the libraries that it needs.

    Raises:
        LabError: it is neither installed nor to be had.
    """
    if (found := _found(place)) is not None:
        return found
    root = await tools.debian_closure(place, _PACKAGE)
    made = root / f".iptables-{os.getpid()}"
    made.write_text(_PROGRAM.format(root=shlex.quote(str(root))), encoding="utf-8")
    made.chmod(0o755)
    return made.rename(root / _PACKAGE)


async def masquerade(place: Layout, verb: Verb, network: str, bridge: str) -> bool:
    """Check, append or delete the rule that lets a bridge's network out; whether that went well."""
    if verb != "--append" and _found(place) is None:
        return False
    rule = ["POSTROUTING", "--source", network, "!", "--out-interface", bridge, "--jump", "MASQUERADE"]
    try:
        program = await iptables(place)
    except LabError:
        return False
    return (await anyio.run_process([str(program), "-w", "-t", "nat", verb, *rule], check=False)).returncode == 0


def _found(place: Layout) -> Path | None:
    unpacked = place.debian(f"{_PACKAGE}+") / _PACKAGE
    return tools.installed_program(_PACKAGE) or (unpacked if unpacked.exists() else None)
