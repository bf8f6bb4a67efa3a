"""`fleetpacks doctor`: what is missing or slow, and the command that mends it."""

from functools import partial

import click
import msgspec

from orchestrator.cli import loop, output
from orchestrator.cli.lines import fit
from orchestrator.config import Flags, environment, load


@click.command()
@click.option("-C", "--source", metavar="DIR", help="The monorepo; default: $SOURCE_DIR, else the current directory.")
@click.option("--host", "hosts", metavar="URL", multiple=True, help="A builder; default: as for `build`.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(*, source: str | None, hosts: tuple[str, ...], as_json: bool) -> int:
    """Look at this machine, the builders, the registries and the last runs, and say what mends what is wrong.

    Ends with 0 when nothing is wrong, else with 1. What could not be looked at is said.
    """
    from orchestrator.app import doctoring  # noqa: PLC0415 -- h2, protobuf, h11: only now

    variables = environment.read()
    config = load(environment.source(source, variables), variables, Flags(hosts=hosts))
    found = loop.run(partial(doctoring.examine, config))
    if as_json:
        output.write_json(msgspec.to_builtins(found))
        return found.exit_code
    for each in found.problems:
        # Whoever is asked begins with its own name already.
        said = each.message if each.message.startswith(each.about) else f"{each.about}: {each.message}"
        _say(f"{each.kind}: {said}")
        _say(f"  cure: {each.cure}")
    for unseen in found.unseen:
        _say(f"not looked at: {unseen.what}: {unseen.why}")
    wrong = len(found.problems)
    _say(f"looked at {', '.join(found.looked)}: {wrong or 'nothing'} {'are' if wrong > 1 else 'is'} wrong")
    return found.exit_code


def _say(line: str) -> None:
    click.echo(fit(" ".join(line.splitlines())))
