"""What images are built for, as people name it.

Each platform has one name here, so that it is the same word for the daemon, for a host and for a cache: `linux/arm64`,
never `linux/arm64/v8` or `aarch64` (containerd's platforms package takes all of them).
"""

import re
from collections.abc import Iterable

from orchestrator.errors import UsageError

PATTERN = r"^linux/(amd64|arm64|arm/v[567]|386|ppc64le|riscv64|s390x)$(?!\n)"
WORDS = "a platform, such as linux/amd64 or linux/arm64"


def of_flags(said: Iterable[str]) -> tuple[str, ...]:
    """The platforms that `--platform` names, each once; several may stand in one word, with commas.

    Raises:
        UsageError: one is none.
    """
    found = dict.fromkeys(word.strip() for text in said for word in text.split(","))
    for word in found:
        if not re.fullmatch(PATTERN, word):
            raise UsageError(f"--platform: expected {WORDS}, got {word[:80]!r}", hint="As in --platform linux/arm64.")
    return tuple(found)
