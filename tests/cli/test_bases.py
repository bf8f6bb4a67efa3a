"""`fleetpacks bases` as far as nothing is built."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.bases import contents
from orchestrator.bases.choosing import repositories
from orchestrator.bases.recipes import load
from orchestrator.errors import UsageError

Run = Callable[..., Any]


def test_all_recipes_are_listed(run: Run) -> None:
    as_text, as_json = run("bases", "ls"), run("bases", "ls", "--json")

    names = [recipe.names[0] for recipe in load().images]
    assert [line.split()[0] for line in as_text.out.splitlines()] == names
    documents = [json.loads(line) for line in as_json.out.splitlines()]
    assert [f"{each['name']}:{(*each['tags'], *each['aliases'])[0]}" for each in documents] == names


def test_a_language_stands_for_its_images_and_nothing_for_all() -> None:
    assert repositories(["go", "oven/bun"]) == {"golang", "debian", "oven/bun"}
    assert repositories([]) == {recipe.name for recipe in load().images}
    with pytest.raises(UsageError, match="no language and no base image cobol, none"):
        repositories(["none", "go", "cobol"])


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["cobol"], "no language and no base image cobol"),
        (["debian", "--mirror", "npm"], "--mirror: expected NAME=URL, got 'npm'"),
        (["debian", "--mirror", "cargo=https://x.example"], "--mirror: expected NAME=URL"),
        (["debian", "--mirror", "apt=https://u:hunter2@x.example"], "the mirror of apt has a password"),
        (["debian", "--ca", "absent.pem"], "--ca: absent.pem: No such file"),
        (["debian", "--locked", "--lock", "absent.lock"], "--lock: absent.lock: No such file"),
        (["debian", "--lock", "absent/bases.lock"], "the lock file cannot be written"),
        (["debian", "--prefix", "Not/Legal"], "is not an image reference"),
        (["debian", "--root", "r.example/debian", "--mirror", "apt=https://x.example"], "--mirror apt: the images ask"),
        (["debian", "--ca", "one/site.pem", "--ca", "two/site.crt"], "--ca: two files would be site.crt"),
        (["debian", "--lock", "other.lock"], "other.lock: Object missing required field"),
        (["debian", "--lock", "old.lock", "--locked"], "the lock file is of bookworm, and images"),
        (["debian", "--lock", "some.lock", "--locked"], "the lock file does not have library/debian:trixie-slim"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_built(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], error: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one/site.pem", "two/site.crt"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    (tmp_path / "other.lock").write_text("{}")
    for name, suite in (("old.lock", "bookworm"), ("some.lock", load().root.suite)):
        (tmp_path / name).write_bytes(contents.encode(contents.Lock(suite=suite, images=())))

    ran = run("bases", "build", "--prefix", "r.example/bases", "--host", "unix:///nowhere/sock", *words)

    assert ran.code == 2
    assert error in ran.err
    assert "hunter2" not in ran.err


def test_a_builder_that_is_not_there_is_an_error_and_no_lock_file_is_left(run: Run, tmp_path: Path) -> None:
    lock = tmp_path / "bases.lock"

    ran = run("bases", "build", "--prefix", "r.example/b", "--host", "unix:///nowhere/sock", "--lock", lock, "debian")

    assert ran.code == 75
    assert not lock.exists()
