"""Projects as `init` knows them."""

from pathlib import Path
from typing import Any

from orchestrator.init.project import AppFacts, Builder, Project
from orchestrator.model import Mirror

NASTY = "a 'b' \"c\" $d `e` #f: {g} \\h %i"
"""What a directory may be called."""


def project(**said: Any) -> Project:  # noqa: ANN401 -- any field
    """A small project, but for what is said."""
    fields: dict[str, Any] = {
        "name": "shop",
        "version": "1.2.3",
        "package": "fleetpacks==1.2.3",
        "branch": "main",
        "apps": (AppFacts(name="api", path="services/api"), AppFacts(name="web", path="apps/web")),
    }
    return Project(**{**fields, **said})


def full(**said: Any) -> Project:  # noqa: ANN401 -- as above
    """A project of which everything is said."""
    fields: dict[str, Any] = {
        "tool": "registry.example/fleetpacks:1",
        "repository": "https://git.example:8443/team/shop.git",
        "image": "registry.example:5000/shop/{app}",
        "apps": (
            AppFacts(name="api", path="services/api"),
            AppFacts(name="odd", path=NASTY.replace("$", "")),
            AppFacts(name="db", path="deploy"),
        ),
        "builders": (
            Builder(url="unix:///run/buildkit/buildkitd.sock", slots=2, memory=8_000_000_000),
            Builder(url="ssh://deploy@one.example?slots=8", slots=8),
        ),
        "entitlements": ("network.host",),
        "hedge": 3.0,
        "jobs": 12,
        "cache": "registry.example:5000/shop/cache",
        "cache_from": ("registry.example:5000/base/cache",),
        "cache_insecure": True,
        "local": "/srv/layers",
        "local_size": 20_000_000_000,
        "mounts": "/srv/packages",
        "mounts_size": 50_000_000_000,
        "insecure": ("registry.example:5000",),
        "images": {"docker.io": "mirror.example/hub"},
        "secrets": ("LICENCE", "NPM_TOKEN", "X"),
        "mirrors": (
            Mirror(name="npm", url="https://mirror.example/npm"),
            Mirror(name="pypi", env="PYPI_URL"),
            Mirror(name="go", file=Path("/etc/go-mirror")),
        ),
        "ssh": ("default",),
        "hub": "mirror.example/hub",
        "dhi": "mirror.example/dhi",
        "hardened": True,
        "bases": ("debian:bookworm-slim", "golang:1.25"),
    }
    return project(**{**fields, **said})
