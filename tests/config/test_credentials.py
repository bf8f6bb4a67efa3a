"""What looks like a credential never becomes a variable of an image."""

from pathlib import Path

import pytest

from orchestrator.config import Flags, credentials, load
from orchestrator.errors import ConfigError, UsageError

_GITHUB = "ghp_" + "a" * 36


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("NPM_TOKEN", "x", "name"),
        ("npm_token", "x", "name"),
        ("TOKEN", "x", "name"),
        ("DB_PASSWORD", "x", "name"),
        ("AWS_REGION", "x", "name"),
        ("DHI_USERNAME", "x", "name"),
        ("DOCKER_CONFIG", "x", "name"),
        ("STRIPE_API_KEY", "x", "name"),
        ("DATABASE_URL", "postgres://u:p@db.example/x", "URL with a password"),
        ("ANY", _GITHUB, "GitHub token"),
        ("ANY", f"prefix {_GITHUB} suffix", "GitHub token"),
        ("VITE_X", _GITHUB, "GitHub token"),
        ("ANY", "AKIA" + "A" * 16, "AWS access key"),
        ("ANY", "-----BEGIN RSA PRIVATE KEY-----\n", "private key"),
        ("VITE_API_KEY", "x", None),
        ("NEXT_PUBLIC_STRIPE_KEY", "pk_live_x", None),
        ("CACHE_KEY", "x", None),
        ("KEYBOARD", "x", None),
        ("MONKEY", "x", None),
        ("NODE_OPTIONS", "--max-old-space-size=512", None),
        ("API_URL", "https://api.example/x:y@z", None),
        ("DATABASE_URL", "postgres://u@db.example/x", None),
    ],
)
def test_a_shape_beats_a_public_prefix_and_that_a_name(name: str, value: str, why: str | None) -> None:
    found = credentials.reason(name, value)

    assert found is None if why is None else why in (found or "")
    assert value == "x" or value not in (found or "")


def test_a_credential_in_the_repositorys_file_is_refused_without_its_value(tmp_path: Path) -> None:
    (tmp_path / "fleetpacks.toml").write_text(f'[env]\nX = "{_GITHUB}"\n')

    with pytest.raises(ConfigError) as caught:
        load(tmp_path, {})

    assert caught.value.message.startswith("fleetpacks.toml:2: env.X: its value looks like a GitHub token")
    assert _GITHUB not in caught.value.message + caught.value.hint
    assert 'secrets = ["X"]' in caught.value.hint


def test_a_credential_on_the_command_line_is_refused_without_its_value(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, {"NPM_TOKEN": "hunter2"}, Flags(env=("NPM_TOKEN",)))

    assert caught.value.message.startswith("--env NPM_TOKEN: its name is one of a credential")
    assert "hunter2" not in caught.value.message + caught.value.hint
