"""The token dance: from a registry's challenge to an `Authorization` header.

Specification: distribution, "Token Authentication" and "OAuth2" (docs/content/spec/auth). A password goes to the realm
by GET with basic authentication, an identity token by POST. Whom a realm may be is decided in `hosts`.

Tokens are kept per registry and scopes until shortly before they expire. What a registry once asked for (basic, or
bearer with its realm) is remembered, so that later requests are right at the first try; many requests at once fetch one
token, because all of them wait for the same lock.
"""

import base64
from collections.abc import Callable, Mapping
from urllib.parse import urlencode, urlsplit, urlunsplit

import anyio
import msgspec

from orchestrator.model import Registry
from orchestrator.registry import failures, hosts
from orchestrator.registry.challenge import Challenge
from orchestrator.registry.connection import Response
from orchestrator.registry.credentials import Credential, Credentials
from orchestrator.registry.hosts import Endpoint
from orchestrator.registry.transport import Request, Transport, read

Scopes = tuple[str, ...]
_Key = tuple[str, str, str, Scopes]
"""Registry, realm, service, scopes: a token that somebody else's realm gave never passes for this one's."""

_CLIENT_ID = "fleetpacks"
_DEFAULT_SECONDS = 60
"""Of a token that does not say how long it lives (distribution, "Token Response Fields")."""
_LONGEST_SECONDS = 30 * 24 * 3600
_LARGEST_TOKEN = 1024 * 1024
_OK = 200


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A short-lived bearer token. Shows no secret."""

    token: str
    expires_in: int
    """Seconds from `issued_at`."""
    issued_at: int
    """Seconds since the epoch, by our own clock: the server's may be wrong."""

    def __repr__(self) -> str:
        return f"Token(token=<hidden>, expires_in={self.expires_in}, issued_at={self.issued_at})"

    def fresh(self, now: float) -> bool:
        """Whether it lives long enough for one more request."""
        return now < self.issued_at + self.expires_in - min(10.0, self.expires_in / 10)


class _Answer(msgspec.Struct, frozen=True):
    token: str | None = None
    access_token: str | None = None
    expires_in: float | None = None


