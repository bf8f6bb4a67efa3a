"""Everything that an image is made of, as one digest. Pure.

The age window is an input, too: a distribution's packages are none, and an image must get their security updates. Each
app's window begins at another moment, so that not all of them are built at once.
"""

import hashlib
import math
from collections.abc import Mapping

import msgspec

from orchestrator.model import AppPlan

_FORMAT = "1"
"""Raised when the same inputs make another image: all apps are built once more."""
TAG = "fp-"


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """What an image is made of: a digest or a text for each part, under a name for people."""

    parts: Mapping[str, str]

    @property
    def tag(self) -> str:
        """The name of the record in the app's repository."""
        encoded = msgspec.json.encode([_FORMAT, sorted(self.parts.items())])
        return TAG + hashlib.sha256(encoded).hexdigest()

    def changed(self, before: Mapping[str, str]) -> tuple[str, ...]:
        """The names of the parts that are not what they were."""
        names = dict.fromkeys((*self.parts, *before))
        return tuple(name for name in names if self.parts.get(name) != before.get(name))


def inputs(
    plan: AppPlan,
    *,
    files: str,
    bases: Mapping[str, str],
    platform: str,
    scope: str,
    window: int,
    attestations: str = "",
    epoch: str = "",
) -> Inputs:
    """The inputs of one app.

    Args:
        plan: how it is built.
        files: digest of its build context.
        bases: digests of the images that its Dockerfile stands on.
        platform: the builder's own, which counts where the plan names none.
        scope: whose builds may satisfy whose: only those of one scope share records.
        window: the number of the age window.
        attestations: what is attested of the image.
        epoch: the only time that it may have.
    """
    build = plan.build
    parts = {
        "files": files,
        "Dockerfile": _digest(build.dockerfile),
        "build arguments": _digest(sorted(build.args.items())),
        "stage": build.target or "",
        "labels": _digest(sorted(build.labels.items())),
        # Of apps that it stands on, by their digests.
        "images of other apps": _digest(sorted(build.contexts.items())) if build.contexts else "",
        "platform": ",".join(build.platforms) or platform,
        "secrets": _digest([plan.app.settings.secrets, plan.app.settings.ssh, build.indexes]),
        "values of secrets": plan.secrets_version,
        "age": str(window),
        "attestations": attestations,
        "epoch": epoch,
        "trust scope": scope,
    }
    parts |= {f"base image {name}": digest for name, digest in bases.items()}
    return Inputs(parts={name: value for name, value in parts.items() if value})


def window(app: str, *, now: float, longest: float) -> int:
    """The number of an app's age window.

    Args:
        app: its path.
        now: seconds since the epoch.
        longest: how old an image may become, in seconds.
    """
    offset = int.from_bytes(hashlib.sha256(app.encode(errors="surrogateescape")).digest()[:6]) / (1 << 48) * longest
    return math.floor((now + offset) / longest)


def _digest(value: object) -> str:
    # `repr` of strings in lists says where each ends, and takes undecodable bytes.
    return hashlib.sha256(repr(value).encode()).hexdigest()
