"""What a step's time was spent on, as far as its name tells.

Dockerfiles made here install in a stage that is called so; elsewhere the command of the package manager tells.
"""

import re
from typing import Literal

Kind = Literal["context", "base", "install", "build", "export", "push", "other"]
KINDS: tuple[Kind, ...] = ("context", "base", "install", "build", "export", "push", "other")
"""In the order in which a build comes to them."""

MEANINGS: dict[Kind, str] = {
    "context": "sending files",
    "base": "base images",
    "install": "installing dependencies",
    "build": "building",
    "export": "exporting",
    "push": "pushing and tagging",
    "other": "nothing of these",
}

_INTERNAL: tuple[tuple[str, Kind], ...] = (
    ("[internal] load metadata ", "base"),
    ("[internal] load ", "context"),
    ("[internal]", "other"),
    ("[auth] ", "base"),
    ("docker-image://", "base"),
    ("resolve image config ", "base"),
    ("exporting ", "export"),
    ("preparing build cache ", "export"),
    ("writing image ", "export"),
    ("pushing ", "push"),
    ("importing cache ", "other"),
)
_INSTRUCTION = re.compile(r"\[(?:(?P<stage>[^\]]+) )?\d+/\d+\] (?P<text>.*)", re.DOTALL)
_MANAGERS = re.compile(
    r"""\b(?:
      npm\ (?:ci|i|install)\b | (?:yarn|pnpm|bun|deno|pdm|pipenv|bundle|poetry)\ install\b | pnpm\ fetch\b
    | pip[0-9.]*\ (?:\S+\ )*?(?:install|download|wheel)\b | uv\ (?:sync|pip)\b | conda\ install\b | gem\ install\b
    | go\ mod\ download\b | cargo\ (?:fetch|chef\ cook|clean)\b | dependency:\S+ | composer\ install\b
    | dotnet\ restore\b | mix\ (?:deps\.\S+|local\.\S+) | lein\ (?:\S+\ \S+\ )?deps\b | cl(?:oju|j)re?\ -P\b
    | sbt\ update\b | prepareOffline\b | (?:apt-get|apt|apk|dnf|yum|microdnf)\ (?:-\S+\ )*(?:install|add|update)\b
    | install-php-extensions\b
    )""",
    re.VERBOSE,
)
_OF_THE_APP = re.compile(r"--only-root\b|--no-deps\b|--optimize-autoloader\b")
"""The package manager builds the app itself."""


def kind_of(name: str) -> Kind:
    """What a step is about.

    Args:
        name: the vertex's.
    """
    for beginning, kind in _INTERNAL:
        if name.startswith(beginning):
            return kind
    match = _INSTRUCTION.match(name)
    if match is None:
        return "other"
    stage, text = match["stage"] or "", match["text"]
    if text.startswith("FROM "):
        return "base"
    if stage.split()[-1:] and stage.split()[-1].endswith("install"):
        return "install"
    if text.startswith("RUN ") and _MANAGERS.search(text) and not _OF_THE_APP.search(text):
        return "install"
    return "build"
