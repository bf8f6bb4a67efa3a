"""The values that pass between detection, versions, plans and templates. All frozen."""

from collections.abc import Mapping
from typing import Final

import msgspec

SECRETS_VERSION: Final = "FLEETPACKS_SECRETS_VERSION"
"""The build argument that changes with the values of the secrets that invalidate."""
EPOCH: Final = "SOURCE_DATE_EPOCH"
"""The build argument that says that an image is to be the same whenever it is made, and which time it is then; see
https://reproducible-builds.org/specs/source-date-epoch/."""


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A resolved version and the place that stated it."""

    value: str
    source: str
    """For people: `.nvmrc`, `go.mod toolchain`, `$NODE_VERSION`, `fleetpacks.toml`, `default`."""


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A version that nobody states: it was chosen among the releases that a statement allows, or is our default."""

    tool: str
    """Whose: a name in releases.toml."""
    value: str
    source: str
    """What left the choice: as `Version.source`."""
    locked: bool = False
    """Whether it was chosen before, and is kept: `Settings.locked`."""


class Releases(msgspec.Struct, frozen=True, kw_only=True):
    """The known releases of a tool, which ranges are resolved against."""

    read: str
    """The day on which they were read from their source: 2026-11-21."""
    newest_first: tuple[tuple[int, ...], ...]
    """(22, 16, 0) is 22.16.0."""
    names: Mapping[str, tuple[int, ...]] = {}
    """Words for release lines; Node.js's long-term ones."""


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
    services: tuple["Service", ...] = ()
    """The apps of a Compose file, which are built one by one: the directory itself is none then."""
    packages: tuple[str, ...] = ()
    """Directories outside of the app that its build reads: POSIX paths from the monorepo's root."""
    programs: tuple[str, ...] = ()
    """Directories below, each with a program, where nothing says which one the app is: whoever wants an image of one of
    them declares it, and the app itself is none then."""
    worker: str | None = None
    """The process of its Procfile that it is started by, where it has no `web` and nothing else is started."""
    obstacles: tuple[Evidence, ...] = ()
    """Of what is no app: files that may say what is started, and why nothing can be told of them."""
    warnings: tuple[str, ...] = ()


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """One service of a Compose file that says how it is built."""

    name: str
    file: str
    """The Compose file, relative to the directory that was looked at."""
    context: str
    """Relative to the directory that was looked at, `..` included; inside the monorepo."""
    dockerfile: str | None = None
    """Relative to the context, `..` included; None when it is written in the Compose file itself."""
    inline: str | None = None
    """The Dockerfile's text, where the Compose file holds it."""
    args: Mapping[str, str] = {}
    target: str | None = None
    platforms: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}
    secrets: tuple[str, ...] = ()
    ssh: tuple[str, ...] = ()
    needs: Mapping[str, str] = {}
    """Named build contexts that are images of other services: what stands after FROM -> the service."""
    contexts: Mapping[str, str] = {}
    """Other named build contexts, as `AppBuild.contexts`."""
    warnings: tuple[str, ...] = ()


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What configuration says about one app. Everything is optional: an empty one means "find out"."""

    language: str | None = None
    buildpacks: tuple[str, ...] = ()
    """Languages, the primary one first: stronger than `language`. The others make what its build needs."""
    dockerfile: str | None = None
    """The user's Dockerfile, relative to the app's directory; implies the language `dockerfile`."""
    compose_file: str | None = None
    """The Compose file, relative to the app's directory; implies the language `compose`."""
    service: Service | None = None
    """The service of a Compose file which the app is: set by discovery, never by configuration."""
    versions: Mapping[str, Version] = {}
    """Forced versions by language, with the place that stated them as source."""
    run_command: str | None = None
    build_command: str | None = None
    port: int = 5000
    releases: Mapping[str, Releases] = {}
    """Tables of releases that the operator refreshed, by tool; what ships counts where it is newer."""
    locked: Mapping[str, str] = {}
    """What was chosen before where the app's files leave the choice, by tool: from `fleetpacks.lock`. It counts as long
    as they allow it, whatever releases there are by now."""
    chosen: dict[str, Choice] | None = None
    """Where `langs.versions` notes what it chooses, by tool: set by `langs.choice`, never by configuration."""
    own: tuple[str, ...] = ()
    """Which of `port`, `versions.<language>` and what else makes only generated images were said of this app alone."""
    cache_key: str = "fleetpacks"
    """The namespace of cache mount ids."""
    images: Mapping[str, str] = {}
    """Replaced base images: by the well-known name (one of `langs.facts.IMAGES`) -> full reference."""
    pinned: Mapping[str, str] = {}
    """Digests of base images, by their full references: from `fleetpacks.lock`."""
    env: Mapping[str, str] = {}
    """Variables of the build steps and the image, from `[env]`."""
    passed: Mapping[str, str] = {}
    """Variables of which nobody knows what they are for: they stand behind the installation of dependencies, so that
    another value, a revision's say, has nothing installed again; and in the image. `env` comes before."""
    arguments: Mapping[str, str] = {}
    """Variables of the build steps alone: build arguments, which are not in the image."""
    variables: Mapping[str, str] = {}
    """What the builder's environment says to tools of languages, by names of `langs.facts.TOOL_VARIABLES`: each
    language takes its own, and `env` comes before."""
    secrets: tuple[str, ...] = ()
    """Names of the secrets that install and build steps read: files at /run/secrets/<name>, mounted and exported as
    variables of the same names in these steps only."""
    invalidating: tuple[str, ...] = ()
    """Those of the secrets without whose present value a step is not taken from a cache."""
    ssh: tuple[str, ...] = ()
    """Ids of the SSH agents that steps of the user's own Dockerfile may ask: `RUN --mount=type=ssh`."""
    apt: tuple[str, ...] = ()
    """Debian packages of the stages that build, from `apt` and from what dependencies are known to need."""
    apt_run: tuple[str, ...] = ()
    """The same for the image that runs."""
    needs: tuple[Evidence, ...] = ()
    """Which dependency needs which of them: set by languages, never by configuration."""
    worker: bool = False
    """Whether the app listens nowhere: set by `langs.choice`, never by configuration."""
    healthcheck: bool | str | None = None
    """What the image asks its app, to tell whether it is well: a path, or True for what the framework has for that."""
    part: bool = False
    """Whether only stages are made, for an app that another language starts: set by `langs.assets`."""
    hardened: bool = False
    """Whether images are built on hardened ones, which have no shell at run time."""
    hardened_registry: str = "dhi.io"
    """Where hardened images are: a registry, with a path where it is a mirror."""
    indexes: tuple[str, ...] = ()
    """Names of the package indexes (`langs.indexes.NAMES`) for which the operator has a mirror."""
    platforms: tuple[str, ...] = ()
    """What the image is built for, as `linux/arm64`; none: for the builder's own. A compiler that can make programs for
    another platform than its own does so then."""
    network: tuple[str, ...] = ()
    """The secrets of `langs.network` that there are: the operator's proxies and certificates."""
    origin: str = ""
    """Where the app's directory is in what its build sees, for what other languages make of it: set by
    `langs.choice`, never by configuration."""
    assets: "Assets | None" = None
    """What other languages make for this one's build: set by `langs.choice`, never by configuration."""


