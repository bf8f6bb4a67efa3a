"""What was asked for and a builder cannot do: said once before anything is built, and the nearest thing is done.

Where nothing is near, it is an error. No option is ever dropped in silence. The rows are data, from which a test makes
the table of the documentation too.
"""

from collections.abc import Collection, Iterable

import msgspec

from orchestrator.buildkit.capabilities import TABLE, Capabilities, Kind
from orchestrator.errors import UsageError


class Shortfall(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that some builders do in another way, or not at all."""

    asked: str
    """What is asked for, as it is written: an option, or a key of a file."""
    kinds: frozenset[Kind]
    """Who cannot."""
    instead: str | None
    """What is done; None: it is an error."""
    hint: str
    since: str | None = None
    """The version of BuildKit that can, where that decides and not a builder's kind."""


_GRAPH: frozenset[Kind] = frozenset({"engine, graph driver"})
_HINT = (
    "use a buildkitd, or switch containerd's image store on in the engine's daemon.json (Docker 24 or newer): "
    '"features": {"containerd-snapshotter": true}'
)

SEVERAL = Shortfall(
    asked="several of `--push`, `--load` and `--output` at once",
    kinds=frozenset(),
    instead=None,
    hint="its BuildKit is older than v0.13 and has one result for each build: build once for each of them",
    since="v0.13",
)
CONTEXTS = Shortfall(
    asked="`contexts`",
    kinds=frozenset(),
    instead=None,
    hint="its BuildKit is older than v0.11, and would look for an image of that name: use a newer one",
    since="v0.11",
)
CACHES = Shortfall(
    asked="`CACHE_FROM`",
    kinds=frozenset(),
    instead="of the caches in registries only those are read that are kept inline, in images",
    hint="its BuildKit is older than v0.13: use a newer one",
    since="v0.13",
)
PLAIN = Shortfall(
    asked="`CACHE_REGISTRY_INSECURE`",
    kinds=frozenset(),
    instead="what counts is `insecure-registries` of the engine's daemon.json",
    hint="its BuildKit is older than v0.13: use a newer one",
    since="v0.13",
)

TIMES = Shortfall(
    asked="`--reproducible`",
    kinds=_GRAPH,
    instead=None,
    hint="files keep the time of their build there: use a buildkitd of v0.13 or newer, or an engine with containerd's "
    "image store (Docker 26 or newer); or unset `$SOURCE_DATE_EPOCH`, which asks for the same",
    since="v0.13",
)

ROWS = (
    Shortfall(
        asked="`--push`",
        kinds=_GRAPH,
        instead="the engine itself pushes each image after its build, under its first tag, with Docker's media types;"
        " it is handed the registry's credential for that, not a short-lived token",
        hint=_HINT,
    ),
    Shortfall(
        asked="`registries` with `insecure`",
        kinds=_GRAPH,
        instead="what counts is `insecure-registries` of the engine's daemon.json",
        hint=_HINT,
    ),
    Shortfall(asked="`--output type=oci`", kinds=_GRAPH, instead=None, hint=_HINT),
    Shortfall(asked="`--output type=docker`", kinds=_GRAPH, instead=None, hint=_HINT),
    Shortfall(
        asked="`CACHE_IMAGE`",
        kinds=_GRAPH,
        instead="the cache is kept inline, in the image itself, as with `CACHE_MODE=min`",
        hint=_HINT,
    ),
    Shortfall(
        asked="`cache.local`",
        kinds=_GRAPH,
        instead="no local cache is read or written",
        hint=_HINT,
    ),
    CACHES,
    PLAIN,
    Shortfall(asked="an image for several platforms", kinds=_GRAPH, instead=None, hint=_HINT),
    Shortfall(
        asked="such an image by `--output type=docker`, or by `--load` into another engine",
        kinds=frozenset(TABLE),
        instead=None,
        hint="Docker's archives hold one platform: push the image, write type=oci, or name one platform",
    ),
    Shortfall(asked="`--provenance`", kinds=_GRAPH, instead=None, hint=_HINT),
    Shortfall(asked="`--sbom`", kinds=_GRAPH, instead=None, hint=_HINT),
    TIMES,
    SEVERAL,
    CONTEXTS,
)


def asked_for(
    can: Capabilities,
    *,
    push: bool,
    insecure: bool,
    load: bool,
    outputs: Collection[str],
    contexts: bool,
    cache: bool,
    cache_read: bool = False,
    cache_insecure: bool = False,
    platforms: bool = False,
    archives: bool = False,
    attested: Collection[str] = (),
    local: bool = False,
    reproducible: bool = False,
) -> tuple[str, ...]:
    """Name what a run asks of its builder, in the words of the rows.

    Args:
        can: what the builder can do.
        push: whether images go to a registry.
        insecure: whether one of these registries, or of those that caches are read from, was declared to speak plain
            HTTP.
        load: whether images are loaded.
        outputs: types of `--output`, once for each output.
        contexts: whether a Dockerfile names contexts besides its own.
        cache: whether layer caches are written to a registry.
        cache_read: whether more layer caches are read from registries.
        cache_insecure: whether the registries of layer caches were said to speak plain HTTP.
        platforms: whether an image is for several platforms.
        archives: whether such an image is to become an archive of Docker's.
        local: whether layer caches are read from directories, or written to them.
        attested: what is attested, by its option.
        reproducible: whether images may have one time only.
    """
    # What an engine builds, it keeps and pushes: one result is enough where the push comes later.
    images = push + load if can.pushes else push or load
    several = len(outputs) + images > 1
    return (
        *(["`--push`"] if push else []),
        *(["`registries` with `insecure`"] if insecure else []),
        *dict.fromkeys(f"`--output type={kind}`" for kind in outputs),
        *(["`CACHE_IMAGE`"] if cache else []),
        *([CACHES.asked] if cache_read else []),
        *([PLAIN.asked] if cache_insecure else []),
        *(["`cache.local`"] if local else []),
        *(["an image for several platforms"] if platforms else []),
        *(["such an image by `--output type=docker`, or by `--load` into another engine"] if archives else []),
        *(f"`{option}`" for option in attested),
        *([TIMES.asked] if reproducible else []),
        *([SEVERAL.asked] if several else []),
        *([CONTEXTS.asked] if contexts else []),
    )


def shortfalls(can: Capabilities, asked: Iterable[str], *, address: str) -> tuple[Shortfall, ...]:
    """Find what the builder does in another way.

    Args:
        can: what it can do.
        asked: as `asked_for` says.
        address: the builder's, for the error.

    Raises:
        UsageError: it cannot do one of them, nor anything near.
    """
    named = set(asked)
    found = [row for row in ROWS if row.asked in named and _lacks(can, row)]
    for row in found:
        if row.instead is None:
            raise UsageError(f"{address}: {_plain(row.asked)}: this builder ({can.kind}) cannot", hint=_plain(row.hint))
    return tuple(found)


def message(row: Shortfall, *, address: str) -> str:
    """Say what is done instead."""
    return _plain(f"{address}: {row.asked}: {row.instead}")


def documented() -> str:
    """The table of the documentation, in Markdown."""
    kinds: tuple[Kind, ...] = tuple(TABLE)

    def cell(row: Shortfall, kind: Kind) -> str:
        if row.since is not None and kind not in row.kinds:
            return f"since BuildKit {row.since}" + (f"; before, {row.instead}" if row.instead else "")
        return (row.instead or "an error") if kind in row.kinds else "yes"

    head = ["| asked for |", *(f" {kind} |" for kind in kinds)]
    body = [["|", f" {row.asked} |", *(f" {cell(row, kind)} |" for kind in kinds)] for row in ROWS]
    rule = "|---" * (len(kinds) + 1) + "|"
    return "\n".join(["".join(head), rule, *("".join(cells) for cells in body)]) + "\n"


def _lacks(can: Capabilities, row: Shortfall) -> bool:
    if row is SEVERAL:
        return not can.several_exporters
    if row in (CACHES, PLAIN):
        return not can.registry_caches
    if row is TIMES and not can.rewrites_times:
        return True
    return not can.named_contexts if row is CONTEXTS else can.kind in row.kinds


def _plain(text: str) -> str:
    return text.replace("`", "")
