"""Drop-in mode: the environment as migetpacks understands it, where every variable that it does not know is the app's.

A container's environment is whatever its platform put there, so that less is passed than migetpacks passes: nothing
that looks like a credential, nothing that a CI platform or a cluster sets by itself (a commit's id would make every
build a new one), and nothing that the container's own image has brought along. What is left out is told, with the flag
that passes it all the same.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from langs.facts import TOOL_VARIABLES, VERSION_VARIABLES
from orchestrator.config import credentials

OURS = frozenset(
    {
        *("SOURCE_DIR", "OUTPUT_IMAGE", "LANGUAGE", "RUN_COMMAND", "BUILD_COMMAND", "PORT", "ARCH", "PROJECT_PATH"),
        *("BUILDPACKS", "DOCKERFILE_PATH", "COMPOSE_FILE", "TAG_LATEST", "RESULT_FILE", "CUSTOM_DATA"),
        *("STORAGE_DRIVER", "CACHE_IMAGE", "CACHE_MODE", "CACHE_FROM", "CACHE_REGISTRY_INSECURE", "NO_CACHE"),
        *("CACHE_KEY", "BUILD_CACHE_DIR", "BUILDKIT_CACHE_SIZE", "REGISTRY_MIRROR", "USE_DHI", "DHI_USERNAME"),
        *("DHI_PASSWORD", "DHI_MIRROR", "BUILD_VARS", "CI_IMAGE_BUILD_EXTRA_ARGS", "CONTAINER_NAME"),
        *("BUILDKIT_HOST", "DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_CONFIG", "DOCKER_BUILDKIT"),
        *(
            "SOURCE_DATE_EPOCH",
            "DOCKER_PLATFORM",
            "NO_COLOR",
            "JENKINS_URL",
            "TF_BUILD",
            "CODEBUILD_BUILD_ID",
            "TRACEPARENT",
        ),
        *TOOL_VARIABLES,
        *VERSION_VARIABLES,
    }
)
"""Settings of this program: they say how an app is built, and are nothing to the app."""
_PROXY = r"(HTTPS?|ALL|NO)_PROXY"
_OURS = re.compile(rf"FLEETPACKS_.*|{_PROXY}", re.DOTALL | re.IGNORECASE)

NOT_HONOURED = frozenset(
    {
        *("GO_INSTALL_PACKAGE_SPEC", "GO_SETUP_GOPATH_IN_IMAGE", "GO_BUILD_FLAGS", "SBT_AT_RUNTIME", "KEEP_SBT_CACHE"),
        *("LEIN_VERSION", "LEIN_INCLUDE_IN_SLUG", "S3_CACHE_BUCKET", "S3_CACHE_ENDPOINT", "S3_CACHE_REGION"),
        "PUSH_IMAGE",
    }
)
"""Settings of migetpacks that are outside of its documented contract, and have no effect here."""

_SYSTEM = re.compile(
    r"PATH|HOME|PWD|OLDPWD|SHLVL|_|HOSTNAME|TERM|COLORTERM|SHELL|USER|LOGNAME|LANG|LC_.*|TZ|EDITOR|VISUAL|PAGER|LESS"
    r"|LS_COLORS|DISPLAY|TMPDIR|TEMP|TMP|XDG_.*|GPG_.*|SSH_.*|SSL_CERT_(FILE|DIR)|LD_.*|container|DEBIAN_FRONTEND",
    re.DOTALL,
)
"""What every process has, and what the program's own children need."""
_PLATFORMS = (
    (r"GITHUB_.*|RUNNER_.*|ACTIONS_.*|ImageOS|ImageVersion", "GitHub Actions"),
    (r"GITLAB_.*|CI_.*|FF_.*", "GitLab CI"),
    (r"KUBERNETES_.*|.*_SERVICE_(HOST|PORT(_.*)?)|.*_PORT_[0-9]+_(TCP|UDP|SCTP)(_.*)?", "Kubernetes"),
    (
        (
            r"JENKINS_.*|HUDSON_.*|BUILD_(NUMBER|ID|URL|TAG|DISPLAY_NAME)|JOB_(NAME|BASE_NAME|URL)|NODE_(NAME|LABELS)"
            r"|(JOB|RUN)_((ARTIFACTS|CHANGES|TESTS)_)?DISPLAY_URL|EXECUTOR_NUMBER|WORKSPACE(_TMP)?|STAGE_NAME"
            r"|GIT_(COMMIT|BRANCH|LOCAL_BRANCH|URL|PREVIOUS_COMMIT|PREVIOUS_SUCCESSFUL_COMMIT)"
        ),
        "Jenkins",
    ),
    (
        (
            r"AGENT_.*|SYSTEM_.*|TF_BUILD|BUILD_(BUILD(ID|NUMBER|URI)|REASON|CONTAINERID|QUEUEDBY(ID)?)"
            r"|BUILD_(DEFINITION(NAME|VERSION)|SOURCE(BRANCH(NAME)?|VERSION(MESSAGE|AUTHOR)?|SDIRECTORY))"
            r"|BUILD_(REQUESTEDFOR(EMAIL|ID)?|REPOSITORY_[A-Z_]+)"
            r"|BUILD_(BINARIES|STAGING|ARTIFACTSTAGING)DIRECTORY|PIPELINE_WORKSPACE"
        ),
        "Azure Pipelines",
    ),
    (r"BITBUCKET_.*", "Bitbucket"),
    (r"CIRCLE_.*|CIRCLECI", "CircleCI"),
    (r"TRAVIS(_.*)?", "Travis CI"),
    (r"BUILDKITE(_.*)?", "Buildkite"),
    (r"DRONE(_.*)?", "Drone"),
    (r"TEAMCITY_.*", "TeamCity"),
    (r"CODEBUILD_.*", "AWS CodeBuild"),
    (r"CI", "a CI platform"),
)
_CLUSTER = ("KUBERNETES_SERVICE_", "KUBERNETES_PORT")
"""The cluster's addresses: they are under the prefix of its credentials, and none."""
_SERVICE_LINK = re.compile(r"(tcp|udp|sctp)://[0-9a-f.:\[\]]+")
"""The value of `<NAME>_PORT`, which Kubernetes and Docker set for a service, and nobody for an app."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]|[\ud800-\udfff]")
"""What no Dockerfile can hold: one such variable would have every app fail."""
_LONGEST = 60_000
"""Bytes of a value as it is quoted: BuildKit reads no line of a Dockerfile that has 64 KiB."""


class Passing(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of an environment's variables."""

    passed: Mapping[str, str] = {}
    """Of the build steps behind the installation, and of the image."""
    warnings: tuple[str, ...] = ()
    """What was left out, and how it is passed."""


