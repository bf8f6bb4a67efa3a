"""`fleetpacks.lock`: what is written is what is read, and what else stands there is an error with its place."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import load, lock
from orchestrator.errors import ConfigError

DIGEST = "sha256:" + "0123456789abcdef" * 4


@given(st.dictionaries(st.text(max_size=20), st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True), max_size=5))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, images: dict[str, str]) -> None:
    root = tmp_path_factory.mktemp("root")
    (root / lock.FILE).write_text(lock.text(images), encoding="utf-8")

    assert lock.read(root) == images
    assert list(tomllib.loads(lock.text(images))["images"]) == sorted(images)


def test_the_order_in_which_images_come_changes_nothing() -> None:
    assert lock.text({"a": DIGEST, "b": DIGEST}) == lock.text({"b": DIGEST, "a": DIGEST})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("format = 2\n", r"fleetpacks\.lock:1: format: expected 1, got 2"),
        ("[images]\n", "format"),
        ('format = 1\nimages = "x"\n', r"fleetpacks\.lock:2: images"),
        ('format = 1\n\n[images]\n"a:1" = "latest"\n', r"fleetpacks\.lock:4: .*expected a digest"),
        (f'format = 1\n[images]\n"a:1" = "{DIGEST}\\nUSER 0"\n', r"fleetpacks\.lock:3: .*expected a digest"),
        (f'format = 1\n[images]\n"a:1" = "{DIGEST.upper()}"\n', "expected a digest"),
        ('format = 1\n[images]\n"a:1" = 7\n', r"fleetpacks\.lock:3"),
        ("format = 1\nimage = {}\n", r"fleetpacks\.lock:2: image: .*unknown"),
        ("format = \n", r"fleetpacks\.lock:1"),
    ],
)
def test_a_lock_file_that_cannot_be_is_an_error_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / lock.FILE).write_text(text)

    with pytest.raises(ConfigError, match=message) as caught:
        load(tmp_path, {})

    assert caught.value.hint


def test_a_lock_file_elsewhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other.lock").write_text(lock.text({}))
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / lock.FILE).symlink_to(tmp_path / "other.lock")

    with pytest.raises(ConfigError, match="symlink"):
        load(tmp_path / "root", {})


def test_its_digests_are_settings_of_every_app(tmp_path: Path) -> None:
    (tmp_path / lock.FILE).write_text(lock.text({"node:22": DIGEST}))

    assert load(tmp_path, {}).settings_for("any").pinned == {"node:22": DIGEST}
    assert load(None, {}).lock is None
