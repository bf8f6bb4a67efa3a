"""What the documents say of the apps that are found, and of those that are not, is so."""

from pathlib import Path

import anyio
import pytest

from orchestrator import app as application
from orchestrator.config import load
from orchestrator.errors import ConfigError
from orchestrator.plan.planner import Request
from orchestrator.workspace.discover import RECIPES
from tests.docs.test_lists import section

_DOCKERFILE = "FROM scratch\n"


def plant(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text, encoding="utf-8")


def planned(root: Path) -> list[str]:
    """The paths of the apps that would be built."""
    made = anyio.run(application.make_plan, load(root, {}), Request())
    return [each.app.path for each in made.apps]


def test_the_directories_that_are_taken_for_recipes_are_told() -> None:
    told = section("docs/usage.md", "## `fleetpacks apps [ROOT]`").split()

    assert [name for name in sorted(RECIPES) if not {f"`{name}`", f"`{name}`,"}.intersection(told)] == []


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipe_is_an_app_when_it_is_declared(tmp_path: Path, name: str) -> None:
    plant(tmp_path, "api/Dockerfile", _DOCKERFILE)
    plant(tmp_path, f"tools/{name}/Dockerfile", _DOCKERFILE)

    before = planned(tmp_path)
    plant(tmp_path, "fleetpacks.toml", f'[apps."tools/{name}"]\n')
    declared = planned(tmp_path)

    assert (before, declared) == (["api"], ["api", f"tools/{name}"])


def test_a_broken_manifest_stops_the_run_until_its_app_is_ignored(tmp_path: Path) -> None:
    plant(tmp_path, "api/Dockerfile", _DOCKERFILE)
    plant(tmp_path, "web/package.json", "{")

    with pytest.raises(ConfigError) as caught:
        planned(tmp_path)
    plant(tmp_path, "fleetpacks.toml", 'ignore = ["/web/"]\n')

    assert 'ignore = ["/web/"]' in caught.value.hint
    assert caught.value.exit_code == 2
    assert planned(tmp_path) == ["api"]
