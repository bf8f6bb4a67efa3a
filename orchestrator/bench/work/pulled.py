"""The image that is pulled: layers of many small files and of a large one, as base images of languages have them."""

import random
import tarfile
from functools import partial
from pathlib import Path

from orchestrator.bench.work import image
from orchestrator.bench.work.dockerfile import MARK
from orchestrator.bench.work.inputs import mixed
from orchestrator.bench.work.sizes import Sizes

_SMALL = 6_000
"""Bytes of each of the small files, on average."""


def write(layout: Path, sizes: Sizes, seed: int) -> str:
    """Write the image into a layout; returns its manifest's digest."""
    half = sizes.pulled_files // 2
    layers: list[image.Fill] = [
        partial(_small, random.Random(f"{seed}-0"), "lower", sizes.pulled_files - half),  # noqa: S311 -- no secret
        partial(_large, random.Random(f"{seed}-1"), sizes.pulled),  # noqa: S311 -- as above
        partial(_small, random.Random(f"{seed}-2"), "upper", half),  # noqa: S311 -- as above
        _mark,
    ]
    return image.write(layout, layers)


def _small(dice: random.Random, name: str, count: int, tar: tarfile.TarFile) -> None:
    image.directory(tar, name)
    for number in range(count):
        image.file(tar, f"{name}/part{number}", mixed(dice, dice.randrange(100, 2 * _SMALL)))


def _large(dice: random.Random, size: int, tar: tarfile.TarFile) -> None:
    image.file(tar, "large", mixed(dice, size))


def _mark(tar: tarfile.TarFile) -> None:
    image.file(tar, MARK, b"")
