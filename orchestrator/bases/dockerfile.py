"""A recipe as a Dockerfile, and the key by which a finished image is recognised.

The context of the root's image holds `rootfs.tar` and a directory `certificates`; that of another image holds each of
its archives as a tar file, by the name that `tar_of` gives, with paths relative to where it is unpacked, and its files
below a directory `files`.
"""

import hashlib
import json
from collections.abc import Mapping

from orchestrator.bases.recipes import Archive, Recipe, Root

_APT = (
    "RUN --mount=type=cache,id=fleetpacks-bases-apt-archives,target=/var/cache/apt,sharing=locked"
    " --mount=type=cache,id=fleetpacks-bases-apt-lists,target=/var/lib/apt,sharing=locked"
    " apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends"
)


def for_root(root: Root, recipe: Recipe) -> str:
    """The Dockerfile of the bare root's image.

    Args:
        root: what the file system consists of.
        recipe: the image's own part.
    """
    lines = [
        "FROM scratch",
        "ADD rootfs.tar /",
        "COPY certificates/ /usr/local/share/ca-certificates/",
        "RUN update-ca-certificates",
        *_settings({**root.env, **recipe.env}, recipe),
    ]
    return _text(lines)


def for_root_on(image: str, root: Root, recipe: Recipe) -> str:
    """The Dockerfile of the bare root's image where another one stands in for it.

    Args:
        image: full reference of a Debian with `apt` and `ca-certificates`.
        root: what its environment is to be.
        recipe: the image's own part.
    """
    lines = [
        f"FROM {image}",
        "COPY certificates/ /usr/local/share/ca-certificates/",
        "RUN update-ca-certificates",
        *_settings({**root.env, **recipe.env}, recipe),
    ]
    return _text(lines)


def for_image(recipe: Recipe, *, base: str) -> str:
    """The Dockerfile of an image that stands on another.

    Args:
        recipe: what to add.
        base: full reference of the image below, which is the bare root's when the recipe names none.
    """
    lines = [f"FROM {base}"]
    lines += [f"RUN {' && '.join(recipe.prepare)}"] if recipe.prepare else []
    if recipe.packages:
        lines += [f"{_APT} {' '.join(recipe.packages)}"]
    lines += [f"ADD {tar_of(archive)} {archive.into}/" for archive in recipe.archives]
    lines += ["COPY files/ /"] if recipe.files else []
    # ENV stands first: the lines that try the toolchain need its PATH.
    lines += _settings(recipe.env, recipe)
    lines += [f"RUN {' && '.join(recipe.run)}"] if recipe.run else []
    return _text(lines)


def tar_of(archive: Archive) -> str:
    """The name of an archive's tar file in the context."""
    return f"{archive.sha256}.tar"


def key(dockerfile: str, *, inputs: Mapping[str, bytes]) -> str:
    """What changes exactly when the image must be built anew, as 16 hexadecimal digits.

    Args:
        dockerfile: the text.
        inputs: what else goes in, by name: the root's definition, certificates, how archives are unpacked.
    """
    digest = hashlib.sha256(dockerfile.encode())
    for name in sorted(inputs):
        digest.update(f"\n{name}\n{len(inputs[name])}\n".encode())
        digest.update(inputs[name])
    return digest.hexdigest()[:16]


def _settings(env: Mapping[str, str], recipe: Recipe) -> list[str]:
    words = " ".join(f"{name}={json.dumps(value)}" for name, value in env.items())
    return [
        *([f"ENV {words}"] if words else []),
        *([f"WORKDIR {recipe.workdir}"] if recipe.workdir else []),
        f"CMD {json.dumps(list(recipe.command))}",
    ]


def _text(lines: list[str]) -> str:
    return "\n".join([*lines, ""])
