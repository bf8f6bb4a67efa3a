"""The Auth service: how a daemon reaches registries for us without ever holding our passwords.

A registry that speaks the token protocol challenges the daemon with a realm. The daemon then asks us for a token
authority (a public key that stands for "whoever holds this credential") and lets us fetch the token: the password
goes from us to the realm, the daemon sees a short-lived token. It may use a cached token for another session only
after that session has signed a random payload with the same authority.

The authority's key is derived from the daemon's salt and a seed of ours per host; without a credential from the salt
alone, so that all anonymous sessions of a daemon share their tokens (the derivation is ours to choose: a daemon only
verifies; the two cases are those of BuildKit's own client, session/auth/authprovider, v0.30.0). The seed lives as long
as the client: a daemon cannot choose a salt whose key it knows, and nothing is written to disk.

`Credentials` would hand over the password itself. Decision: it answers with empty strings, which means anonymous,
unless both hold: the registry speaks nothing but basic authentication, as the provider found out itself (the daemon's
word does not count), and the build names that host (`SolveRequest.registries`). A daemon that is asked to push there
could not do it in any other way, and a daemon that asks for other hosts learns nothing.

A build without a provider serves no Auth at all: the daemon then takes every registry anonymously, by itself.
"""

import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import msgspec

from orchestrator.buildkit.protos import auth_pb2
from orchestrator.buildkit.session.unary import UnaryHandler

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A registry's short-lived token."""

    token: str
    expires_in: int
    """Seconds from `issued_at`; 0 when the registry does not say (60 is meant)."""
    issued_at: int
    """Seconds since the epoch; 0 when the registry does not say."""

    def __repr__(self) -> str:
        return f"Token(expires_in={self.expires_in}, issued_at={self.issued_at})"


class BasicCredential(msgspec.Struct, frozen=True, kw_only=True):
    """A name and a password for a registry without tokens."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"BasicCredential(username={self.username!r})"


class AnyToken(Protocol):
    """What is read of a token; `Token` is one, and so is the value of a provider that does not know this module."""

    @property
    def token(self) -> str:
        """The bearer token itself."""
        ...

    @property
    def expires_in(self) -> int:
        """Seconds from `issued_at`."""
        ...

    @property
    def issued_at(self) -> int:
        """Seconds since the epoch."""
        ...


class AnyCredential(Protocol):
    """What is read of a name and a password; `BasicCredential` is one."""

    @property
    def username(self) -> str:
        """The user."""
        ...

    @property
    def password(self) -> str:
        """The password."""
        ...


class TokenProvider(Protocol):
    """What the Auth service needs of whoever holds the credentials. Hosts are as the daemon writes them: `host[:port]`.

    Errors are those of `orchestrator.errors`; their messages reach the daemon's log and must hold no secret.
    """

    async def has_credentials(self, host: str) -> bool:
        """Whether a credential is configured for this host."""
        ...

    async def fetch_token(self, *, host: str, realm: str, service: str, scopes: tuple[str, ...]) -> AnyToken:
        """Get a token from a realm, anonymously when no credential is configured.

        The daemon names the realm. The provider must not send a credential to a realm that the registry itself does
        not name in its challenge.
        """
        ...

    async def basic_credential(self, host: str) -> AnyCredential | None:
        """The credential of a registry whose own challenge is `Basic`; None for all others."""
        ...


class Auth:
    """Handlers of one session's Auth service.

    Args:
        provider: holds the credentials.
        registries: the hosts that this build names.
        seed: random and secret, the same for all sessions of a client.
    """

    def __init__(self, provider: TokenProvider, *, registries: tuple[str, ...], seed: bytes) -> None:
        self._provider = provider
        self._registries = frozenset(registries)
        self._seed = seed

    def handlers(self) -> Mapping[str, UnaryHandler]:
        """The service's methods by full path."""
        service = "/moby.filesync.v1.Auth"
        return {
            f"{service}/Credentials": self._credentials,
            f"{service}/FetchToken": self._fetch_token,
            f"{service}/GetTokenAuthority": self._get_token_authority,
            f"{service}/VerifyTokenAuthority": self._verify_token_authority,
        }

    async def _credentials(self, message: bytes) -> bytes:
        host = auth_pb2.CredentialsRequest.FromString(message).host
        credential = await self._provider.basic_credential(host) if host in self._registries else None
        if credential is None:
            return auth_pb2.CredentialsResponse().SerializeToString()
        return auth_pb2.CredentialsResponse(
            username=credential.username, secret=credential.password
        ).SerializeToString()

    async def _fetch_token(self, message: bytes) -> bytes:
        request = auth_pb2.FetchTokenRequest.FromString(message)
        token = await self._provider.fetch_token(
            host=request.host, realm=request.realm, service=request.service, scopes=tuple(request.scopes)
        )
        return auth_pb2.FetchTokenResponse(
            token=token.token, expires_in=token.expires_in, issued_at=token.issued_at
        ).SerializeToString()

    async def _get_token_authority(self, message: bytes) -> bytes:
        request = auth_pb2.GetTokenAuthorityRequest.FromString(message)
        key = await self._authority(request.host, request.salt)
        return auth_pb2.GetTokenAuthorityResponse(public_key=key.public_key().public_bytes_raw()).SerializeToString()

    async def _verify_token_authority(self, message: bytes) -> bytes:
        request = auth_pb2.VerifyTokenAuthorityRequest.FromString(message)
        key = await self._authority(request.host, request.salt)
        # NaCl's combined form, which the daemon opens: signature, then payload.
        signed = key.sign(request.payload) + request.payload
        return auth_pb2.VerifyTokenAuthorityResponse(signed=signed).SerializeToString()

    async def _authority(self, host: str, salt: bytes) -> "Ed25519PrivateKey":
        from cryptography.hazmat.primitives.asymmetric.ed25519 import (  # noqa: PLC0415  most builds ask for none
            Ed25519PrivateKey,
        )

        secret = self._seed + host.encode() if await self._provider.has_credentials(host) else b""
        # Microseconds, as is signing: not worth a worker thread.
        return Ed25519PrivateKey.from_private_bytes(hmac.digest(salt, secret, "sha256"))
