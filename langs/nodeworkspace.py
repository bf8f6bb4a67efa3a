"""Workspaces: what pnpm-workspace.yaml says, which directory is the root of one, and who is a member."""

from typing import Final

import msgspec

from langs import packagejson, yamltext
from langs.errors import LangError
from langs.files import AppFiles, once
from langs.packagejson import PackageJson

FILE: Final = "pnpm-workspace.yaml"

_OLD: Final = frozenset({"packages", "catalog", "catalogs"})
"""What pnpm 9 knows in pnpm-workspace.yaml; whoever writes more uses a later one."""


class Workspace(msgspec.Struct, frozen=True, kw_only=True):
    """What pnpm-workspace.yaml says."""

    packages: tuple[str, ...] = ()
    """The members' patterns, but for the root itself."""
    patches: tuple[str, ...] = ()
    recent: bool = False
    """Whether it holds settings that only pnpm 10 and later read."""


@once
def read(files: AppFiles) -> Workspace | None:
    """pnpm-workspace.yaml, or None without one.

    Raises:
        LangError: it is no YAML.
    """
    text = files.read_text(FILE)
    if text is None:
        return None
    said = yamltext.load(text, FILE)
    if not isinstance(said, dict):
        return Workspace()
    packages, patched = said.get("packages"), said.get("patchedDependencies")
    return Workspace(
        packages=tuple(each for each in packages if isinstance(each, str) and each.strip("./"))
        if isinstance(packages, list)
        else (),
        patches=tuple(each for each in patched.values() if isinstance(each, str)) if isinstance(patched, dict) else (),
        recent=not said.keys() <= _OLD,
    )


def is_root(files: AppFiles, package: PackageJson | None) -> bool:
    """Whether this directory is the root of a workspace.

    Raises:
        LangError: as `read`.
    """
    if package is not None and package.workspaces:
        return True
    said = read(files)
    return said is not None and bool(said.packages)


def refuse_member(files: AppFiles, lock: str) -> None:
    """Installed alone and unlocked, a member would get whatever the index has under its neighbours' names.

    Raises:
        LangError: the app, which has no lockfile, is a member of a workspace above.
    """
    for above in files.enclosing:
        package = packagejson.read(above)
        said = read(above)
        patterns = (*(package.workspaces if package else ()), *(said.packages if said else ()))
        if patterns and _matches(patterns, files.root.relative_to(above.root).as_posix()):
            raise LangError(
                "this is a member of the workspace that holds it, whose lockfile is not here: building it alone would "
                "fetch its neighbours from the package index",
                file=packagejson.FILE,
                hint=f"Workspaces cannot be built yet: give it a {lock} of its own, or write a Dockerfile.",
            )


def _matches(patterns: tuple[str, ...], path: str) -> bool:
    from pathspec import GitIgnoreSpec  # noqa: PLC0415  (few apps have a workspace above them)

    lines = [f"!/{each[1:].lstrip('./')}" if each.startswith("!") else f"/{each.lstrip('./')}" for each in patterns]
    try:
        return GitIgnoreSpec.from_lines(lines).match_file(f"{path}/")
    except ValueError:  # a pattern that nobody understands may mean this one
        return True
