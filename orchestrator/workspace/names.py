"""An app's name: its directory's last part, its path where that is not unique, or what the configuration says.

Names are made legal by fixed rules at once, so that they can stand in an image's name, at the head of a line, and in
a file's name: lower case, accents dropped, everything that is not `[a-z0-9]`, a single `.`, `_` or runs of `-` becomes
one `-`, none of them at either end; what is then empty becomes `app-` and 8 digits of the original's SHA-256.
"""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping

from orchestrator.config.decode import quoted
from orchestrator.errors import ConfigError

MAX_LENGTH = 100
_ILLEGAL = re.compile(r"[^a-z0-9._-]+")
_SEPARATORS = re.compile(r"[._-]{2,}")


def legal(text: str) -> str:
    """`text` as a legal component of an image's name. Legal components up to 100 characters stay as they are."""
    folded = text if text.isascii() else _without_accents(text)
    word = _SEPARATORS.sub(_one_separator, _ILLEGAL.sub("-", folded.lower())).strip("._-")
    if not word:
        return f"app-{_digest(text)}"
    if len(word) > MAX_LENGTH:
        return f"{word[: MAX_LENGTH - 9].rstrip('._-')}-{_digest(text)}"
    return word


def assign(paths: Mapping[str, str | None], root_name: str, *, last: Mapping[str, str] = {}) -> dict[str, str]:
    """Name the apps.

    Args:
        paths: path from the root, `.` for the root -> the configured name, or None.
        root_name: the name of the root's directory.
        last: what stands for a path's last part, for some.

    Raises:
        ConfigError: two apps have one name; both are named.
    """
    short = {path: configured or legal(last.get(path) or _last(path, root_name)) for path, configured in paths.items()}
    count = Counter(short.values())
    names = {
        path: name if paths[path] or path == "." or count[name] == 1 else legal(path.replace("/", "-"))
        for path, name in short.items()
    }
    seen: dict[str, str] = {}
    for path, name in names.items():
        if name in seen:
            raise ConfigError(f"two apps have the name {name!r}: {seen[name]!r} and {path!r}", hint=_other_name(path))
        seen[name] = path
    return names


def _other_name(path: str) -> str:
    try:
        table = f"[apps.{quoted(path)}]"
    except UnicodeEncodeError:
        return "Rename one of the directories: TOML cannot hold the bytes of that name."
    return f'Give one of them another: {table} name = "..." in the root\'s fleetpacks.toml.'


def _last(path: str, root_name: str) -> str:
    return root_name if path == "." else path.rpartition("/")[2]


def _without_accents(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text)
    return "".join(character for character in apart if not unicodedata.combining(character))


def _one_separator(match: re.Match[str]) -> str:
    run = match[0]
    return run if run == "__" or not run.strip("-") else "-"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
