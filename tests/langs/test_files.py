import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langs import files as module
from langs.errors import LangError
from langs.files import AppFiles, require_plain_name
from tests.langs.conftest import Write


def test_a_link_out_of_the_app_is_refused(write: Write, tmp_path: Path) -> None:
    root = write({"app.py": ""})
    secret = tmp_path / "secret"
    secret.write_text("x")
    (root / "Procfile").symlink_to(secret)

    with pytest.raises(LangError, match="out of the app") as caught:
        AppFiles(root).read_text("Procfile")
    assert caught.value.file == "Procfile"
    assert not AppFiles(root).exists("Procfile")
    assert "Procfile" not in AppFiles(root).listing


def test_a_path_with_dots_cannot_leave_the_app(write: Write, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")

    with pytest.raises(LangError, match="out of the app"):
        AppFiles(write({"a": ""})).read_text("../secret")


def test_a_directory_link_out_of_the_app_is_not_listed(write: Write, tmp_path: Path) -> None:
    root = write({"a": ""})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "main.go").write_text("package main\nfunc main() {}")
    (root / "cmd").symlink_to(tmp_path / "out")
    files = AppFiles(root)

    assert files.listing == ("a",)
    assert not files.has_directory("cmd")
    with pytest.raises(LangError):
        files.read_text("cmd/main.go")


def test_a_link_within_the_app_is_followed(write: Write) -> None:
    root = write({"config/versions": "22\n"})
    (root / ".nvmrc").symlink_to("config/versions")

    assert AppFiles(root).read_text(".nvmrc") == "22\n"


@pytest.mark.parametrize("kind", ["fifo", "directory", "loop"])
def test_what_is_no_regular_file_is_refused_at_once(write: Write, kind: str) -> None:
    root = write({"a": ""})
    match kind:
        case "fifo":
            os.mkfifo(root / "go.mod")
        case "directory":
            (root / "go.mod").mkdir()
        case _:
            (root / "go.mod").symlink_to("go.mod")

    with pytest.raises(LangError):
        AppFiles(root).read_text("go.mod")
    assert not AppFiles(root).exists("go.mod")


@pytest.mark.parametrize(
    ("content", "message", "line"),
    [
        (b"x" * (module.MAX_BYTES + 1), "larger than", None),
        (b"ok\n\xff\xfe", "not UTF-8", 2),
        (b"a\0b", "NUL", None),
    ],
)
def test_junk_is_an_error_that_names_the_file(write: Write, content: bytes, message: str, line: int | None) -> None:
    root = write({})
    (root / "package.json").write_bytes(content)

    with pytest.raises(LangError, match=message) as caught:
        AppFiles(root).read_text("package.json")
    assert (caught.value.file, caught.value.line) == ("package.json", line)


def test_an_absent_file_is_none(write: Write) -> None:
    assert AppFiles(write({})).read_text("package.json") is None


def test_windows_text_is_read_as_text(write: Write) -> None:
    root = write({})
    (root / "Procfile").write_bytes(b"\xef\xbb\xbfweb: a\r\nworker: b\r\n")

    assert AppFiles(root).read_text("Procfile") == "web: a\nworker: b\n"


def test_the_head_of_a_long_file_ends_with_a_whole_line(write: Write) -> None:
    root = write({"uv.lock": "é = 1\n" * 10})

    assert AppFiles(root).read_head("uv.lock", 20) == "é = 1\n" * 2


