"""The process environment, read in this one place, as a frozen view of the variables that we honour.

Everything else gets an `Environment`; nothing else in the project sees `os.environ`. A value that cannot be is an
error that names the variable. Variables of a CI platform speak only where nothing else was said.
"""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeVar

import msgspec

from langs.model import EPOCH
from orchestrator.config import extraargs, mirrors, telemetry
from orchestrator.config.extraargs import ExtraArgs
from orchestrator.config.telemetry import Telemetry
from orchestrator.errors import ConfigError

_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"", "0", "false", "no", "off"})
_GITHUB = "GitHub Actions"
_FOR_OTHERS = frozenset({"pull_request_target", "workflow_run", "issue_comment"})
"""Events by which anybody has something run in the name of the repository's own branch."""
_IN_CI = ("JENKINS_URL", "TF_BUILD", "TEAMCITY_VERSION", "CODEBUILD_BUILD_ID")
"""Set by platforms that do not set `$CI`: Jenkins, Azure Pipelines, TeamCity, AWS CodeBuild."""
_SHORTEST_KEY = 16
"""Whoever guesses the key can try values of secrets, too."""
_LOCALE = re.compile(r"C|POSIX|[a-z]{2,3}([_.@:-].*)?", re.DOTALL)
"""`LANGUAGE` is also gettext's list of locales (`en_US:en`), and set on most desktops."""

BUILD_VARIABLES = "BUILD_VARS"
_BUILD_PREFIX = "BUILD_VAR_"
_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "arm64": "arm64", "aarch64": "arm64"}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

SOLE_APP = ("LANGUAGE", "BUILDPACKS", "DOCKERFILE_PATH", "COMPOSE_FILE", "RUN_COMMAND", "BUILD_COMMAND")
"""Variables that can only speak of one app."""


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """What the environment says. Empty variables count as unset."""

    variables: Mapping[str, str]
    """All of them, for child processes and for values asked for by name."""
    home: Path
    project_path: str | None
    output_image: str | None
    language: str | None
    buildpacks: tuple[str, ...]
    """Languages, the primary one first."""
    dockerfile_path: str | None
    compose_file: str | None
    run_command: str | None
    build_command: str | None
    port: int | None
    cache_key: str | None
    mounts_directory: str | None
    """Where package caches are kept that builders are filled from."""
    tag_latest: bool
    no_cache: bool
    epoch: int | None
    """The only time that images may have, in seconds since 1970."""
    locked: bool
    """Whether nothing may be chosen that the lock file does not have."""
    result_file: str | None
    custom_data: object
    """What whoever reads the result shall find there again; None: nothing."""
    build_variables: Mapping[str, str]
    """Variables of the build steps alone. Some may be secrets."""
    platform: str | None
    """For which images are built, as `linux/arm64`; None: for the builder's own."""
    buildkit_host: str | None
    ssh_auth_sock: str | None
    docker_host: str | None
    docker_certificates: Path | None
    """The directory of `ca.pem`, `cert.pem` and `key.pem` for engines elsewhere; None: TLS was not asked for."""
    docker_config: Path
    use_dhi: bool
    """Whether apps are built on hardened images."""
    cache_image: str | None
    """Where layer caches go: a reference, perhaps with `{app}`."""
    cache_from: tuple[str, ...]
    """More layer caches, which are read only."""
    cache_mode: Literal["min", "max"] | None
    cache_insecure: bool
    """Whether the registries of layer caches speak plain HTTP."""
    container_name: str | None
    """What a runner calls that which is built: local caches are filed under it."""
    extra: ExtraArgs
    """What a runner adds to the build."""
    storage_driver: str | None
    """How a daemon of our own stacks layers."""
    buildkit_cache_size: str | None
    """How much the cache of a daemon of our own may hold."""
    registry_mirror: str | None
    """Where Docker Hub is mirrored: a registry, perhaps with a path, without a scheme."""
    ca: str | None
    """A file of authorities that are trusted, too."""
    proxies_shared: bool
    """Whether our proxies are those of build steps, too."""
    hmac_key: bytes | None
    """What versions of secrets are made with; None: with a key of this machine's."""
    trust_scopes: tuple[str, ...]
    """Whose records let a build be skipped: the run's own scope first, then those that it trusts."""
    dhi_mirror: str | None
    """Where hardened images are mirrored: a registry with a path, without a scheme."""
    releases_file: Path
    """The operator's table of releases, which `versions refresh` writes."""
    cache_directory: Path
    """Where what can be made again is kept."""
    state_directory: Path
    """Where the records of runs lie, when the operator's file names no other place."""
    fleetpacks_config: str | None
    no_color: bool
    """Whether nothing may be coloured (https://no-color.org)."""
    dumb_terminal: bool
    """Whether the terminal cannot move its cursor."""
    in_ci: bool
    """Whether nobody watches the run while it lasts."""
    ci: "Platform"
    telemetry: Telemetry | None
    """Where traces go; None: nobody asked for any."""

    @property
    def sole_app_variables(self) -> tuple[str, ...]:
        """The set variables which can only speak of one app."""
        values = (
            self.language,
            self.buildpacks,
            self.dockerfile_path,
            self.compose_file,
            self.run_command,
            self.build_command,
        )
        return tuple(name for name, value in zip(SOLE_APP, values, strict=True) if value)

    def for_git(self) -> Mapping[str, str]:
        """The environment of a git process that must not be led astray: no `GIT_*` of ours, no network, no lock."""
        clean = {name: value for name, value in self.variables.items() if not name.startswith("GIT_")}
        return clean | {
            "GIT_ALLOW_PROTOCOL": "none",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C",
        }


