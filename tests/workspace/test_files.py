"""The listing of files: by git, by walking, and against repositories that mean harm."""

import os
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import ContextError
from orchestrator.workspace import files
from orchestrator.workspace import git as git_module
from orchestrator.workspace.ignored import ignore_spec

Git = Callable[..., Awaitable[None]]
Plant = Callable[[Mapping[str, str]], Path]

_TREE = {
    ".gitignore": "*.log\n/build/\n!keep.log\n",
    "a/app.py": "",
    "a/x.log": "",
    "a/keep.log": "",
    "a/.gitignore": "local\n",
    "a/local": "",
    "b/local": "",
    "build/out.js": "",
    "b/build/kept.js": "",
}
_KEPT = (".gitignore", "a/.gitignore", "a/app.py", "a/keep.log", "b/build/kept.js", "b/local")


async def test_git_tells_tracked_and_untracked_but_not_ignored_files(
    root: Path, plant: Plant, git: Git, git_environment: Mapping[str, str]
) -> None:
    plant(_TREE)
    await git("init", "-q")
    await git("add", "a/app.py")

    assert await files.list_files(root, git_environment) == _KEPT


async def test_without_git_the_walk_honours_nested_gitignore_files(
    root: Path, plant: Plant, git_environment: Mapping[str, str]
) -> None:
    plant(_TREE)

    assert await files.list_files(root, git_environment) == _KEPT


async def test_a_subdirectory_of_a_work_tree_is_a_source_of_its_own(
    root: Path, plant: Plant, git: Git, git_environment: Mapping[str, str]
) -> None:
    plant({"sub/app.py": "", "sub/x.log": "", ".gitignore": "*.log\n", "other.py": ""})
    await git("init", "-q")

    assert await files.list_files(root / "sub", git_environment) == ("app.py",)


async def test_a_source_that_an_outer_repository_ignores_is_walked(
    root: Path, plant: Plant, git: Git, git_environment: Mapping[str, str]
) -> None:
    plant({"out/app.py": "", ".gitignore": "/out\n"})
    await git("init", "-q")

    assert await files.list_files(root / "out", git_environment) == ("app.py",)


async def test_submodules_and_nested_repositories_are_walked(
    root: Path, plant: Plant, git: Git, git_environment: Mapping[str, str]
) -> None:
    plant({"module/go.mod": "", "module/x.log": "", "module/.gitignore": "*.log\n", "nested/main.py": "", "a.py": ""})
    for inner in ("module", "nested"):
        await git("init", "-q", cwd=root / inner)
    await git("init", "-q")
    await git("add", ".", cwd=root / "module")
    await git("commit", "-q", "-m", "x", cwd=root / "module")
    await git("add", "module")

    assert await files.list_files(root, git_environment) == (
        "a.py",
        "module/.gitignore",
        "module/go.mod",
        "nested/main.py",
    )


@pytest.mark.parametrize("left", ["an empty directory", "nothing"])
async def test_a_submodule_that_is_not_checked_out_is_said(
    root: Path, plant: Plant, git: Git, git_environment: Mapping[str, str], left: str
) -> None:
    plant({"module/go.mod": "", "a.py": ""})
    await git("init", "-q", cwd=root / "module")
    await git("add", ".", cwd=root / "module")
    await git("commit", "-q", "-m", "x", cwd=root / "module")
    await git("init", "-q")
    await git("add", "module")
    shutil.rmtree(root / "module")
    if left == "an empty directory":
        (root / "module").mkdir()
    said: list[str] = []

    found = await files.list_files(root, git_environment, said.append)

    assert found == ("a.py",)
    assert [line.partition(";")[0] for line in said] == [
        "module: the submodule is not checked out: no app is found there"
    ]


async def test_symlinks_are_listed_and_never_followed(
    root: Path, plant: Plant, git: Git, git_environment: Mapping[str, str], tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/package.json").write_text("{}")
    plant({"a/app.py": ""})
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "a/up").symlink_to("..")

    walked = await files.list_files(root, git_environment)
    await git("init", "-q")
    asked = await files.list_files(root, git_environment)

    assert walked == asked == ("a/app.py", "a/up", "link")


async def test_a_submodule_below_a_symlink_is_not_looked_into(
    root: Path, plant: Plant, git: Git, git_environment: Mapping[str, str], tmp_path: Path
) -> None:
    (tmp_path / "outside/module").mkdir(parents=True)
    (tmp_path / "outside/module/package.json").write_text("{}")
    plant({"a.py": ""})
    await git("init", "-q")
    await git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},link/module")
    (root / "link").symlink_to(tmp_path / "outside")

    assert await files.list_files(root, git_environment) == ("a.py", "link")


