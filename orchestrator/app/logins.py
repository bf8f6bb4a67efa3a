"""Logins that the environment gives, beside those of Docker's configuration."""

from collections.abc import Mapping

from langs import hardened
from orchestrator.config import Config
from orchestrator.registry.credentials import Credential


def given(config: Config) -> Mapping[str, Credential]:
    """The login for hardened images: it is for the host they come from alone."""
    variables = config.environment.variables
    username, password = variables.get("DHI_USERNAME"), variables.get("DHI_PASSWORD")
    if not username or not password:
        return {}
    host = config.image_mirrors.get(hardened.REGISTRY, hardened.REGISTRY).partition("/")[0]
    return {host: Credential(username=username, password=password)}
