"""`fleetpacks daemon` and `--isolated`: the words, what they print, and what they end with."""

import json
import os
import sys
import tomllib
from pathlib import Path

import anyio
import pytest

from tests.cli.conftest import Run
from tests.daemon.real import variables
from tests.lab import Lab


def test_the_configuration_is_printed_as_the_daemon_would_read_it(run: Run, tmp_path: Path) -> None:
    said = {
        "STORAGE_DRIVER": "fuse-overlayfs",
        "BUILDKIT_CACHE_SIZE": "5GB",
        "REGISTRY_MIRROR": "https://m.example/hub",
    }

    ran = run("daemon", "config", "--data-root", str(tmp_path / "d"), "--dns", "10.0.0.2", variables=said)

    document = tomllib.loads(ran.out)
    worker = document["worker"]["oci"]
    assert (ran.code, ran.err) == (0, "")
    assert document["root"] == f"{tmp_path}/d/buildkit"
    assert worker["snapshotter"] == "fuse-overlayfs"
    assert {policy["maxUsedSpace"] for policy in worker["gcpolicy"]} == {5_000_000_000}
    assert document["registry"] == {"docker.io": {"mirrors": ["m.example/hub"]}}
    assert document["dns"] == {"nameservers": ["10.0.0.2"]}
    assert not (tmp_path / "d").exists()


def test_the_options_come_before_the_file_and_the_file_before_what_holds_else(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        '[daemon]\nengine = "dockerd"\nroot = "/srv/own"\nmtu = 1400\ncache_size = "7GB"\ndns = ["fd00::2"]\n'
    )
    said = {"FLEETPACKS_CONFIG": str(file)}

    stated = json.loads(run("daemon", "config", "--json", variables=said).out)
    over = json.loads(run("daemon", "config", "--json", "--mtu", "1300", "--cache-size", "9GB", variables=said).out)

    assert (stated["format"], stated["engine"], stated["file"]) == (1, "dockerd", "daemon.json")
    assert stated["address"] == "docker:///srv/own/run/dockerd.sock"
    assert stated["log"] == "/srv/own/log"
    documents = [json.loads(each["text"]) for each in (stated, over)]
    assert [document["mtu"] for document in documents] == [1400, 1300]
    assert [document["builder"]["gc"]["policy"][0]["keepStorage"] for document in documents] == [
        "7000000000B",
        "9000000000B",
    ]
    assert documents[1]["dns"] == ["fd00::2"]


def test_what_has_no_effect_is_said(run: Run) -> None:
    ran = run("daemon", "config", "--mtu", "1400")

    assert ran.code == 0
    assert "the MTU has no effect" in ran.err


@pytest.mark.parametrize(
    ("words", "said", "message"),
    [
        (["daemon", "config", "--cache-size", "much"], {}, "expected a number"),
        (["daemon", "config", "--dns", "dns.example"], {}, "expected an IP address"),
        (["daemon", "config", "--mtu", "9"], {}, "--mtu"),
        (["daemon", "config", "--engine", "podman"], {}, "--engine"),
        (["daemon", "config"], {"STORAGE_DRIVER": "devicemapper"}, "$STORAGE_DRIVER"),
        (["daemon", "config"], {"BUILDKIT_CACHE_SIZE": "much"}, "$BUILDKIT_CACHE_SIZE"),
        (["build", "-C", "{app}", "--isolated", "--host", "unix:///x"], {}, "two builders"),
        (["build", "--isolated=podman"], {}, "--isolated"),
    ],
)
def test_what_cannot_be_is_a_usage_error(
    run: Run, tmp_path: Path, words: list[str], said: dict[str, str], message: str
) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")

    ran = run(*(word.format(app=tmp_path) for word in words), variables=said)

    assert ran.code == 2
    assert message in ran.err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('root = "own"', "daemon.root: expected an absolute path"),
        ('cache_size = "0GB"', "daemon.cache_size: expected a size"),
        ('dns = ["dns.example"]', "daemon.dns"),
        ('engine = "podman"', "daemon.engine"),
    ],
)
def test_what_cannot_be_in_the_operators_file_is_named(run: Run, tmp_path: Path, line: str, message: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f"[daemon]\n{line}\n")

    ran = run("daemon", "config", variables={"FLEETPACKS_CONFIG": str(file)})

    assert ran.code == 2
    assert message in ran.err


def test_a_daemon_keeps_nothing_inside_the_source(run: Run, tmp_path: Path, monorepo: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f'[daemon]\nroot = "{monorepo}/own"\n')

    ran = run("apps", str(monorepo), variables={"FLEETPACKS_CONFIG": str(file)})

    assert ran.code == 2
    assert "not trusted" in ran.err


def test_without_its_program_it_is_refused_with_where_to_get_it(run: Run) -> None:
    ran = run("daemon", "run", "--", "true", variables={"PATH": "/nowhere"})

    assert ran.code == 1
    assert "there is no program buildkitd" in ran.err or "CAP_SYS_ADMIN" in ran.err
    assert "hint: " in ran.err


@pytest.mark.real
@pytest.mark.apart
@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes namespaces and mounts")
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize(
    ("command", "code", "printed"),
    [
        ("echo $BUILDKIT_HOST; exit 7", 7, "unix://{home}/d/run/buildkitd.sock\n"),
        ("test -S {home}/d/run/buildkitd.sock && kill -TERM $$", 128 + 15, ""),
    ],
)
async def test_a_command_runs_beside_a_daemon_and_its_exit_code_is_ours(
    lab: Lab, tmp_path_factory: pytest.TempPathFactory, command: str, code: int, printed: str
) -> None:
    home = tmp_path_factory.mktemp("c")
    words = [str(Path(sys.executable).with_name("fleetpacks")), "daemon", "run", "--data-root", str(home / "d")]

    ran = await anyio.run_process(
        [*words, "--", "sh", "-c", command.replace("{home}", str(home))], check=False, env=variables(lab, home)
    )

    assert ran.returncode == code, ran.stderr
    assert ran.stdout.decode() == printed.format(home=home)
    assert not await anyio.Path(home / "d" / "run").exists()
