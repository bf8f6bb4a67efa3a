"""The table of releases that `fleetpacks versions refresh` wrote, in the user's cache.

It may lie anywhere, in the source, too: all it decides is which release a range becomes, and what writes the range
decides that anyway.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from langs import releases
from langs.errors import LangError
from langs.model import Releases
from langs.releases import Tool
from orchestrator.config import decode
from orchestrator.errors import ConfigError


def read(file: Path) -> Mapping[str, Releases]:
    """The refreshed releases by tool; none when there is no such file.

    Raises:
        ConfigError: it cannot be read, or is no such table.
    """
    with _border(file):
        return {name: releases.expanded(tool, file.name) for name, tool in read_tools(file).items()}


def read_tools(file: Path) -> Mapping[str, Tool]:
    """The refreshed table as it is written.

    Raises:
        ConfigError: as `read`.
    """
    document = decode.read(file, name=str(file))
    with _border(file):
        return {} if document is None else releases.parse(document.text, file.name)


@contextmanager
def _border(file: Path) -> Generator[None, None, None]:
    try:
        yield
    except LangError as error:
        raise ConfigError(
            f"{file}: {error.message}", hint="Delete it, and write it anew: `fleetpacks versions refresh`."
        ) from error
