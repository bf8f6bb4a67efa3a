"""Logins that the environment gives, beside those of Docker's configuration."""

import re
from collections.abc import Mapping

import msgspec

from langs import hardened
from orchestrator.config import Config
from orchestrator.registry.credentials import Credential

_GITHUBS = "ghcr.io"
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?")


def given(config: Config) -> Mapping[str, Credential]:
    """The logins by the hosts of registries."""
    return {**_hardened(config), **_of_ci(config)}


def _hardened(config: Config) -> Mapping[str, Credential]:
    """The login for hardened images: for the host that they are from, and for the one of their mirror.

    What a mirror does not have comes from there. Its own login, if there is one, is where all others are.
    """
    variables = config.environment.variables
    username, password = variables.get("DHI_USERNAME"), variables.get("DHI_PASSWORD")
    if not username or not password:
        return {}
    login = Credential(username=username, password=password)
    mirror = config.image_mirrors.get(hardened.REGISTRY, hardened.REGISTRY).partition("/")[0]
    return {mirror: msgspec.structs.replace(login, yields=True), hardened.REGISTRY: login}


def _of_ci(config: Config) -> Mapping[str, Credential]:
    """The login of a CI platform for its own registry, for want of one in Docker's configuration.

    GitLab hands it to every job. GitHub's token is there only where a workflow says so, and may be for other things: it
    is told to nobody unless images or caches go to GitHub's registry.
    """
    said = config.environment.variables
    # What the platform is, `environment` has found out.
    match config.environment.ci.name:
        case "GitLab CI":
            host, words = said.get("CI_REGISTRY", ""), ("CI_REGISTRY_USER", "CI_REGISTRY_PASSWORD")
        case "GitHub Actions" if _goes_to(config, _GITHUBS):
            host, words = _GITHUBS, ("GITHUB_ACTOR", "GITHUB_TOKEN")
        case _:
            return {}
    username, password = (said.get(word, "") for word in words)
    if not username or not password or not _HOST.fullmatch(host):
        return {}
    return {host: Credential(username=username, password=password, yields=True)}


def _goes_to(config: Config, host: str) -> bool:
    images = (config.image.template if config.image else "", config.cache.image or "", *config.cache.sources)
    return any(image.startswith(f"{host}/") for image in images)
