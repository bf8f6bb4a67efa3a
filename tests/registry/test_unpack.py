"""Layers: what they bring, what they hide, and what they must not reach."""

import gzip
import io
import os
import stat
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.errors import RegistryError
from orchestrator.registry.unpack import Unpacker

Entry = tuple[str, bytes, str | bytes]
FILE, DIRECTORY, SYMLINK, HARDLINK = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def layer(*entries: Entry, mode: int = 0o755) -> bytes:
    """A tar of (name, type, content or link target)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, kind, what in entries:
            member = tarfile.TarInfo(name)
            member.type, member.mode = kind, mode
            member.uid, member.gid = os.geteuid(), os.getegid()
            if isinstance(what, bytes):
                member.size = len(what)
                tar.addfile(member, io.BytesIO(what))
            else:
                member.linkname = what
                tar.addfile(member)
    return buffer.getvalue()


def unpack(directory: Path, *layers: bytes) -> Path:
    root = directory / "root"
    root.mkdir()
    unpacker = Unpacker(root, checkpoint=lambda: None)
    for number, content in enumerate(layers):
        blob = directory / f"layer-{number}"
        blob.write_bytes(content)
        unpacker.layer(blob, "registry.test/app")
    unpacker.finish()
    return root


def tree(root: Path) -> dict[str, str]:
    """Every path below a directory and what it holds; directories end in a slash."""
    found: dict[str, str] = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_dir():
            found[f"{name}/"] = ""
        else:
            found[name] = path.read_text()
    return found


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([[("a/b", FILE, b"1")]], {"a/": "", "a/b": "1"}),
        ([[("./", DIRECTORY, ""), ("./a", FILE, b"1"), ("/b", FILE, b"2")]], {"a": "1", "b": "2"}),
        ([[("a", FILE, b"1")], [("a", FILE, b"2")]], {"a": "2"}),
        ([[("a", FILE, b"1")], [("a", DIRECTORY, "")]], {"a/": ""}),
        ([[("a/b", FILE, b"1")], [("a", FILE, b"2")]], {"a": "2"}),
        ([[("a/b", FILE, b"1")], [("a/", DIRECTORY, "")]], {"a/": "", "a/b": "1"}),
        ([[("a", FILE, b"1"), ("b", HARDLINK, "a")]], {"a": "1", "b": "1"}),
        ([[("a", FILE, b"1"), ("b", HARDLINK, "/a")], [("a", FILE, b"2")]], {"a": "2", "b": "1"}),
        ([[("usr/lib/x", FILE, b"1"), ("lib", SYMLINK, "usr/lib")], [("lib/y", FILE, b"2")]],
         {"lib": "-> usr/lib", "usr/": "", "usr/lib/": "", "usr/lib/x": "1", "usr/lib/y": "2"}),
        ([[("a", FILE, b"1"), ("b", FILE, b"2")], [(".wh.a", FILE, b"")]], {"b": "2"}),
        ([[("d/a", FILE, b"1")], [(".wh.d", FILE, b"")]], {}),
        ([[("d/a", FILE, b"1")], [("d/.wh..wh..opq", FILE, b""), ("d/b", FILE, b"2")]], {"d/": "", "d/b": "2"}),
        ([[("d/a", FILE, b"1")], [("d/b", FILE, b"2"), ("d/.wh..wh..opq", FILE, b"")]], {"d/": "", "d/b": "2"}),
        ([[("d/a", FILE, b"1")], [("d", DIRECTORY, ""), ("d/b", FILE, b"2"), (".wh.d", FILE, b"")]],
         {"d/": "", "d/b": "2"}),
        ([[("a", FILE, b"1")], [("a", FILE, b"2"), (".wh.a", FILE, b"")]], {"a": "2"}),
        ([[("a", FILE, b"1")], [(".wh.none", FILE, b""), (".wh..wh.plnk", FILE, b"")]], {"a": "1"}),
        ([[("dev/null", tarfile.CHRTYPE, "")]], {"dev/": ""}),
    ],
)  # fmt: skip
def test_layers_lie_over_each_other(tmp_path: Path, layers: list[list[Entry]], expected: dict[str, str]) -> None:
    root = unpack(tmp_path, *(layer(*entries) for entries in layers))

    assert tree(root) == expected


@pytest.mark.parametrize(
    "entries",
    [
        [("../escaped", FILE, b"x")],
        [("a/../../escaped", FILE, b"x")],
        [("/../escaped", FILE, b"x")],
        [("link", HARDLINK, "../outside/secret")],
        [("link", HARDLINK, "missing")],
        [("d", DIRECTORY, ""), ("link", HARDLINK, "d")],
        [("loop", SYMLINK, "loop"), ("loop/x", FILE, b"x")],
        [("file", FILE, b"1"), ("file/x", FILE, b"x")],
        [(".wh..", FILE, b"")],
        [(".wh...", FILE, b"")],
        [(".wh.", FILE, b"")],
        [("n" * 300, FILE, b"x")],
        [("empty", SYMLINK, "")],
    ],
)
def test_an_impossible_entry_is_refused(tmp_path: Path, entries: list[Entry]) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")

    with pytest.raises(RegistryError, match="the layer cannot be unpacked"):
        unpack(tmp_path, layer(*entries))

    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize("aim", ["{outside}", "../outside", "/../../{outside}", "sub/../../../outside"])
@pytest.mark.parametrize("split", [False, True])
def test_writing_through_a_link_stays_inside(tmp_path: Path, aim: str, *, split: bool) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    before = stat.S_IMODE(outside.stat().st_mode)
    entries: list[list[Entry]] = [
        [("sub", DIRECTORY, ""), ("away", SYMLINK, aim.format(outside=outside))],
        [
            ("away/new", FILE, b"evil"),
            ("away/kept", FILE, b"evil"),
            ("away/.wh.kept", FILE, b""),
            ("away/d", DIRECTORY, ""),
            ("away/.wh..wh..opq", FILE, b""),
        ],
    ]
    layers = [layer(*part, mode=0o777) for part in entries] if split else [layer(*entries[0], *entries[1], mode=0o777)]

    unpack(tmp_path, *layers)

    assert [(path.name, path.read_text()) for path in outside.iterdir()] == [("kept", "kept")]
    assert stat.S_IMODE(outside.stat().st_mode) == before


def test_a_file_replaces_a_link_and_does_not_follow_it(tmp_path: Path) -> None:
    outside = tmp_path / "secret"
    outside.write_text("kept")

    root = unpack(tmp_path, layer(("a", SYMLINK, str(outside))), layer(("a", FILE, b"new")))

    assert outside.read_text() == "kept"
    assert tree(root) == {"a": "new"}


def test_a_directory_behind_a_later_link_keeps_its_mode(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "b").mkdir(parents=True)
    (outside / "b").chmod(0o700)

    unpack(
        tmp_path,
        layer(("a", DIRECTORY, ""), ("a/b", DIRECTORY, ""), mode=0o777),
        layer((".wh.a", FILE, b""), ("a", SYMLINK, str(outside))),
    )

    assert stat.S_IMODE((outside / "b").stat().st_mode) == 0o700


def test_modes_and_times_are_those_of_the_layer(tmp_path: Path) -> None:
    root = unpack(tmp_path, layer(("d", DIRECTORY, ""), ("d/f", FILE, b""), mode=0o4555))

    assert stat.S_IMODE((root / "d" / "f").stat().st_mode) == 0o4555
    assert stat.S_IMODE((root / "d").stat().st_mode) == 0o4555
    assert (root / "d").stat().st_mtime == 0


def test_gzip_is_read_and_zstd_is_named_where_it_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "gzip").mkdir()
    (tmp_path / "zstd").mkdir()

    root = unpack(tmp_path / "gzip", gzip.compress(layer(("a", FILE, b"1"))))

    assert tree(root) == {"a": "1"}
    if sys.version_info < (3, 14):
        with pytest.raises(RegistryError, match="zstd"):
            unpack(tmp_path / "zstd", b"\x28\xb5\x2f\xfd rest")


@pytest.mark.parametrize(
    "content",
    [b"", b"no tar at all" * 100, gzip.compress(layer(("a", FILE, b"x" * 9999)))[:-40], b"\x1f\x8b\x08broken"],
)
def test_what_is_no_whole_tar_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(RegistryError, match="the layer cannot be unpacked"):
        unpack(tmp_path, content)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
@given(data=st.data())
def test_no_sequence_of_entries_touches_anything_outside(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    home = tmp_path_factory.mktemp("unpack")
    outside = home / "outside"
    outside.mkdir()
    (outside / "a").write_text("kept")
    names = st.lists(st.sampled_from(["a", "b", "..", ".", "outside", ".wh.a", ".wh..wh..opq"]), min_size=1, max_size=3)
    aims = st.sampled_from(["..", "../outside", "/", str(outside), str(home), "a", "../../outside", "b/.."])
    entries: st.SearchStrategy[Entry] = st.one_of(
        st.tuples(names.map("/".join), st.just(FILE), st.just(b"evil")),
        st.tuples(names.map("/".join), st.just(DIRECTORY), st.just("")),
        st.tuples(names.map("/".join), st.sampled_from([SYMLINK, HARDLINK]), aims),
    )
    layers = data.draw(st.lists(st.lists(entries, max_size=8), min_size=1, max_size=3))

    try:
        unpack(home, *(layer(*part, mode=0o777) for part in layers))
    except RegistryError:
        refused = True
    else:
        refused = False

    assert isinstance(refused, bool)
    assert {path.name for path in home.iterdir()} - {"root", "outside"} <= {f"layer-{n}" for n in range(3)}
    assert [(path.name, path.read_text()) for path in outside.iterdir()] == [("a", "kept")]
    assert stat.S_IMODE(outside.stat().st_mode) != 0o777
