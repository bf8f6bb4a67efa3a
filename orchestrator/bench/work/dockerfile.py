"""What is built, as Dockerfiles of 1.2 syntax. Pure.

The steps stand in the order of what changes least: packages of the distribution, a toolchain, packages of both
languages by their lock file, sources. A second stage takes only what runs, as a generated Dockerfile of fleetpacks
does. Package caches have a word in their ids, so that a build without caches finds empty ones.

What a daemon tells of its cache are words of steps and ids: all of ours say `OURS`, which nobody else's do.
"""

from collections.abc import Sequence

import msgspec

OURS = "fleetpacks-bench"
"""In every name that a daemon sees."""
VERBS = ("debs", "large", "wheels", "tarballs", "sources")
"""The steps that write, in their order."""
CACHED = ("debs", "wheels", "tarballs")
"""Those that have a package cache."""
CARRIED = ("wheels", "tarballs")
"""Those whose package cache is kept in a directory, and filled from it: a distribution's is not."""
BASE = f"{OURS}-base"
PULLED = f"{OURS}-pulled"
"""The named contexts that images of ours are."""
MARK = f"{OURS}-mark"
"""A file of the pulled image's last layer."""
PROGRAM = f"{OURS}.py"
"""What steps run: `step.py`, under a name that only we have."""
NONCE = "NONCE"
"""An argument that makes a step another one."""


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """What steps stand on."""

    image: str = ""
    """Its name; "": what is in `archives`."""
    archives: Sequence[str] = ()
    """Layers in the context, for daemons that take no image of ours."""
    env: Sequence[str] = ()
    """The environment of steps on such layers."""


def mount_id(verb: str, word: str) -> str:
    """A package cache's id."""
    return f"{OURS}-{word}-{verb}"


def app(base: Base, *, word: str) -> str:
    """The app's Dockerfile.

    Args:
        base: what it stands on.
        word: of its package caches.
    """
    lines = [
        *_stage(base, "base"),
        "FROM base AS app",
        f"ARG {NONCE}=",
        f"COPY {PROGRAM} /{PROGRAM}",
        _run("debs", word),
        _run("large", word),
        "COPY app/lock.json /app/lock.json",
        _run("wheels", word),
        _run("tarballs", word),
        "COPY app/src /app/src",
        _run("sources", word),
        "FROM base AS image",
        "COPY --from=app /app /app",
        # Needs all layers of the first stage as files.
        "FROM app AS opened",
        f"ARG {NONCE}=",
        'RUN ["python3", "-c", "0"]',
    ]
    return "\n".join(lines) + "\n"


def pull(base: Base) -> str:
    """The Dockerfile that needs all layers of an image as files, and makes nothing of it."""
    return "\n".join((*_stage(base, "pulled"), "FROM scratch", f"COPY --from=pulled /{MARK} /")) + "\n"


def _stage(base: Base, name: str) -> Sequence[str]:
    if base.image:
        return [f"FROM {base.image} AS {name}"]
    return [
        f"FROM scratch AS {name}",
        *(f"ADD {archive} /" for archive in base.archives),
        *(f'ENV {key}="{value}"' for key, _, value in (each.partition("=") for each in base.env)),
    ]


def _run(verb: str, word: str) -> str:
    options = [f"--mount=type=bind,source=packages/{verb},target=/packages/{verb}"] if verb != "sources" else []
    if verb in CACHED:
        # Of dpkg's cache one user at a time, as of apt's.
        sharing = sharing_of(verb)
        options.append(f"--mount=type=cache,id={mount_id(verb, word)},target=/cache/{verb},sharing={sharing}")
    return " ".join(["RUN", *options, f'["python3", "/{PROGRAM}", "{verb}"]'])


def sharing_of(verb: str) -> str:
    """How builds share a package cache."""
    return "locked" if verb == "debs" else "shared"
