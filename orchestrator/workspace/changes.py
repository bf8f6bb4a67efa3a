"""What differs from a revision, for `--affected-since`: between its merge base with HEAD and the work tree.

Staged, unstaged and untracked changes count, both sides of a renaming, and in submodules what they have checked out and
what is changed inside. A question that git cannot answer is an error: an empty answer would be taken for "nothing has
changed".

To compare a file, git runs it through the filters that the repository's configuration names, which are commands; they
are switched off for that (`gitattributes(5)`, "filter"). So a file that Git LFS manages may count as changed when
nothing but its times has.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio.to_thread

from orchestrator.errors import ContextError, FleetpacksError, UsageError
from orchestrator.workspace import git
from orchestrator.workspace.affected import Changes
from orchestrator.workspace.files import printable

_OPTION = "--affected-since"
_NOTHING = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""The empty tree."""
_BRANCH = re.compile(r"(?!HEAD$)[A-Za-z0-9_][A-Za-z0-9_-]*([./][A-Za-z0-9_][A-Za-z0-9_-]*)*")
"""Names of branches and tags that a shell takes as they are; git allows more."""
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_DEEPEST = 8
"""Submodules within submodules that are looked into."""


async def changes(root: Path, environment: Mapping[str, str], since: str) -> Changes:
    """What differs from the merge base of a revision and HEAD.

    Args:
        root: the source; it may be a subdirectory of a work tree.
        environment: of the git processes (`Environment.for_git`).
        since: a revision, as a person names it.

    Raises:
        UsageError: there is no git, no repository or no such revision, or its merge base is not here.
        ContextError: git failed, or waits for something that does not come.
    """
    within = await git.ask(root, ("rev-parse", "--is-inside-work-tree"), environment)
    if within is None:
        raise UsageError(f"{_OPTION}: there is no git to ask", hint="Install git, or leave the option out.")
    if within.line != "true":
        raise UsageError(
            f"{_OPTION}: {root} is in no git work tree that can be read", hint="Build in a clone, or leave it out."
        )
    base = await _merge_base(root, environment, since)
    files = await _differing(root, environment, base, depth=0)
    return Changes(since=since, files=tuple(sorted(set(files))))


async def differs(root: Path, environment: Mapping[str, str], revision: str) -> bool:
    """Whether the files of a source are others than those of the revision that it is said to be.

    Where git cannot tell they may be. Only where there is no commit at all, the word of whoever said it stands.

    Args:
        root: the source; it may be a subdirectory of a work tree.
        environment: of the git processes (`Environment.for_git`).
        revision: a full one.
    """
    named = ("rev-parse", "--verify", "--quiet", "--end-of-options")
    try:
        commit = await _line(root, (*named, f"{revision}^{{commit}}"), environment)
        if commit is not None:
            return bool(await _differing(root, environment, commit, depth=0))
        return await _line(root, (*named, "HEAD^{commit}"), environment) is not None
    except FleetpacksError:
        return True


async def _merge_base(root: Path, environment: Mapping[str, str], since: str) -> str:
    shown = printable(since)
    # A name that begins with a dash would be an option, and none of git's can.
    named = not since.startswith("-") and "\0" not in since
    words = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{since}^{{commit}}")
    revision = (await _line(root, words, environment)) if named else None
    if revision is None:
        remote = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"refs/remotes/origin/{since}^{{commit}}")
        near = named and await _line(root, remote, environment)
        shallow = await _line(root, ("rev-parse", "--is-shallow-repository"), environment) == "true"
        raise UsageError(
            f"{_OPTION}: {shown!r} names no commit that is here",
            hint=f"Did you mean 'origin/{shown}'?" if near else _fetch_hint(since, shallow=shallow),
        )
    if await _line(root, ("rev-parse", "--verify", "--quiet", "HEAD^{commit}"), environment) is None:
        raise UsageError(f"{_OPTION}: nothing has been committed yet", hint="Leave it out.")
    base = await _line(root, ("merge-base", revision, "HEAD"), environment)
    if base is not None:
        return base
    if await _line(root, ("rev-parse", "--is-shallow-repository"), environment) == "true":
        raise UsageError(
            f"{_OPTION}: this clone is shallow, and where HEAD and {shown!r} part is not in it",
            hint="Fetch more: git fetch --unshallow, or git fetch --deepen=100 until it is.",
        )
    raise UsageError(f"{_OPTION}: HEAD and {shown!r} have no commit in common", hint="Name a commit that HEAD has.")


