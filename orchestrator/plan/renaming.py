"""Dockerfiles with other names for the images that they stand on, for builders that cannot be told of mirrors. Pure.

Only the names are replaced, each where it stands: everything else stays as its author wrote it. A name that is broken
by the end of a line is left.
"""

import re
from collections.abc import Mapping

from orchestrator.plan.images import uses

_DIRECTIVE = "="
"""Before what a directive names, which stands in a comment; instructions have comments between their lines."""
_BEFORE = r"(?<![^\s=,\"'])"
_BEHIND = r"(?![^\s,\"'])"


def renamed(
    text: str, names: Mapping[str, str], args: Mapping[str, str] | None = None, contexts: tuple[str, ...] = ()
) -> str:
    """A Dockerfile that stands on other images.

    Args:
        text: the Dockerfile.
        names: what stands for which name.
        args: as for `images`.
        contexts: as for `images`.
    """
    lines = text.split("\n")
    for use in uses(text, args, contexts):
        if use.name in names:
            pattern = re.compile(rf"({re.escape(use.before)}\s*){_BEFORE}{re.escape(use.written)}{_BEHIND}")
            for index in range(use.first, use.last):
                if lines[index].lstrip("\ufeff \t").startswith("#") != (use.before == _DIRECTIVE):
                    continue
                found = pattern.search(lines[index])
                if found is not None:
                    lines[index] = lines[index][: found.end(1)] + names[use.name] + lines[index][found.end() :]
                    break
    return "\n".join(lines)
