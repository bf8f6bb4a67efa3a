"""Listing a repository's tags, page by page: what is asked, and what an answer means.

OCI distribution specification 1.1, "Listing Tags". The address of a next page is the registry's to give, in a `Link`
header; only its query is taken, so that it leads nowhere else. All of it is bounded: a repository of a busy project has
ten thousand tags, and one made to be endless has no end.
"""

import re
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode

import msgspec

from orchestrator.registry import failures
from orchestrator.registry.reference import Reference, is_tag

LARGEST_PAGE = 8 * 1024 * 1024
"""Bytes; Microsoft's registry knows no pages and gives thousands of tags at once."""
MOST_TAGS = 100_000
_PAGE = 1000
_NEXT = re.compile(r'<([^<>]{1,2000})>\s*;[^<>,]{0,200}\brel\s*=\s*"?next"?(?=[\s;,]|$)', re.IGNORECASE)


class _Answer(msgspec.Struct, frozen=True):
    tags: tuple[str, ...] | None = None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One page of tags."""

    tags: tuple[str, ...]
    next_query: str | None
    """What to ask for after it; None after the last."""


def first_query() -> str:
    """What to ask for first."""
    return urlencode({"n": _PAGE})


def path(reference: Reference, query: str) -> str:
    """The path of one page."""
    return f"/v2/{reference.path}/tags/list?{query}"


def page(body: bytes, links: Sequence[str], reference: Reference) -> Page:
    """Read one page; what is no legal tag is left out.

    Args:
        body: the answer.
        links: its `Link` headers.
        reference: the repository.

    Raises:
        ProtocolError: it is no list of tags.
    """
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except (msgspec.DecodeError, RecursionError) as error:
        reason = f"the list of tags of {reference.repository} is none: {error}"
        raise failures.broken(reference.host, reason) from None
    found = next((match[1] for link in links if (match := _NEXT.search(link))), None)
    query = urlencode(parse_qsl(found.partition("?")[2].partition("#")[0])) if found else ""
    return Page(tags=tuple(filter(is_tag, answer.tags or ())), next_query=query or None)
