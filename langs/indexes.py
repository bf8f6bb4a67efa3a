"""Package indexes that the operator has a mirror of: how tools are told, in the steps that ask them and nowhere else.

One index may have several tools: what Maven Central has, Gradle, sbt, Leiningen and the Clojure CLI fetch, too.

An address may hold a password, so that it reaches a step as a secret does: as a file that is there while the step runs.
Tools that read a variable get the file's content in it, the others read the file. Neither stands in the text of the
Dockerfile, so that another mirror makes no other layer, and nothing of it is in an image or in its history.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

import msgspec

from langs.errors import LangError

_PREFIX: Final = "fleetpacks-index-"
_ADDRESS: Final = re.compile(r"https?://[!#-;=?-\[\]-~]{1,2000}", re.ASCII)
"""No blank, quote, backslash or angle bracket, which end a value in one of the files below."""
_CENTRAL: Final = r"https?://(repo1\\.maven\\.org|repo\\.maven\\.apache\\.org)/maven2/?"
"""Maven Central's addresses, as a pattern in a string of Groovy."""
_IVY: Final = (
    "typesafe-ivy-releases: https://repo.typesafe.com/typesafe/ivy-releases/, "
    "[organization]/[module]/[revision]/[type]s/[artifact](-[classifier]).[ext], bootOnly"
)
_SOURCES: Final = "/run/apt-mirror"
_NPMRC: Final = "/root/.npmrc"


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """How the tools of one index, or one of them, are told where it is.

    Attributes:
        name: what the operator calls the index.
        content: makes the secret's content of the address.
        tool: what languages call the tool, where it is not the index's only one.
        target: where the tool reads the file; None: at the secret's usual place.
        variables: what the step's shell exports; None as a value means the file's content.
        scratch: a directory in memory, which the step has beside it.
        before: the commands that make of both what the tool reads.
    """

    name: str
    content: Callable[[str], str]
    tool: str = ""
    target: str | None = None
    variables: Mapping[str, str | None] = {}
    scratch: str | None = None
    before: str = ""

    @property
    def key(self) -> str:
        """What languages call it."""
        return self.tool or self.name

    @property
    def secret(self) -> str:
        """The secret's id."""
        return f"{_PREFIX}{self.key}"

    @property
    def mounts(self) -> tuple[str, ...]:
        """The options of a RUN that sees it."""
        place = f",target={self.target}" if self.target else ""
        secret = f"--mount=type=secret,id={self.secret}{place},required=true"
        return (secret, f"--mount=type=tmpfs,target={self.scratch}") if self.scratch else (secret,)

    @property
    def exports(self) -> str:
        """What stands before the command, each part with the `&&` that follows it."""
        file = self.target or f"/run/secrets/{self.secret}"
        return self.before + "".join(
            f'export {name}="$(cat {file})" && ' if value is None else f"export {name}={value} && "
            for name, value in self.variables.items()
        )


def _plain(address: str) -> str:
    return address


def _npm(address: str) -> str:
    # What npm writes down of an address, in its cache for one, is the whole of it: a login stands apart. Yarn's later
    # versions, Corepack and Bun have the comment.
    plain, user, password = _login(address)
    scheme, _, place = plain.rstrip("/").partition("://")
    # npm looks for the login of a URL as browsers write it (docs.npmjs.com: npmrc, "Auth related configuration").
    host, slash, path = place.partition("/")
    host = host.lower().removesuffix(":443" if scheme == "https" else ":80")
    login = b64encode(f"{user}:{password}".encode()).decode()
    said = f"//{host}{slash}{path}/:_auth={login}\n" if user or password else ""
    return f"registry={plain}\n{said};address={address}\n"


def _cargo(address: str) -> str:
    # A sparse index must end in a slash (doc.rust-lang.org/cargo/reference/registry-index.html).
    sparse = f"sparse+{address.rstrip('/')}/"
    return '[source.crates-io]\nreplace-with = "mirror"\n\n[source.mirror]\n' + f"registry = {_json(sparse)}\n"


def _maven(address: str) -> str:
    plain, user, password = _login(address)
    server = f"<username>{_xml(user)}</username><password>{_xml(password)}</password>"
    servers = f"<servers><server><id>mirror</id>{server}</server></servers>" if user else ""
    return (
        f'<settings xmlns="http://maven.apache.org/SETTINGS/1.0.0">{servers}<mirrors><mirror><id>mirror</id>'
        f"<mirrorOf>central</mirrorOf><url>{_xml(plain)}</url></mirror></mirrors></settings>\n"
    )


