"""Pointers of Git LFS that are built as if they were the files."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from langs.model import Detection, Settings
from orchestrator.model import App
from orchestrator.workspace.files import list_files
from orchestrator.workspace.lfs import pointers, warnings

Plant = Callable[[Mapping[str, str]], Path]
Git = Callable[..., Awaitable[None]]

_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2145\nsize 12345\n"


async def test_pointers_are_found_where_git_says_that_lfs_manages_the_file(
    plant: Plant, git: Git, git_environment: Mapping[str, str]
) -> None:
    root = plant(
        {
            "web/.gitattributes": "*.png filter=lfs diff=lfs merge=lfs -text\nkept.png !filter\n",
            "web/a.png": _POINTER,
            "web/kept.png": _POINTER,
            "web/there.png": "the file itself",
            "api/b.png": _POINTER,
        }
    )
    await git("init", "--quiet")
    await git("-c", "filter.lfs.clean=cat", "add", ".")

    found = await pointers(root, await list_files(root, git_environment), git_environment)

    assert found == ("web/a.png",)


async def test_git_is_not_asked_where_nothing_speaks_of_lfs(plant: Plant) -> None:
    root = plant({".gitattributes": "*.sh text eol=lf\n", "a": _POINTER})
    no_git = {"PATH": str(root)}

    assert await pointers(root, [".gitattributes", "a"], no_git) == ()


async def test_pointers_that_are_not_tracked_are_found_beside_the_others(
    plant: Plant, git: Git, git_environment: Mapping[str, str]
) -> None:
    root = plant({"api/main.go": "", "web/a.png": _POINTER})
    await git("init", "--quiet")
    await git("add", ".")
    plant(
        {
            ".gitignore": "ignored/\n",
            "web/.gitattributes": "*.png filter=lfs\n",
            "web/new.png": _POINTER,
            "new/deep/b.png": _POINTER,
            "new/large.png": _POINTER + "x" * 1024,
            "ignored/c.png": _POINTER,
        }
    )

    found = await pointers(root, await list_files(root, git_environment), git_environment)

    assert found == ("new/deep/b.png", "web/a.png", "web/new.png")


async def test_without_git_all_files_are_looked_at(plant: Plant) -> None:
    root = plant({".gitattributes": "*.png filter=lfs\n", "a/b.png": _POINTER, "c": ""})

    assert await pointers(root, [".gitattributes"], {"PATH": str(root)}) == ("a/b.png",)


def test_an_app_is_warned_of_the_pointers_in_what_it_is_built_from() -> None:
    def app(path: str, *packages: str) -> App:
        return App(
            name=path,
            path=path,
            directory=Path("/shop") / path,
            detection=Detection(language="go", evidence=()),
            settings=Settings(),
            packages=packages,
        )

    said = warnings(Path("/shop"), [app("web", "libs/art"), app("api")], ["libs/art/x.png", "web/a.png", "other/y"])

    [line] = said
    assert line.startswith("web: libs/art/x.png (+1 more): only the pointer of Git LFS is here")
    assert "git lfs pull" in line
    assert warnings(Path("/shop"), [app("web")], []) == ()
