"""`fleetpacks versions refresh`: a registry's tags become the releases that ranges mean."""

import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.app.releases import Outcome, refresh
from orchestrator.config import environment, load
from orchestrator.config.releases import read
from orchestrator.errors import ConfigError, ImageNotFoundError, UsageError
from tests.cli.conftest import Run
from tests.lab import Lab
from tests.registry.server import Server, running

TODAY = dt.date(2026, 11, 21)
PACKAGE = '{"engines": {"node": ">=18"}, "scripts": {"start": "node server.js"}}'


def variables(home: Path) -> Mapping[str, str]:
    return {"PATH": environment.read()["PATH"], "HOME": str(home)}


async def refreshed(server: Server, home: Path) -> Outcome:
    return await refresh(load(None, variables(home)), registry=server.host, today=TODAY)


def table(home: Path) -> Path:
    return home / ".cache/fleetpacks/releases.toml"


async def test_what_a_registry_has_is_what_a_range_may_become(tmp_path: Path) -> None:
    async with running(Server()) as server:
        for tag in ("19.1.0", "19.1.0-slim", "20", "lts"):
            server.add_manifest("library/node", tag, b"{}")
        server.add_manifest("library/python", "3.12", b"{}")

        outcome = await refreshed(server, tmp_path)

    assert outcome.file == str(table(tmp_path))
    assert not outcome.errors
    found = {each.tool: each for each in outcome.tools}
    assert (found["nodejs"].repository, found["nodejs"].newest) == (f"{server.host}/library/node", "19.1.0")
    assert (found["python"].releases, found["python"].newest) == (0, None)
    assert {tool: known.newest_first for tool, known in read(table(tmp_path)).items()} == {"nodejs": ((19, 1, 0),)}


async def test_what_is_not_asked_again_is_kept_and_what_is_broken_is_not(tmp_path: Path) -> None:
    async with running(Server()) as server:
        server.add_manifest("library/node", "19.1.0", b"{}")
        await refreshed(server, tmp_path)
        server.manifests.clear()
        server.add_manifest("library/python", "3.12.1", b"{}")
        await refreshed(server, tmp_path)
        both = read(table(tmp_path))
        table(tmp_path).write_text("broken")
        await refreshed(server, tmp_path)

    assert set(both) == {"nodejs", "python"}
    assert set(read(table(tmp_path))) == {"python"}


async def test_a_registry_without_toolchains_is_an_error_and_leaves_no_table(tmp_path: Path) -> None:
    async with running(Server()) as server:
        with pytest.raises(ImageNotFoundError, match="no toolchain image"):
            await refreshed(server, tmp_path)

    assert not table(tmp_path).exists()


async def test_a_registry_that_refuses_is_told_once(tmp_path: Path) -> None:
    async with running(Server(auth="basic")) as server:
        outcome = await refreshed(server, tmp_path)

    [error] = outcome.errors
    assert server.host in error.message
    assert not outcome.tools
    assert not table(tmp_path).exists()


async def test_a_table_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".cache").write_text("")
    async with running(Server()) as server:
        server.add_manifest("library/node", "19.1.0", b"{}")
        with pytest.raises(UsageError, match="cannot be written"):
            await refreshed(server, tmp_path)


@pytest.mark.parametrize("registry", ["mirror", "not a host", "UPPER/x y"])
async def test_a_registry_that_is_no_host_is_refused(tmp_path: Path, registry: str) -> None:
    with pytest.raises(UsageError):
        await refresh(load(None, variables(tmp_path)), registry=registry, today=TODAY)


def test_a_broken_table_names_itself_and_the_way_out(run: Run, tmp_path: Path) -> None:
    home = tmp_path / "home"
    table(home).parent.mkdir(parents=True)
    table(home).write_text("[nodejs]\nlines = 1\n")
    (tmp_path / "app").mkdir()

    ran = run("detect", tmp_path / "app")

    assert ran.code == ConfigError.exit_code
    assert str(table(home)) in ran.err
    assert "versions refresh" in ran.err


@pytest.mark.real
def test_the_labs_registry_says_what_its_ranges_mean(run: Run, tmp_path: Path, lab: Lab) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/package.json").write_text(PACKAGE)
    (tmp_path / "app/server.js").write_text("require('node:http').createServer().listen(process.env.PORT)\n")
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache")}

    ran = run("versions", "refresh", "--registry", lab.registry, "--json", variables=cache)
    detected = run("detect", "--json", tmp_path / "app", variables=cache)

    assert ran.code == 0, ran.err
    found = {each["tool"]: each for each in json.loads(ran.out)["tools"]}
    assert found["nodejs"]["newest"]
    assert found["python"]["repository"] == f"{lab.registry}/library/python"
    assert json.loads(detected.out)["version"] == {
        "value": found["nodejs"]["newest"],
        "source": "package.json engines.node",
    }
