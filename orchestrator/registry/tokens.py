"""Registry tokens for builders: a builder works with tokens that live for minutes, and never sees a password.

A builder is not trusted beyond its role. It names the realm from which it wants a token; a credential of ours goes
there only when the registry itself, asked by us, names the same realm and service. It names what the token is for, too:
with our credential it may read whatever we may read, and write to the repositories that its build is for. Where we
have no credential there is nothing to protect, and the builder's word is taken (the registry may be one that only the
builder can see).

Satisfies `orchestrator.buildkit.session.auth.TokenProvider` without importing it.
"""

from collections.abc import Collection

import msgspec

from orchestrator.errors import RegistryError
from orchestrator.registry.auth import Token
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.failures import clean
from orchestrator.registry.hosts import canonical
from orchestrator.registry.reference import Reference


class BasicCredential(msgspec.Struct, frozen=True, kw_only=True):
    """A user and a password for a registry that knows no tokens. Shows no secret."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"BasicCredential(username={self.username!r}, password=<hidden>)"


class RegistryTokens:
    """Hands tokens of our registries to builders.

    Args:
        client: fetches them, and knows them for as long as they live.
        credentials: who we are.
        writable: the repositories that the build pushes to: its image's, and its cache's.
    """

    def __init__(
        self, client: RegistryClient, credentials: Credentials, *, writable: tuple[Reference, ...] = ()
    ) -> None:
        self._client = client
        self._credentials = credentials
        self._writable = writable

    async def has_credentials(self, host: str) -> bool:
        """Whether we are someone for this registry.

        Raises:
            ConfigError: the credentials cannot be read.
        """
        return await self._credentials.lookup(host) is not None

    async def fetch_token(self, *, host: str, realm: str, service: str, scopes: tuple[str, ...]) -> Token:
        """A token by our credential for this registry, or an anonymous one when there is none.

        Args:
            host: the registry, as the builder calls it; Docker Hub may be `docker.io` or `registry-1.docker.io`.
            realm: the token server that the registry named to the builder.
            service: the registry's name for itself, from the same challenge.
            scopes: what the token is for: `repository:team/api:pull,push`.

        Raises:
            RegistryError: the registry does not name this realm, or the token server refuses.
            FleetpacksError: see `RegistryClient.get_manifest`.
        """
        if await self.has_credentials(host):
            named = {
                (challenge.parameters.get("realm"), challenge.parameters.get("service", ""))
                for challenge in await self._client.challenges(host)
                if challenge.scheme == "bearer"
            }
            if (realm, service) not in named:
                raise RegistryError(
                    f"a builder wants the credentials for {clean(host)} sent to a token server that {clean(host)} "
                    "does not name",
                    hint="check which registry or mirror this builder reaches under that name",
                )
            here = {each.path for each in self._writable if canonical(each.host) == canonical(host)}
            scopes = narrowed(scopes, writable=here)
        return await self._client.token(host, realm=realm, service=service, scopes=scopes)

    async def basic_credential(self, host: str) -> BasicCredential | None:
        """Our user and password, when the registry itself offers nothing but basic authentication; else None.

        Raises:
            FleetpacksError: see `RegistryClient.get_manifest`.
        """
        credential = await self._credentials.lookup(host)
        if credential is None or not credential.password:
            return None
        offered = {challenge.scheme for challenge in await self._client.challenges(host)}
        if "basic" not in offered or "bearer" in offered:
            return None
        return BasicCredential(username=credential.username, password=credential.password)


def narrowed(scopes: tuple[str, ...], *, writable: Collection[str]) -> tuple[str, ...]:
    """The part of what a builder wants that it needs: reading, and pushing to its own repositories.

    Args:
        scopes: as the distribution token specification writes them, `repository:team/api:pull,push`; several may
            stand in one text, with a blank between.
        writable: the repositories that may be pushed to.
    """
    kept: list[str] = []
    for scope in " ".join(scopes).split():
        kind, _, rest = scope.partition(":")
        name, _, actions = rest.rpartition(":")
        allowed = {"pull", "push"} if name in writable else {"pull"}
        wanted = ",".join(action for action in actions.split(",") if action in allowed)
        if kind == "repository" and wanted:
            kept.append(f"repository:{name}:{wanted}")
    return tuple(kept)