class Platform(msgspec.Struct, frozen=True, kw_only=True):
    """What a CI platform says about the run."""

    name: str | None = None
    image: str | None = None
    branch: str | None = None
    revision: str | None = None
    source: str | None = None
    """Where the repository is, for people."""
    builder: str | None = None
    """Who builds, as provenance says it: a URI (`builder.id`, https://slsa.dev/spec/v1.0/provenance)."""
    summary: Path | None = None
    """Where a job's summary is appended, in Markdown."""
    scopes: tuple[str, ...] = ()
    """Who asks for this run, so that a pull request cannot speak for a branch: its own scope, then those it trusts."""

    @property
    def annotates(self) -> bool:
        """Whether lines of output may be GitHub's workflow commands."""
        return self.name == _GITHUB


def read() -> Mapping[str, str]:
    """A frozen copy of the process environment."""
    return MappingProxyType(dict(os.environ))  # noqa: TID251 -- this is the one reader


def image_variables(variables: Mapping[str, str]) -> bytes:
    """The environment of the drop-in container's own image, as `env -0` wrote it; nothing where there is no such file.

    Raises:
        ConfigError: the file that `$FLEETPACKS_IMAGE_VARIABLES` names cannot be read.
    """
    said = variables.get("FLEETPACKS_IMAGE_VARIABLES")
    if not said:
        return b""
    try:
        return Path(said).read_bytes()
    except OSError as error:
        raise ConfigError(
            f"$FLEETPACKS_IMAGE_VARIABLES: {said}: {error.strerror}", hint="It is the drop-in image's own: unset it."
        ) from error


def source(said: str | None, variables: Mapping[str, str]) -> Path:
    """The root: what the command line said, else `$SOURCE_DIR`, else the current directory."""
    return Path(said or variables.get("SOURCE_DIR") or ".")


def result_file(variables: Mapping[str, str]) -> Path | None:
    """`$RESULT_FILE`, which is written also where nothing else can be understood."""
    said = variables.get("RESULT_FILE")
    return Path(said) if said else None


