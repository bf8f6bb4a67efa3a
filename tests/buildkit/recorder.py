"""Records how a real daemon fails every scenario: `python -m tests.buildkit.recorder [ADDRESS]`; default: the lab's.

What comes of it, `recorded/<version>.json`, is committed: daemons of other versions are judged by what they said.
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

import anyio
import msgspec

import remote.address
import remote.connect
from orchestrator.buildkit import Client
from orchestrator.buildkit.grpc import GrpcError
from orchestrator.errors import FleetpacksError, ProtocolError
from tests.buildkit.real import Watched
from tests.buildkit.scenarios import SCENARIOS, Scenario, prepared
from tests.lab import current

RECORDED = Path(__file__).with_name("recorded")

_WITH_DETAILS = re.compile(r"step: .*|context: file not found|dockerfile: unknown instruction|base: not found")
"""Of the others, only the text is kept: details are some kilobytes each, mostly the daemon's stack."""

_PATIENCE = 40


class Recorded(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a daemon answered."""

    status: int
    message: str
    details: bytes = b""


def load() -> Mapping[str, Mapping[str, Recorded]]:
    """All that was recorded: by version, then by scenario."""
    return {
        file.stem: msgspec.json.decode(file.read_bytes(), type=dict[str, Recorded])
        for file in sorted(RECORDED.glob("*.json"))
    }


async def provoke(builder: Client, scenario: Scenario) -> FleetpacksError:
    """Run a scenario; what came of it, whose cause is the daemon's own answer."""
    async with prepared(scenario) as build:
        with anyio.move_on_after(_PATIENCE):
            try:
                await builder.solve(build, on_status=Watched())
            except FleetpacksError as error:
                return error
    raise AssertionError(f"{scenario.name}: the build did not fail within {_PATIENCE} s")


async def _version(builder: Client) -> str:
    try:
        return (await builder.info()).version
    except ProtocolError:
        return "unknown"


async def _record(address: str) -> None:
    found: dict[str, Recorded] = {}
    dial = await remote.connect.dialer(remote.address.parse(address))
    async with Client(dial, address=address) as builder:
        for scenario in SCENARIOS:
            if scenario.push is not None and address.startswith("docker:"):
                # An engine has exporters of its own; what it pulls and executes is what counts here.
                continue
            if scenario.name == "dockerfile: no stage" and len(sys.argv) > 1:
                # It ends dockerd 20.10 and buildkitd 0.13.2, whole.
                continue
            try:
                error = await provoke(builder, scenario)
            except AssertionError as wrong:
                sys.stderr.write(f"{wrong}\n")
                continue
            answer = error.__cause__
            if not isinstance(answer, GrpcError):
                sys.stderr.write(f"{scenario.name}: {error!r}\n")
                continue
            found[scenario.name] = Recorded(
                status=answer.status,
                message=answer.message,
                details=(answer.details or b"") if _WITH_DETAILS.fullmatch(scenario.name) else b"",
            )
            sys.stderr.write(f"{scenario.name}: {type(error).__name__}: {error.message}\n  -> {error.hint}\n")
        version = sys.argv[2] if len(sys.argv) > 2 else await _version(builder)
    text = msgspec.json.format(msgspec.json.encode(found), indent=1)
    (RECORDED / f"{version}.json").write_bytes(text + b"\n")


if __name__ == "__main__":
    lab = current()
    anyio.run(_record, sys.argv[1] if len(sys.argv) > 1 else lab.buildkit_host if lab else "")
