"""How much is built."""

from typing import Literal

import msgspec

SizeName = Literal["tiny", "quick", "usual"]


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """How much one build unpacks and writes, and how often it is built."""

    name: SizeName
    debs: int
    """Archives that are unpacked as dpkg does it: its database is synced 26 times for each."""
    deb_files: int
    """In each."""
    wheels: int
    """Archives that are unpacked and compiled as pip does it."""
    modules: int
    """In each."""
    tarballs: int
    """Archives of small files, as npm unpacks them."""
    scripts: int
    """In each."""
    sources: int
    """Files of the app itself."""
    large: int
    """Bytes of a file that is copied as it is."""
    pulled_files: int
    """Of the image that is pulled."""
    pulled: int
    """Bytes of a large file in it."""
    apps: int
    """How many are built at once by `parallel`."""
    rounds: int
    """How often each run is made, unless something else was said."""
    seconds: float | None = None
    """No round begins that would end later, but for the first one; None: all are made."""
    room: int
    """Bytes that a target must have for one daemon's directory and the caches beside it."""
    whole_base: bool = True
    """Whether the base image has all of Python's own modules."""
    probe: float
    """Seconds for each raw figure."""


_MB = 1_000_000

TINY = Sizes(
    name="tiny",
    debs=1,
    deb_files=4,
    wheels=2,
    modules=3,
    tarballs=3,
    scripts=4,
    sources=3,
    large=200_000,
    pulled_files=10,
    pulled=100_000,
    apps=2,
    rounds=1,
    room=400 * _MB,
    whole_base=False,
    probe=0.05,
)
"""For tests of the benchmark itself."""
QUICK = Sizes(
    name="quick",
    debs=6,
    deb_files=20,
    wheels=8,
    modules=20,
    tarballs=60,
    scripts=12,
    sources=30,
    large=16 * _MB,
    pulled_files=600,
    pulled=16 * _MB,
    apps=2,
    rounds=5,
    seconds=150.0,
    room=2000 * _MB,
    whole_base=False,
    probe=0.25,
)
"""A first answer in under three minutes."""
USUAL = Sizes(
    name="usual",
    debs=12,
    deb_files=40,
    wheels=24,
    modules=60,
    tarballs=600,
    scripts=24,
    sources=120,
    large=128 * _MB,
    pulled_files=3000,
    pulled=64 * _MB,
    apps=4,
    rounds=5,
    room=8000 * _MB,
    probe=3.0,
)
"""What a small service takes."""