def parse(variables: Mapping[str, str], *, version_variables: Mapping[str, str]) -> Environment:
    """Read what we honour out of `variables`.

    Args:
        variables: the environment.
        version_variables: name of a `<LANG>_VERSION` variable -> the language that it speaks of.

    Raises:
        ConfigError: a variable has a value that it cannot have.
    """

    def get(name: str) -> str | None:
        return variables.get(name) or None

    home = Path(get("HOME") or "/")
    configured = Path(get("DOCKER_CONFIG") or home / ".docker")
    language = get("LANGUAGE")
    if language is not None and language not in version_variables.values() and _LOCALE.fullmatch(language):
        language = None
    return Environment(
        variables=variables,
        home=home,
        project_path=get("PROJECT_PATH"),
        output_image=get("OUTPUT_IMAGE"),
        language=language,
        buildpacks=tuple(word for word in re.split(r"[,\s]+", get("BUILDPACKS") or "") if word),
        dockerfile_path=get("DOCKERFILE_PATH"),
        compose_file=get("COMPOSE_FILE"),
        run_command=get("RUN_COMMAND"),
        build_command=get("BUILD_COMMAND"),
        port=_port(get("PORT")),
        cache_key=get("CACHE_KEY"),
        mounts_directory=get("BUILD_CACHE_DIR"),
        tag_latest=_flag(variables, "TAG_LATEST"),
        no_cache=_flag(variables, "NO_CACHE"),
        epoch=_epoch(get(EPOCH)),
        locked=_flag(variables, "FLEETPACKS_LOCKED"),
        result_file=get("RESULT_FILE"),
        custom_data=_json("CUSTOM_DATA", get("CUSTOM_DATA"), object),
        build_variables=_build_variables(get(BUILD_VARIABLES)),
        platform=_of_architecture(get("ARCH")),
        buildkit_host=get("BUILDKIT_HOST"),
        ssh_auth_sock=get("SSH_AUTH_SOCK"),
        docker_host=get("DOCKER_HOST"),
        docker_certificates=_docker_certificates(get("DOCKER_TLS_VERIFY"), get("DOCKER_CERT_PATH"), configured),
        docker_config=configured,
        use_dhi=_flag(variables, "USE_DHI"),
        cache_image=get("CACHE_IMAGE"),
        cache_from=_words(get("CACHE_FROM")),
        cache_mode=_cache_mode(get("CACHE_MODE")),
        cache_insecure=_flag(variables, "CACHE_REGISTRY_INSECURE"),
        container_name=get("CONTAINER_NAME"),
        extra=extraargs.parse(get(extraargs.NAME), variables),
        storage_driver=get("STORAGE_DRIVER"),
        buildkit_cache_size=get("BUILDKIT_CACHE_SIZE"),
        registry_mirror=mirrors.of_variable("REGISTRY_MIRROR", get("REGISTRY_MIRROR")),
        ca=get("FLEETPACKS_CA"),
        proxies_shared=_flag(variables, "FLEETPACKS_BUILD_PROXY"),
        hmac_key=_hmac_key(get("FLEETPACKS_HMAC_KEY")),
        trust_scopes=_words(get("FLEETPACKS_TRUST_SCOPE")),
        dhi_mirror=mirrors.of_variable("DHI_MIRROR", get("DHI_MIRROR")),
        releases_file=_base(get("XDG_CACHE_HOME"), home / ".cache") / "fleetpacks/releases.toml",
        cache_directory=_base(get("XDG_CACHE_HOME"), home / ".cache") / "fleetpacks",
        state_directory=_base(get("XDG_STATE_HOME"), home / ".local/state") / "fleetpacks",
        fleetpacks_config=get("FLEETPACKS_CONFIG"),
        no_color=get("NO_COLOR") is not None,
        dumb_terminal=get("TERM") in {"dumb", "unknown"},
        # Platforms of all kinds set it, to `true` or to their name.
        in_ci=variables.get("CI", "").strip().lower() not in _FALSE or any(variables.get(name) for name in _IN_CI),
        ci=_platform(variables),
        telemetry=telemetry.parse(get),
    )


def _flag(variables: Mapping[str, str], name: str) -> bool:
    word = variables.get(name, "").strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ConfigError(
        f"${name}: expected true or false, got {variables[name]!r}", hint=f"Set {name}=true, or unset it."
    )


def _epoch(text: str | None) -> int | None:
    if text is None or re.fullmatch(r"[0-9]{1,11}", text.strip(), re.ASCII):
        return None if text is None else int(text)
    raise ConfigError(
        f"${EPOCH}: expected seconds since 1970, got {text!r}",
        hint=f"Set {EPOCH}=0, or unset it and say --reproducible.",
    )


def _hmac_key(text: str | None) -> bytes | None:
    if text is None:
        return None
    key = text.strip().encode(errors="surrogateescape")
    if len(key) < _SHORTEST_KEY:
        raise ConfigError(
            f"$FLEETPACKS_HMAC_KEY: expected at least {_SHORTEST_KEY} characters, got {len(key)}",
            hint="Make one that nobody guesses: openssl rand -hex 32",
        )
    return key


_T = TypeVar("_T")


def _json(name: str, text: str | None, kind: type[_T]) -> _T | None:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text.encode(errors="surrogateescape"), type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        # Not the text: there may be secrets in it.
        raise ConfigError(f"${name}: {error}", hint=f"Give {name} as JSON, or unset it.") from None


def _build_variables(text: str | None) -> Mapping[str, str]:
    """`{"NAME": "value"}`; migetpacks takes names with a prefix of its own, too."""
    said = _json(BUILD_VARIABLES, text, dict[str, str]) or {}
    found = {name.removeprefix(_BUILD_PREFIX): value for name, value in said.items()}
    for name in found:
        if not _VARIABLE.fullmatch(name):
            raise ConfigError(
                f"${BUILD_VARIABLES}: {name[:80]!r} is not the name of a variable", hint="Use letters, digits and `_`."
            )
    return found


def _of_architecture(text: str | None) -> str | None:
    if text is None:
        return None
    if text not in _ARCHITECTURES:
        known = ", ".join(_ARCHITECTURES)
        raise ConfigError(f"$ARCH: expected one of {known}, got {text!r}", hint="Set ARCH=arm64, say, or unset it.")
    return f"linux/{_ARCHITECTURES[text]}"