async def test_only_what_is_asked_for_is_told_by_git_and_by_a_walk(
    root: Path, plant: Plant, git: Git, git_environment: Mapping[str, str]
) -> None:
    plant({"a/app.py": "", "a/x.txt": "", "b/.gitignore": "x.py\n", "b/x.py": "", "b/app.py": "", "in/app.py": ""})
    plant({"in/.git/HEAD": "", "in/y.py": ""})
    wanted = frozenset({"app.py", "x.py", ".gitignore"}).__contains__

    walked = await files.list_files(root, git_environment, wanted=wanted)
    await git("init", "-q")
    await git("init", "-q", cwd=root / "in")
    asked = await files.list_files(root, git_environment, wanted=wanted)

    assert walked == asked == ("a/app.py", "b/.gitignore", "b/app.py", "in/app.py")


async def test_git_is_not_started_where_no_repository_is(
    root: Path, plant: Plant, git_environment: Mapping[str, str], tmp_path: Path
) -> None:
    plant({"sub/a.py": ""})
    program = tmp_path / "bin/git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\nexit 1\n")
    program.chmod(0o755)
    environment = {**git_environment, "PATH": f"{program.parent}:{os.defpath}"}

    assert await files.list_files(root / "sub", environment) == ("a.py",)
    assert not (tmp_path / "started").exists()
    # As a work tree's own directory, a submodule or another work tree of the same repository has it.
    (root / ".git").write_text("gitdir: /nowhere\n")
    assert await files.list_files(root / "sub", environment) == ("a.py",)
    assert (tmp_path / "started").exists()


def test_a_tree_deeper_than_the_stack_is_walked(plant: Plant) -> None:
    deepest = "d/" * 400 + "a.py"
    root = plant({deepest: ""})
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(300)

    try:
        found = files.walk(root)
    finally:
        sys.setrecursionlimit(limit)

    assert found == (deepest,)


async def test_a_planted_repository_cannot_make_git_run_a_command(
    root: Path, plant: Plant, git: Git, git_environment: Mapping[str, str]
) -> None:
    ran = root.parent / "ran"
    plant({"a.py": "", "evil.sh": f"#!/bin/sh\ntouch {ran}\n"})
    (root / "evil.sh").chmod(0o755)
    await git("init", "-q")
    await git("add", ".")
    await git("commit", "-q", "-m", "x")
    evil = str(root / "evil.sh")
    for key in (
        "core.fsmonitor",
        "core.pager",
        "pager.ls-files",
        "core.sshCommand",
        "core.hooksPath",
        "remote.x.uploadpack",
    ):
        await git("config", key, evil)
    await git("config", "alias.ls-files", f"!{evil}")
    await git("config", "extensions.partialClone", "x")
    await git("config", "remote.x.promisor", "true")
    await git("config", "remote.x.url", f"ext::{evil}")
    # A missing object is what makes git fetch lazily.
    for directory in sorted((root / ".git/objects").iterdir()):
        for file in directory.iterdir():
            file.unlink()

    listed = await files.list_files(root, git_environment)
    await git_module.head(root, git_environment)

    assert listed == ("a.py", "evil.sh")
    assert not ran.exists()


async def test_a_bare_repository_in_the_source_is_not_opened(
    root: Path, plant: Plant, git: Git, git_environment: Mapping[str, str]
) -> None:
    ran = root.parent / "ran"
    plant({"a.py": "", "evil.sh": f"#!/bin/sh\ntouch {ran}\n"})
    (root / "evil.sh").chmod(0o755)
    await git("init", "-q", "--bare", ".")
    with (root / "config").open("a") as config:
        config.write(f'[core]\n\tbare = false\n\tworktree = "{root}"\n\tfsmonitor = "{root}/evil.sh"\n')

    listed = await files.list_files(root, git_environment)

    assert {"a.py", "evil.sh"} <= set(listed)
    assert not ran.exists()


async def test_names_that_are_no_text_survive(root: Path, git: Git, git_environment: Mapping[str, str]) -> None:
    (root / os.fsdecode(b"caf\xe9.py")).write_text("")
    (root / "two\nlines.py").write_text("")

    walked = await files.list_files(root, git_environment)
    await git("init", "-q")
    asked = await files.list_files(root, git_environment)

    assert walked == asked
    assert [os.fsencode(name) for name in asked] == [b"caf\xe9.py", b"two\nlines.py"]
    assert [files.printable(name) for name in asked] == ["caf\\xe9.py", "two\\nlines.py"]


async def test_the_checked_out_branch_and_revision(
    root: Path, plant: Plant, git: Git, git_environment: Mapping[str, str]
) -> None:
    plant({"a.py": ""})
    before = await git_module.head(root, git_environment)
    await git("init", "-q", "-b", "feature/x")
    await git("add", ".")
    await git("commit", "-q", "-m", "x")

    branch, revision = await git_module.head(root, git_environment)
    await git("checkout", "-q", "--detach")
    detached = await git_module.head(root, git_environment)

    assert before == (None, None)
    assert branch == "feature/x"
    assert revision is not None
    assert len(revision) == 40
    assert detached == (None, revision)


async def test_a_machine_without_git_walks(root: Path, plant: Plant) -> None:
    plant({"a.py": ""})

    assert await files.list_files(root, {"PATH": "/nonexistent"}) == ("a.py",)


