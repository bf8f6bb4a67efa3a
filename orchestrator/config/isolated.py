"""What was said of daemons that we start ourselves: the operator's `[daemon]`, and the variables before it."""

from collections.abc import Mapping
from pathlib import Path
from typing import get_args

from orchestrator.config.environment import Environment
from orchestrator.config.operator import DaemonTable
from orchestrator.errors import ConfigError
from orchestrator.model import Isolated, StorageDriver
from orchestrator.text import parse_size

DRIVERS: tuple[StorageDriver, ...] = get_args(StorageDriver)
_NAMES: Mapping[str, StorageDriver] = {
    "overlay2": "overlay2",
    "fuse-overlayfs": "fuse-overlayfs",
    "vfs": "vfs",
    # containerd's names of the same.
    "overlay": "overlay2",
    "overlayfs": "overlay2",
    "native": "vfs",
}


def merged(environment: Environment, table: DaemonTable, table_name: str, source: Path | None) -> Isolated:
    """What holds.

    Args:
        environment: what it says comes first.
        table: the operator's.
        table_name: of his file, for errors.
        source: the root of what is built, in which no daemon may keep anything.

    Raises:
        ConfigError: a variable is wrong, or the directory lies in the source.
    """
    root = Path(table.root) if table.root else None
    if root is not None and source is not None and root.resolve().is_relative_to(source):
        raise ConfigError(
            f"{table_name}: daemon.root: a daemon inside the source {source} is not trusted",
            hint="Whoever changes the source could put what they want into its caches: keep it elsewhere.",
        )
    return Isolated(
        kind=table.engine,
        storage=_driver(environment.storage_driver) or table.storage_driver,
        root=root,
        mtu=table.mtu,
        dns=table.dns,
        size=_size(environment.buildkit_cache_size) or parse_size(table.cache_size) or 0,
        free=parse_size(table.free_space) or 0,
        free_said=table.free_space != DaemonTable().free_space,
    )


def _driver(text: str | None) -> StorageDriver | None:
    if text is None:
        return None
    found = _NAMES.get(text)
    if found is None:
        raise ConfigError(
            f"$STORAGE_DRIVER: expected one of {', '.join(DRIVERS)}, got {text!r}",
            hint="Set one of these, or unset it.",
        )
    return found


def _size(text: str | None) -> int | None:
    if text is None:
        return None
    # Megabytes are what a bare number has meant to runners, and `50g` is what Docker takes.
    size = parse_size(text) or parse_size(f"{text.rstrip('bB').upper()}B") or parse_size(f"{text}MB")
    if not size:
        raise ConfigError(f"$BUILDKIT_CACHE_SIZE: expected a size, got {text!r}", hint="Set BUILDKIT_CACHE_SIZE=20GB.")
    return size
