"""Where package caches are kept, and how much may be done for them."""

from pathlib import Path

import pytest

from orchestrator.config import load
from orchestrator.errors import ConfigError
from orchestrator.model import MountCache


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    root.mkdir()
    return root


def read(root: Path, text: str = "", **variables: str) -> MountCache:
    file = root.parent / "operator.toml"
    file.write_text(text)
    return load(root, {"FLEETPACKS_CONFIG": str(file), **variables}).cache.mounts


def test_nothing_is_kept_unless_somebody_says_where(root: Path) -> None:
    assert read(root).directory is None
    assert read(root, BUILD_CACHE_DIR="").directory is None


def test_the_operators_word_counts_less_than_the_environments(root: Path) -> None:
    text = '[cache]\nmounts = "/volumes/packages"\nmounts_size = "500MB"\nmounts_time = "90s"\n'

    assert read(root, text) == MountCache(directory=Path("/volumes/packages"), size=500_000_000, seconds=90.0)
    assert read(root, text, BUILD_CACHE_DIR="/cache").directory == Path("/cache")
    assert read(root, BUILD_CACHE_DIR="/cache") == MountCache(directory=Path("/cache"), size=20 * 10**9, seconds=300.0)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("mounts", "packages", "operator.toml:2: cache.mounts: expected an absolute path"),
        ("mounts_size", "much", "operator.toml:2: cache.mounts_size: expected a size"),
        ("mounts_size", "0", "operator.toml:2: cache.mounts_size: expected a size"),
        ("mounts_time", "0s", "operator.toml:2: cache.mounts_time: expected 1s to 1h"),
        ("mounts_time", "61m", "operator.toml:2: cache.mounts_time: expected 1s to 1h"),
        ("mounts_time", "soon", "operator.toml:2: cache.mounts_time: expected 1s to 1h"),
    ],
)
def test_a_mistake_is_named_by_file_line_and_key(root: Path, key: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(root, f'[cache]\n{key} = "{value}"\n')

    assert caught.value.message.removeprefix(f"{root.parent}/") == message


def test_a_directory_that_depends_on_where_it_is_read_is_refused(root: Path) -> None:
    with pytest.raises(ConfigError, match="BUILD_CACHE_DIR: expected an absolute path"):
        read(root, BUILD_CACHE_DIR="cache")


def test_a_directory_inside_the_source_is_not_trusted(root: Path) -> None:
    (root.parent / "link").symlink_to(root)

    for inside in (root, root / "cache", root.parent / "link/cache"):
        with pytest.raises(ConfigError, match="not trusted"):
            read(root, BUILD_CACHE_DIR=str(inside))
