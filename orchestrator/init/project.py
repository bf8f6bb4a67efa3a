"""What is known of a project when its CI and cluster files are written. Values, and rules without any input."""

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Final, Literal
from urllib.parse import parse_qsl, urlsplit

import msgspec

from orchestrator.model import Mirror
from orchestrator.registry import reference

_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_HERE = ("unix:", "docker:///")
"""How addresses begin that name sockets of the machine which builds are started on."""
_FILES = ("cacert", "cert", "key")
_NOT_IN_LABELS = re.compile(r"[^a-z0-9]+")
_LONGEST_LABEL = 40
"""Of the 63 that a label has (RFC 1123), so that there is room for what a cluster appends."""
_LONGEST_CHOICE = 100

CACHE_DIRECTORY: Final = "/var/cache/fleetpacks"
"""Where a runner of one's own keeps what outlives a job."""
BUILDKIT: Final = "moby/buildkit:v0.30.0"
"""The version that the tests build with."""


class Builder(msgspec.Struct, frozen=True, kw_only=True):
    """A builder, as an operator's file names it."""

    url: str
    slots: int | None = None
    memory: int | None = None
    """Bytes."""

    @property
    def is_here(self) -> bool:
        """Whether its address means another daemon on each machine."""
        return self.url.startswith(_HERE) or _is_loopback(urlsplit(self.url).hostname or "")

    @property
    def is_behind_sshd(self) -> bool:
        """Whether SSH leads to it."""
        return self.url.startswith("ssh:")

    @property
    def key_files(self) -> tuple[str, ...]:
        """The files of its address's TLS, which are on the machine that it was written on."""
        query = [] if self.is_behind_sshd else parse_qsl(urlsplit(self.url).query)
        return tuple(path for name, path in query if name in _FILES)


class AppFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An app."""

    name: str
    path: str
    """The directory that it is found in, or whose Compose file names it."""


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration and the plan say."""

    name: str
    """Of the root's directory."""
    version: str
    """Of fleetpacks."""
    package: str
    """What pip installs to have fleetpacks: a requirement of one word."""
    tool: str | None = None
    """The image that has fleetpacks in it; None: nobody named one."""
    branch: str
    """Whose images are `latest`."""
    repository: str | None = None
    """Where git fetches the source; None: it says nothing of the kind."""
    apps: tuple[AppFacts, ...]
    image: str | None = None
    """Where images go, as a person or a file said it; None: where the platform has its packages."""
    builders: tuple[Builder, ...] = ()
    entitlements: tuple[str, ...] = ()
    hedge: float | None = None
    jobs: int | None = None
    cache: str | None = None
    """Where layer caches are written; None: nobody said."""
    cache_from: tuple[str, ...] = ()
    cache_insecure: bool = False
    local: str | None = None
    """The directory of layer caches."""
    local_size: int = 0
    mounts: str | None = None
    """The directory of package caches."""
    mounts_size: int = 0
    insecure: tuple[str, ...] = ()
    """Registries that speak plain HTTP."""
    images: Mapping[str, str] = {}
    """Where images of a registry are looked for first, by its host."""
    secrets: tuple[str, ...] = ()
    """Those that apps declare."""
    mirrors: tuple[Mirror, ...] = ()
    ssh: tuple[str, ...] = ()
    """Ids of agents."""
    hub: str | None = None
    """The mirror of Docker Hub."""
    dhi: str | None = None
    """That of hardened images."""
    hardened: bool = False
    bases: tuple[str, ...] = ()
    """The images that builds begin with."""

    @property
    def elsewhere(self) -> tuple[Builder, ...]:
        """The builders that any machine reaches by the same address."""
        return tuple(each for each in self.builders if not each.is_here)

    @property
    def choices(self) -> tuple[str, ...]:
        """The directories a person may choose from; empty: too many to choose."""
        paths = sorted({app.path for app in self.apps} - {"."})
        return (".", *paths) if len(paths) < _LONGEST_CHOICE else ()


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A generated file."""

    path: str
    """Where it belongs: POSIX, relative to the root."""
    text: str
    mode: int = 0o644


class Generated(msgspec.Struct, frozen=True, kw_only=True):
    """What a generator made."""

    files: tuple[File, ...]
    warnings: tuple[str, ...] = ()
    """What has to be done by hand, or could not be taken over."""


Target = Literal["github", "gitlab", "kubernetes", "shipwright", "runner"]


def label(text: str) -> str:
    """A name as labels of DNS are, which everything in a cluster has for a name (RFC 1123)."""
    return _NOT_IN_LABELS.sub("-", text.lower())[:_LONGEST_LABEL].strip("-") or "project"


def registry_of(image: str) -> str:
    """The registry that an image's template names; placeholders may stand in it anywhere but there.

    Raises:
        InvalidReferenceError: it is no image.
    """
    return reference.parse(_PLACEHOLDER.sub("x", image)).host


def fixed(image: str) -> str:
    """The parts of an image's name that are the same for all apps: `registry.example/shop/{app}:1` -> `.../shop`."""
    host, _, path = image.partition("/")
    name = path.partition("@")[0].partition(":")[0]
    return "/".join([host, *(part for part in name.split("/") if part and not _PLACEHOLDER.search(part))])


def cache_beside(image: str) -> str:
    """Where layer caches go when only the images' place is known."""
    return f"{fixed(image)}/cache"


def files_needed(builders: Iterable[Builder]) -> tuple[str, ...]:
    """What has to be told of builders whose keys are files: those are not in what is generated."""
    return tuple(
        f"put these files where jobs run, as {each.url.partition('?')[0]} needs them: {', '.join(each.key_files)}"
        for each in builders
        if each.key_files
    )


def mirror_variable(mirror: Mirror) -> str | None:
    """The variable that holds a mirror's address where files of the operator's machine are not; None: it is known."""
    if mirror.url is not None:
        return None
    return mirror.env or f"{mirror.name.upper()}_MIRROR"


def values(project: Project) -> Mapping[str, str]:
    """Variables that the platform's store of secrets has to give: by name, what for."""
    found = {name: f"the secret {name} of the apps" for name in project.secrets}
    for mirror in project.mirrors:
        if (variable := mirror_variable(mirror)) is not None:
            found[variable] = f"the address of the mirror of {mirror.name}"
    if project.hardened:
        found |= {"DHI_USERNAME": "the login for hardened images", "DHI_PASSWORD": "its password"}
    return found


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
