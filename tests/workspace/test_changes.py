"""What differs from a revision, asked of real repositories in every state they are met in."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import ContextError, UsageError
from orchestrator.workspace.changes import changes, differs
from orchestrator.workspace.files import list_files
from orchestrator.workspace.git import published

Plant = Callable[[Mapping[str, str]], Path]
Git = Callable[..., Awaitable[None]]
Change = Callable[[Path], object]


@pytest.fixture
async def repository(plant: Plant, git: Git) -> Path:
    """`main`, and a branch `work` that is checked out and has a commit of its own; so has `main`."""
    root = plant({"api/main.go": "1\n", "web/app.js": "1\n", "README.md": "1\n", ".gitignore": "*.log\n"})
    await git("init", "--quiet", "--initial-branch=main")
    await git("add", ".")
    await git("commit", "--quiet", "--message=one")
    await git("switch", "--quiet", "--create=work")
    plant({"api/main.go": "2\n"})
    await git("commit", "--quiet", "--all", "--message=two")
    await git("switch", "--quiet", "main")
    plant({"web/app.js": "only on main\n"})
    await git("commit", "--quiet", "--all", "--message=three")
    await git("switch", "--quiet", "work")
    return root


async def differing(root: Path, environment: Mapping[str, str], since: str = "main") -> list[str]:
    return list((await changes(root, environment, since)).files)


async def test_what_the_branch_has_done_counts_and_not_what_others_did_since(
    repository: Path, git_environment: Mapping[str, str]
) -> None:
    assert await differing(repository, git_environment) == ["api/main.go"]
    assert await differing(repository, git_environment, "HEAD") == []


async def test_staged_unstaged_and_untracked_changes_count_and_ignored_files_do_not(
    repository: Path, plant: Plant, git: Git, git_environment: Mapping[str, str]
) -> None:
    plant({"web/staged.js": "", "web/app.js": "unstaged\n", "new/dir/file": "", "api/x.log": ""})
    await git("add", "web/staged.js")

    assert await differing(repository, git_environment, "HEAD") == ["new/dir/file", "web/app.js", "web/staged.js"]


async def test_a_renaming_counts_on_both_sides_and_a_removal_on_its_own(
    repository: Path, git: Git, git_environment: Mapping[str, str]
) -> None:
    await git("mv", "web/app.js", "api/app.js")
    (repository / "README.md").unlink()

    assert await differing(repository, git_environment, "HEAD") == ["README.md", "api/app.js", "web/app.js"]


async def test_a_file_that_was_only_touched_has_not_changed(
    repository: Path, git: Git, git_environment: Mapping[str, str]
) -> None:
    await git("config", "diff.autoRefreshIndex", "false")
    (repository / "README.md").write_text("1\n")

    assert await differing(repository, git_environment, "HEAD") == []


async def test_a_mode_and_a_link_are_changes(repository: Path, git_environment: Mapping[str, str]) -> None:
    (repository / "README.md").chmod(0o755)
    (repository / "web/app.js").unlink()
    (repository / "web/app.js").symlink_to("../README.md")

    assert await differing(repository, git_environment, "HEAD") == ["README.md", "web/app.js"]


async def test_of_a_source_below_the_work_tree_only_what_is_in_it_counts(
    repository: Path, plant: Plant, git_environment: Mapping[str, str]
) -> None:
    plant({"web/app.js": "x\n", "web/new": ""})

    assert await differing(repository / "web", git_environment) == ["app.js", "new"]
    assert await differing(repository / "api", git_environment) == ["main.go"]


async def test_a_work_tree_beside_the_repository_is_one(
    repository: Path, git: Git, git_environment: Mapping[str, str], tmp_path: Path
) -> None:
    beside = tmp_path / "beside"
    await git("worktree", "add", "--quiet", str(beside), "-b", "other", "work")
    (beside / "web/app.js").write_text("x\n")

    assert await differing(beside, git_environment) == ["api/main.go", "web/app.js"]


async def test_names_of_all_kinds_come_as_they_are(
    repository: Path, plant: Plant, git: Git, git_environment: Mapping[str, str]
) -> None:
    plant({"web/ä b\n\"'.js": "", "web/-x": ""})
    await git("add", ".")

    assert await differing(repository, git_environment, "HEAD") == ["web/-x", "web/ä b\n\"'.js"]


@pytest.mark.parametrize(
    ("since", "hint"),
    [
        ("nothing", "name origin/nothing after: git fetch origin nothing:refs/remotes/origin/nothing"),
        ("origin/some/thing", "git fetch origin some/thing:refs/remotes/origin/some/thing"),
        ("v1.2", "git fetch origin v1.2:refs/remotes/origin/v1.2"),
        ("HEAD~50", "git branch --all"),
        ("4b825dc642cb6eb9a060e54bf8d69288fbee4904", "git branch --all"),
        ("origin/HEAD", "git branch --all"),
        (".", "git branch --all"),
        ("a.", "git branch --all"),
        ("", "git branch --all"),
        ("--output=/tmp/x", "git branch --all"),
        ("-h", "git branch --all"),
        ("a\0b", "git branch --all"),
        ("a;b", "git branch --all"),
        ("main:api", "git branch --all"),
        ("main..work", "git branch --all"),
    ],
)
async def test_what_is_no_revision_is_an_error(
    repository: Path, git_environment: Mapping[str, str], since: str, hint: str
) -> None:
    with pytest.raises(UsageError, match="names no commit that is here") as caught:
        await differing(repository, git_environment, since)

    assert hint in caught.value.hint


async def test_a_branch_that_only_the_remote_has_is_suggested(
    repository: Path, git: Git, git_environment: Mapping[str, str], tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    await git("clone", "--quiet", "--branch=work", repository.as_uri(), str(clone))

    with pytest.raises(UsageError) as caught:
        await differing(clone, git_environment)

    assert caught.value.hint == "Did you mean 'origin/main'?"
    assert await differing(clone, git_environment, "origin/main") == ["api/main.go"]


async def test_the_command_of_a_hint_gets_the_branch_also_into_a_shallow_clone_of_another_one(
    repository: Path, git: Git, git_environment: Mapping[str, str], tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    await git("clone", "--quiet", "--single-branch", "--branch=work", repository.as_uri(), str(clone))

    with pytest.raises(UsageError) as caught:
        await differing(clone, git_environment, "main")
    advice, _, command = caught.value.hint.partition(": git ")
    await git(*command.split(), "--quiet", cwd=clone)

    assert "name origin/main" in advice
    assert await differing(clone, git_environment, "origin/main") == ["api/main.go"]


async def test_of_what_lies_before_a_shallow_clone_the_hint_is_to_fetch_more(
    repository: Path, git: Git, git_environment: Mapping[str, str], tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    await git("clone", "--quiet", "--depth=1", "--branch=work", repository.as_uri(), str(clone))

    with pytest.raises(UsageError, match="names no commit that is here") as caught:
        await differing(clone, git_environment, "HEAD~1")

    assert "git fetch --unshallow" in caught.value.hint


async def test_a_shallow_clone_without_the_merge_base_is_an_error_and_never_nothing(
    repository: Path, git: Git, git_environment: Mapping[str, str], tmp_path: Path
) -> None:
    clone = tmp_path / "clone"
    words = ("--depth=1", "--no-single-branch", "--branch=work")
    await git("clone", "--quiet", *words, repository.as_uri(), str(clone))

    with pytest.raises(UsageError, match="this clone is shallow") as caught:
        await differing(clone, git_environment, "origin/main")
    await git("fetch", "--quiet", "--unshallow", cwd=clone)

    assert "git fetch --unshallow" in caught.value.hint
    assert await differing(clone, git_environment, "origin/main") == ["api/main.go"]


async def test_histories_that_never_met_are_an_error(
    repository: Path, git: Git, git_environment: Mapping[str, str]
) -> None:
    await git("switch", "--quiet", "--orphan", "elsewhere")
    await git("commit", "--quiet", "--allow-empty", "--message=x")

    with pytest.raises(UsageError, match="no commit in common"):
        await differing(repository, git_environment)


async def test_without_git_or_a_repository_or_a_commit_it_is_an_error(
    plant: Plant, git: Git, git_environment: Mapping[str, str]
) -> None:
    root = plant({"a": ""})
    elsewhere = {**git_environment, "PATH": str(root)}

    with pytest.raises(UsageError, match="no git to ask"):
        await differing(root, elsewhere)
    with pytest.raises(UsageError, match="in no git work tree"):
        await differing(root, git_environment)
    await git("init", "--quiet")
    with pytest.raises(UsageError, match="names no commit"):
        await differing(root, git_environment, "HEAD")


async def test_a_source_that_is_ignored_as_a_whole_is_an_error(
    repository: Path, plant: Plant, git_environment: Mapping[str, str]
) -> None:
    plant({"out/.gitignore": "*\n", "out/api/main.go": ""})

    with pytest.raises(UsageError, match="git ignores all of"):
        await differing(repository / "out", git_environment)


async def test_no_filter_of_the_repository_is_run(
    repository: Path, plant: Plant, git: Git, git_environment: Mapping[str, str], tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    plant({".gitattributes": "* filter=evil diff=evil\n"})
    await git("config", "filter.evil.process", f"touch {ran}")
    await git("config", "filter.evil.clean", f"touch {ran}; cat")
    await git("config", "filter.evil.required", "true")
    await git("config", "diff.evil.textconv", f"touch {ran}; cat")
    await git("config", "diff.external", f"touch {ran}")
    await git("config", "core.fsmonitor", f"touch {ran}")
    plant({"README.md": "2\n"})
    (repository / "web/app.js").write_text("1\n")

    assert await differing(repository, git_environment, "HEAD") == [".gitattributes", "README.md"]
    assert not ran.exists()


async def test_a_filter_that_cannot_be_switched_off_is_an_error(
    repository: Path, git: Git, git_environment: Mapping[str, str]
) -> None:
    await git("config", "filter.a=b.clean", "cat")

    with pytest.raises(ContextError, match="cannot be switched off"):
        await differing(repository, git_environment)


async def test_what_git_cannot_read_is_an_error_and_never_nothing(
    repository: Path, git_environment: Mapping[str, str]
) -> None:
    (repository / ".git/index").write_bytes(b"DIRC junk")

    with pytest.raises(ContextError, match="git diff"):
        await differing(repository, git_environment, "HEAD")


@pytest.fixture
async def outer(repository: Path, plant: Plant, git: Git, tmp_path: Path) -> Path:
    """A repository with a submodule at `libs/sub`."""
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "x.py").write_text("1\n")
    await git("init", "--quiet", "--initial-branch=main", cwd=inner)
    await git("add", ".", cwd=inner)
    await git("commit", "--quiet", "--message=one", cwd=inner)
    await git("submodule", "--quiet", "add", inner.as_uri(), "libs/sub")
    await git("commit", "--quiet", "--all", "--message=submodule")
    return repository


async def test_a_submodules_revision_and_what_is_changed_inside_it_count(
    outer: Path, git: Git, git_environment: Mapping[str, str]
) -> None:
    sub = outer / "libs/sub"

    assert await differing(outer, git_environment, "HEAD") == []
    assert await differing(outer, git_environment, "HEAD~1") == [".gitmodules", "libs/sub"]
    (sub / "x.py").write_text("2\n")
    (sub / "new.py").write_text("")
    assert await differing(outer, git_environment, "HEAD") == ["libs/sub/new.py", "libs/sub/x.py"]
    await git("add", ".", cwd=sub)
    await git("commit", "--quiet", "--message=two", cwd=sub)
    assert await differing(outer, git_environment, "HEAD") == ["libs/sub"]


async def test_no_filter_of_a_submodule_is_run(
    outer: Path, git: Git, git_environment: Mapping[str, str], tmp_path: Path
) -> None:
    sub, ran = outer / "libs/sub", tmp_path / "ran"
    (sub / ".gitattributes").write_text("* filter=evil\n")
    await git("config", "filter.evil.clean", f"touch {ran}; cat", cwd=sub)
    (sub / "x.py").write_text("2\n")

    assert await differing(outer, git_environment, "HEAD") == ["libs/sub/.gitattributes", "libs/sub/x.py"]
    assert not ran.exists()


async def test_a_submodule_that_is_not_checked_out_is_not_looked_into(
    outer: Path, git: Git, git_environment: Mapping[str, str]
) -> None:
    await git("submodule", "--quiet", "deinit", "--force", "libs/sub")

    assert await differing(outer, git_environment, "HEAD") == []


async def test_a_sparse_checkout_is_said_and_what_it_leaves_out_is_not_changed(
    repository: Path, git: Git, git_environment: Mapping[str, str]
) -> None:
    await git("sparse-checkout", "set", "--cone", "api")
    said: list[str] = []

    files = await list_files(repository, git_environment, said.append)

    assert "web/app.js" not in files
    assert said == ["the checkout is sparse and leaves out 1 file: no app is found there"]
    assert await differing(repository, git_environment, "HEAD") == []
    assert await differing(repository, git_environment) == ["api/main.go"]


async def test_a_clone_without_old_files_is_enough(
    repository: Path, git: Git, git_environment: Mapping[str, str], tmp_path: Path
) -> None:
    await git("config", "uploadpack.allowFilter", "true")
    clone = tmp_path / "clone"
    words = ["git", "clone", "--quiet", "--filter=blob:none", "--branch=work", repository.as_uri(), str(clone)]
    await anyio.run_process(words, env={"PATH": git_environment["PATH"], "HOME": git_environment["HOME"]})
    before = await differing(clone, git_environment, "origin/main")
    # Of both sides of this one, the older is not here.
    (clone / "api/main.go").write_text("3\n")
    (clone / "README.md").write_text("1\n")

    assert before == ["api/main.go"]
    assert await differing(clone, git_environment, "origin/main") == ["api/main.go"]


_CHANGED: Mapping[str, Change] = {
    "nothing": lambda root: root,
    "ignored": lambda root: (root / "api/x.log").write_text("ignored"),
    "touched": lambda root: (root / "README.md").write_text("1\n"),
    "written": lambda root: (root / "README.md").write_text("2\n"),
    "mode": lambda root: (root / "README.md").chmod(0o755),
    "removed": lambda root: (root / "README.md").unlink(),
    "new": lambda root: (root / "new").write_text(""),
    "unknown": lambda root: (root / ".git/index").write_text("broken"),
}


@pytest.mark.parametrize(
    ("change", "revision", "others"),
    [
        *((change, "HEAD", change not in {"nothing", "ignored", "touched"}) for change in _CHANGED),
        *(("nothing", revision, True) for revision in ("main", "HEAD^{tree}", "0" * 40)),
    ],
)
async def test_files_that_differ_from_the_revision_that_they_are_said_to_be_are_noticed(
    repository: Path, git_environment: Mapping[str, str], change: str, revision: str, *, others: bool
) -> None:
    _CHANGED[change](repository)

    assert await differs(repository, git_environment, revision) == others


async def test_where_there_is_no_commit_the_word_of_whoever_said_the_revision_stands(
    plant: Plant, git: Git, git_environment: Mapping[str, str]
) -> None:
    root = plant({"a": ""})
    alone = await differs(root, git_environment, "0" * 40)
    await git("init", "--quiet")

    assert (alone, await differs(root, git_environment, "0" * 40)) == (False, False)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://git.example/x/y.git", "https://git.example/x/y.git"),
        ("https://bob:ghp_1@git.example/x/y.git?token=qqq#frag", "https://git.example/x/y.git"),
        ("https://git.example:8443/x#t@k", None),
        ("https://git.example?token=1", "https://git.example"),
        ("https://a@b:c@git.example/x", "https://git.example/x"),
        ("https://user:pass/word@git.example/x", None),
        ("https://user:pass#word@git.example/x", None),
        ("https://git.example/x?token=a@b", None),
        ("ssh://git@git.example:22/x/y.git", "ssh://git.example:22/x/y.git"),
        ("git@git.example:x/y.git", "git@git.example:x/y.git"),
        ("git@git.example:x/y.git?token=1", "git@git.example:x/y.git"),
        ("/srv/git/x.git", "/srv/git/x.git"),
        ("https://git.example/\x1b[2J", None),
    ],
)
def test_of_a_remote_nothing_is_published_that_may_be_a_credential(url: str, expected: str | None) -> None:
    assert published(url) == expected


@given(st.text(), st.text())
def test_no_userinfo_query_or_fragment_is_published(before: str, after: str) -> None:
    said = published(f"https://{before}@git.example/x{after}") or ""

    assert "@" not in said
    assert "?" not in said
    assert "#" not in said
