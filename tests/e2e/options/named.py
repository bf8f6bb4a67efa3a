"""All by which something can be said of a build, from the code: flags, keys, variables, keys of Compose files."""

from collections.abc import Iterator

import click
from msgspec import inspect

from langs.facts import TOOL_VARIABLES, VERSION_VARIABLES
from orchestrator.cli.build import build
from orchestrator.config import environment
from orchestrator.config.operator import OperatorTable
from orchestrator.config.repository import RootTable

_SOURCES = frozenset({"url", "env", "file"})
"""Where something is read: such a table says one thing."""
COMPOSE = (
    "build.additional_contexts",
    "build.args",
    "build.context",
    "build.dockerfile",
    "build.dockerfile_inline",
    "build.labels",
    "build.platforms",
    "build.secrets",
    "build.ssh",
    "build.target",
)
"""Keys of Compose files that are understood."""


class _Recording(dict[str, str]):
    """Remembers the names of variables that are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]  # only this form
        self.asked.add(name)
        return default


def flags() -> set[str]:
    """The long options of `fleetpacks build`, those of a pair by the first."""
    return {each.opts[-1] for each in build.params if isinstance(each, click.Option)}


def keys() -> set[str]:
    """The keys of both files; of a table, those in it."""
    return {key for table in (RootTable, OperatorTable) for key in _keys(inspect.type_info(table))}


def variables() -> set[str]:
    """The variables, with a dollar sign."""
    said = _Recording()
    environment.parse(said, version_variables=VERSION_VARIABLES)
    # Read where they are used, and by Python itself.
    more = {"SOURCE_DIR", "DHI_USERNAME", "DHI_PASSWORD", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
    return {f"${name}" for name in {*said.asked, *more, *VERSION_VARIABLES, *TOOL_VARIABLES}}


def _keys(table: inspect.Type, before: str = "") -> Iterator[str]:
    assert isinstance(table, inspect.StructType)
    for field in table.fields:
        name = f"{before}{field.encode_name}"
        # An app's table has the keys of the root's.
        tables = [] if name == "apps" else list(_tables(field.type))
        if not tables:
            yield name
        for each in tables:
            if {key.encode_name for key in each.fields} <= _SOURCES:
                yield name
            else:
                yield from _keys(each, f"{name}.")


def _tables(kind: inspect.Type) -> Iterator[inspect.StructType]:
    """The tables that a value of a type may be, or may hold."""
    match kind:
        case inspect.StructType():
            yield kind
        case inspect.Metadata(type=inner) | inspect.DictType(value_type=inner) | inspect.VarTupleType(item_type=inner):
            yield from _tables(inner)
        case inspect.UnionType(types=inner_types):
            for each in inner_types:
                yield from _tables(each)
        case _:
            pass


def compose() -> set[str]:
    """Those of the list: what the reader of Compose files knows is its own, and tested there."""
    return set(COMPOSE)


def everything() -> set[str]:
    """All of them."""
    return flags() | keys() | variables() | compose()
