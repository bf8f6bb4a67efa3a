"""Entitlements: a step gets what the operator's file allows, where the daemon does so, too."""

from pathlib import Path

import pytest

from tests.conftest import RealCount
from tests.e2e.conftest import Start
from tests.lab import Lab

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("operator", "flag", "problem"),
    [
        ("", "network=host", "network.host is not allowed"),
        ('entitlements = ["network.host"]\n', "network=host", None),
        ('entitlements = ["network.host"]\n', "security=insecure", "security.insecure is not allowed"),
        (
            'entitlements = ["security.insecure"]\n',
            "network=default",
            "granting entitlement security.insecure is not allowed by build daemon configuration",
        ),
    ],
    ids=["nothing is allowed", "it is allowed", "something else is allowed", "the daemon allows it not"],
)
async def test_a_step_may_do_what_the_operator_and_the_daemon_allow(  # noqa: PLR0917 -- pytest gives them by name
    lab: Lab, build: Start, tmp_path: Path, real_count: RealCount, operator: str, flag: str, problem: str | None
) -> None:
    app = tmp_path / "source/app"
    app.mkdir(parents=True)
    (app / "Dockerfile").write_text(f"FROM {lab.registry}/library/debian:trixie-slim\nRUN --{flag} true\n")
    file = tmp_path / "operator.toml"
    file.write_text(operator)

    async with build(app.parent, "--no-push", "--force", variables={"FLEETPACKS_CONFIG": str(file)}) as running:
        ran = await running.end()

    if problem is None:
        assert (ran.code, ran.err) == (0, "")
        real_count.record("build")
    else:
        [failed] = ran.failed().values()
        assert problem in failed.message
        assert "`entitlements`" in failed.hint
