"""Apps that a sparse checkout leaves out."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from orchestrator import app as application
from orchestrator.config import load
from orchestrator.errors import ConfigError, FleetpacksError, UsageError
from orchestrator.plan.planner import Request

Plant = Callable[[Mapping[str, str]], Path]
Git = Callable[..., Awaitable[None]]

_TABLES = '[apps."apps/api"]\n[apps."apps/cron"]\n'


@pytest.fixture
async def sparse(plant: Plant, git: Git) -> Path:
    """Only one of three apps is checked out; two of them have a table."""
    root = plant({f"apps/{name}/Dockerfile": "FROM scratch\n" for name in ("api", "cron", "web")})
    plant({"fleetpacks.toml": _TABLES, "libs/shared/x.py": ""})
    await git("init", "--quiet")
    await git("add", ".")
    await git("commit", "--quiet", "--message", "x")
    await git("sparse-checkout", "set", "--cone", "apps/api")
    return root


async def _discovered(root: Path, *named: str, variables: Mapping[str, str] | None = None) -> application.Discovered:
    config = load(root, {"PATH": "/usr/bin:/bin", **(variables or {})})
    return await application.discover_apps(config, Request(named=named))


async def test_a_table_of_an_app_that_is_left_out_is_said_and_is_no_error(sparse: Path) -> None:
    found = await _discovered(sparse)

    assert [app.path for app in found.apps] == ["apps/api"]
    assert found.warnings == (
        "the checkout is sparse and leaves out 3 files: no app is found there",
        "apps/cron: this app is left out: the checkout is sparse, and does not have it",
    )


@pytest.mark.parametrize(
    ("file", "named", "kind", "message", "hint"),
    [
        (_TABLES, ("apps/cron",), UsageError, "'apps/cron' is left out by", "git sparse-checkout add apps/cron"),
        (_TABLES, ("./apps/web/",), UsageError, "'./apps/web/' is left out by", "git sparse-checkout add apps/web"),
        (_TABLES + "[apps.gone]\n", (), ConfigError, "'gone' is no directory of the source", "Correct the path"),
        (_TABLES, ("gone",), UsageError, "'gone': no such directory", "See `fleetpacks apps`"),
        (
            _TABLES.replace("\n", "\ndepends_on = ['libs/shared']\n", 1),
            (),
            ConfigError,
            "'libs/shared' is left out by the sparse checkout",
            "git sparse-checkout add libs/shared",
        ),
        (
            _TABLES.replace("\n", "\ncontexts = {base = 'app:cron'}\n", 1),
            (),
            ConfigError,
            "'cron' is left out by the sparse checkout",
            "git sparse-checkout add apps/cron",
        ),
        (
            _TABLES.replace("\n", "\ndepends_on = ['web']\n", 1),
            (),
            ConfigError,
            "'web' is neither an app nor a directory of the source",
            "The checkout is sparse",
        ),
    ],
)
async def test_what_is_asked_for_or_needed_is_an_error(
    sparse: Path, *, file: str, named: tuple[str, ...], kind: type[FleetpacksError], message: str, hint: str
) -> None:
    (sparse / "fleetpacks.toml").write_text(file)

    with pytest.raises(kind) as caught:
        await _discovered(sparse, *named)

    assert message in caught.value.message
    assert hint in caught.value.hint


async def test_a_directory_that_was_removed_without_a_sparse_checkout_stays_an_error(plant: Plant, git: Git) -> None:
    root = plant({"apps/cron/Dockerfile": "FROM scratch\n", "fleetpacks.toml": '[apps."apps/cron"]\n'})
    await git("init", "--quiet")
    await git("add", ".")
    (root / "apps/cron/Dockerfile").unlink()
    (root / "apps/cron").rmdir()

    with pytest.raises(ConfigError, match="is no directory of the source"):
        await _discovered(root)
