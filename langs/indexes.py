"""Package indexes that the operator has a mirror of: how tools are told, in the steps that ask them and nowhere else.

An address may hold a password, so that it reaches a step as a secret does: as a file that is there while the step runs.
Tools that read a variable get the file's content in it, the others read the file. Neither stands in the text of the
Dockerfile, so that another mirror makes no other layer, and nothing of it is in an image or in its history.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from langs.errors import LangError

_PREFIX: Final = "fleetpacks-index-"
_ADDRESS: Final = re.compile(r"https?://[!#-;=?-\[\]-~]{1,2000}", re.ASCII)
"""No blank, quote, backslash or angle bracket, which end a value in one of the files below."""


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """How the tools of one index are told where it is.

    Attributes:
        name: what the operator calls it.
        content: makes the secret's content of the address.
        target: where the tool reads the file; None: at the secret's usual place.
        variables: what the step's shell exports; None as a value means the file's content.
    """

    name: str
    content: Callable[[str], str]
    target: str | None = None
    variables: Mapping[str, str | None] = {}

    @property
    def secret(self) -> str:
        """The secret's id."""
        return f"{_PREFIX}{self.name}"

    @property
    def mount(self) -> str:
        """The option of a RUN that sees it."""
        place = f",target={self.target}" if self.target else ""
        return f"--mount=type=secret,id={self.secret}{place},required=true"

    @property
    def exports(self) -> str:
        """What stands before the command, each variable with the `&&` that follows it."""
        file = self.target or f"/run/secrets/{self.secret}"
        return "".join(
            f'export {name}="$(cat {file})" && ' if value is None else f"export {name}={value} && "
            for name, value in self.variables.items()
        )


def _plain(address: str) -> str:
    return address


def _cargo(address: str) -> str:
    # A sparse index must end in a slash (doc.rust-lang.org/cargo/reference/registry-index.html).
    sparse = f"sparse+{address.rstrip('/')}/"
    return '[source.crates-io]\nreplace-with = "mirror"\n\n[source.mirror]\n' + f"registry = {json.dumps(sparse)}\n"


def _maven(address: str) -> str:
    return (
        '<settings xmlns="http://maven.apache.org/SETTINGS/1.0.0"><mirrors><mirror><id>mirror</id>'
        f"<mirrorOf>central</mirrorOf><url>{_xml(address)}</url></mirror></mirrors></settings>\n"
    )


def _nuget(address: str) -> str:
    return (
        '<configuration><packageSources><clear /><add key="mirror" '
        f'value="{_xml(address)}" /></packageSources></configuration>\n'
    )


def _composer(address: str) -> str:
    mirror = {"type": "composer", "url": address}
    return json.dumps({"repositories": [mirror, {"packagist.org": False}]}) + "\n"


def _xml(text: str) -> str:
    return text.replace("&", "&amp;").replace("'", "&apos;")


_ALL: Final = (
    # npm, yarn 1, yarn's later versions, Corepack; pnpm, Bun and Deno read npm's.
    Index(
        name="npm",
        content=_plain,
        variables=dict.fromkeys(
            ("NPM_CONFIG_REGISTRY", "YARN_REGISTRY", "YARN_NPM_REGISTRY_SERVER", "COREPACK_NPM_REGISTRY")
        ),
    ),
    Index(
        name="pypi",
        content=_plain,
        variables=dict.fromkeys(("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "PIPENV_PYPI_MIRROR", "PDM_PYPI_URL")),
    ),
    Index(name="go", content=_plain, variables={"GOPROXY": None}),
    Index(name="maven", content=_maven, variables={"MAVEN_ARGS": f"--settings=/run/secrets/{_PREFIX}maven"}),
    Index(name="crates", content=_cargo, target="/usr/local/cargo/config.toml"),
    Index(name="rubygems", content=_plain, variables={"BUNDLE_MIRROR__ALL": None}),
    Index(
        name="composer",
        content=_composer,
        target="/run/composer/config.json",
        variables={"COMPOSER_HOME": "/run/composer"},
    ),
    Index(name="nuget", content=_nuget, target="/root/.nuget/NuGet/NuGet.Config"),
    Index(name="hex", content=_plain, variables={"HEX_MIRROR": None}),
)
INDEXES: Final[Mapping[str, Index]] = MappingProxyType({index.name: index for index in _ALL})
NAMES: Final = tuple(INDEXES)


def content(name: str, address: str) -> bytes:
    """What the secret of the index `name` holds when it is to be asked at `address`.

    Raises:
        LangError: it is no address of HTTP.
    """
    if not _ADDRESS.fullmatch(address):
        # Never the address itself: it may hold a password.
        raise LangError(
            f"the mirror of {name}: expected an http or https URL", hint="As in https://mirror.example/npm."
        )
    return INDEXES[name].content(address).encode()


def mirrored(wanted: Iterable[str], asked: Iterable[str]) -> tuple[Index, ...]:
    """Those of `asked`, the indexes that a language's steps ask, for which the operator wants a mirror asked."""
    wanted = frozenset(wanted)
    return tuple(INDEXES[name] for name in asked if name in wanted)


def used(text: str, wanted: Iterable[str]) -> tuple[str, ...]:
    """The names of those that a generated Dockerfile asks."""
    return tuple(name for name in wanted if f"id={INDEXES[name].secret}," in text)
