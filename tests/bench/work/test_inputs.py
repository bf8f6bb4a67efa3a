"""What is built is the same for the same seed, and its states differ in what they say."""

import hashlib
import tarfile
import zipfile
from pathlib import Path

import msgspec
import pytest

from orchestrator.bench.work import image, inputs, pulled
from orchestrator.bench.work.sizes import TINY


def nothing() -> None:
    """Whoever asks whether to go on may."""


def made(root: Path, seed: int) -> dict[str, dict[str, str]]:
    root.mkdir()
    return {state: digests(path) for state, path in inputs.make(root, TINY, seed, check=nothing).items()}


def digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_files_and_another_one_others(tmp_path: Path) -> None:
    first, again, other = made(tmp_path / "a", 1), made(tmp_path / "b", 1), made(tmp_path / "c", 2)

    assert first == again
    assert first["first"].keys() == other["first"].keys()
    changed = {path for path, digest in first["first"].items() if other["first"][path] != digest}
    assert {path for path in first["first"] if path.startswith("packages/")} <= changed


def test_states_differ_in_a_source_or_in_the_lock_file_and_in_nothing_else(tmp_path: Path) -> None:
    states = made(tmp_path / "a", 1)

    def between(one: str, other: str) -> set[str]:
        assert states[one].keys() == states[other].keys()
        return {path for path, digest in states[one].items() if states[other][path] != digest}

    assert between("first", "second") == between("second", "third") == {"app/src/state.py"}
    assert between("third", "locked") == {"app/lock.json"}


def test_a_lock_file_names_archives_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    states = inputs.make(tmp_path / "a", TINY, 1, check=nothing)

    for root in states.values():
        lock = msgspec.json.decode((root / "app/lock.json").read_bytes(), type=dict[str, list[str]])
        assert len(lock["wheels"]) == TINY.wheels
        assert len(lock["tarballs"]) == TINY.tarballs
        for kind, names in lock.items():
            assert all((root / "packages" / kind / name).is_file() for name in names)


def test_archives_hold_what_was_said(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    root = inputs.make(tmp_path / "a", TINY, 1, check=nothing)["first"]

    with tarfile.open(root / "packages/debs/lib0.tgz") as deb:
        assert len(deb.getnames()) == TINY.deb_files
    with zipfile.ZipFile(root / "packages/wheels/wheel0.whl") as wheel:
        modules = [name for name in wheel.namelist() if name.endswith(".py")]
        for name in modules:
            compile(wheel.read(name), name, "exec")
    assert len(modules) == TINY.modules
    assert (root / "packages/large/large").stat().st_size == TINY.large


def test_making_can_be_ended(tmp_path: Path) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    (tmp_path / "a").mkdir()
    with pytest.raises(KeyboardInterrupt):
        inputs.make(tmp_path / "a", TINY, 1, check=stop)


def test_an_image_is_a_layout_whose_blobs_are_what_their_names_say(tmp_path: Path) -> None:
    digest = pulled.write(tmp_path, TINY, 1)

    found = image.content(tmp_path, digest)
    for blob in (tmp_path / "blobs/sha256").iterdir():
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    assert len(found.layers) == 4
    names: list[str] = []
    for layer in found.layers:
        with tarfile.open(layer) as tar:
            names += tar.getnames()
    assert "fleetpacks-bench-mark" in names
    assert len([name for name in names if "/part" in name]) == TINY.pulled_files
    assert (tmp_path / "oci-layout").read_bytes() == b'{"imageLayoutVersion":"1.0.0"}'
