"""`--filter` and `--affected-since` on every command that has them, in a real repository."""

import json
from pathlib import Path

import anyio
import pytest

from orchestrator.config import environment
from tests.cli.conftest import Run, Start

_FILES = {
    "api/Dockerfile": "FROM scratch\n",
    "base/Dockerfile": "FROM scratch\n",
    "web/Dockerfile": "FROM base\n",
    "web/fleetpacks.toml": 'contexts = { base = "app:base" }\ndepends_on = ["libs/shared"]\n',
    "libs/shared/money.txt": "1\n",
    "README.md": "1\n",
}


def plant(root: Path) -> None:
    for path, text in _FILES.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


@pytest.fixture
async def shop(tmp_path: Path) -> Path:
    """A repository with one commit."""
    root = tmp_path / "shop"
    plant(root)
    variables = {"PATH": environment.read()["PATH"], "HOME": str(tmp_path)}
    for words in (("init", "--quiet", "--initial-branch=main"), ("add", "."), ("commit", "--quiet", "--message=x")):
        await anyio.run_process(
            ["git", "-c", "user.name=x", "-c", "user.email=x@example", *words], cwd=root, env=variables
        )
    return root


async def test_plan_shows_why_each_app_is_there(start: Start, shop: Path) -> None:
    (shop / "libs/shared/money.txt").write_text("2\n")
    (shop / "api/new").write_text("")

    planned = await start("plan", "-C", str(shop), "--affected-since", "main")
    filtered = await start("plan", "-C", str(shop), "--affected-since", "main", "--filter", "...libs/shared", "api")

    assert (planned.code, planned.err) == (0, "")
    assert planned.out == (
        "api   dockerfile    shop/api:latest   changed since main: api/new\n"
        "base  dockerfile    shop/base:latest  needed by web\n"
        "web   dockerfile    shop/web:latest   its package libs/shared changed since main: libs/shared/money.txt\n"
    )
    assert filtered.out == planned.out


async def test_apps_knows_what_is_needed_and_what_is_affected(start: Start, shop: Path) -> None:
    (shop / "base/new").write_text("")

    ran = await start("apps", "--json", "--affected-since", "HEAD", str(shop))

    assert [(each["name"], each["depends_on"], each["packages"]) for each in map(json.loads, ran.out.splitlines())] == [
        ("base", [], []),
        ("web", ["base"], ["libs/shared"]),
    ]


@pytest.mark.parametrize("command", ["apps", "plan"])
async def test_nothing_affected_is_said_and_no_error(start: Start, shop: Path, command: str) -> None:
    (shop / "README.md").write_text("2\n")
    place = [str(shop)] if command == "apps" else ["-C", str(shop)]

    ran = await start(command, "--affected-since", "main", *place)

    assert (ran.code, ran.out, ran.err) == (0, "", "nothing to do: no selected app is affected since main\n")


async def test_a_build_of_nothing_needs_no_builder_and_leaves_a_result(
    start: Start, shop: Path, tmp_path: Path
) -> None:
    result = tmp_path / "result.json"
    words = ("build", "-C", str(shop), "--affected-since", "main", "--host", "unix:///nowhere.sock")

    plain = await start(*words, "--result-file", str(result))
    as_json = await start(*words, "--json")
    events = await start(*words, "--progress", "json")

    assert (plain.code, plain.out, plain.err) == (0, "nothing to do: no selected app is affected since main\n", "")
    assert json.loads(result.read_text())["status"] == "success"
    assert json.loads(result.read_text())["apps"] == []
    assert json.loads(as_json.out)["exit_code"] == 0
    assert as_json.err == plain.out
    [last] = map(json.loads, events.out.splitlines())
    assert (last["event"], last["exit_code"], last["error"]) == ("run-completed", 0, None)


@pytest.mark.parametrize("place", ["summary.md", "no/such/summary.md"])
async def test_nothing_to_build_is_said_in_a_jobs_summary(start: Start, shop: Path, tmp_path: Path, place: str) -> None:
    said = f"import os; os.environ.update(GITHUB_ACTIONS='true', GITHUB_STEP_SUMMARY={str(tmp_path / place)!r})"
    code = f"{said}; from orchestrator.cli import main; main()"

    ran = await start("build", "-C", str(shop), "--affected-since", "main", code=code)

    assert ran.code == 0
    if "/" in place:
        assert "the job's summary cannot be written" in ran.err
    else:
        assert "no selected app is affected since main" in (tmp_path / place).read_text()


async def test_without_a_checkout_the_option_is_an_error(start: Start, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")

    ran = await start("plan", "-C", str(tmp_path), "--affected-since", "main")

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"error: --affected-since: {tmp_path} is in no git work tree")


def test_variables_of_one_app_speak_of_the_selected_one_and_not_of_what_it_needs(run: Run, tmp_path: Path) -> None:
    plant(tmp_path)

    alone = run("plan", "-C", tmp_path, "--filter", "web", variables={"RUN_COMMAND": "x"})
    several = run("plan", "-C", tmp_path, "--filter", "web", "--filter", "api", variables={"RUN_COMMAND": "x"})

    assert (alone.code, len(alone.out.splitlines())) == (0, 2)
    assert several.code == 2
    assert "2 are selected: api, web" in several.err


def test_an_image_that_is_not_pushed_cannot_be_stood_on(run: Run, tmp_path: Path) -> None:
    plant(tmp_path)

    ran = run("build", "-C", tmp_path, "web")

    assert ran.code == 2
    assert "web: its Dockerfile stands on 'base', the image of another app" in ran.err
    assert "hint: Add --push" in ran.err
