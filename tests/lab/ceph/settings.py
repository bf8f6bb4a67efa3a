"""The files that a cluster is made with: Ceph's configuration, and the keys of all who take part.

All keys are made here and given to the monitor with its first start, so that no daemon waits for another to be
introduced.
"""

import base64
import os
import secrets
import struct
import time
from collections.abc import Mapping
from pathlib import Path

from tests.lab.ceph.programs import Programs
from tests.lab.ceph.record import Record

FIRST_KEYS = "first.keyring"
"""The keys that the monitor begins with."""
_GIB = 1 << 30
DISK = 24 * _GIB
"""Bytes of the OSD's disk, a sparse file: what was once written of it stays, so this is what it may grow to."""

_CONFIGURATION = """\
[global]
fsid = {fsid}
mon initial members = a
mon host = [v2:{address}:3300/0,v1:{address}:6789/0]
public addr = {address}
cluster addr = {address}
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
keyring = {folder}/keys/$name.keyring
run dir = {folder}/run
crash dir = {folder}/crash
log to file = false
mon cluster log to file = false
plugin dir = {plugins}
erasure code dir = {erasure_code}
osd class dir = {classes}
# One node: there is one copy of everything.
osd pool default size = 1
osd pool default min size = 1
osd crush chooseleaf type = 0
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon warn on pool no redundancy = false
# The lab's disk is shared with everything else of this machine.
mon data avail warn = 2
mon data avail crit = 1
# Whoever waits for the cluster to come up waits for these clocks.
mon tick interval = 1
mds beacon interval = 1
paxos propose interval = 0.1

[mon]
mon data = {folder}/mon
admin socket = {folder}/run/$name.asok
log to stderr = true

[mgr]
mgr data = {folder}/mgr
mgr module path = {modules}
mgr initial modules =
mgr standby modules = false
admin socket = {folder}/run/$name.asok
log to stderr = true

[osd]
osd data = {folder}/osd
osd objectstore = bluestore
bluestore block size = {disk}
bluestore block create = true
# The disk is a file: no rotating one that wants small writes to be put off.
bluestore prefer deferred size hdd = 0
osd memory target = {osd_memory}
osd numa auto affinity = false
debug rocksdb = 1/5
admin socket = {folder}/run/$name.asok
log to stderr = true

[mds]
mds data = {folder}/mds
mds cache memory limit = {mds_memory}
admin socket = {folder}/run/$name.asok
log to stderr = true
"""

_CAPABILITIES: Mapping[str, Mapping[str, str]] = {
    "mon.": {"mon": "allow *"},
    "client.admin": {"mon": "allow *", "mgr": "allow *", "osd": "allow *", "mds": "allow *"},
    "mgr.a": {"mon": "allow profile mgr", "osd": "allow *", "mds": "allow *"},
    "osd.0": {"mon": "allow profile osd", "mgr": "allow profile osd", "osd": "allow *"},
    "mds.a": {"mon": "allow profile mds", "mgr": "allow profile mds", "osd": "allow *", "mds": "allow *"},
}

_COMMAND = """\
#!/bin/sh
# Ceph's own command line for the lab's cluster.
{environment}
exec {python} {program} --conf {configuration} --connect-timeout 20 "$@"
"""


def write(into: Path, *, final: Path, record: Record, programs: Programs) -> None:
    """Write all files into a folder, and make the folders that daemons want.

    Args:
        into: the folder.
        final: what its name will be.
        record: what is known of the cluster.
        programs: Ceph's.
    """
    for name in ("keys", "run", "crash", "mgr", "mds", "mnt"):
        (into / name).mkdir()
    keys = {name: key(secrets.token_bytes(16), now=int(time.time())) for name in _CAPABILITIES}
    for name, own in keys.items():
        _private(into / "keys" / f"{name}.keyring", keyring({name: own}))
    _private(into / "keys" / FIRST_KEYS, keyring(keys))
    (into / "ceph.conf").write_text(configuration(final, record, programs), encoding="utf-8")
    command = into / "ceph"
    command.write_text(programs.command_line(_COMMAND, configuration=final / "ceph.conf"), encoding="utf-8")
    command.chmod(0o700)


def configuration(folder: Path, record: Record, programs: Programs) -> str:
    """Ceph's configuration of a cluster in a folder."""
    return _CONFIGURATION.format(
        fsid=record.fsid,
        address=record.address,
        folder=folder,
        plugins=programs.plugins,
        erasure_code=programs.erasure_code,
        classes=programs.classes,
        modules=programs.modules,
        disk=DISK,
        osd_memory=_GIB,
        mds_memory=_GIB // 2,
    )


def keyring(keys: Mapping[str, str]) -> str:
    """A file of keys, with what each of their owners may do."""
    text = ""
    for name, own in keys.items():
        text += f"[{name}]\n\tkey = {own}\n"
        text += "".join(f'\tcaps {of} = "{what}"\n' for of, what in _CAPABILITIES[name].items())
    return text


def key(secret: bytes, *, now: int) -> str:
    """A key for cephx: its kind (1 is AES), when it was made (seconds, nanoseconds), its length and itself, in base64.

    Args:
        secret: 16 bytes.
        now: seconds since 1970.
    """
    return base64.b64encode(struct.pack("<HIIH", 1, now, 0, len(secret)) + secret).decode("ascii")


def _private(file: Path, text: str) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(handle, "w", encoding="ascii") as opened:  # noqa: PTH123 -- pathlib makes no file with a mode
        opened.write(text)
