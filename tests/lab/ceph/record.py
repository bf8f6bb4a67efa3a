"""What is remembered of the cluster between commands, and what of it runs.

The record is written together with settings and keys into a folder that is then renamed into place: whoever finds the
folder finds all of them. The daemons' data come afterwards, each renamed when it is complete.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from tests.lab.ceph.shape import Shape
from tests.lab.mounts import mount_points
from tests.lab.process import Daemon
from tests.lab.state import Layout, layout

CLIENT = "client"
DAEMONS = ("mon.a", "mgr.a", "osd.0", "mds.a")
"""Ceph's names of its daemons, in the order of their start."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered between commands."""

    fsid: str
    """The cluster's id."""
    osd: str
    """The OSD's."""
    prefix: str
    """The first three numbers of the addresses on its link: they are in the monitor's map for good."""
    daemons: Mapping[str, Daemon] = {}
    """By their names, and the client."""
    shape: Shape = Shape()
    finished: bool = False
    """Whether it was brought up to the end: file system and all."""

    @property
    def gateway(self) -> str:
        """This machine's address on the link."""
        return f"{self.prefix}.1"

    @property
    def address(self) -> str:
        """The address of all daemons."""
        return f"{self.prefix}.2"


class Ceph(msgspec.Struct, frozen=True, kw_only=True):
    """A cluster that was made, whether it runs or not."""

    mount: Path
    """CephFS, on this machine. May hang or fail when the cluster is not `whole`."""
    command: Path
    """Ceph's own command line for this cluster: `COMMAND -s` and whatever else `ceph` knows."""
    shape: Shape
    daemons: Mapping[str, Daemon]
    """Those that run; `client` is the one that carries the mount."""
    ended: tuple[str, ...]
    """What has ended by itself."""
    mounted: bool
    finished: bool
    """Whether it was once brought up to the end."""

    @property
    def whole(self) -> bool:
        """Whether all of it runs, and CephFS is mounted."""
        return self.finished and self.mounted and not self.ended


def folder_of(place: Layout) -> Path:
    """Everything of the cluster but its programs and logs."""
    return place.root / "ceph"


def configuration(place: Layout) -> Path:
    """The file that all of the cluster's processes, and no others, are started with."""
    return folder_of(place) / "ceph.conf"


def mount_of(place: Layout) -> Path:
    return folder_of(place) / "mnt"


def known(place: Layout) -> Ceph | None:
    """The cluster that was made, whether all of it runs or not; looks at no file in it."""
    record = read(place)
    if record is None:
        return None
    alive = {name: daemon for name, daemon in record.daemons.items() if daemon.alive()}
    return Ceph(
        mount=mount_of(place),
        command=folder_of(place) / "ceph",
        shape=record.shape,
        daemons=alive,
        ended=tuple(name for name in (*DAEMONS, CLIENT) if name not in alive),
        mounted=is_mounted(place),
        finished=record.finished,
    )


def current(place: Layout | None = None) -> Ceph | None:
    """The cluster, when all of it runs and CephFS is mounted; else None.

    Args:
        place: the state directory; usually that of the environment.
    """
    found = known(place or layout())
    return found if found is not None and found.whole else None


def is_mounted(place: Layout) -> bool:
    return mount_of(place) in mount_points(mount_of(place))


def read(place: Layout) -> Record | None:
    """The record, or None when there is no cluster."""
    try:
        return msgspec.json.decode((folder_of(place) / "record.json").read_bytes(), type=Record)
    except (FileNotFoundError, msgspec.DecodeError):  # written by another version: as if it were not there
        return None


def write(folder: Path, record: Record) -> None:
    """Replace the record in the cluster's folder, whole."""
    temporary = folder / "record.new"
    temporary.write_bytes(msgspec.json.format(msgspec.json.encode(record)))
    temporary.replace(folder / "record.json")


def of(place: Layout) -> Record:
    """The record of a cluster that is being started."""
    record = read(place)
    assert record is not None, "its folder is made together with the record"
    return record
