"""What others must know of all languages, without importing one: what `langs.registry` collects, as it is written down.

Every command reads configuration, and most of them look at no app, or only at apps of which all is known. Languages and
what they stand on are a fifth of what starting costs.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import msgspec


class _Facts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    names: tuple[str, ...]
    version_variables: dict[str, str]
    tool_variables: tuple[str, ...]
    generated: frozenset[str]
    images: tuple[str, ...]
    manifests: dict[str, tuple[str, ...]]
    entry_points: dict[str, tuple[str, ...]]
    procfile: str
    dockerfile: str
    dockerfiles: tuple[str, ...]
    compose_files: tuple[str, ...]
    pages: str


_FACTS: Final = msgspec.json.decode(Path(__file__).with_name("facts.json").read_bytes(), type=_Facts)

NAMES: Final = _FACTS.names
"""In the order in which they are asked."""

VERSION_VARIABLES: Final[Mapping[str, str]] = MappingProxyType(_FACTS.version_variables)
"""Environment variable -> the language whose version it forces, or what a language runs on."""

GENERATED: Final = _FACTS.generated
"""Languages whose Dockerfiles are ours."""

TOOL_VARIABLES: Final = _FACTS.tool_variables
"""Environment variables that speak to the tools of one language."""

MANIFESTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(_FACTS.manifests)
"""Language -> the files that make a directory worth a look, and that govern its sources below."""

ENTRY_POINTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(_FACTS.entry_points)
"""Language -> the names of sources that may be an app by themselves."""

IMAGES: Final = _FACTS.images
"""The well-known names of all base images."""

PROCFILE: Final = _FACTS.procfile
"""Its name."""

DOCKERFILE: Final = _FACTS.dockerfile
"""The language of an app that brings its own Dockerfile."""

DOCKERFILES: Final = _FACTS.dockerfiles
"""The names of Dockerfiles, the usual one first."""

COMPOSE_FILES: Final = _FACTS.compose_files
"""The names of Compose files."""

PAGES: Final = _FACTS.pages
"""The language of an app that is pages to be served."""
