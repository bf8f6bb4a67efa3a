"""What `FLEETPACKS_REQUIRE_REAL` promises, shown on sessions of pytest that see no lab."""

import sys
from pathlib import Path

import anyio
import pytest

from orchestrator.config import environment

ROOT = Path(__file__).parents[2]


async def session(no_lab: Path, *words: str, required: bool) -> tuple[int, str]:
    env = {**environment.read(), "FLEETPACKS_LAB": str(no_lab), "FLEETPACKS_REQUIRE_REAL": "1" if required else ""}
    # A temporary directory of its own: sessions side by side clean up behind each other in the usual one.
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--basetemp={no_lab / 'temporary'}", *words]
    done = await anyio.run_process(command, env=env, cwd=ROOT, check=False)
    return done.returncode, done.stdout.decode() + done.stderr.decode()


@pytest.mark.parametrize(
    ("required", "status", "words"),
    [
        (False, pytest.ExitCode.OK, "SKIPPED"),
        (True, pytest.ExitCode.TESTS_FAILED, "FLEETPACKS_REQUIRE_REAL=1, and the lab is not up"),
    ],
)
async def test_without_a_lab_real_tests_are_skipped_or_fail_where_they_are_required(
    tmp_path: Path, *, required: bool, status: int, words: str
) -> None:
    real = "tests/lab_tests/test_mounts.py::test_deleting_unmounts_first_and_leaves_alone_what_was_mounted"

    exit_status, output = await session(tmp_path, real, required=required)

    assert exit_status == status
    assert words in output
    assert "python -m tests.lab up" in output


@pytest.mark.parametrize(
    ("mark", "required", "status"),
    [("real", False, 0), ("real", True, pytest.ExitCode.TESTS_FAILED), ("anyio", True, 0)],
    ids=["not required", "required", "none of its tests is real"],
)
async def test_a_session_in_which_nothing_really_happened_fails_where_it_is_required(
    tmp_path: Path, *, mark: str, required: bool, status: int
) -> None:
    exit_status, output = await own_session(
        tmp_path, f"@pytest.mark.{mark}\ndef test_it(lab): pass\n", required=required
    )

    assert "1 passed" in output
    assert "really happened: 0 builds, 0 starts, 0 HTTP answers" in output
    assert exit_status == status


async def own_session(folder: Path, test: str, *, required: bool) -> tuple[int, str]:
    """A session with one test beside the repository's conftest, whose hooks are what is tried here."""
    (folder / "test_it.py").write_text(f"import pytest\n\n@pytest.fixture\ndef lab(): pass\n\n{test}")
    words = ("-c", str(ROOT / "pyproject.toml"), "-p", "tests.conftest", str(folder))
    return await session(folder, *words, required=required)


async def test_a_real_test_that_skips_itself_fails_where_it_is_required(tmp_path: Path) -> None:
    skipped = "@pytest.mark.real\ndef test_it(lab): pytest.skip('too tired')\n"

    exit_status, output = await own_session(tmp_path, skipped, required=True)

    assert exit_status == pytest.ExitCode.TESTS_FAILED
    assert "this real test was skipped" in output
    assert "too tired" in output
