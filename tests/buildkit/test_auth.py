"""The Auth service: tokens for the daemon, passwords for nobody who does not need one."""

from typing import TYPE_CHECKING

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from orchestrator.buildkit import BasicCredential, Token
from orchestrator.buildkit.protos import auth_pb2
from orchestrator.buildkit.session.auth import Auth

if TYPE_CHECKING:
    from collections.abc import Mapping

PRIVATE, BASIC, PUBLIC = "private.example", "basic.example:5000", "public.example"
SERVICE = "/moby.filesync.v1.Auth"
SEED, SALT = b"s" * 32, b"n" * 32


class Fetch(msgspec.Struct, frozen=True, kw_only=True):
    host: str
    realm: str
    service: str
    scopes: tuple[str, ...]


class Tokens:
    """A provider with one registry of each kind."""

    def __init__(self) -> None:
        self.fetched: list[Fetch] = []

    async def has_credentials(self, host: str) -> bool:
        return host in {PRIVATE, BASIC}

    async def fetch_token(self, *, host: str, realm: str, service: str, scopes: tuple[str, ...]) -> Token:
        self.fetched.append(Fetch(host=host, realm=realm, service=service, scopes=scopes))
        return Token(token=f"token for {host}", expires_in=300, issued_at=1_700_000_000)

    async def basic_credential(self, host: str) -> BasicCredential | None:
        return BasicCredential(username="bob", password="hunter2") if host == BASIC else None


def auth(*, registries: tuple[str, ...] = (), seed: bytes = SEED) -> Auth:
    return Auth(Tokens(), registries=registries, seed=seed)


async def authority(service: Auth, host: str, *, salt: bytes = SALT) -> bytes:
    request = auth_pb2.GetTokenAuthorityRequest(host=host, salt=salt).SerializeToString()
    response = await service.handlers()[f"{SERVICE}/GetTokenAuthority"](request)
    return auth_pb2.GetTokenAuthorityResponse.FromString(response).public_key


async def signed(service: Auth, host: str, payload: bytes) -> bytes:
    request = auth_pb2.VerifyTokenAuthorityRequest(host=host, salt=SALT, payload=payload).SerializeToString()
    response = await service.handlers()[f"{SERVICE}/VerifyTokenAuthority"](request)
    return auth_pb2.VerifyTokenAuthorityResponse.FromString(response).signed


async def credentials(service: Auth, host: str) -> tuple[str, str]:
    request = auth_pb2.CredentialsRequest(host=host).SerializeToString()
    response = await service.handlers()[f"{SERVICE}/Credentials"](request)
    message = auth_pb2.CredentialsResponse.FromString(response)
    return message.username, message.secret


async def test_a_session_proves_its_authority_by_signing_the_payload() -> None:
    key = await authority(auth(), PRIVATE)

    proof = await signed(auth(), PRIVATE, b"payload")

    Ed25519PublicKey.from_public_bytes(key).verify(proof[:64], proof[64:])
    assert proof[64:] == b"payload"


async def test_another_clients_proof_does_not_open_our_tokens() -> None:
    key = await authority(auth(), PRIVATE)

    proof = await signed(auth(seed=b"x" * 32), PRIVATE, b"payload")

    with pytest.raises(InvalidSignature):
        Ed25519PublicKey.from_public_bytes(key).verify(proof[:64], proof[64:])


async def test_authorities_differ_by_host_and_by_salt() -> None:
    keys = {
        await authority(auth(), PRIVATE),
        await authority(auth(), PRIVATE, salt=b"another"),
        await authority(auth(), BASIC),
    }

    assert len(keys) == 3
    assert {len(key) for key in keys} == {32}


async def test_all_anonymous_sessions_of_a_daemon_share_one_authority() -> None:
    ours = await authority(auth(), PUBLIC)

    theirs = await authority(auth(seed=b"x" * 32), PUBLIC)

    assert ours == theirs


async def test_a_token_is_fetched_by_us_with_all_that_the_daemon_asks_for() -> None:
    tokens = Tokens()
    request = auth_pb2.FetchTokenRequest(
        client_id="buildkit-client",
        host=PRIVATE,
        realm="https://realm.example/token",
        service="registry",
        scopes=["repository:a:pull", "repository:b:pull,push"],
    )

    response = await Auth(tokens, registries=(), seed=SEED).handlers()[f"{SERVICE}/FetchToken"](
        request.SerializeToString()
    )

    assert tokens.fetched == [
        Fetch(
            host=PRIVATE,
            realm="https://realm.example/token",
            service="registry",
            scopes=("repository:a:pull", "repository:b:pull,push"),
        )
    ]
    assert auth_pb2.FetchTokenResponse.FromString(response) == auth_pb2.FetchTokenResponse(
        token=f"token for {PRIVATE}", expires_in=300, issued_at=1_700_000_000
    )


@pytest.mark.parametrize(
    ("host", "registries", "answer"),
    [
        (BASIC, (BASIC,), ("bob", "hunter2")),
        (BASIC, (), ("", "")),
        (BASIC, (PRIVATE,), ("", "")),
        (PRIVATE, (PRIVATE,), ("", "")),
        (PUBLIC, (PUBLIC,), ("", "")),
    ],
    ids=["basic and named", "basic, not named", "basic, another named", "tokens and named", "public"],
)
async def test_a_password_goes_only_to_a_named_registry_without_tokens(
    host: str, registries: tuple[str, ...], answer: tuple[str, str]
) -> None:
    assert await credentials(auth(registries=registries), host) == answer


def test_secrets_are_not_shown_by_repr() -> None:
    values: Mapping[str, object] = {
        "hunter2": BasicCredential(username="bob", password="hunter2"),
        "abc": Token(token="abc", expires_in=1, issued_at=0),
    }

    for secret, value in values.items():
        assert secret not in repr(value)
