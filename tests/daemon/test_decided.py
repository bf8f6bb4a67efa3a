"""From configuration to what a daemon is started with."""

from pathlib import Path

import pytest

from orchestrator.app import isolated
from orchestrator.errors import ConfigError
from tests.daemon.real import configured


async def test_the_operators_authorities_mirrors_and_registries_are_the_daemons_too(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    (tmp_path / "config.toml").write_text(
        f'[network]\nca = "{tmp_path}/ca.pem"\n'
        '[registries."plain.example:5000"]\ninsecure = true\n'
        '[registries."quay.io"]\nmirror = "plain.example:5000/quay"\n'
        '[daemon]\nfree_space = "9GB"\n'
    )
    said = {"FLEETPACKS_CONFIG": str(tmp_path / "config.toml"), "REGISTRY_MIRROR": "http://hub.example/hub"}
    config = configured({**said, "HOME": str(tmp_path)})

    found = (await isolated.decide(config)).settings

    assert found.ca == "-----BEGIN CERTIFICATE-----\n"
    assert found.mirrors == {"quay.io": "plain.example:5000/quay", "docker.io": "hub.example/hub"}
    assert found.insecure == ("hub.example", "plain.example:5000")
    assert found.free == 9_000_000_000
    assert config.isolated.free_said
    assert found.root == tmp_path / ".cache/fleetpacks/daemon/buildkitd"


async def test_authorities_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    config = configured({"FLEETPACKS_CA": str(tmp_path / "ca.pem"), "HOME": str(tmp_path)})

    with pytest.raises(ConfigError, match=r"ca\.pem"):
        await isolated.decide(config)
