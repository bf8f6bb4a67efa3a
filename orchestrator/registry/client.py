"""The registry client: manifests, indexes and blobs by the OCI distribution specification 1.1.

A digest is the truth: what comes under one is verified against it, whatever the registry says beside it. Publishing is
`get_manifest` by the digest that a builder pushed, then `put_manifest` of the same bytes under each tag; both share one
pool of connections and one cache of tokens.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import anyio
import msgspec

from orchestrator.errors import FleetpacksError, ImageNotFoundError
from orchestrator.model import Registry
from orchestrator.registry import challenge as challenges
from orchestrator.registry import failures, hosts, looks, tags
from orchestrator.registry.auth import Authenticator, Scopes, Token
from orchestrator.registry.backoff import Patience, Timing
from orchestrator.registry.challenge import Challenge
from orchestrator.registry.connection import LostError, Response
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.hosts import Endpoint
from orchestrator.registry.looks import Look
from orchestrator.registry.manifest import ACCEPTED, Descriptor, Manifest, checked, digest_of
from orchestrator.registry.reference import Reference, is_digest
from orchestrator.registry.transport import Consumer, NoAnswerError, Request, Transport, read

_T = TypeVar("_T")
Sink = Callable[[bytes], Awaitable[object]]

_LARGEST_MANIFEST = 4 * 1024 * 1024
"""The size that registries must take (OCI distribution specification 1.1, "Pushing Manifests")."""
_LARGEST_REFUSAL = 64 * 1024
_OK, _CREATED, _UNAUTHORIZED, _NOT_FOUND = 200, 201, 401, 404
_WELCOMES = frozenset({_OK, _UNAUTHORIZED})
"""What `/v2/` says where a registry is. A server that wants TLS answers 400 to plain HTTP, or closes the connection."""


class _Call(msgspec.Struct, frozen=True, kw_only=True):
    """A request before it has a scheme, a host and a token."""

    method: str
    host: str
    path: str
    scopes: Scopes
    action: str
    accepted: frozenset[int]
    headers: Mapping[str, str]
    content: bytes | None = None

    @property
    def reading(self) -> bool:
        return self.method in {"GET", "HEAD"}


class _Challenged(msgspec.Struct, frozen=True):
    """A 401, on the way to its answer."""

    challenges: tuple[Challenge, ...]
    body: bytes


class RegistryClient:
    """Speaks with all registries of one run. An async context manager: leaving it closes the connections.

    Args:
        credentials: who we are.
        registries: the operator's words, by host as in references.
        patience: how long a request is tried.
        timing: the clock, for tests.
        ca: a file of authorities that are trusted beside the usual ones.
    """

    def __init__(
        self,
        credentials: Credentials,
        registries: Mapping[str, Registry],
        *,
        patience: Patience | None = None,
        timing: Timing | None = None,
        ca: Path | None = None,
    ) -> None:
        timing = timing or Timing()
        self._registries = registries
        self._credentials = credentials
        self._transport = Transport(patience=patience or Patience(), timing=timing, ca=ca)
        self._auth = Authenticator(
            transport=self._transport, credentials=credentials, registries=registries, now=timing.now
        )
        self._endpoints: dict[str, Endpoint] = {}
        self._challenges: dict[str, tuple[Challenge, ...]] = {}
        self._locks: dict[str, anyio.Lock] = {}

    async def __aenter__(self) -> Self:
        await self._transport.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._transport.__aexit__(kind, value, traceback)

    async def head(self, reference: Reference) -> Descriptor | None:
        """Where a reference points to, without its content; None when there is nothing.

        Raises:
            FleetpacksError: see `get_manifest`.
        """

        async def consume(response: Response) -> Descriptor | None:
            # There is no body, but a connection is used again only behind its end.
            await read(response, _LARGEST_REFUSAL, reference.host, cut=True)
            if response.status == _NOT_FOUND:
                return None
            digest = response.header("docker-content-digest")
            size = response.header("content-length")
            media_type = response.header("content-type").partition(";")[0].strip()
            if not (is_digest(digest) and size.isascii() and size.isdigit() and media_type):
                return Descriptor(media_type="", digest="", size=0)
            return Descriptor(media_type=media_type, digest=digest, size=int(size[:18]))

        found = await self._perform(_manifest_call("HEAD", reference, accepted={_OK, _NOT_FOUND}), consume)
        if found is None or (found.digest and found.digest == (reference.digest or found.digest)):
            return found
        # These headers are optional, and a digest that is not the one asked for is the registry's error to prove.
        try:
            manifest = await self.get_manifest(reference)
        except ImageNotFoundError:
            return None
        return Descriptor(media_type=manifest.media_type, digest=manifest.digest, size=len(manifest.body))

    async def look(self, reference: Reference) -> Look:
        """What a registry says of itself when it is asked for a manifest, which need not be there; nothing is pulled.

        Raises:
            FleetpacksError: see `get_manifest`.
        """

        async def consume(response: Response) -> Look:
            await read(response, _LARGEST_REFUSAL, reference.host, cut=True)
            return looks.of(response.header)

        return await self._perform(_manifest_call("HEAD", reference, accepted={_OK, _NOT_FOUND}), consume)

    async def get_manifest(self, reference: Reference) -> Manifest:
        """A manifest or an index, verified.

        Raises:
            ImageNotFoundError: there is none.
            RegistryError: the registry refuses for good.
            RegistryUnavailableError: it cannot be reached, or asks to come back later, after all attempts.
            ProtocolError: its answer does not fit the digest, or is no manifest.
            ConfigError: the credentials cannot be read.
        """

        async def consume(response: Response) -> Manifest:
            declared = response.header("docker-content-digest")
            return checked(
                body=await read(response, _LARGEST_MANIFEST, reference.host),
                content_type=response.header("content-type"),
                requested=reference.digest,
                declared=declared if is_digest(declared) else None,
                source=str(reference),
            )

        return await self._perform(_manifest_call("GET", reference, accepted={_OK}), consume)

    async def put_manifest(self, reference: Reference, manifest: Manifest) -> None:
        """Put a manifest under the tag (or the digest) of a reference. What it points to must be in the repository.

        Raises:
            FleetpacksError: see `get_manifest`.
        """

        async def consume(response: Response) -> None:
            await read(response, _LARGEST_REFUSAL, reference.host, cut=True)
            declared = response.header("docker-content-digest")
            if is_digest(declared) and declared != digest_of(manifest.body, declared):
                raise failures.broken(reference.host, f"it stored {reference} under {declared}, not {manifest.digest}")

        call = _Call(
            method="PUT",
            host=reference.host,
            path=f"/v2/{reference.path}/manifests/{reference.identifier}",
            scopes=(f"repository:{reference.path}:pull,push",),
            action=f"take {reference}",
            accepted=frozenset({_OK, _CREATED}),
            headers={"content-type": manifest.media_type},
            content=manifest.body,
        )
        await self._perform(call, consume)

    async def get_tags(self, reference: Reference) -> tuple[str, ...]:
        """All tags of a reference's repository, in the registry's order.

        Raises:
            FleetpacksError: see `get_manifest`; of a repository with more than `tags.MOST_TAGS` it is a ProtocolError.
        """

        async def consume(response: Response) -> tags.Page:
            body = await read(response, tags.LARGEST_PAGE, reference.host)
            return tags.page(body, response.headers("link"), reference)

        found: list[str] = []
        queries: set[str] = set()
        query: str | None = tags.first_query()
        while query is not None:
            queries.add(query)
            call = _Call(
                method="GET",
                host=reference.host,
                path=tags.path(reference, query),
                scopes=(f"repository:{reference.path}:pull",),
                action=f"list the tags of {reference.repository}",
                accepted=frozenset({_OK}),
                headers={},
            )
            page = await self._perform(call, consume)
            found += page.tags
            query = page.next_query
            if query in queries or len(found) > tags.MOST_TAGS or (query and not page.tags):
                raise failures.broken(reference.host, f"the list of tags of {reference.repository} has no end")
        return tuple(found)

    async def get_blob(self, reference: Reference, descriptor: Descriptor, sink: Sink) -> None:
        """Stream a blob of a reference's repository into a sink.

        Digest and size are verified at the end: what a sink got is worth nothing until this returns. A connection lost
        after the first byte is not tried again here, because the sink cannot forget.

        Raises:
            FleetpacksError: see `get_manifest`.
        """
        if not is_digest(descriptor.digest):
            raise failures.broken(reference.host, f"{reference} points to a blob without a digest that can be verified")

        async def consume(response: Response) -> None:
            hasher = hashlib.new(descriptor.digest.partition(":")[0])
            size = 0
            try:
                async for chunk in response:
                    size += len(chunk)
                    if size > descriptor.size:
                        break
                    hasher.update(chunk)
                    await sink(chunk)
            except LostError as error:
                if size == 0:
                    raise
                raise failures.unavailable(reference.host, call.action, str(error), answered=False) from None
            if size != descriptor.size or f"{hasher.name}:{hasher.hexdigest()}" != descriptor.digest:
                raise failures.broken(
                    reference.host, f"the bytes of blob {descriptor.digest} are not those of its digest and size"
                )

        call = _Call(
            method="GET",
            host=reference.host,
            path=f"/v2/{reference.path}/blobs/{descriptor.digest}",
            scopes=(f"repository:{reference.path}:pull",),
            action=f"read blob {descriptor.digest} of {reference.repository}",
            accepted=frozenset({_OK}),
            headers={},
        )
        await self._perform(call, consume)

    async def challenges(self, host: str) -> tuple[Challenge, ...]:
        """What a registry itself asks for; empty when it lets everyone in. Asked once.

        Raises:
            FleetpacksError: see `get_manifest`.
        """
        endpoint = await self._endpoint(host)
        async with self._locks.setdefault(f"challenges of {host}", anyio.Lock()):
            if host not in self._challenges:
                self._challenges[host] = await self._ask(endpoint, known=True)
            return self._challenges[host]

    async def token(self, host: str, *, realm: str, service: str, scopes: Scopes) -> Token:
        """A token for someone who works for us; the realm is checked by the rules of `hosts`, not against the registry.

        Raises:
            FleetpacksError: see `get_manifest`.
        """
        # Whoever asks may see a loopback that is not ours; only the scheme matters here, so nothing is tried out.
        endpoint = self._endpoints.get(host) or hosts.endpoints(host, self._registries)[0]
        return await self._auth.token(endpoint, scopes, realm=realm, service=service)

    async def _perform(self, call: _Call, consume: Consumer[_T]) -> _T:
        endpoint = await self._endpoint(call.host)

        async def refusal(status: int, body: bytes) -> FleetpacksError:
            return failures.refused(
                status=status,
                body=body,
                action=call.action,
                host=call.host,
                reading=call.reading,
                anonymous=await self._credentials.lookup(call.host) is None,
            )

        async def receive(response: Response) -> _T | _Challenged:
            if response.status in call.accepted:
                return await consume(response)
            body = await read(response, _LARGEST_REFUSAL, call.host, cut=True)
            if response.status == _UNAUTHORIZED:
                return _Challenged(_challenges(response), body)
            raise await refusal(response.status, body)

        header = await self._auth.header(endpoint, call.scopes)
        answer = await self._transport.exchange(_request(call, endpoint, header), receive)
        if isinstance(answer, _Challenged):
            header = await self._auth.answer(
                endpoint, call.scopes, answer.challenges, rejected=header, action=call.action
            )
            answer = await self._transport.exchange(_request(call, endpoint, header), receive)
        if isinstance(answer, _Challenged):
            raise await refusal(_UNAUTHORIZED, answer.body)
        return answer

    async def _endpoint(self, host: str) -> Endpoint:
        """How this registry is spoken with; where there are two ways, the first that welcomes us is kept."""
        known = self._endpoints.get(host)
        if known is not None:
            return known
        async with self._locks.setdefault(host, anyio.Lock()):
            if host not in self._endpoints:
                self._endpoints[host] = await self._choose(hosts.endpoints(host, self._registries))
            return self._endpoints[host]

    async def _choose(self, candidates: Sequence[Endpoint]) -> Endpoint:
        if len(candidates) > 1:
            for candidate in candidates:
                try:
                    self._challenges[candidate.host] = await self._ask(candidate, known=False)
                except NoAnswerError:
                    continue
                return candidate
        # Where none answers, the request itself says why.
        return candidates[0]

    async def _ask(self, endpoint: Endpoint, *, known: bool) -> tuple[Challenge, ...]:
        """What an endpoint asks for; one not known to be the registry's must welcome us at once (NoAnswerError)."""

        async def consume(response: Response) -> tuple[Challenge, ...]:
            await read(response, _LARGEST_REFUSAL, endpoint.host, cut=True)
            if not known and (response.scheme != endpoint.scheme or response.status not in _WELCOMES):
                raise NoAnswerError(f"{endpoint.base} is not where {endpoint.host} speaks", hint="")
            return _challenges(response) if response.status == _UNAUTHORIZED else ()

        request = Request(
            method="GET",
            url=f"{endpoint.base}/v2/",
            host=endpoint.host,
            action="be asked for its version",
            headers={},
        )
        return await self._transport.exchange(request, consume, repeat_lost=known)


def _manifest_call(method: str, reference: Reference, *, accepted: set[int]) -> _Call:
    return _Call(
        method=method,
        host=reference.host,
        path=f"/v2/{reference.path}/manifests/{reference.identifier}",
        scopes=(f"repository:{reference.path}:pull",),
        action=f"read {reference}",
        accepted=frozenset(accepted),
        headers={"accept": ", ".join(ACCEPTED)},
    )


def _request(call: _Call, endpoint: Endpoint, authorization: str | None) -> Request:
    headers = dict(call.headers)
    if authorization is not None:
        headers["authorization"] = authorization
    return Request(
        method=call.method,
        url=f"{endpoint.base}{call.path}",
        host=call.host,
        action=call.action,
        headers=headers,
        content=call.content,
    )


def _challenges(response: Response) -> tuple[Challenge, ...]:
    return challenges.parse(response.headers("www-authenticate"))
