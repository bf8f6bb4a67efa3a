"""The kinds of builders, and how a build is sent to each of those that the lab has."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

import msgspec

from tests.daemon.real import engine_variables, variables
from tests.lab import Engine, Lab

Column = Literal[
    "buildkitd",
    "engine, containerd's image store",
    "engine, graph driver",
    "--isolated",
    "--isolated=dockerd",
]
COLUMNS: tuple[Column, ...] = get_args(Column)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A builder of a kind."""

    column: Column
    version: str
    """What it is, for the table's head."""
    host: str | None
    words: tuple[str, ...] = ()
    variables: Mapping[str, str] = {}
    engine: Engine | None = None
    """Where it is an engine of the lab's."""

    @property
    def daemon(self) -> Literal["buildkitd", "dockerd"] | None:
        """What is started, of a daemon of our own."""
        return {"--isolated": "buildkitd", "--isolated=dockerd": "dockerd"}.get(self.column)  # type: ignore[return-value]  # of these two


def of_lab(lab: Lab) -> Place:
    """The lab's buildkitd."""
    return Place(column="buildkitd", version=f"BuildKit {_number(lab.buildctl.parent.name)}", host=lab.buildkit_host)


def of_engine(engine: Engine) -> Place:
    """One of its engines."""
    column: Column = "engine, graph driver" if engine.kind == "graph" else "engine, containerd's image store"
    return Place(column=column, version=f"Docker {engine.version}", host=f"docker://{engine.socket}", engine=engine)


async def of_own(lab: Lab, column: Column, home: Path) -> Place:
    """A daemon of our own; all that it keeps lies in `home`, whose path must be short."""
    _forget(home / "bin")
    if column == "--isolated":
        version = f"BuildKit {_number(lab.buildctl.parent.name)}"
        return Place(column=column, version=version, host=None, words=(column,), variables=variables(lab, home))
    said = await engine_variables(lab, home)
    return Place(column=column, version="Docker 20.10", host=None, words=(column,), variables=said)


async def of_newer_graph_driver(lab: Lab, home: Path) -> Place:
    """A dockerd of our own that is as new as the lab's BuildKit, and keeps images by a graph driver."""
    _forget(home / "bin")
    column: Column = "--isolated=dockerd"
    said = {**await engine_variables(lab, home, newer=True), "STORAGE_DRIVER": "vfs"}
    return Place(column=column, version="Docker 28", host=None, words=(column,), variables=said)


def _forget(links: Path) -> None:
    """What is made anew each time."""
    for link in links.glob("*"):
        link.unlink()


def _number(folder: str) -> str:
    return folder.rpartition("-v")[2]
