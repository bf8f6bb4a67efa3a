"""Image references by the grammar of the distribution project.

`[host[:port]/]path[:tag][@digest]`, made explicit: a missing host is Docker Hub, and one word there means `library/`.
The grammar is github.com/distribution/reference (v0.6); two things are stricter here: a digest must be one that can be
verified (sha256, sha512), and hosts are folded to lower case, because names of hosts are equal in any case.
"""

import re

import msgspec

from orchestrator.errors import UsageError

DOCKER_HUB = "docker.io"
DEFAULT_TAG = "latest"

_LONGEST_PATH = 255
_LONGEST_HOST = 255
_HIGHEST_PORT = 65535
_LONGEST_SHOWN = 120

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = re.compile(rf"({_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::([0-9]{{1,5}}))?")
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128}")
_BARE_ID = re.compile(r"[a-f0-9]{64}")

_HINT = "write it as [HOST[:PORT]/]NAME[:TAG][@sha256:DIGEST], in lower case, like registry.example/team/api:1.2"


class InvalidReferenceError(UsageError):
    """A text is not an image reference."""


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """The name of an image, with the registry always explicit. Made by `parse`, which checks every part."""

    host: str
    """Registry host, with its port when it has one, in lower case; Docker Hub is `docker.io`."""
    path: str
    tag: str | None = None
    digest: str | None = None

    @property
    def repository(self) -> str:
        """The name without tag and digest: `registry.example/team/api`."""
        return f"{self.host}/{self.path}"

    @property
    def identifier(self) -> str:
        """What a manifest is asked for by: the digest, else the tag, else `latest`."""
        return self.digest or self.tag or DEFAULT_TAG

    def with_tag(self, tag: str) -> "Reference":
        """The same repository under a tag, without digest.

        Raises:
            InvalidReferenceError: the tag is none.
        """
        if not _TAG.fullmatch(tag):
            raise _invalid(
                f"{self.repository}:{tag}", "a tag is 1 to 128 of [A-Za-z0-9_.-] and begins with none of '.-'"
            )
        return Reference(host=self.host, path=self.path, tag=tag)

    def with_digest(self, digest: str) -> "Reference":
        """The same repository at a digest, without tag.

        Raises:
            InvalidReferenceError: the digest is none that can be verified.
        """
        if not _DIGEST.fullmatch(digest):
            raise _invalid(
                f"{self.repository}@{digest}", "a digest is sha256: and 64, or sha512: and 128 lower-case hex"
            )
        return Reference(host=self.host, path=self.path, digest=digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.repository}{tag}{digest}"


def is_digest(text: str) -> bool:
    """Whether a text is a digest of an algorithm that can be verified."""
    return _DIGEST.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    """Whether a text can be a tag."""
    return _TAG.fullmatch(text) is not None


def parse(text: str) -> Reference:
    """Read an image reference.

    Raises:
        InvalidReferenceError: with the part that is wrong.
    """
    if _BARE_ID.fullmatch(text):
        raise _invalid(text, "64 hexadecimal digits alone are an image ID, not a name")
    rest, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise _invalid(text, "a digest is sha256: and 64, or sha512: and 128 lower-case hex digits")
    first, slash, remainder = rest.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        host, rest = _host(text, first), remainder
    else:
        host = DOCKER_HUB
    path, colon, tag = rest.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise _invalid(text, "a tag is 1 to 128 of [A-Za-z0-9_.-] and begins with neither '.' nor '-'")
    if host == DOCKER_HUB and path and "/" not in path:
        path = f"library/{path}"
    _check_path(text, path)
    return Reference(host=host, path=path, tag=tag or None, digest=digest or None)


def _host(text: str, host: str) -> str:
    match = _HOST.fullmatch(host)
    if match is None or len(host) > _LONGEST_HOST:
        raise _invalid(text, "the part before the first '/' is not a host name or address")
    port: str | None = match[2]
    if port is not None and not 0 < int(port) <= _HIGHEST_PORT:
        raise _invalid(text, f"the port must be between 1 and {_HIGHEST_PORT}")
    folded = host.lower()
    return DOCKER_HUB if folded == "index.docker.io" else folded


def _check_path(text: str, path: str) -> None:
    if not path:
        raise _invalid(text, "the name is empty")
    if path != path.lower():
        raise _invalid(text, "the name must be in lower case")
    if len(path) > _LONGEST_PATH:
        raise _invalid(text, f"the name is longer than {_LONGEST_PATH} characters")
    if not _PATH.fullmatch(path):
        raise _invalid(text, "each part of a name is [a-z0-9] words joined by one '.', one or two '_', or '-'")


def _invalid(text: str, reason: str) -> InvalidReferenceError:
    shown = text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
    return InvalidReferenceError(f"{shown!r} is not an image reference: {reason}", hint=_HINT)