class Authenticator:
    """Answers challenges.

    Args:
        transport: speaks with token servers.
        credentials: who we are.
        registries: the operator's words on hosts.
        now: seconds since the epoch.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        credentials: Credentials,
        registries: Mapping[str, Registry],
        now: Callable[[], float],
    ) -> None:
        self._transport = transport
        self._credentials = credentials
        self._registries = registries
        self._now = now
        self._tokens: dict[_Key, Token] = {}
        self._basic: set[str] = set()
        self._bearer: dict[str, Challenge] = {}
        self._locks: dict[_Key, anyio.Lock] = {}

    async def header(self, endpoint: Endpoint, scopes: Scopes) -> str | None:
        """What to send with a request at the first try; None when this registry has not asked for anything yet."""
        host = endpoint.host
        if host in self._basic:
            credential = await self._credentials.lookup(host)
            return _basic(credential) if credential else None
        challenge = self._bearer.get(host)
        return None if challenge is None else await self._token_header(endpoint, scopes, challenge)

    async def answer(
        self,
        endpoint: Endpoint,
        scopes: Scopes,
        challenges: tuple[Challenge, ...],
        *,
        rejected: str | None,
        action: str,
    ) -> str:
        """The header that answers a 401.

        Args:
            endpoint: the registry.
            scopes: what the request needs, by our own reckoning; the challenge's word goes first.
            challenges: what the registry offers.
            rejected: the header that was sent with the request.
            action: for messages.

        Raises:
            RegistryError: the registry wants a password, and none is known; or the token server refuses.
            ProtocolError: nothing that is offered can be used.
            ConfigError: the credentials cannot be read.
        """
        offered = {challenge.scheme: challenge for challenge in reversed(challenges)}
        bearer = offered.get("bearer")
        if bearer is not None:
            self._bearer[endpoint.host] = bearer
            wanted = tuple(bearer.parameters.get("scope", "").split()) or scopes
            return await self._token_header(endpoint, scopes, bearer, rejected=rejected, wanted=wanted)
        if "basic" not in offered:
            names = ", ".join(offered) or "nothing"
            raise failures.broken(
                endpoint.host, f"it wants bearer or basic authentication answered, but offers {names}"
            )
        credential = await self._credentials.lookup(endpoint.host)
        if credential is None or not credential.password:
            raise failures.not_logged_in(endpoint.host, action)
        self._basic.add(endpoint.host)
        return _basic(credential)

    async def token(
        self, endpoint: Endpoint, scopes: Scopes, *, realm: str, service: str, wanted: Scopes | None = None
    ) -> Token:
        """A token from the cache or from a realm, which is checked here.

        Args:
            endpoint: the registry whose credentials are used.
            scopes: under which the token is kept.
            realm: the token server.
            service: the registry's own name for itself.
            wanted: the scopes that are asked for, when they are others than `scopes`.

        Raises:
            RegistryError: the token server refuses, or may not be asked.
            RegistryUnavailableError: it cannot be reached.
            ProtocolError: its answer holds no token.
            ConfigError: the credentials cannot be read.
        """
        key = (endpoint.host, realm, service, scopes)
        async with self._locks.setdefault(key, anyio.Lock()):
            token = self._tokens.get(key)
            if token is None or not token.fresh(self._now()):
                token = await self._fetch(endpoint, realm, service, wanted or scopes)
                self._tokens[key] = token
            return token

    async def _token_header(
        self,
        endpoint: Endpoint,
        scopes: Scopes,
        challenge: Challenge,
        *,
        rejected: str | None = None,
        wanted: Scopes | None = None,
    ) -> str:
        realm, service = challenge.parameters.get("realm", ""), challenge.parameters.get("service", "")
        key = (endpoint.host, realm, service, scopes)
        if key in self._tokens and rejected == f"Bearer {self._tokens[key].token}":
            # Of many requests that were rejected together, the first one forgets the token, and all get the next.
            del self._tokens[key]
        token = await self.token(endpoint, scopes, realm=realm, service=service, wanted=wanted)
        return f"Bearer {token.token}"

    async def _fetch(self, endpoint: Endpoint, realm: str, service: str, scopes: Scopes) -> Token:
        refusal = hosts.refuse_realm(realm, endpoint, self._registries)
        if refusal is not None:
            raise failures.refused_realm(endpoint.host, realm, refusal)
        credential = await self._credentials.lookup(endpoint.host)
        request = _token_request(endpoint.host, realm, service, scopes, credential)
        issued_at = int(self._now())

        async def consume(response: Response) -> Token:
            body = await read(response, _LARGEST_TOKEN, endpoint.host)
            if response.status != _OK:
                raise failures.refused(
                    status=response.status,
                    body=body,
                    action=request.action,
                    host=endpoint.host,
                    reading=False,
                    anonymous=credential is None,
                )
            return _read_token(body, endpoint.host, issued_at)

        return await self._transport.exchange(request, consume)


def _basic(credential: Credential) -> str:
    pair = f"{credential.username}:{credential.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _token_request(host: str, realm: str, service: str, scopes: Scopes, credential: Credential | None) -> Request:
    action = "give out a token"
    if credential is not None and credential.identity_token:
        form = {
            "grant_type": "refresh_token",
            "refresh_token": credential.identity_token,
            "service": service,
            "scope": " ".join(scopes),
            "client_id": _CLIENT_ID,
        }
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return Request(
            method="POST", url=realm, host=host, action=action, headers=headers, content=urlencode(form).encode()
        )
    url = urlsplit(realm)
    asked = urlencode([*([("service", service)] if service else []), *(("scope", scope) for scope in scopes)])
    url = url._replace(query="&".join(filter(None, (url.query, asked))), fragment="")
    headers = {"authorization": _basic(credential)} if credential is not None else {}
    return Request(method="GET", url=urlunsplit(url), host=host, action=action, headers=headers)


def _read_token(body: bytes, host: str, issued_at: int) -> Token:
    try:
        # Lenient about numbers only: some servers write "expires_in": "3600".
        answer = msgspec.json.decode(body, type=_Answer, strict=False)
    except (msgspec.DecodeError, RecursionError):
        raise failures.broken(host, "the token server's answer is not a JSON object with a token") from None
    token = answer.token or answer.access_token or ""
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise failures.broken(host, "the token server's answer holds no usable token")
    seconds = answer.expires_in
    lives = int(seconds) if seconds is not None and 0 < seconds < _LONGEST_SECONDS else _DEFAULT_SECONDS
    return Token(token=token, expires_in=lives, issued_at=issued_at)
