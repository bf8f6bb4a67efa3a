"""A provider of tokens that remembers, and a registry that wants one of them."""

import msgspec
import pytest

from orchestrator.buildkit import BasicCredential, Client, Token
from orchestrator.errors import ImageNotFoundError
from tests.buildkit.real import Watched, request
from tests.buildkit.scripted_registry import Answer, Asked, scripted_registry


class Asking(msgspec.Struct):
    """A provider that knows one registry, and remembers what it was asked."""

    host: str
    basic: BasicCredential | None = None
    fetched: list[tuple[str, str, str, tuple[str, ...]]] = []

    async def has_credentials(self, host: str) -> bool:
        return host == self.host

    async def fetch_token(self, *, host: str, realm: str, service: str, scopes: tuple[str, ...]) -> Token:
        self.fetched.append((host, realm, service, scopes))
        return Token(token="t0k3n", expires_in=60, issued_at=0)

    async def basic_credential(self, host: str) -> BasicCredential | None:
        return self.basic if host == self.host else None


async def check_that_a_token_is_asked_for_and_no_password(builder: Client) -> None:
    """Let a builder read an image that is not there from a registry that wants a token."""
    seen: list[str] = []

    async def script(asked: Asked) -> Answer:
        seen.append(asked.headers.get("authorization", "-"))
        if seen[-1] != "-":
            return Answer(404)
        challenge = 'Bearer realm="http://127.0.0.1:9/token",service="lab",scope="repository:app:pull"'
        return Answer(401, headers={"WWW-Authenticate": challenge})

    async with scripted_registry(script) as registry:
        tokens = Asking(registry, BasicCredential(username="bob", password="hunter2"))
        build = request(
            f"FROM {registry}/app:1\nCOPY a /a\n", context={"a": b"a"}, tokens=tokens, registries=(registry,)
        )
        with pytest.raises(ImageNotFoundError):
            await builder.solve(build, on_status=Watched())

    assert tokens.fetched[0] == (registry, "http://127.0.0.1:9/token", "lab", ("repository:app:pull",))
    assert set(seen) == {"-", "Bearer t0k3n"}
