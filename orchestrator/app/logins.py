"""Logins that the environment gives, beside those of Docker's configuration."""

from collections.abc import Mapping

import msgspec

from langs import hardened
from orchestrator.config import Config
from orchestrator.registry.credentials import Credential


def given(config: Config) -> Mapping[str, Credential]:
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
