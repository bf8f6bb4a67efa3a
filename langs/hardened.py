"""Docker's hardened images: `<name>:V-dev` to build, `<name>:V` to run, which has no shell and the user `nonroot`.

Where no hardened image builds a language (Maven, sbt, Leiningen), the usual one does, and what runs is hardened all the
same. Where none runs it, there is nothing to offer.
"""

from collections.abc import Mapping
from typing import Final

REGISTRY: Final = "dhi.io"
USER: Final = "nonroot"
SCRATCH: Final = "scratch"
"""No image at all: what a Dockerfile calls an empty one, which has no tags."""

_NAMES: Final[Mapping[str, str]] = {
    "caddy": "caddy",
    "denoland/deno": "deno",
    "eclipse-temurin": "eclipse-temurin",
    "golang": "golang",
    "mcr.microsoft.com/dotnet/aspnet": "aspnetcore",
    "mcr.microsoft.com/dotnet/sdk": "dotnet",
    "node": "node",
    "oven/bun": "bun",
    "python": "python",
    "ruby": "ruby",
    "rust": "rust",
}
"""Well-known name -> the name in the catalogue of hardened images."""
_RUN: Final = ("-slim", "-jre")
"""What the tags of images that only run things end in."""
_TO_BUILD: Final[Mapping[str, str]] = {"dotnet": "-sdk"}


def building(name: str, tag: str) -> str | None:
    """The hardened image to build on instead of `name:tag`, without its registry; None when there is none."""
    known = _NAMES.get(name)
    return None if known is None else f"{known}:{tag}{_TO_BUILD.get(known, '-dev')}"


def running(name: str, tag: str) -> str | None:
    """The hardened image to run on instead of `name:tag`, without its registry; None when there is none."""
    known = _NAMES.get(name)
    for suffix in _RUN:
        tag = tag.removesuffix(suffix)
    return None if known is None else f"{known}:{tag}"


def runs(tag: str) -> bool:
    """Whether an image with this tag is one that only runs things."""
    return tag.endswith(_RUN)


def is_bare(image: str) -> bool:
    """Whether an image has no shell, as far as its name tells: `scratch`, and those of the project distroless.

    github.com/GoogleContainerTools/distroless: tags that begin with `debug` have one.
    """
    name = image.partition("@")[0]
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = name, ""
    return name == SCRATCH or ("distroless" in repository.split("/")[:-1] and not tag.startswith("debug"))


def key_of(image: str, images: Mapping[str, str]) -> str | None:
    """The well-known name in whose place somebody named this image; None where nobody did.

    Args:
        image: its reference.
        images: what somebody named, by well-known names.
    """
    return next(
        (key for key, said in images.items() if image == said or image.startswith((f"{said}:", f"{said}@"))), None
    )


def instead_of(image: str, images: Mapping[str, str]) -> str:
    """What to do about an image without a shell, up to what the other one has to have; see `key_of`."""
    key = key_of(image, images)
    if key is not None:
        return f"change `images.{key}` in fleetpacks.toml to an image"
    return "unset $USE_DHI for this app, or name an image of yours (`images` in fleetpacks.toml)"
