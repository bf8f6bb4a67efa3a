"""What a builder gets of our credentials: tokens from the registry's own realm, and nothing else."""

import json
from pathlib import Path

import pytest

from orchestrator.errors import RegistryError
from orchestrator.registry.backoff import Timing
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.reference import parse
from orchestrator.registry.tokens import BasicCredential, RegistryTokens, narrowed
from tests.registry.server import Server, running

ALICE = {"alice": "s3cret"}
SCOPES = ("repository:team/api:pull,push", "repository:team/base:pull")


def known(directory: Path, host: str) -> Credentials:
    file = directory / "config.json"
    file.write_text(json.dumps({"auths": {host: {"username": "alice", "password": "s3cret"}}}))
    return Credentials(file)


async def test_a_builder_gets_a_token_for_its_scopes_and_many_builds_share_it(tmp_path: Path) -> None:
    server = Server(auth="token", users=ALICE)
    async with running(server):
        credentials = known(tmp_path, server.host)
        async with RegistryClient(credentials, {}, timing=Timing(now=lambda: 1_800_000_000.0)) as client:
            tokens = RegistryTokens(client, credentials, writable=(parse(f"{server.host}/team/api"),))
            wish = {"host": server.host, "realm": f"{server.base}/token", "service": "registry.test"}

            first = await tokens.fetch_token(**wish, scopes=SCOPES)
            again = await tokens.fetch_token(**wish, scopes=SCOPES)

    assert (first.token, first.expires_in, first.issued_at) == ("token-0", 300, 1_800_000_000)
    assert again == first
    assert server.requests("GET", "/token")[0].query["scope"] == list(SCOPES)
    assert "token-0" not in repr(first)


@pytest.mark.parametrize(
    ("wanted", "writable", "got"),
    [
        (("repository:team/api:pull,push",), "team/api", ("repository:team/api:pull,push",)),
        (("repository:team/api:push,pull,delete",), "team/api", ("repository:team/api:push,pull",)),
        (("repository:team/api:pull,push",), "team/other", ("repository:team/api:pull",)),
        (("repository:team/api:pull,push",), None, ("repository:team/api:pull",)),
        (("repository:a:push repository:b:pull",), "b", ("repository:b:pull",)),
        (("registry:catalog:*", "repository:team/api:*", "nonsense", ""), "team/api", ()),
    ],
)
def test_a_builder_may_read_and_write_only_the_repository_of_its_build(
    wanted: tuple[str, ...], writable: str | None, got: tuple[str, ...]
) -> None:
    assert narrowed(wanted, writable=(writable,) if writable else ()) == got


async def test_our_credential_gives_a_builder_no_right_to_push_elsewhere(tmp_path: Path) -> None:
    server = Server(auth="token", users=ALICE)
    async with running(server):
        credentials = known(tmp_path, server.host)
        async with RegistryClient(credentials, {}) as client:
            tokens = RegistryTokens(client, credentials, writable=(parse("elsewhere.example/team/api"),))
            await tokens.fetch_token(
                host=server.host,
                realm=f"{server.base}/token",
                service="registry.test",
                scopes=("repository:team/api:pull,push",),
            )

    assert server.requests("GET", "/token")[0].query["scope"] == ["repository:team/api:pull"]


@pytest.mark.parametrize("service", ["registry.test", "another.service"])
async def test_a_builder_cannot_send_our_credentials_to_a_realm_of_its_own(tmp_path: Path, service: str) -> None:
    server = Server(auth="token", users=ALICE)
    async with running(server), running(Server(users=ALICE)) as thief:
        credentials = known(tmp_path, server.host)
        async with RegistryClient(credentials, {}) as client:
            with pytest.raises(RegistryError, match="does not name"):
                await RegistryTokens(client, credentials).fetch_token(
                    host=server.host, realm=f"{thief.base}/token", service=service, scopes=SCOPES
                )

    assert thief.seen == []


async def test_a_token_from_a_realm_of_the_builder_is_never_used_by_us() -> None:
    server = Server(auth="token")
    async with running(server), running(Server()) as liar, RegistryClient(Credentials(None), {}) as client:
        server.add_manifest("team/api", "1", b'{"schemaVersion": 2}')
        await RegistryTokens(client, Credentials(None)).fetch_token(
            host=server.host,
            realm=f"{liar.base}/token",
            service="registry.test",
            scopes=("repository:team/api:pull",),
        )

        await client.get_manifest(parse(f"{server.host}/team/api:1"))

    assert len(liar.requests("GET", "/token")) == 1
    assert len(server.requests("GET", "/token")) == 1


async def test_a_password_leaves_us_only_for_a_registry_that_knows_no_tokens(tmp_path: Path) -> None:
    results: dict[str, BasicCredential | None] = {}
    for auth in ("none", "basic", "token"):
        server = Server(auth="basic" if auth == "basic" else "token" if auth == "token" else "none", users=ALICE)
        async with running(server):
            credentials = known(tmp_path, server.host)
            async with RegistryClient(credentials, {}) as client:
                results[auth] = await RegistryTokens(client, credentials).basic_credential(server.host)

    assert results == {"none": None, "basic": BasicCredential(username="alice", password="s3cret"), "token": None}
    assert "s3cret" not in repr(results)


async def test_credentials_are_known_by_host(tmp_path: Path) -> None:
    credentials = known(tmp_path, "registry.example")
    async with RegistryClient(credentials, {}) as client:
        tokens = RegistryTokens(client, credentials)

        assert await tokens.has_credentials("registry.example")
        assert not await tokens.has_credentials("other.example")