def _gradle(address: str) -> str:
    # An initialization script: docs.gradle.org/current/userguide/init_scripts.html. Settings know plugins' repositories
    # since 3.5, and all projects' since 6.8; what an older Gradle does not know is passed over.
    plain, user, password = _login(address)
    login = f"it.credentials {{ username = {_groovy(user)}; password = {_groovy(password)} }}" if user else ""
    insecure = "try { it.allowInsecureProtocol = true } catch (MissingPropertyException ignored) { }"
    return (
        "def mirrored = { repositories -> repositories.all {\n"
        "  if (!(it instanceof org.gradle.api.artifacts.repositories.MavenArtifactRepository)) return\n"
        "  if (!(it.url.toString() ==~ '" + _CENTRAL + "')) return\n"
        f"  it.url = {_groovy(plain)}\n"
        f"  {insecure if plain.startswith('http:') else ''}\n"
        f"  {login}\n"
        "} }\n"
        "settingsEvaluated { settings ->\n"
        "  mirrored(settings.buildscript.repositories)\n"
        "  try { mirrored(settings.pluginManagement.repositories) } catch (MissingPropertyException ignored) { }\n"
        "  try { mirrored(settings.dependencyResolutionManagement.repositories) }"
        " catch (MissingPropertyException ignored) { }\n"
        "}\n"
        "allprojects { mirrored(it.buildscript.repositories); mirrored(it.repositories) }\n"
    )


def _sbt(address: str) -> str:
    # www.scala-sbt.org/1.x/docs/Proxy-Repositories.html, with what the launcher knows
    # by itself. A comma ends an address.
    plain = address.replace(",", "%2C")
    insecure = ", allowInsecureProtocol" if plain.startswith("http:") else ""
    return f"[repositories]\n  local\n  mirror: {plain}{insecure}\n  {_IVY}\n"


def _leiningen(address: str) -> str:
    # Strings of EDN are JSON's. The name is that of the repository which Leiningen knows by itself.
    plain, user, password = _login(address)
    login = f" :username {_json(user)} :password {_json(password)}" if user else ""
    return f'{{:user {{:mirrors {{"central" {{:name "mirror" :url {_json(plain)}{login}}}}}}}}}\n'


def _apt(address: str) -> str:
    # A script for sed, between quotes, which no address holds; `&` would mean what was found.
    base = address.rstrip("/").replace("&", "\\&")
    return f's"https\\{{0,1\\}}://deb\\.debian\\.org/"{base}/"g\n'


def _login(address: str) -> tuple[str, str, str]:
    """An address without its login, then the login, each empty where there is none."""
    scheme, _, rest = address.partition("://")
    authority, slash, path = rest.partition("/")
    login, at, host = authority.rpartition("@")
    user, _, password = login.partition(":")
    return (f"{scheme}://{host}{slash}{path}", unquote(user), unquote(password)) if at else (address, "", "")


def _nuget(address: str) -> str:
    return (
        '<configuration><packageSources><clear /><add key="mirror" '
        f'value="{_xml(address)}" /></packageSources></configuration>\n'
    )


def _composer(address: str) -> str:
    mirror = {"type": "composer", "url": address}
    return _json({"repositories": [mirror, {"packagist.org": False}]}) + "\n"


def _json(value: object) -> str:
    import json  # noqa: PLC0415 -- start-up counts: configuration knows the names, and most operators have no mirrors

    return json.dumps(value)


def _xml(text: str) -> str:
    return text.replace("&", "&amp;").replace("'", "&apos;").replace("<", "&lt;").replace(">", "&gt;")


def _groovy(text: str) -> str:
    """A string of Groovy in which nothing is evaluated: between single quotes, else as in JSON."""
    return "'" + _json(text)[1:-1].replace("'", "\\'") + "'"