def seen(variables: Mapping[str, str], image: bytes) -> Mapping[str, str]:
    """The environment without what the container's own image has brought along: nobody has said that.

    Args:
        variables: of the process.
        image: the image's own, as `env -0` writes them.
    """
    own: dict[str, str] = {}
    for line in image.decode(errors="surrogateescape").split("\0"):
        name, stated, value = line.partition("=")
        own |= {name: value} if stated else {}
    return MappingProxyType(
        {name: value for name, value in variables.items() if _stays(name) or own.get(name) != value}
    )


def _stays(name: str) -> bool:
    """Whether a variable counts whoever has set it: a build of the image may have had the proxies of its runs."""
    return bool(_SYSTEM.fullmatch(name) or re.fullmatch(_PROXY, name, re.IGNORECASE))


def passing(variables: Mapping[str, str], *, said: frozenset[str] = frozenset()) -> Passing:
    """Decide about each variable.

    Args:
        variables: the environment.
        said: names of which flags, or the operator's file, have decided.
    """
    passed: dict[str, str] = {}
    left: dict[str, list[str]] = {}
    for name, value in sorted(variables.items()):
        if name in said or name in OURS or _OURS.fullmatch(name) or _SYSTEM.fullmatch(name):
            continue
        if name in NOT_HONOURED:
            left.setdefault("has no effect here: {}", []).append(name)
        elif why := _left_out(name, value):
            left.setdefault(why, []).append(name)
        else:
            passed[name] = value
    return Passing(passed=passed, warnings=tuple(why.format(", ".join(names)) for why, names in left.items()))


def _left_out(name: str, value: str) -> str | None:
    """Why a variable is not passed, for a list of such names."""
    if credentials.reason(name, value) is not None and not name.startswith(_CLUSTER):
        return "not passed to the app, because it looks like a credential: {}; --secret NAME gives it to build steps"
    platform = next((who for pattern, who in _PLATFORMS if re.fullmatch(pattern, name)), None)
    if platform is None and name.endswith("_PORT") and _SERVICE_LINK.fullmatch(value):
        platform = "Kubernetes"
    if name.startswith("OTEL_"):
        return "not passed to the app, because it says where our own traces go: {}; --env NAME passes it"
    if platform is not None:
        return f"not passed to the app, because {platform} sets it: {{}}; --env NAME passes it"
    return _unfit(name, value)


def _unfit(name: str, value: str) -> str | None:
    """Why no image can have a variable."""
    if not _NAME.fullmatch(name):
        return "not passed to the app, because it is no name of a variable: {!r}"
    if _CONTROL.search(value):
        return (
            "not passed to the app, because it holds a line break or a control character: {}; "
            "--secret NAME gives it to build steps"
        )
    if len(value.encode()) + sum(map(value.count, '\\"$')) > _LONGEST:
        return "not passed to the app, because it is too long for an image: {}; --secret NAME gives it to build steps"
    return None
