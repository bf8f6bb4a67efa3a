"""Listing tags: pages, and registries that give nonsense or have no end."""

import json
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import ImageNotFoundError, ProtocolError
from orchestrator.registry import tags
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.reference import is_tag, parse
from tests.registry.server import Answer, Fault, Server, running

PATH = "/v2/library/node/tags/list"


def page(names: object, link: str | None = None) -> Fault:
    headers = (("link", link),) if link else ()
    return Fault(path="/tags/list", answer=Answer(headers=headers, body=json.dumps({"tags": names}).encode()))


async def listed(*faults: Fault) -> tuple[tuple[str, ...], list[str]]:
    """The tags that a registry with these pages is heard to have, and the addresses that it was asked for."""
    async with asking(*faults) as (server, answer):
        found = await answer
        return found, [seen.target for seen in server.requests("GET", "/tags/list")]


@asynccontextmanager
async def asking(*faults: Fault) -> AsyncGenerator[tuple[Server, Awaitable[tuple[str, ...]]]]:
    """A registry with these pages, and what its tags will be."""
    async with running(Server()) as server, RegistryClient(Credentials(None), {}) as client:
        server.faults += faults
        yield server, client.get_tags(parse(f"{server.host}/library/node"))


async def test_pages_are_followed_by_their_query_alone() -> None:
    found, asked = await listed(
        page(["22.16.0", "22"], '</v2/library/node/tags/list?last=22&n=2>; rel="next"'),
        page(["23"], "<http://elsewhere.example/steal?last=23&n=2&next_page=a%2Fb>; rel=next"),
        page(["24", "-bad", "a\nb", ""]),
    )

    assert found == ("22.16.0", "22", "23", "24")
    assert asked == [f"{PATH}?n=1000", f"{PATH}?last=22&n=2", f"{PATH}?last=23&n=2&next_page=a%2Fb"]


async def test_a_repository_without_tags_has_none() -> None:
    found, _ = await listed(page(None))

    assert found == ()


async def test_a_repository_that_is_not_there_is_not_found() -> None:
    async with asking() as (_, answer):
        with pytest.raises(ImageNotFoundError, match=r"list the tags of .*/library/node"):
            await answer


@pytest.mark.parametrize(
    "faults",
    [
        (page(["1"], '</v2/x?last=1>; rel="next"'), page(["1"], '</v2/x?last=1>; rel="next"')),
        (page([], '</v2/x?last=1>; rel="next"'),),
    ],
    ids=["in a circle", "without a tag"],
)
async def test_a_list_without_an_end_is_refused(faults: tuple[Fault, ...]) -> None:
    async with asking(*faults) as (_, answer):
        with pytest.raises(ProtocolError, match="has no end"):
            await answer


async def test_more_tags_than_anybody_has_are_refused() -> None:
    async with asking(page([f"1.{number}" for number in range(tags.MOST_TAGS + 1)])) as (_, answer):
        with pytest.raises(ProtocolError, match="has no end"):
            await answer


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"tags": [1]}', b'{"tags": "22"}', b'{"tags":' + b"[" * 20_000, b"\xff"]
)
async def test_what_is_no_list_of_tags_is_a_protocol_error(body: bytes) -> None:
    async with asking(Fault(path="/tags/list", answer=Answer(body=body))) as (_, answer):
        with pytest.raises(ProtocolError, match="list of tags of"):
            await answer


@given(body=st.binary(max_size=200), links=st.lists(st.text(max_size=80), max_size=3))
def test_no_answer_breaks_the_reader(body: bytes, links: list[str]) -> None:
    reference = parse("registry.example/library/node")

    for each in (body, b'{"tags":["1"]}'):
        try:
            read = tags.page(each, links, reference)
        except ProtocolError:
            continue
        assert all(map(is_tag, read.tags))
        assert read.next_query is None or tags.path(reference, read.next_query).isascii()
