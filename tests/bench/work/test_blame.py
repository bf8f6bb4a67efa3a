"""Errors of what is done on storages: whose they are, and that one of them is full."""

import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator.bench.model import Ground, Target
from orchestrator.bench.work.blame import blaming
from orchestrator.errors import BuildFailedError, DiskFullError, FailedStep, FleetpacksError, StorageError
from tests.bench.ground.real import ROOT, memory


def ground(home: Path, name: str) -> Ground:
    """A storage with an image that is mounted elsewhere."""
    files, layers = home / name / "files", home / "run" / name
    for directory in (files, layers):
        directory.mkdir(parents=True)
    return Ground(target=Target(name=name, path=home / name), path=layers, files=files, kind="ext4")


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (
            OSError(errno.EIO, "Input/output error", "{home}/run/two/x"),
            "two: {home}/run/two/x: Input",
            "See whether it",
        ),
        (
            OSError(errno.ENOSPC, "No space left", "{home}/two/files/x"),
            "two: {home}/two/files/x: No space",
            "Make room",
        ),
        (OSError(errno.EDQUOT, "Quota exceeded"), "one: Quota exceeded", "Make room"),
        (StorageError("the package cache npm is damaged", hint="see"), "one and two: the package cache npm", "see"),
        (DiskFullError("the disk is full", hint="prune"), "one: {home}/one is full: the disk is full", "Make room"),
    ],
)
def test_an_error_names_the_target_that_it_is_of(tmp_path: Path, error: Exception, message: str, hint: str) -> None:
    both = ground(tmp_path, "one"), ground(tmp_path, "two")
    if isinstance(error, OSError) and error.filename:
        error.filename = error.filename.format(home=tmp_path)

    with pytest.raises(StorageError) as caught, blaming(*both):
        raise error

    assert caught.value.message.startswith(message.format(home=tmp_path))
    assert caught.value.hint.startswith(hint)
    assert caught.value.__cause__ is error


def test_what_is_no_storages_fault_stays_as_it_is(tmp_path: Path) -> None:
    failed = BuildFailedError("a step has failed", hint="mend it")

    with pytest.raises(FleetpacksError) as caught, blaming(ground(tmp_path, "one")):
        raise failed

    assert caught.value is failed


def test_a_reader_that_has_left_is_no_storages_fault(tmp_path: Path) -> None:
    with pytest.raises(BrokenPipeError), blaming(ground(tmp_path, "one")):
        raise BrokenPipeError


@ROOT
def test_a_build_that_fails_on_a_full_storage_says_which_one_is_full(tmp_path: Path) -> None:
    at = FailedStep(step="sha256:0", log=("it wrote",))
    with memory(tmp_path / "small", size="4m") as disk:
        here, small = ground(tmp_path, "here"), ground(disk, "small")
        _fill(small.files / "large")
        with pytest.raises(StorageError) as caught, blaming(here, small):
            raise BuildFailedError("a step has failed", hint="its output says why", at=at)

    assert caught.value.message == f"small: {disk}/small is full: a step has failed"
    assert caught.value.hint == "Make room there, name another directory, or measure with less: --quick."
    assert caught.value.at == at


def _fill(path: Path) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        with suppress(OSError):
            while True:
                os.write(handle, bytes(1 << 16))
    finally:
        os.close(handle)