def test_the_listing_is_bounded_and_keeps_the_top(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write({"z.py": "", **{f"data/{number:03}.txt": "" for number in range(100)}})
    monkeypatch.setattr(module, "MAX_ENTRIES", 10)

    listing = AppFiles(root).listing
    assert listing[0] == "z.py"
    assert len(listing) <= 10


def test_what_tools_made_is_not_listed(write: Write) -> None:
    root = write({"a.js": "", "node_modules/x/main.py": "", ".git/HEAD": "", "pkg/__pycache__/a.pyc": ""})

    assert AppFiles(root).listing == ("a.js",)


def test_a_star_stays_in_its_directory(write: Write) -> None:
    files = AppFiles(write({"main.go": "", "cmd/a/main.go": "", "cmd/main.go": ""}))

    assert files.glob("*.go") == ("main.go",)
    assert files.glob("cmd/*/*.go") == ("cmd/a/main.go",)


@pytest.mark.parametrize("name", ["a[1].txt", "$HOME", "-x", "../a", "a/../b", "a\nRUN x", 'a"b', "--from=x", ""])
def test_a_name_that_a_dockerfile_would_read_otherwise_is_refused(name: str) -> None:
    with pytest.raises(LangError):
        require_plain_name(name)


@given(st.text())
def test_a_plain_name_has_nothing_to_escape(name: str) -> None:
    try:
        plain = require_plain_name(name)
    except LangError:
        return

    assert not set(plain) & set("$\\\"'`\n\r\t*?[]{}#<>|&;()")
    assert not plain.startswith(("-", "/"))


def test_a_file_as_root_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")

    with pytest.raises(LangError, match="not a directory"):
        AppFiles(tmp_path / "x")


def test_a_name_that_could_forge_a_line_is_not_listed(write: Write) -> None:
    root = write({"a.go": "", "b\nRUN x.go": "", "c\x1b[2J.go": ""})
    (root / os.fsdecode(b"d\xff.go")).write_text("")

    assert AppFiles(root).listing == ("a.go",)


def test_what_is_near_is_not_looked_for_at_the_bottom(write: Write) -> None:
    files = AppFiles(write({"a": "", "b/c": "", "b/d/e": "", "b/d/f/g": ""}))

    assert files.near == ("a", "b/c", "b/d/e")
    assert files.listing == ("a", "b/c", "b/d/e", "b/d/f/g")


def test_what_is_made_of_the_files_is_made_once(write: Write) -> None:
    files = AppFiles(write({"a": "x"}))
    asked: list[AppFiles] = []

    def make(asked_of: AppFiles) -> str:
        asked.append(asked_of)
        return asked_of.read_text("a") or ""

    assert (files.once(make), files.once(make)) == ("x", "x")
    assert asked == [files]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*.go", ("a.go",)),
        ("cmd/*.go", ("cmd/b.go",)),
        ("cmd/*/*.go", ("cmd/x/c.go", "cmd/y/d.go")),
        ("*/*.go", ("cmd/b.go", "lib/e.go")),
        ("node_modules/*.go", ()),
        ("../*.go", ()),
        ("link/*.go", ()),
        ("[cl]*/x/*.go", ("cmd/x/c.go",)),
    ],
)
def test_a_pattern_looks_only_where_it_says(write: Write, pattern: str, found: tuple[str, ...]) -> None:
    names = ("a.go", "cmd/b.go", "cmd/x/c.go", "cmd/y/d.go", "lib/e.go", "node_modules/f.go")
    root = write(dict.fromkeys(names, ""))
    (root / "link").symlink_to("cmd")

    assert AppFiles(root).glob(pattern) == found


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("a", ("a",)),
        ("./a/*/", ("a/b", "a/c")),
        ("*/b", ("a/b",)),
        ("a/**", ("a", "a/b", "a/c", "a/b/d")),
        ("**/d", ("a/b/d",)),
        ("../*", ()),
        ("a/../x", ()),
        ("node_modules/*", ()),
        ("link/*", ()),
        ("", ()),
    ],
)
def test_directories_are_found_by_patterns(write: Write, pattern: str, expected: tuple[str, ...]) -> None:
    root = write({"a/b/d/f": "", "a/c/f": "", "x/f": "", "node_modules/m/f": ""})
    (root / "link").symlink_to(root / "a")

    assert AppFiles(root).directories(pattern) == expected


def test_a_pattern_made_to_be_slow_is_not(write: Write) -> None:
    root = write({f"{a}/{b}/{c}/f": "" for a in "abcd" for b in "abcd" for c in "abcd"})

    found = AppFiles(root).directories("/".join(["**"] * 200))

    assert len(found) == 84


def test_neighbours_are_looked_at_once_for_all_who_ask(write: Write) -> None:
    root = write({"apps/web/f": "", "apps/api/f": "", "ui/f": ""})
    known: dict[str, AppFiles] = {}

    web, api = (AppFiles(root / "apps" / name, root, known=known) for name in ("web", "api"))

    assert web.at("../../ui") is api.at("../../ui")
    assert web.enclosing[1] is api.enclosing[1]
    assert web.enclosing[1].at("apps/api") is api.at(".") is not api
    assert (web.path, web.enclosing[1].path) == ("apps/web", ".")
    assert web.below_context("../..") == "apps/web"
