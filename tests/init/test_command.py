"""`fleetpacks init`: what the configuration and git say is found in the files."""

import json
import stat
from pathlib import Path

import anyio
import pytest

from orchestrator.init import github
from tests.cli.conftest import Run
from tests.init.checkers import loaded

TARGETS = {
    "github": (".github/workflows/images.yml",),
    "gitlab": (".gitlab-ci.yml",),
    "kubernetes": ("deploy/fleetpacks.yaml", "deploy/fleetpacks-job.yaml"),
    "shipwright": ("deploy/shipwright.yaml",),
    "runner": ("fleetpacks-runner.sh",),
}
CLUSTER = ("--tool", "registry.example/fleetpacks:1", "--image", "registry.example/shop")
GO = "module a\n\ngo 1.25\n"


def source(root: Path) -> Path:
    """An app, under git, which fetches it from somewhere."""
    (root / "api").mkdir(parents=True)
    (root / "api/go.mod").write_text(GO)
    (root / "api/main.go").write_text("package main\n\nfunc main() {}\n")
    (root / "api/fleetpacks.toml").write_text('secrets = ["NPM_TOKEN"]\n')

    async def git() -> None:
        for words in (
            ["init", "-q"],
            ["remote", "add", "origin", "git@git.example:team/shop.git"],
            ["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk"],
        ):
            await anyio.run_process(["git", "-C", str(root), *words])

    anyio.run(git)
    return root


@pytest.mark.parametrize("target", TARGETS)
def test_the_files_of_a_target_are_written_where_they_belong(run: Run, tmp_path: Path, target: str) -> None:
    root = source(tmp_path / "shop")
    more = CLUSTER if target in {"kubernetes", "shipwright"} else ()

    ran = run("init", target, "-C", root, "--package", "fleetpacks", "--json", *more)
    shown = run("init", target, "-C", root, "--package", "fleetpacks", "--stdout", *more)

    places = [str(root / path) for path in TARGETS[target]]
    assert ran.code == 0, ran.err
    assert [(each["path"], each["state"]) for each in json.loads(ran.out)["files"]] == [
        (place, "written") for place in places
    ]
    assert "---\n".join(Path(place).read_text() for place in places) == shown.out
    script = target == "runner"
    assert stat.S_IMODE(Path(places[0]).stat().st_mode) == (0o755 if script else 0o644)
    assert script or loaded(shown.out)
    assert sorted(path.name for path in root.rglob(".fleetpacks-*")) == []


def test_what_git_and_the_apps_say_is_in_the_files(run: Run, tmp_path: Path) -> None:
    root = source(tmp_path / "shop")

    workflow = run("init", "github", "-C", root, "--stdout")
    job = run("init", "kubernetes", "-C", root, "--stdout", *CLUSTER)
    named = run("init", "github", "-C", root, "--stdout", "--branch", "main")

    [document] = loaded(workflow.out)
    assert document["on"]["push"]["branches"] == ["trunk"]
    assert document["on"]["workflow_dispatch"]["inputs"]["apps"]["options"] == [".", "api"]
    assert document["jobs"]["images"]["env"]["NPM_TOKEN"] == "${{ secrets.NPM_TOKEN }}"
    assert "into the repository's secrets: NPM_TOKEN" in workflow.err
    assert "is no release: say with --package" in workflow.err
    assert 'value: "https://git.example/team/shop.git"' in job.out
    assert loaded(named.out)[0]["on"]["push"]["branches"] == ["main"]


@pytest.mark.parametrize(("branches", "found"), [(("release",), "release"), (("one", "two"), "main"), ((), "main")])
def test_the_only_branch_is_whose_images_are_the_latest(
    run: Run, tmp_path: Path, branches: tuple[str, ...], found: str
) -> None:
    root = source(tmp_path / "shop")

    async def git() -> None:
        start = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@example.org"]
        await anyio.run_process([*start, "symbolic-ref", "--delete", "refs/remotes/origin/HEAD"])
        if branches:
            await anyio.run_process([*start, "checkout", "-q", "-b", branches[0]])
            await anyio.run_process([*start, "commit", "-q", "--allow-empty", "-m", "one"])
        for name in branches[1:]:
            await anyio.run_process([*start, "branch", name])

    anyio.run(git)

    shown = run("init", "github", "-C", root, "--stdout")

    assert loaded(shown.out)[0]["on"]["push"]["branches"] == [found]


def test_mirrors_of_images_are_those_of_the_job(run: Run, tmp_path: Path) -> None:
    root = source(tmp_path / "shop")
    said = {"REGISTRY_MIRROR": "m.example/hub", "DHI_MIRROR": "m.example/dhi"}

    shown = run("init", "github", "-C", root, "--stdout", variables=said)

    variables = loaded(shown.out)[0]["jobs"]["images"]["env"]
    assert {name: variables[name] for name in said} == said


def test_a_file_that_somebody_has_changed_is_kept(run: Run, tmp_path: Path) -> None:
    root = source(tmp_path / "shop")
    file = root / github.PATH
    file.parent.mkdir(parents=True)
    file.write_text("name: mine\n")

    kept = run("init", "github", "-C", root)
    elsewhere = run("init", "github", "-C", root, "--output", tmp_path / "new")
    forced = run("init", "github", "-C", root, "--force")

    assert (kept.code, kept.out) == (2, "")
    assert f"error: {file} is there, and differs\n" in kept.err
    assert "hint: See the new one with --stdout" in kept.err
    assert elsewhere.out == f"{tmp_path}/new/{github.PATH}  written\n"
    assert forced.out == f"{file}  replaced\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("github", "--stdout", "--output", "x"), "contradict each other"),
        (("github", "--branch", "a'b"), '--branch: "a\'b": expected letters'),
        (("kubernetes",), "which image has fleetpacks in it?"),
        (("shipwright", "--tool", "t"), "where do images go?"),
        (("github", "--runner", "mine"), "--runner"),
        (("github", "--image", "UPPER/x"), "UPPER/x"),
    ],
)
def test_what_cannot_be_is_told(run: Run, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    root = source(tmp_path / "shop")

    ran = run("init", *words, *([] if "--stdout" in words else ["-C", root]))

    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