_ALL: Final = (
    # npm, yarn 1, yarn's later versions, Corepack; pnpm, Bun and Deno read npm's.
    Index(
        name="npm",
        content=_npm,
        target=_NPMRC,
        variables={
            "NPM_CONFIG_REGISTRY": f'"$(sed -n s/^registry=//p {_NPMRC})"',
            # Yarn 1 takes npm's address and login, and sends the latter only where it is told to.
            "YARN_ALWAYS_AUTH": "true",
            **dict.fromkeys(
                # Bun drops a login of npm's where $NPM_CONFIG_REGISTRY is set, and asks this one first.
                ("BUN_CONFIG_REGISTRY", "YARN_REGISTRY", "YARN_NPM_REGISTRY_SERVER", "COREPACK_NPM_REGISTRY"),
                f'"$(sed -n "s/^;address=//p" {_NPMRC})"',
            ),
        },
    ),
    Index(
        name="pypi",
        content=_plain,
        variables=dict.fromkeys(("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "PIPENV_PYPI_MIRROR", "PDM_PYPI_URL")),
    ),
    Index(name="go", content=_plain, variables={"GOPROXY": None}),
    Index(name="maven", content=_maven, variables={"MAVEN_ARGS": f"--settings=/run/secrets/{_PREFIX}maven"}),
    Index(name="maven", tool="gradle", content=_gradle, target="/var/cache/gradle/init.d/fleetpacks-mirror.gradle"),
    Index(
        name="maven",
        tool="sbt",
        content=_sbt,
        variables={"SBT_OPTS": f'"-Dsbt.repository.config=/run/secrets/{_PREFIX}sbt $SBT_OPTS"'},
    ),
    Index(name="maven", tool="leiningen", content=_leiningen, target="/root/.lein/profiles.clj"),
    # It reads Maven's own file.
    Index(name="maven", tool="tools-deps", content=_maven, target="/root/.m2/settings.xml"),
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
    # apt knows no mirror of its own: it gets copies of the image's sources, which are gone after the step.
    Index(
        name="apt",
        content=_apt,
        # What runs in the image's own stage stands in its history: its words are of no index.
        target=f"{_SOURCES}.sed",
        scratch=_SOURCES,
        before=f"mkdir {_SOURCES}/parts && for file in /etc/apt/sources.list /etc/apt/sources.list.d/*; do"
        f' [ ! -f "$file" ] || sed -f {_SOURCES}.sed "$file" > "{_SOURCES}/parts/${{file##*/}}"'
        """ || exit 1; done && printf 'Dir::Etc::SourceList "/dev/null";\\nDir::Etc::SourceParts"""
        f""" "{_SOURCES}/parts";\\n' > {_SOURCES}/conf && """,
        variables={"APT_CONFIG": f"{_SOURCES}/conf"},
    ),
)
INDEXES: Final[Mapping[str, Index]] = MappingProxyType({index.key: index for index in _ALL})
"""By what languages call them."""
NAMES: Final = tuple(dict.fromkeys(index.name for index in _ALL))
"""What the operator calls them."""

ORIGINS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "apt": "http://deb.debian.org",
        "pypi": "https://pypi.org/simple",
        "npm": "https://registry.npmjs.org",
        "go": "https://proxy.golang.org",
        "maven": "https://repo.maven.apache.org/maven2",
    }
)
"""Where those are that base images are made of, by name, when there is no mirror."""

DISTRIBUTION: Final = "debian"
"""The directory of `apt` in which the distribution is."""


def content(key: str, address: str) -> bytes:
    """What the secret of the index `key` holds when it is to be asked at `address`.

    Raises:
        LangError: it is no address of HTTP.
    """
    if not _ADDRESS.fullmatch(address):
        # Never the address itself: it may hold a password.
        raise LangError(
            f"the mirror of {INDEXES[key].name}: expected an http or https URL",
            hint="As in https://mirror.example/npm.",
        )
    return INDEXES[key].content(address).encode()


def mirrored(wanted: Iterable[str], asked: Iterable[str]) -> tuple[Index, ...]:
    """Those of `asked`, by the keys that a language's steps ask, for which the operator has a mirror."""
    wanted = frozenset(wanted)
    return tuple(INDEXES[key] for key in asked if INDEXES[key].name in wanted)


def used(text: str, wanted: Iterable[str]) -> tuple[str, ...]:
    """The keys of those that a generated Dockerfile asks."""
    wanted = frozenset(wanted)
    return tuple(key for key, index in INDEXES.items() if index.name in wanted and f"id={index.secret}," in text)
