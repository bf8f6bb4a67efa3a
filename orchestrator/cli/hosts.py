"""`fleetpacks hosts`: the builders, what they are and what is wrong with them."""

from functools import partial
from typing import TYPE_CHECKING

import click
import msgspec

from orchestrator.cli import errors, loop, output
from orchestrator.config import Flags, environment, load
from orchestrator.errors import FleetpacksError
from orchestrator.text import inline, size

if TYPE_CHECKING:
    from orchestrator.app.hostfacts import Daemon, Host
    from remote.probe import Disk

_HEADING = ("builder", "latency", "daemon", "platforms", "builds", "cores", "memory", "load", "disk", "cache")
_LONGEST = 100
_NOT_KNOWN = "-"


@click.group()
def hosts() -> None:
    """See what the builders are, and what is wrong with them."""


@hosts.command()
@click.option("--host", "addresses", metavar="URL", multiple=True, help="A builder; default: as for `build`.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(*, addresses: tuple[str, ...], as_json: bool) -> int:
    """Ask every builder what it is, how fast it answers, what it does and what its machine has.

    Ends with 0 when all are well, warnings or not; with 75 when one does not answer, and with 1 when one will never do.
    """
    from orchestrator.app import hostcheck  # noqa: PLC0415 -- h2, protobuf: only now

    found = loop.run(partial(hostcheck.check, load(None, environment.read(), Flags(hosts=addresses))))
    if as_json:
        output.write_json(msgspec.to_builtins(found))
        return found.exit_code
    output.write_table([_HEADING, *map(_row, found.hosts)])
    for host in found.hosts:
        for problem in host.problems:
            # A builder's own error begins with its address already.
            said = problem.message
            about = said if said.startswith(host.address) else f"{host.address}: {said}"
            if problem is host.problems[0] and host.state != "well":
                errors.show(FleetpacksError(about, hint=problem.hint))
            else:
                errors.warn(f"{about} (hint: {problem.hint})")
        if host.unknown is not None:
            errors.warn(f"{host.address}: nothing is known of its machine: {host.unknown}")
    return found.exit_code


def _row(host: "Host") -> tuple[str, ...]:
    daemon, machine = host.daemon, host.machine
    running = "?" if daemon is None or daemon.running is None else str(daemon.running)
    cores = memory = load_ = _NOT_KNOWN
    if machine is not None:
        cores = str(machine.cores or _NOT_KNOWN)
        if host.quota is not None:
            cores = f"{host.quota:.2f} of {cores}"
        if machine.memory is not None:
            memory = size(machine.memory)
        if machine.load is not None:
            load_ = f"{machine.load:.1f}"
    return (
        host.address,
        host.state if daemon is None else f"{daemon.latency_ms:.1f} ms",
        _NOT_KNOWN if daemon is None else _daemon(daemon),
        _NOT_KNOWN if daemon is None else _platforms(daemon),
        f"{running} of {host.slots}",
        cores,
        memory,
        load_,
        _NOT_KNOWN if host.disk is None else _disk(host.disk),
        _NOT_KNOWN if daemon is None or daemon.cache is None else size(daemon.cache),
    )


def _daemon(daemon: "Daemon") -> str:
    return inline(" ".join(filter(None, (daemon.kind, daemon.version, daemon.snapshotter))), _LONGEST)


def _platforms(daemon: "Daemon") -> str:
    from orchestrator.app.hostfacts import summary  # noqa: PLC0415 -- as above

    return inline(summary(daemon.platforms), _LONGEST)


def _disk(disk: "Disk") -> str:
    on = f"{disk.kind} on {disk.backing}" if disk.backing else disk.kind
    if disk.size is None or disk.free is None:
        return on
    return f"{on}, {size(disk.free)} of {size(disk.size)} free"