class CacheMount(msgspec.Struct, frozen=True, kw_only=True):
    """A package manager's cache, kept by the builder between builds and shared between apps."""

    id: str
    target: str
    sharing: str = "shared"


class Formation(msgspec.Struct, frozen=True, kw_only=True):
    """How often a process runs, and on what."""

    name: str
    quantity: int | None = None
    size: str | None = None


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What is run at a moment of a deployment: `postdeploy`."""

    name: str
    command: str


class Addon(msgspec.Struct, frozen=True, kw_only=True, rename={"attached_as": "as"}):
    """A service that the app asks for."""

    plan: str
    attached_as: str | None = None
    options: Mapping[str, object] | None = None


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """What an app says to those who run it. Nothing of it changes how the app is built."""

    env: Mapping[str, str | None] = {}
    """Variables with their defaults; None where the deployment must give a value."""
    formation: tuple[Formation, ...] = ()
    scripts: tuple[Script, ...] = ()
    addons: tuple[Addon, ...] = ()


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What another language than an app's own makes of it."""

    language: str
    version: Version | None


class Assets(msgspec.Struct, frozen=True, kw_only=True):
    """Stages which make a part of the app with another language; the last one is called `assets`."""

    text: str
    """Dockerfile instructions, rendered."""
    place: str = ""
    """Where their output belongs: the app's directory in what the build sees."""
    origin: str = ""
    """Where it is in the last stage, from /app: the app's directory in the workspace that is built there."""
    context: str = "."
    """The directory that they see, from the app's."""
    dockerignore: str | None = None
    """What they leave out of it."""
    part: Part
    cache: tuple[CacheMount, ...]
    evidence: tuple[Evidence, ...]
    warnings: tuple[str, ...] = ()


class AppBuild(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
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
    context: str = "."
    """The directory that the build sees, from the app's: `../..` for the root of a workspace."""
    runtime_version: Version | None = None
    """What the language itself runs on, where that has a version of its own: Java's for Kotlin, OTP's for Elixir."""
    front_end: Part | None = None
    """What another language makes of it."""
    considered: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    apt: tuple[str, ...] = ()
    """Debian packages that are installed for the build."""
    apt_run: tuple[str, ...] = ()
    """The same in the image."""
    needs: tuple[Evidence, ...] = ()
    """The dependencies for which some of them are, and the files that say so."""
    healthcheck: str | None = None
    """The path that the image asks its app for."""
    chosen: tuple[Choice, ...] = ()
    """The versions of all tools that no file states, by name: with other releases they may be others."""
    release: Release | None = None
    """What app.json says to those who run the app."""
    indexes: tuple[str, ...] = ()
    """The package indexes that steps ask through the operator's mirrors."""
    shell: bool = True
    """False when the image has none."""
    target: str | None = None
    """The stage of a user's Dockerfile that becomes the image; None: the last."""
    args: Mapping[str, str] = {}
    """Build arguments of a user's Dockerfile."""
    platforms: tuple[str, ...] = ()
    """For which the image is built; none: for the builder's own."""
    labels: Mapping[str, str] = {}
    contexts: Mapping[str, str] = {}
    """Named build contexts of a user's Dockerfile: what stands after FROM -> `docker-image://...`."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What one directory is, for somebody who asks before anything is built."""

    detection: Detection | None
    build: AppBuild | None = None
    """None when there is nothing to build, or no way to; without a start command when nothing in it is started."""
    problem: Exception | None = None
    """The `langs.errors.LangError` that a build would end with; or what keeps it from being an app."""
