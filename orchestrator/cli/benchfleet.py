"""`fleetpacks bench fleet`: what builds cost on which host of a pool."""

from functools import partial
from pathlib import Path

import click

from orchestrator.cli import loop, measuring
from orchestrator.config import Flags, environment, load


@click.command()
@click.option("--host", "addresses", metavar="URL", multiple=True, help="A builder; default: as for `build`.")
@click.option("--quick", is_flag=True, help="A first answer, by smaller builds and in three rounds.")
@click.option("--rounds", type=click.IntRange(1, 1000), help="How often each run is made; default: 5, or 3.")
@click.option(
    "--base",
    metavar="IMAGE",
    default="",
    help="Build on it, and not on this machine's own Python. It needs Python 3 and a shell.",
)
@measuring.report_options
def fleet(
    *,
    addresses: tuple[str, ...],
    quick: bool,
    rounds: int | None,
    base: str,
    json_file: str | None,
    directory: Path | None,
) -> int:
    """Build on each builder of a pool, one at a time, and tell what it takes there; then on several at once.

    Their own daemons build, and nothing is installed there; what was built is deleted from their caches.
    """
    from orchestrator.app import benchfleet  # noqa: PLC0415 -- h2, protobuf: only now
    from orchestrator.bench.work.sizes import QUICK, USUAL  # noqa: PLC0415 -- as above

    measuring.check(json_file, directory)
    config = load(None, environment.read(), Flags(hosts=addresses))
    sizes = QUICK if quick else USUAL
    shown = measuring.Shown()
    try:
        report = loop.run(
            partial(
                benchfleet.fleet,
                config,
                sizes,
                rounds=rounds or (benchfleet.QUICK_ROUNDS if quick else sizes.rounds),
                base=base,
                hear=shown.hear,
                warn=shown.warn,
            )
        )
    except KeyboardInterrupt:
        shown.broken_off("the builders")
        raise
    finally:
        shown.end()
    measuring.tell(report, json_file=json_file, directory=directory)
    return 0
