"""What is measured, and what lies below it: the values that the rooms of `bench` pass to each other."""

from pathlib import Path
from typing import Literal

import msgspec

Need = Literal["layers", "files"]
"""What a storage is to carry: a daemon's directory (and plain files beside it), or plain files alone."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A storage that an operator has named."""

    name: str
    """As reports call it: `local`, `cephfs`."""
    path: Path
    """A directory on it that is there. What is measured gets a directory of its own below it, which goes afterwards."""


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """A storage that is ready to be measured."""

    target: Target
    path: Path
    """Where a daemon's directory goes: one of ours that carries overlay. For need `files`: the same as `files`."""
    files: Path
    """A directory of ours on the storage itself, for package caches and for raw figures."""
    kind: str
    """The target's file system as the kernel calls it: `ext4`, `fuse.ceph-fuse`; "": it does not say."""
    looped: str = ""
    """Why a loop image lies between the target and `path`; "": there is none."""
    image: Path | None = None
    """The file that is the loop image; None: there is none."""
    device: str = ""
    """`major:minor` of the block device that gets what is written below `path`: the loop's where there is one, else the
    target's own (and then others' writes count, too); "": there is none."""


class Raw(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of a storage without any build on it: the more, the better."""

    scenario: str
    """`raw/fsync`, `raw/sequential-write`, `raw/sequential-read` or `raw/small-files`."""
    value: float
    unit: Literal["1/s", "B/s"]
    by: str
    """What has measured it: `fio 3.33`, or `own`: figures by two different ones are not comparable."""