def _cache_mode(text: str | None) -> Literal["min", "max"] | None:
    match text:
        case None | "min" | "max":
            return text
        case _:
            raise ConfigError(f"$CACHE_MODE: expected min or max, got {text!r}", hint="Set one of both, or unset it.")


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in (text or "").split(",") if word.strip()))


def _docker_certificates(verify: str | None, folder: str | None, configured: Path) -> Path | None:
    # For docker, any value of the first variable means yes.
    return None if verify is None else Path(folder) if folder else configured


def _base(text: str | None, default: Path) -> Path:
    # Relative paths are to be passed over: XDG Base Directory Specification 0.8.
    return Path(text) if text and Path(text).is_absolute() else default


def _port(text: str | None) -> int | None:
    if text is None:
        return None
    if text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 65535 and len(text) <= 5:  # noqa: PLR2004 -- TCP's range
        return int(text)
    raise ConfigError(f"$PORT: expected a port between 1 and 65535, got {text!r}", hint="Set PORT=5000, or unset it.")


def _platform(variables: Mapping[str, str]) -> Platform:
    def get(*names: str) -> str | None:
        return next((variables[name] for name in names if variables.get(name)), None)

    if variables.get("GITHUB_ACTIONS") == "true":
        repository = get("GITHUB_REPOSITORY")
        # A GitHub Enterprise server has no ghcr.io; where its packages live is nowhere said.
        on_github = variables.get("GITHUB_SERVER_URL", "https://github.com") == "https://github.com"
        summary = get("GITHUB_STEP_SUMMARY")
        return Platform(
            name=_GITHUB,
            image=f"ghcr.io/{repository.lower()}" if repository and on_github else None,
            # Of a pull request GITHUB_REF_NAME is `12/merge`: the branch is the head's.
            branch=get("GITHUB_HEAD_REF", "GITHUB_REF_NAME"),
            revision=get("GITHUB_SHA"),
            source=f"{variables.get('GITHUB_SERVER_URL', 'https://github.com')}/{repository}" if repository else None,
            builder=_github_run(get, repository),
            summary=Path(summary) if summary else None,
            scopes=_github_scopes(get),
        )
    if variables.get("GITLAB_CI") == "true":
        return Platform(
            name="GitLab CI",
            image=get("CI_REGISTRY_IMAGE"),
            branch=get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "CI_COMMIT_REF_NAME"),
            revision=get("CI_COMMIT_SHA"),
            source=get("CI_PROJECT_URL"),
            builder=_uri(get("CI_PROJECT_URL"), "-/runners", get("CI_RUNNER_ID")),
            scopes=_gitlab_scopes(get),
        )
    return Platform()


def _github_run(get: Callable[..., str | None], repository: str | None) -> str | None:
    """The run, as GitHub's own actions for images name their builder."""
    server, attempt = get("GITHUB_SERVER_URL") or "https://github.com", get("GITHUB_RUN_ATTEMPT") or "1"
    return _uri(server, repository, "actions/runs", get("GITHUB_RUN_ID"), "attempts", attempt)


def _uri(*parts: str | None) -> str | None:
    """An address that can be published; None where a part is not known, or it is none."""
    text = "/".join(part for part in parts if part)
    # No user, and so no password; nothing that would end an attribute of the frontend's either.
    return text if all(parts) and re.fullmatch(r"https?://[A-Za-z0-9._~:/%+-]+", text) else None


def _github_scopes(get: Callable[..., str | None]) -> tuple[str, ...]:
    base, head = get("GITHUB_BASE_REF"), get("GITHUB_HEAD_REF")
    trusted = f"refs/heads/{base}" if base else None
    if get("GITHUB_EVENT_NAME") in _FOR_OTHERS:
        # The ref is the branch that is asked for something, not who asks.
        return _given(f"{get('GITHUB_EVENT_NAME')}/{head}" if head else None, trusted)
    return _given(get("GITHUB_REF"), trusted)


def _gitlab_scopes(get: Callable[..., str | None]) -> tuple[str, ...]:
    request = get("CI_MERGE_REQUEST_IID")
    kind = "tags" if get("CI_COMMIT_TAG") else "heads"
    ref = get("CI_COMMIT_REF_NAME")
    own = f"refs/merge-requests/{request}" if request else f"refs/{kind}/{ref}" if ref else None
    target = get("CI_MERGE_REQUEST_TARGET_BRANCH_NAME") if request else get("CI_DEFAULT_BRANCH")
    return _given(own, f"refs/heads/{target}" if target else None)


def _given(own: str | None, trusted: str | None) -> tuple[str, ...]:
    """The run's own scope first; without one, it has none to record under, and none is trusted."""
    return tuple(dict.fromkeys(scope for scope in (own, trusted) if scope)) if own else ()
