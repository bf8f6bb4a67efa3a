"""Raw figures: by our own probe, by fio, and what fio's answers mean."""

import os
import subprocess  # noqa: TID251 -- a program that tells what is in memory
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.bench.ground import fio, probe, tools
from orchestrator.bench.ground.shapes import FSYNC, READ, UNITS, WRITE
from orchestrator.errors import StorageError
from tests.bench.ground.real import ROOT, memory

MIB = 1024 * 1024
HERE = Path(__file__).parent


def plant(monkeypatch: pytest.MonkeyPatch, program: str | None) -> None:
    """Have this found, whatever program is looked for."""

    def found(_name: str) -> str | None:
        return program

    monkeypatch.setattr(tools, "find", found)


@pytest.fixture
def without_fio(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, None)


@pytest.mark.usefixtures("without_fio")
async def test_our_own_probe_has_all_four_figures_and_leaves_nothing(tmp_path: Path) -> None:
    with anyio.fail_after(60):
        raws = await probe(tmp_path, seconds=0.1)

    assert [raw.scenario for raw in raws] == list(UNITS)
    assert {raw.by for raw in raws} == {"own"}
    assert all(raw.value > 0 for raw in raws)
    assert os.listdir(tmp_path) == []  # noqa: PTH208 -- names alone


@pytest.mark.usefixtures("without_fio")
async def test_what_is_read_is_not_in_memory_in_the_image_either(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(bytes(MIB))
    (tmp_path / "d").mkdir()
    before = remembered(image)

    await probe(tmp_path / "d", seconds=0.01, image=image)

    assert (before, remembered(image)) == (MIB, 0)


def remembered(file: Path) -> int:
    """Bytes of a file that are in memory."""
    words = ["fincore", "--bytes", "--noheadings", "--output", "RES", str(file)]
    return int(subprocess.run(words, check=True, capture_output=True).stdout)


@ROOT
@pytest.mark.usefixtures("without_fio")
async def test_a_full_storage_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    with memory(tmp_path / "m", size="12m") as disk:
        with pytest.raises(StorageError, match="No space left") as caught:
            await probe(disk, seconds=0.1)

        assert os.listdir(disk) == []  # noqa: PTH208 -- names alone
    assert caught.value.hint == "Make room there."


@pytest.mark.usefixtures("without_fio")
async def test_who_is_cancelled_waits_for_one_step_alone_and_leaves_nothing(tmp_path: Path) -> None:
    with anyio.fail_after(30), anyio.move_on_after(0.3) as scope:
        await probe(tmp_path, seconds=1000)

    assert scope.cancelled_caught
    assert os.listdir(tmp_path) == []  # noqa: PTH208 -- names alone


@ROOT
@pytest.mark.full
@pytest.mark.skipif(tools.find("fio") is None, reason="fio is not installed")
async def test_fio_measures_the_same_four(tmp_path: Path) -> None:
    with memory(tmp_path / "a:b c") as disk:
        raws = await probe(disk, seconds=0.1)
        left = os.listdir(disk)  # noqa: PTH208 -- names alone

    assert [raw.scenario for raw in raws] == list(UNITS)
    assert all(raw.by.startswith("fio ") for raw in raws)
    assert all(raw.value > 0 for raw in raws)
    assert left == []


async def test_an_fio_that_fails_is_told_with_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "fio"
    program.write_text(
        '#!/bin/sh\n[ "$1" = --version ] && { echo fio-3.33; exit; }\necho "its last words" >&2\nexit 1\n'
    )
    program.chmod(0o700)
    plant(monkeypatch, str(program))
    (tmp_path / "d").mkdir()

    with pytest.raises(StorageError, match="fio has failed: its last words"):
        await probe(tmp_path / "d", seconds=0.1)


async def test_what_is_called_fio_and_is_none_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, "/bin/true")

    raws = await probe(tmp_path, seconds=0.05)

    assert {raw.by for raw in raws} == {"own"}


def test_a_job_is_of_the_file_that_was_written_and_colons_divide_no_names() -> None:
    words = fio.command("fio", READ, Path("/a:b/large"), seconds=2.5, size=7, files=3)

    assert "--filename=/a\\:b/large" in words
    assert "--size=7" in words
    assert "--runtime=2500ms" in words
    assert not any(word.startswith("--directory") for word in words)
    # Else it goes on when fio is killed.
    assert "--thread" in words


@pytest.mark.parametrize(("said", "version"), [(b"fio-3.33\n", "fio 3.33"), (b"", ""), (b"GNU", ""), (b"\xff", "")])
def test_a_version_is_what_fio_says(said: bytes, version: str) -> None:
    assert fio.version(said) == version


def test_what_fio_says_is_a_figure_of_writes_or_of_reads() -> None:
    said = (HERE / "fio-3.33.json").read_bytes()

    figures = [fio.figure(scenario, b"fio: a warning\n" + said, by="fio 3.33") for scenario in (FSYNC, WRITE, READ)]

    assert [figure and (figure.value, figure.unit) for figure in figures] == [
        (386.138614, "1/s"),
        (1581623.0, "B/s"),
        # Nothing was read in this job.
        None,
    ]


@given(st.binary())
def test_no_answer_is_too_odd(said: bytes) -> None:
    assert fio.figure(FSYNC, said, by="fio 1") is None
