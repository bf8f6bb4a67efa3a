"""Every origin cut off: a builder that reaches nothing but mirrors builds apps, and fails without them.

The builder is a host of its own: its network ends at this machine, where a registry and mirrors of package indexes
listen; to everything else it has no route, and no name is known to it. Its buildkitd knows of no mirror.
"""

import re
import secrets
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest

from orchestrator.events import AppWarning
from tests.conftest import RealCount
from tests.e2e.conftest import Ran, Start
from tests.e2e.test_mirrors import CASES, Mirror, mirror
from tests.lab import Lab
from tests.lab.hosts import Host, machine, started
from tests.lab.hosts.network import ENVIRONMENT, ip
from tests.lab.state import layout
from tests.registry.conftest import certified
from tests.registry.test_tls import server_side
from tests.tiers import FULL

pytestmark = [pytest.mark.real, pytest.mark.apart]

_CASES = ("npm", "go", "apt") if FULL else ("npm",)
_MIRRORS = re.compile(r'\[registry\."(?:docker\.io|mcr\.microsoft\.com)"\]\n  mirrors = .*\n')
_CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=3)"


@asynccontextmanager
async def _cut_off() -> AsyncGenerator[Host]:
    """A builder that reaches this machine's end of its line, and nothing else."""
    async with started() as host:
        # What is left is the bridge that it is on, and this machine's address there.
        await ip("route del default", inside=host.enter())
        file = host.folder / "buildkitd.toml"
        text, count = _MIRRORS.subn("", file.read_text())
        assert count == 2
        file.write_text(text)
        await host.kill("buildkitd")
        await machine.start_buildkitd(layout(), host)
        yield host


async def _reaches(host: Host, address: str, port: int) -> bool:
    words = host.enter_network(sys.executable, "-c", _CONNECT, address, str(port))
    return (await anyio.run_process(words, check=False, env=ENVIRONMENT)).returncode == 0


async def test_apps_are_built_from_mirrors_while_every_origin_is_out_of_reach(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path
) -> None:
    word = secrets.token_hex(6)
    for name in _CASES:
        for path, text in CASES[name].files.items():
            file = tmp_path / "source" / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text.replace("%s", word))
    lines = [f'{CASES[name].index} = {{ env = "MIRROR_{name.upper()}" }}\n' for name in _CASES]
    (tmp_path / "operator.toml").write_text(f"[mirrors]\n{''.join(lines)}")

    async with _cut_off() as host, AsyncExitStack() as stack:
        gateway, _, port = host.registry.partition(":")
        reached = [
            await _reaches(host, *place) for place in ((gateway, int(port)), ("1.1.1.1", 443), ("pypi.org", 443))
        ]
        tls = server_side(certified(tmp_path, gateway))
        indexes: dict[str, Mirror] = {
            name: await stack.enter_async_context(
                mirror(CASES[name], secrets.token_hex(8), at=gateway, tls=None if name == "apt" else tls)
            )
            for name in _CASES
        }

        async def built(source: Path, variables: dict[str, str], *words: str) -> Ran:
            image = f"{host.registry}/cut-{word}/{{app}}:latest"
            ca = str(tmp_path / "ca.pem")
            said = {"CACHE_KEY": word, "FLEETPACKS_CA": ca, "REGISTRY_MIRROR": f"http://{host.registry}", **variables}
            async with build(source, *words, image=image, host=f"unix://{host.buildkitd}", variables=said) as running:
                return await running.end()

        addresses = {f"MIRROR_{name.upper()}": each.url for name, each in indexes.items()}
        ran = await built(tmp_path / "source", {"FLEETPACKS_CONFIG": str(tmp_path / "operator.toml"), **addresses})
        asked = {name: len(each.asked) for name, each in indexes.items()}
        # The same host without a mirror: this is what was cut off.
        (tmp_path / "other/app").mkdir(parents=True)
        (tmp_path / "other/app/Dockerfile").write_text(f"FROM debian:trixie-slim\nLABEL run={word}\n")
        without = await built(tmp_path / "other", {"REGISTRY_MIRROR": ""}, "--retries", "0")
    real_count.record("build", times=len(_CASES))

    assert reached == [True, False, False]
    assert ran.code == 0, [*ran.failed().values(), ran.err]
    assert set(ran.completed()) == set(_CASES)
    # Nothing was looked for at its origin.
    assert not [event for event in ran.events if isinstance(event, AppWarning) and "taken from" in event.message]
    assert all(asked.values()), asked
    assert without.code != 0
    assert without.failed()["app"].kind in {"registry-unavailable", "registry"}
