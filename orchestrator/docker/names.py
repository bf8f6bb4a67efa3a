"""Names of images, as an engine's API takes them: in paths and queries of URLs, where nothing else may stand."""

import re

import msgspec

from orchestrator.errors import UsageError

_HOST = r"(?:localhost|\[[0-9a-fA-F:]+\]|[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)+|[a-zA-Z0-9-]+(?=:))(?::[0-9]{1,5})?"
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_DIGEST = r"sha256:[0-9a-f]{64}"
_REFERENCE = re.compile(
    rf"(?P<repository>(?P<host>{_HOST})/{_PART}(?:/{_PART})*)(?::(?P<tag>\w[\w.-]{{0,127}}))?(?:@(?P<digest>{_DIGEST}))?",
    re.ASCII,
)
_ID = re.compile(_DIGEST)
_LONGEST_SHOWN = 120


class Name(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of an image's reference."""

    host: str
    repository: str
    """With the host."""
    tag: str | None
    digest: str | None


def split(reference: str) -> Name:
    """Read a reference whose host is explicit: `docker.io/library/node:22`, `registry.example:5000/api@sha256:...`.

    Raises:
        UsageError: it is none.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise _refused(reference, "expected HOST[:PORT]/NAME[:TAG][@sha256:DIGEST]")
    return Name(host=match["host"], repository=match["repository"], tag=match["tag"], digest=match["digest"])


def tagged(reference: str) -> tuple[Name, str]:
    """Read a reference that ends with a tag.

    Raises:
        UsageError: it is none, or has none.
    """
    name = split(reference)
    if name.tag is None or name.digest is not None:
        raise _refused(reference, "expected HOST[:PORT]/NAME:TAG")
    return name, name.tag


def image(text: str) -> str:
    """Check what names an image on the engine: a reference, or an image's id, `sha256:...`.

    Raises:
        UsageError: it is neither.
    """
    if not _ID.fullmatch(text):
        split(text)
    return text


def _refused(text: str, expected: str) -> UsageError:
    shown = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
    return UsageError(f"{shown!r} is not an image's name: {expected}", hint="such as docker.io/library/node:22")
