"""`fleetpacks.lock`: what is written is what is read, and what else stands there is an error with its place."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import EachSettings, load, lock
from orchestrator.config.lock import Lock
from orchestrator.errors import ConfigError

DIGEST = "sha256:" + "0123456789abcdef" * 4
IMAGES = st.dictionaries(st.text(max_size=20), st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True), max_size=5)
TOOLS = st.dictionaries(
    st.text(max_size=20), st.from_regex(r"[0-9]{1,9}(\.[0-9]{1,9}){0,3}", fullmatch=True), min_size=1, max_size=3
)


@given(IMAGES, st.dictionaries(st.text(max_size=20), TOOLS, max_size=5))
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, images: dict[str, str], versions: dict[str, dict[str, str]]
) -> None:
    root = tmp_path_factory.mktemp("root")
    said = Lock(images=images, versions=versions)
    (root / lock.FILE).write_text(lock.text(said), encoding="utf-8")

    assert lock.read(root) == said
    document = tomllib.loads(lock.text(said))
    assert list(document["images"]) == sorted(images)
    assert list(document["versions"]) == sorted(versions)


def test_the_order_in_which_things_come_changes_nothing() -> None:
    one = Lock(images={"a": DIGEST, "b": DIGEST}, versions={"x": {"go": "1.25", "nodejs": "22"}, "y": {"go": "1"}})
    other = Lock(images={"b": DIGEST, "a": DIGEST}, versions={"y": {"go": "1"}, "x": {"nodejs": "22", "go": "1.25"}})

    assert lock.text(one) == lock.text(other)


def test_each_image_and_each_app_has_a_line() -> None:
    said = Lock(images={"node:22": DIGEST}, versions={"apps/web": {"nodejs": "22.16.0", "pnpm": "9.15.9"}})

    assert lock.text(said).splitlines()[3:] == [
        "[images]",
        f'"node:22" = "{DIGEST}"',
        "",
        "[versions]",
        '"apps/web" = { nodejs = "22.16.0", pnpm = "9.15.9" }',
    ]


def test_a_file_of_the_format_without_versions_still_has_its_images(tmp_path: Path) -> None:
    (tmp_path / lock.FILE).write_text(f'format = 1\n\n[images]\n"node:22" = "{DIGEST}"\n')

    assert lock.read(tmp_path) == Lock(images={"node:22": DIGEST}, versions=None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("format = 3\n", r"fleetpacks\.lock:1: format: expected 1 or 2, got 3"),
        ("format = 0\n", r"fleetpacks\.lock:1: format: expected 1 or 2, got 0"),
        ("[images]\n", r"fleetpacks\.lock: 'format' is missing"),
        ("", r"fleetpacks\.lock: 'format' is missing"),
        ('format = 2\nimages = "x"\n', r"fleetpacks\.lock:2: images"),
        ('format = 2\n\n[images]\n"a:1" = "latest"\n', r"fleetpacks\.lock:4: .*expected a digest"),
        (f'format = 2\n[images]\n"a:1" = "{DIGEST}\\nUSER 0"\n', r"fleetpacks\.lock:3: .*expected a digest"),
        (f'format = 2\n[images]\n"a:1" = "{DIGEST.upper()}"\n', "expected a digest"),
        ('format = 2\n[images]\n"a:1" = 7\n', r"fleetpacks\.lock:3"),
        ("format = 2\nimage = {}\n", r"fleetpacks\.lock:2: image: .*unknown"),
        ('format = 2\n[versions]\n"a" = "22"\n', r"fleetpacks\.lock:3: versions\.a"),
        (
            'format = 2\n[versions]\n"a" = { go = "1.25 AS x" }\n',
            r"fleetpacks\.lock:3: versions\.a\.go: expected a ver",
        ),
        ('format = 2\n[versions]\n"a" = { go = "1.2.3.4.5" }\n', "expected a version"),
        ('format = 2\n[versions]\n"a" = { go = "" }\n', "expected a version"),
        ("format = \n", r"fleetpacks\.lock:1"),
    ],
)
def test_a_lock_file_that_cannot_be_is_an_error_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / lock.FILE).write_text(text)

    with pytest.raises(ConfigError, match=message) as caught:
        load(tmp_path, {})

    assert caught.value.hint


def test_a_file_of_a_later_format_asks_for_the_program_that_wrote_it(tmp_path: Path) -> None:
    (tmp_path / lock.FILE).write_text("format = 3\n")

    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {})

    assert "newer fleetpacks" in caught.value.hint


def test_a_lock_file_elsewhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other.lock").write_text(lock.text(Lock()))
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / lock.FILE).symlink_to(tmp_path / "other.lock")

    with pytest.raises(ConfigError, match="symlink"):
        load(tmp_path / "root", {})


def test_its_digests_are_settings_of_every_app_and_its_versions_of_their_own(tmp_path: Path) -> None:
    said = Lock(images={"node:22": DIGEST}, versions={"web": {"nodejs": "22.16.0"}, ".": {"go": "1.25.1"}})
    (tmp_path / lock.FILE).write_text(lock.text(said))
    config = load(tmp_path, {})

    each = EachSettings(config)

    assert {path: each(path).pinned for path in ("web", "any")} == {
        "web": {"node:22": DIGEST},
        "any": {"node:22": DIGEST},
    }
    assert {path: each(path).locked for path in ("web", "any", "other", ".")} == {
        "web": {"nodejs": "22.16.0"},
        "any": {},
        "other": {},
        ".": {"go": "1.25.1"},
    }
    assert each("any") is each("other")
    assert load(None, {}).lock is None