def _fetch_hint(since: str, *, shallow: bool) -> str:
    """How a commit gets here: in a clone of one branch, fetching another one by its name alone gives it none."""
    branch = since.removeprefix("origin/")
    if _BRANCH.fullmatch(branch) and not _COMMIT.fullmatch(branch):
        return f"If it is a branch, name origin/{branch} after: git fetch origin {branch}:refs/remotes/origin/{branch}"
    if shallow:
        return "This clone is shallow: fetch more with git fetch --unshallow."
    return "Name a branch, a tag or a commit of this clone; git branch --all lists the branches."


async def _differing(root: Path, environment: Mapping[str, str], base: str, *, depth: int) -> list[str]:
    """Paths from `root` that differ from a tree."""
    settings = await _harmless(root, environment)
    # Against the work tree, as in `git diff BASE`: what is staged is in it, too.
    compared = ("diff", "--name-only", "-z", "--no-renames", "--no-ext-diff", "--no-textconv", "-O/dev/null")
    words = (*compared, "--relative", "--ignore-submodules=dirty", base, "--")
    files = [*(await _answer(root, words, environment, settings)).names]
    untracked = ("ls-files", "-z", "--others", "--exclude-standard")
    files += (name.rstrip("/") for name in (await _answer(root, untracked, environment)).names)
    tracked = (await _answer(root, ("ls-files", "-z", "-t", "--stage"), environment)).output
    if not (files or tracked or depth):
        raise UsageError(f"{_OPTION}: git ignores all of {root}", hint="Leave it out.")
    for path in git.parse_listing(tracked).nested if depth < _DEEPEST else ():
        # One that is not checked out is an empty directory, where git would find the repository around it.
        if await anyio.to_thread.run_sync(_is_checked_out, root / path):
            files += await _inside(root / path, path, environment, depth=depth + 1)
    return files


async def _inside(below: Path, path: str, environment: Mapping[str, str], *, depth: int) -> list[str]:
    """What is changed inside of a submodule, beside the commit that it has checked out."""
    head = await _line(below, ("rev-parse", "--verify", "--quiet", "HEAD^{commit}"), environment) or _NOTHING
    return [f"{path}/{file}" for file in await _differing(below, environment, head, depth=depth)]


def _is_checked_out(directory: Path) -> bool:
    return os.path.lexists(directory / ".git") and os.path.realpath(directory) == str(directory)


async def _harmless(root: Path, environment: Mapping[str, str]) -> Mapping[str, str]:
    """Settings with which git runs nothing to compare files, and tells times from contents."""
    words = ("config", "--null", "--name-only", "--get-regexp", r"^filter\.")
    said = await git.ask(root, words, environment)
    # 1: there are none.
    if said is None or said.code not in {0, 1}:
        raise _failed(words, said)
    settings = {"diff.autoRefreshIndex": "true"}
    for name in said.names:
        driver = name.rpartition(".")[0]
        if "=" in driver:
            raise ContextError(
                f"{_OPTION}: git's configuration names the filter {printable(driver)!r}, which cannot be switched off",
                hint="Give it a name without `=`.",
            )
        settings |= {f"{driver}.clean": "", f"{driver}.process": "", f"{driver}.required": "false"}
    return settings


async def _line(root: Path, words: Sequence[str], environment: Mapping[str, str]) -> str | None:
    said = await git.ask(root, tuple(words), environment)
    return said.line if said else None


async def _answer(
    root: Path, words: tuple[str, ...], environment: Mapping[str, str], settings: Mapping[str, str] = {}
) -> git.Said:
    said = await git.ask(root, words, environment, settings=settings)
    if said is None or said.code != 0:
        raise _failed(words, said)
    return said


def _failed(words: Sequence[str], said: git.Said | None) -> ContextError:
    problem = said.problems.decode("utf-8", "replace").strip() if said else ""
    last = printable(problem.splitlines()[-1]) if problem else "it ended without a word"
    return ContextError(
        f"{_OPTION}: git {words[0]}: {last}",
        hint="In a partial clone, fetch what is missing: git fetch --refetch --no-filter; else mend the repository.",
    )
