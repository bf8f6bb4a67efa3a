"""Package caches of a pool: each host is filled once before it needs them, and one of them is kept."""

import secrets
from pathlib import Path

import pytest

from orchestrator.events import AppStarted, PackagesCarried
from tests.conftest import RealCount
from tests.e2e.conftest import Ran, Start
from tests.e2e.test_mirrors import CASES, mirror
from tests.lab import Lab
from tests.lab.hosts import started

pytestmark = pytest.mark.real

_APPS = ("one", "two", "three")


def _change(source: Path) -> None:
    """Make them apps that nobody has built."""
    for app in _APPS:
        for name, text in CASES["npm"].files.items():
            (source / app / name).parent.mkdir(parents=True, exist_ok=True)
            (source / app / name).write_text(text.replace("%s", secrets.token_hex(8)))


def _carried(ran: Ran, to: str) -> list[PackagesCarried]:
    return [event for event in ran.events if isinstance(event, PackagesCarried) and event.to == to]


async def test_each_host_of_a_pool_is_filled_once_and_the_fullest_is_kept(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path
) -> None:
    source, npm, token = tmp_path / "source", CASES["npm"], secrets.token_hex(16)
    async with started() as host, mirror(npm, token, at=host.registry.partition(":")[0]) as index:
        addresses = [lab.buildkit_host, f"unix://{host.buildkitd}"]
        pool = "".join(f'[[hosts]]\nurl = "{address}"\nslots = 1\n' for address in addresses)
        (tmp_path / "operator.toml").write_text(f'{pool}[mirrors]\nnpm = {{ env = "THE_MIRROR" }}\n')

        async def run() -> tuple[Ran, list[str]]:
            """Build on hosts that have no cache by this name, and say what is downloaded."""
            _change(source)
            index.asked.clear()
            variables = {
                "FLEETPACKS_CONFIG": str(tmp_path / "operator.toml"),
                "THE_MIRROR": index.url,
                "CACHE_KEY": secrets.token_hex(8),
                "BUILD_CACHE_DIR": str(tmp_path / "packages"),
            }
            async with build(source, host=None, variables=variables) as running:
                ran = await running.end()
            assert (ran.code, ran.failed()) == (0, {}), ran.err
            real_count.record("build")
            return ran, [path for path in index.asked if path.endswith(".tgz")]

        first, downloaded = await run()
        second, again = await run()

    assert {event.host for event in first.events if isinstance(event, AppStarted)} == set(addresses)
    assert len(downloaded) >= len(addresses)
    assert _carried(first, "builder") == []
    [told] = _carried(first, "directory")
    assert (told.error, {told.host, *told.passed}) == (None, set(addresses))
    filled = [(event.host, event.error) for event in _carried(second, "builder")]
    assert sorted(filled) == sorted((address, None) for address in addresses)
    assert again == []
    [told] = _carried(second, "directory")
    assert (told.error, {told.host, *told.passed}) == (None, set(addresses))