def test_a_directory_that_cannot_be_listed_is_named(root: Path) -> None:
    # The file takes the directory's place between the look and the listing, as a race would do; root reads everything.
    (root / "gone").write_text("")

    with pytest.raises(ContextError) as caught:
        files.walk(root / "gone")

    assert "gone" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("place", ["sub/.gitignore", ".git/info/exclude", ".git/HEAD", "nested/.git/HEAD"])
async def test_a_fifo_at_which_git_would_wait_for_ever_is_named(
    root: Path, plant: Plant, git: Git, git_environment: Mapping[str, str], place: str
) -> None:
    plant({"sub/app.py": "", "nested/app.py": ""})
    await git("init", "-q")
    await git("init", "-q", cwd=root / "nested")
    (root / place).unlink(missing_ok=True)
    os.mkfifo(root / place)

    with anyio.fail_after(20), pytest.raises(ContextError) as caught:
        await files.list_files(root, git_environment)

    assert place in caught.value.message
    assert caught.value.hint


async def test_a_fifo_of_the_work_tree_around_a_source_is_named(
    root: Path, plant: Plant, git: Git, git_environment: Mapping[str, str]
) -> None:
    plant({"sub/app.py": ""})
    await git("init", "-q")
    os.mkfifo(root / ".gitignore")

    with anyio.fail_after(20), pytest.raises(ContextError) as caught:
        await files.list_files(root / "sub", git_environment)

    assert "../.gitignore" in caught.value.message


async def test_a_git_that_says_nothing_is_ended_and_reaped(root: Path, tmp_path: Path) -> None:
    git = tmp_path / "bin/git"
    git.parent.mkdir()
    git.write_text(f"#!/bin/sh\necho $$ >{tmp_path}/pid\nexec sleep 1000\n")
    git.chmod(0o755)

    with anyio.fail_after(20), pytest.raises(ContextError) as caught:
        await git_module.list_files(root, {"PATH": f"{git.parent}:{os.defpath}"}, silence=0.5)

    assert "0.5 s" in caught.value.message
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


async def test_a_walk_opens_no_fifo(root: Path, plant: Plant) -> None:
    plant({"sub/app.py": ""})
    os.mkfifo(root / "sub/.gitignore")

    with anyio.fail_after(20):
        walked = await files.list_files(root, {"PATH": "/nonexistent"})

    assert walked == ("sub/.gitignore", "sub/app.py")


_PLAIN_USER = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.getuid() == 0 else ()
"""Root reads everything unless it has given up the right to."""

_LIST = """
import sys, anyio, msgspec
from pathlib import Path
from orchestrator.workspace import files
warnings = []
listed = anyio.run(files.list_files, Path(sys.argv[1]), {"PATH": sys.argv[2], "LC_ALL": "C"}, warnings.append)
sys.stdout.buffer.write(msgspec.json.encode([listed, warnings]))
"""


@pytest.mark.parametrize("source", ["tree", "repository", "nested repository"])
async def test_a_directory_that_cannot_be_read_is_told_and_hides_no_other(
    root: Path, plant: Plant, git: Git, git_environment: Mapping[str, str], source: str
) -> None:
    plant({"a/app.py": "", "b/app.py": "", "b/d/app.py": "", "gone/app.py": ""})
    if source == "repository":
        await git("init", "-q")
    if source == "nested repository":
        await git("init", "-q", cwd=root / "b")
        await git("init", "-q")
    for path in ("b/d", "gone"):
        (root / path).chmod(0)
    path = "/nonexistent" if source == "tree" else git_environment["PATH"]

    done = await anyio.run_process([*_PLAIN_USER, sys.executable, "-c", _LIST, str(root), path])

    listed, warnings = msgspec.json.decode(done.stdout, type=tuple[list[str], list[str]])
    assert [file for file in listed if not file.startswith("b/.git/")] == ["a/app.py", "b/app.py"]
    assert [warning.split(": cannot")[0] for warning in sorted(warnings)] == [
        "b/d/: Permission denied",
        "gone/: Permission denied",
    ]


_name = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=8)


@given(st.lists(st.tuples(st.sampled_from(["H", "?", "M", "link"]), _name), max_size=10))
def test_any_names_come_back_from_gits_format(entries: list[tuple[str, str]]) -> None:
    raw = b""
    for tag, name in entries:
        if tag == "?":
            raw += b"? " + name.encode() + b"\0"
        else:
            mode = b"160000" if tag == "link" else b"100644"
            raw += tag[:1].upper().encode() + b" " + mode + b" " + b"0" * 40 + b" 0\t" + name.encode() + b"\0"

    listing = git_module.parse_listing(raw)

    assert set(listing.files) == {name for tag, name in entries if tag != "link"}
    assert set(listing.nested) == {name for tag, name in entries if tag == "link"}


@given(st.binary(max_size=200))
def test_any_bytes_of_git_are_read(raw: bytes) -> None:
    listing = git_module.parse_listing(raw)

    assert all("\0" not in path for path in listing.files)


def test_a_pattern_that_means_nothing_is_passed_over() -> None:
    spec = ignore_spec(["!", "/", "a", "**/b/"])

    assert spec.match_file("a")
    assert not spec.match_file("c")
