"""Why a peer is better where it is: what was found out by looking, and what it would cost to be no worse.

A reason is told as long as the figure is missed, and no longer: it can stay here when that has changed.
"""

import msgspec

from benchmarks.images.telling import FIGURES

UNKNOWN = "Why is not known yet."


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Of some figures of some apps beside a peer."""

    peer: str
    figures: tuple[str, ...]
    apps: tuple[str, ...]
    why: str


REASONS: tuple[Reason, ...] = (
    Reason(
        peer="migetpacks",
        figures=("image",),
        apps=("python-uv-sizes",),
        why="Ours holds its modules compiled, 1 MB: on a read-only root each start would have to do it again.",
    ),
    Reason(
        peer="migetpacks",
        figures=("image",),
        apps=("bun-express",),
        why="What is made of sources lies in a layer of its own: that is why a change of them pushes so much less.",
    ),
    Reason(
        peer="nixpacks",
        figures=FIGURES,
        apps=("deno-hono",),
        why="Its image holds no dependencies: it fetches them from the index at each start.",
    ),
    Reason(
        peer="nixpacks",
        figures=("lockfile change", "lockfile change, processor"),
        apps=("php-composer",),
        why="Composer runs twice, first for dependencies alone: that is why a change of source does not install them.",
    ),
    Reason(
        peer="nixpacks",
        figures=("lockfile change", "lockfile change, processor"),
        apps=("rust-axum",),
        why="What it compiles into is a cache mount, where a comment in Cargo.lock leaves nothing to do; ours compiles"
        " the app again, beside a layer of dependencies, which other builders get, too.",
    ),
    Reason(
        peer="nixpacks",
        figures=("lockfile change", "lockfile change, processor"),
        apps=("scala-sbt-cask",),
        why="sbt starts twice, first for dependencies: that is why a change of source is a third quicker.",
    ),
)


def why(peer: str, app: str, figure: str) -> str:
    """Why the peer is better in a figure."""
    found = (each.why for each in REASONS if each.peer == peer and app in each.apps and figure in each.figures)
    return next(found, UNKNOWN)
