"""`fleetpacks bench`: what builds cost on which storage."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestrator.cli import benchfleet, benchreport, loop, measuring
from orchestrator.cli.daemon import KINDS
from orchestrator.config import environment, load
from orchestrator.model import DaemonKind

if TYPE_CHECKING:
    from orchestrator.bench.model import Target

_FORBIDDEN = frozenset("=+/,")
"""What divides names in reports."""


@click.group()
def bench() -> None:
    """Measure what builds cost on your own storage, and compare what was measured."""


bench.add_command(benchfleet.fleet)
bench.add_command(benchreport.show)
bench.add_command(benchreport.compare)


def _targets(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> "tuple[Target, ...]":
    from orchestrator.bench.model import Target  # noqa: PLC0415 -- not for --help

    found: list[Target] = []
    for each in value:
        name, separator, path = each.partition("=")
        if not separator or not name or not path or _FORBIDDEN & set(name) or not name.isprintable():
            raise click.BadParameter(f"{each!r}: expected a name and a directory, such as local=/var/lib/bench")
        found.append(Target(name=name, path=Path(path).absolute()))
    return tuple(found)


@bench.command()
@click.option(
    "--target",
    "targets",
    metavar="NAME=DIR",
    multiple=True,
    required=True,
    callback=_targets,
    help="A directory on a storage to measure. Repeatable.",
)
@click.option("--quick", is_flag=True, help="A first answer within three minutes, by smaller builds.")
@click.option(
    "--rounds",
    type=click.IntRange(1, 1000),
    help="How often each run is made; default: 5, or what --quick has time for.",
)
@click.option(
    "--engine", "kind", type=click.Choice(KINDS), default="buildkitd", help="What builds; default: buildkitd."
)
@click.option("--seed", type=click.IntRange(0), default=1, help="Of what is built; default: 1.")
@click.option(
    "--base",
    metavar="IMAGE",
    default="",
    help="Build on it, and not on this machine's own Python. It needs Python 3 and a shell.",
)
@click.option(
    "--drop-caches", is_flag=True, help="Empty this machine's page cache before each run. All its programs feel that."
)
@measuring.report_options
def storage(
    *,
    targets: "tuple[Target, ...]",
    quick: bool,
    rounds: int | None,
    kind: DaemonKind,
    seed: int,
    base: str,
    json_file: str | None,
    directory: Path | None,
    drop_caches: bool,
) -> int:
    """Build on each target, with and without caches, and tell what it takes and what to put where.

    Daemons of our own run on it for that, which needs root. Nothing of it is left on the targets.
    """
    from orchestrator.app import benching  # noqa: PLC0415 -- h2, protobuf: only now
    from orchestrator.bench.work.sizes import QUICK, USUAL  # noqa: PLC0415 -- as above

    measuring.check(json_file, directory)
    config = load(None, environment.read())
    shown = measuring.Shown()
    try:
        report = loop.run(
            partial(
                benching.storage,
                config,
                targets,
                QUICK if quick else USUAL,
                kind=kind,
                rounds=rounds,
                seed=seed,
                base=base,
                drop_caches=drop_caches,
                hear=shown.hear,
            )
        )
    except KeyboardInterrupt:
        shown.broken_off(" and ".join(target.name for target in targets))
        raise
    finally:
        shown.end()
    measuring.tell(report, json_file=json_file, directory=directory)
    return 0
