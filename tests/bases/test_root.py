"""The bare root, as far as debootstrap is not run."""

from pathlib import Path

import pytest

from orchestrator.bases.recipes import Root
from orchestrator.bases.root import bootstrap, command
from orchestrator.errors import ConfigError

_ROOT = Root(suite="trixie", include=("ca-certificates", "tar"), exclude=(), env={})


def test_packages_are_held_against_the_distributions_keys_or_not_installed() -> None:
    words = command("/sbin/debootstrap", _ROOT, Path("/work/root"), "http://mirror.example/")

    ours = words[words.index("/sbin/debootstrap") :]
    assert ours[1:4] == ["--force-check-gpg", "--variant=minbase", "--include=ca-certificates,tar"]
    assert ours[4:] == ["trixie", "/work/root", "http://mirror.example/debian"]
    assert not any(word.startswith("--no-check") for word in words)


async def test_a_machine_without_debootstrap_is_told_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="debootstrap is not on this machine") as caught:
        await bootstrap(_ROOT, tmp_path, "http://mirror.example", {"PATH": str(tmp_path)})

    assert "--root IMAGE" in caught.value.hint
