"""The values that pass between detection, versions, plans and templates. All frozen."""

from collections.abc import Mapping

import msgspec


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A resolved version and the place that stated it."""

    value: str
    source: str
    """For people: `.nvmrc`, `go.mod toolchain`, `$NODE_VERSION`, `fleetpacks.toml`, `default`."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One file that spoke for a language, and why."""

    file: str
    reason: str


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """One process type of an app: `web`, `release`, a worker."""

    name: str
    command: str


class Detection(msgspec.Struct, frozen=True, kw_only=True):
    """What an app's directory was recognised as."""

    language: str
    evidence: tuple[Evidence, ...]
    package_manager: str | None = None
    is_app: bool = True
    """False for a library, a workspace root or a tool configuration: it starts nothing."""
    considered: tuple[str, ...] = ()
    """The other languages that had something to say for themselves."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What configuration says about one app. Everything is optional: an empty one means "find out"."""

    language: str | None = None
    dockerfile: str | None = None
    """The user's Dockerfile, relative to the app's directory; implies the language `dockerfile`."""
    versions: Mapping[str, Version] = {}
    """Forced versions by language, with the place that stated them as source."""
    run_command: str | None = None
    build_command: str | None = None
    port: int = 5000
    own: tuple[str, ...] = ()
    """Which of `port` and `versions.<language>` were said of this app, and not of all."""
    cache_key: str = "fleetpacks"
    """The namespace of cache mount ids."""
    images: Mapping[str, str] = {}
    """Replaced base images: by the well-known name (one of `langs.registry.IMAGES`) -> full reference."""
    env: Mapping[str, str] = {}
    """Variables of the build steps and the image, from `[env]`."""
    secrets: tuple[str, ...] = ()
    """Names of the secrets that install and build steps read: files at /run/secrets/<name>, mounted and exported as
    variables of the same names in these steps only."""
    ssh: tuple[str, ...] = ()
    """Ids of the SSH agents that steps of the user's own Dockerfile may ask: `RUN --mount=type=ssh`."""


class CacheMount(msgspec.Struct, frozen=True, kw_only=True):
    """A package manager's cache, kept by the builder between builds and shared between apps."""

    id: str
    target: str
    sharing: str = "shared"


class AppBuild(msgspec.Struct, frozen=True, kw_only=True):
    """Everything needed to build one app's image: the end of this library's work."""

    language: str
    version: Version | None
    package_manager: str | None
    dockerfile: str
    """The text: generated, or the user's own."""
    dockerfile_path: str | None
    """The user's Dockerfile, relative to the app's directory; None when the text was generated."""
    dockerignore: str | None
    """What to leave out of the context, in .dockerignore syntax; None leaves it to the user's own file."""
    start_command: str | None
    processes: tuple[Process, ...]
    port: int
    cache: tuple[CacheMount, ...]
    evidence: tuple[Evidence, ...]
    runtime_version: Version | None = None
    """What the language itself runs on, where that has a version of its own: Java's for Kotlin, Erlang/OTP's for Elixir."""
    considered: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
