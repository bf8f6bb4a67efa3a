"""`python -m tests.lab up|down|status`: the lab's command line."""

import signal
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType

import anyio
import click

from orchestrator.errors import FleetpacksError
from tests.lab import ceph as clusters
from tests.lab import hosts as machines
from tests.lab import up as steps
from tests.lab.bases import everything, repositories
from tests.lab.ceph import shape
from tests.lab.engines import running
from tests.lab.errors import LabError
from tests.lab.state import current, layout


def _say(line: str) -> None:
    click.echo(f"lab: {line}", err=True)


def _rate(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | None:
    return _read(shape.rate, text)


def _delay(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int | None:
    return _read(shape.delay, text)


def _read(how: Callable[[str], int], text: str | None) -> int | None:
    try:
        return None if text is None else how(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.group()
def lab() -> None:
    """A real registry, buildkitd and base images on this machine, in $FLEETPACKS_LAB or ~/.cache/fleetpacks/lab."""


@lab.command()
@click.option("--builder/--no-builder", default=True, help="Whether buildkitd is started (default: yes).")
@click.option("--peers", is_flag=True, help="Also get what the benchmarks compare with (buildx).")
@click.option("--engines", is_flag=True, help="Also start two Docker Engines, and have the oldest buildkitd.")
@click.option("--hosts", type=click.IntRange(0), default=0, help="Also start so many hosts with sshd and buildkitd.")
@click.option("--ceph", is_flag=True, help="Also start a Ceph cluster of one node, and mount its CephFS.")
@click.option("--ceph-rate", callback=_rate, help="What its link carries each way, e.g. 1gbit; none: no limit.")
@click.option("--ceph-delay", callback=_delay, help="What its OSD waits before an operation, e.g. 2ms; none: nothing.")
@click.option("--unpack", is_flag=True, help="Unpack Debian's programs even where they are installed.")
@click.option("--images/--no-images", default=True, help="Whether base images are made (default: yes).")
@click.option("--languages", is_flag=True, help="Also make the base images of all languages: 2 GB, some minutes.")
@click.option("--bases", default="", help="Also make those of some languages or repositories: java,ruby,oven/bun.")
def up(
    *,
    builder: bool,
    peers: bool,
    engines: bool,
    hosts: int,
    ceph: bool,
    ceph_rate: int | None,
    ceph_delay: int | None,
    unpack: bool,
    images: bool,
    languages: bool,
    bases: str,
) -> None:
    """Bring the lab up; quick when it is."""
    place = layout()
    words = [word.strip() for word in bases.split(",") if word.strip()]
    more = everything() if languages else repositories(words)
    with steps.locked(place, _say):
        wanted = partial(steps.up, place, builder=builder, images=images, peers=peers, docker=engines)
        anyio.run(partial(wanted, builder_hosts=hosts, installed=not unpack, say=_say, more_images=more))
        if ceph or (ceph_rate, ceph_delay) != (None, None):
            anyio.run(partial(clusters.start, place, rate=ceph_rate, delay=ceph_delay, say=_say))
    _status()


@lab.command()
@click.option("--delete", is_flag=True, help="Also delete images, compiled programs and caches.")
def down(*, delete: bool) -> None:
    """End the lab's daemons; its images and tools stay for the next `up`."""
    place = layout()
    with steps.locked(place, _say):
        anyio.run(partial(steps.down, place, everything=delete, say=_say))


@lab.command()
def status() -> None:
    """Say what runs, and where; exit status 1 when the lab is not up."""
    if not _status():
        sys.exit(1)


@lab.command()
def quickstart() -> None:
    """Build examples/monorepo, push it, start one of its apps and print its answer."""
    from tests.lab.quickstart import quickstart as run  # noqa: PLC0415 -- all of the product, for this command only

    place = layout()
    with steps.locked(place, _say):
        anyio.run(partial(run, place, say=_say, show=click.echo))
    _say("`python -m tests.lab down` ends registry and buildkitd; `down --delete` also deletes what was made")


def _status() -> bool:
    found = current()
    if found is None:
        record = layout().read()
        dead = [name for name, daemon in record.daemons.items() if not daemon.alive()] if record else []
        click.echo(f"down ({', '.join(dead)} ended by itself)" if dead else "down")
        return False
    click.echo(f"registry   http://{found.registry}")
    click.echo(f"buildkitd  {found.buildkit_host}")
    for engine in running(layout()):
        click.echo(f"docker     {engine.docker_host}  {engine.version}, images kept by {engine.kind}")
    for host in machines.running(layout()):
        click.echo(f"host       {host.url}  ssh -F {host.client / 'config'} {host.name}")
    whole = _ceph_status()
    click.echo(f"state      {found.state}")
    return whole


def _ceph_status() -> bool:
    """Say how Ceph is, when there is one; False when something of it is missing."""
    found = clusters.known(layout())
    if found is None:
        return True
    if found.whole:
        click.echo(f"ceph       {found.mount}  {found.shape}; its command line is {found.command}")
    elif not found.finished:
        click.echo("ceph       never came up to its end; `up --ceph` goes on from there")
    else:
        missing = [*found.ended, *([] if found.mounted else ["mount"])]
        click.echo(f"ceph       broken: {', '.join(missing)} ended by itself; `up --ceph` mends it")
    return found.whole


def main() -> None:
    """Run the command line; an error is a message and a hint, never a traceback."""
    ended_by = signal.SIGINT

    def terminate(number: int, _frame: FrameType | None) -> None:
        nonlocal ended_by
        ended_by = signal.Signals(number)
        signal.raise_signal(signal.SIGINT)

    # Both signals take the one way that cancels what runs and waits for its clean-up.
    signal.signal(signal.SIGTERM, terminate)
    try:
        _run()
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted; the same command goes on from here")
        sys.exit(128 + ended_by)


def _run() -> None:
    try:
        lab(standalone_mode=False)
    except* (LabError, FleetpacksError) as group:
        error = _first(group)
        click.echo(f"error: {error.message}\nhint: {error.hint}", err=True)
        sys.exit(1)


def _first(group: BaseExceptionGroup[LabError | FleetpacksError]) -> LabError | FleetpacksError:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


if __name__ == "__main__":
    main()
