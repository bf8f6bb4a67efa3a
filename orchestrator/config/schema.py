"""The JSON schemas of both configuration files, made from the structs that read them: `poe schemas`.

Editors use them through `#:schema` comments or their own settings. A test compares what is committed.
"""

from pathlib import Path

import msgspec

from orchestrator.config.operator import OperatorTable
from orchestrator.config.repository import AppTable, RootTable

FILES: dict[str, tuple[type[msgspec.Struct], str]] = {
    "fleetpacks.json": (RootTable, "fleetpacks.toml at the root of a repository"),
    "fleetpacks-app.json": (AppTable, "fleetpacks.toml in an app's directory"),
    "operator.json": (OperatorTable, "The operator's file of fleetpacks"),
}


def text(name: str) -> str:
    """The schema that is published as docs/schema/`name`."""
    cls, title = FILES[name]
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title}
    return msgspec.json.format(msgspec.json.encode({**head, **msgspec.json.schema(cls)}), indent=2).decode() + "\n"


def main(directory: Path = Path("docs/schema")) -> None:
    """Write all of them, from the checkout's root."""
    directory.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (directory / name).write_text(text(name), encoding="utf-8")


if __name__ == "__main__":
    main()
