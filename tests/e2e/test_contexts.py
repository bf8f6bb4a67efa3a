"""Contexts after a fresh clone: what a daemon has is not sent again, and what is built does not depend on it."""

import os
import secrets
from pathlib import Path

import anyio
import pytest

from tests.conftest import RealCount
from tests.e2e.conftest import Start

pytestmark = pytest.mark.real

_GIT = ("git", "-c", "user.name=test", "-c", "user.email=test@localhost")
_FILES = 40
_GENERATED = "generated"
_OWN = "own"
"""Its Dockerfile is the user's."""


async def _git(*words: str, cwd: Path) -> None:
    await anyio.run_process([*_GIT, *words], cwd=cwd)


async def test_a_fresh_clone_sends_next_to_nothing_and_what_changed_behind_size_and_time_is_built(
    build: Start, real_count: RealCount, tmp_path: Path
) -> None:
    origin = tmp_path / "origin"
    for name in (_GENERATED, _OWN):
        data = origin / name / "data"
        data.mkdir(parents=True)
        for number in range(_FILES):
            (data / f"file{number:02}").write_text(secrets.token_hex(5_000))
        (origin / name / "index.html").write_text("one")
    (origin / _OWN / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    for words in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "apps")):
        await _git(*words, cwd=origin)

    async def built(source: Path) -> tuple[dict[str, int], dict[str, str | None]]:
        async with build(source, "--force", "--no-push") as running:
            ran = await running.end()
        assert (ran.code, ran.err) == (0, ""), ran.err
        real_count.record("build", times=2)
        apps = ran.completed()
        return ({app: each.sent_bytes for app, each in apps.items()}, {app: each.digest for app, each in apps.items()})

    async def cloned(name: str) -> Path:
        await _git("clone", "-q", str(origin), name, cwd=tmp_path)
        return tmp_path / name

    one = await cloned("one")
    first, digests = await built(one)
    # Elsewhere: every file has another time and another place.
    two = await cloned("two")
    second, same = await built(two)
    page = two / _GENERATED / "index.html"
    times = page.stat()
    page.write_text("two")
    os.utime(page, ns=(times.st_atime_ns, times.st_mtime_ns))
    third, changed = await built(two)

    size = _FILES * 10_000
    assert min(first.values()) > size
    assert second[_GENERATED] < first[_GENERATED] / 50
    assert second[_OWN] > size
    assert same == digests
    assert third[_GENERATED] < first[_GENERATED] / 50
    assert changed[_GENERATED] != digests[_GENERATED]


@pytest.mark.full
async def test_go_builds_what_is_there_and_not_what_was_built_later_from_another_machine(
    build: Start, real_count: RealCount, tmp_path: Path
) -> None:
    source, key = tmp_path / "source", secrets.token_hex(4)
    app = source / "app"
    app.mkdir(parents=True)
    answers: list[str] = []
    # A machine has a ledger of its own: what the first one sends last is older than all that is in Go's cache by then.
    for machine, word in (("first", "a"), ("second", "b"), ("first", "a")):
        (app / "main.go").write_text(f'package main\n\nfunc main() {{ print("{word} {key}") }}\n')
        tree = tmp_path / f"tree{len(answers)}"
        words = ["--no-cache", "-o", f"type=local,dest={tree}"]
        async with build(source, *words, variables={"HOME": str(tmp_path / machine), "CACHE_KEY": key}) as running:
            ran = await running.end()
        assert ran.code == 0, ran.err
        answers.append((await anyio.run_process([tree / "app/bin/app"])).stderr.decode())
    real_count.record("build", times=3)

    assert answers == [f"{word} {key}" for word in "aba"]
