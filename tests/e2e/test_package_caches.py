"""Package caches in a directory: what one builder has downloaded, another one does not download again."""

import secrets
import shutil
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from orchestrator.events import AppCompleted, AppWarning, PackagesCarried, StepCompleted
from tests.buildkit.real import private_daemon
from tests.conftest import RealCount
from tests.e2e.conftest import Ran, Start
from tests.e2e.test_mirrors import CASES, Case, Mirror, mirror
from tests.lab import Lab
from tests.tiers import FULL

pytestmark = pytest.mark.real

_OF_A_BRANCH = {"GITHUB_ACTIONS": "true", "GITHUB_REF": "refs/heads/main", "GITHUB_EVENT_NAME": "push"}
_OF_A_PULL_REQUEST = {
    "GITHUB_ACTIONS": "true",
    "GITHUB_REF": "refs/pull/7/merge",
    "GITHUB_BASE_REF": "main",
    "GITHUB_HEAD_REF": "feature",
    "GITHUB_EVENT_NAME": "pull_request",
}


class Shop:
    """An app, an index that remembers what it was asked, and a directory for packages."""

    def __init__(self, build: Start, folder: Path, case: Case, index: Mirror, count: RealCount) -> None:
        self.folder = folder
        self._case = case
        self.directory = folder / "packages"
        self.index = index
        self.key = secrets.token_hex(8)
        self._build = build
        self._count = count

    async def run(self, host: str = "", *, key: str | None = None, **variables: str) -> Ran:
        """Build what nobody has built: with `--no-cache`, a builder would empty its package caches."""
        self.change()
        return await self.again(host, key=key, **variables)

    async def again(self, host: str = "", *, key: str | None = None, **variables: str) -> Ran:
        """Build what was built last."""
        async with self._build(self.folder / "source", host=host, variables=self.variables(key, variables)) as running:
            ran = await running.end()
        assert (ran.code, ran.failed()) == (0, {}), ran.err
        self._count.record("build")
        return ran

    def change(self) -> None:
        """Make it an app that nobody has built."""
        word = secrets.token_hex(8)
        for name, text in self._case.files.items():
            (self.folder / "source/app" / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / "source/app" / name).write_text(text.replace("%s", word))

    def variables(self, key: str | None = None, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return {
            "FLEETPACKS_CONFIG": str(self.folder / "operator.toml"),
            "THE_MIRROR": self.index.url,
            "CACHE_KEY": key or self.key,
            "BUILD_CACHE_DIR": str(self.directory),
            **(more or {}),
        }

    def asked(self) -> list[str]:
        """The files that the index was asked for since this was asked last, and not what the newest npm is."""
        asked = [path for path in self.index.asked if path != "/npm"]
        self.index.asked.clear()
        return asked

    def current(self, tool: str) -> dict[str, str]:
        """Which generation is current, by scope."""
        found = self.directory.glob(f"{tool}/.fleetpacks/*/current")
        return {path.parent.name: msgspec.json.decode(path.read_bytes())["generation"] for path in found}

    def content(self, tool: str) -> Path:
        """The content of the only scope's current generation."""
        [(scope, generation)] = self.current(tool).items()
        return self.directory / tool / ".fleetpacks" / scope / "generations" / generation / "content" / tool


@asynccontextmanager
async def opened(
    build: Start, folder: Path, count: RealCount, language: str = "npm", operator: str = ""
) -> AsyncGenerator[Shop]:
    case = CASES[language]
    (folder / "operator.toml").write_text(f'[mirrors]\n{case.index} = {{ env = "THE_MIRROR" }}\n{operator}')
    async with mirror(case, secrets.token_hex(16)) as index:
        yield Shop(build, folder, case, index, count)


def carried(ran: Ran) -> list[tuple[str, str, str | None]]:
    return [(each.cache, each.to, each.error) for each in ran.events if isinstance(each, PackagesCarried)]


def warnings(ran: Ran) -> list[str]:
    return [each.message for each in ran.events if isinstance(each, AppWarning) and "does not pay" not in each.message]


def files(root: Path) -> dict[Path, Path]:
    return {path.relative_to(root): path for path in root.rglob("*") if path.is_file() and not path.is_symlink()}


@pytest.mark.parametrize(("language", "tools"), [("npm", ["npm"]), *([("go", ["go-mod", "go-build"])] if FULL else [])])
async def test_another_daemon_downloads_nothing_that_the_first_one_had(
    lab: Lab, build: Start, tmp_path: Path, real_count: RealCount, *, language: str, tools: list[str]
) -> None:
    folder = tmp_path / "d"
    folder.mkdir()

    async with opened(build, tmp_path, real_count, language) as shop:
        first = await shop.run()
        asked = shop.asked()
        async with private_daemon(lab, folder, snapshotter="overlayfs") as (_, socket):
            second = await shop.run(f"unix://{socket}")
        again = shop.asked()

    assert asked
    assert again == []
    assert (warnings(first), warnings(second)) == ([], [])
    assert carried(first) == [(tool, "directory", None) for tool in tools]
    assert sorted(carried(second)) == sorted((tool, to, None) for tool in tools for to in ("builder", "directory"))
    step = next(step for name, step in second.steps("app").items() if CASES[language].step in name)
    assert (step.cached, step.error) == (False, None)


async def test_what_is_unchanged_is_neither_read_nor_sent_again(
    build: Start, tmp_path: Path, real_count: RealCount
) -> None:
    async with opened(build, tmp_path, real_count) as shop:
        await shop.run()
        before, first = shop.current("npm"), files(shop.content("npm"))
        cached = await shop.again()
        unused = shop.current("npm")
        used = await shop.run()
        last = files(shop.content("npm"))

    assert carried(cached) == []
    assert unused == before
    assert carried(used) == [("npm", "directory", None)]
    assert shop.current("npm") != before
    kept = [path for path in first if "content-v2" in str(path)]
    assert kept
    assert all(last[path].samefile(first[path]) for path in kept)
    assert list(shop.directory.rglob(".fleetpacks-*")) == []


async def test_what_somebody_put_into_the_directory_fills_an_empty_cache(
    build: Start, tmp_path: Path, real_count: RealCount
) -> None:
    async with opened(build, tmp_path, real_count) as shop:
        await shop.run()
        shop.asked()
        there = shop.content("npm")
        shop.directory = tmp_path / "theirs"
        shutil.copytree(there, shop.directory / "npm", symlinks=True)
        # No cache of this name is on the builder.
        ran = await shop.run(key=secrets.token_hex(8))
        again = shop.asked()

    assert again == []
    assert carried(ran) == [("npm", "builder", None), ("npm", "directory", None)]
    assert len(shop.current("npm")) == 1
    assert files(shop.directory / "npm" / "_cacache")


async def test_a_pull_request_reads_what_its_branch_has_and_writes_beside_it(
    build: Start, tmp_path: Path, real_count: RealCount
) -> None:
    async with opened(build, tmp_path, real_count) as shop:
        await shop.run(**_OF_A_BRANCH)
        of_main = shop.current("npm")
        shop.asked()
        request = await shop.run(key=secrets.token_hex(8), **_OF_A_PULL_REQUEST)
        again = shop.asked()
        nobody = await shop.run(key=secrets.token_hex(8), CI="true")

    assert again == []
    assert carried(request) == [("npm", "builder", None), ("npm", "directory", None)]
    [(scope, generation)] = of_main.items()
    assert "main" in scope
    now = shop.current("npm")
    assert now[scope] == generation
    assert len(now) == 2
    # The branch has files which the request's are links to; none of them was changed.
    [told] = [each for each in nobody.events if isinstance(each, PackagesCarried)]
    assert (told.cache, told.to, told.error) == ("npm", "directory", "nobody says whose run this is")
    assert "$FLEETPACKS_TRUST_SCOPE" in told.hint


@pytest.mark.parametrize(
    ("operator", "said"),
    [('[cache]\nmounts_size = "1kB"\n', "larger"), ('[cache]\nmounts_time = "1s"\n', "")],
    ids=["size", "time"],
)
async def test_what_is_over_a_budget_is_left_and_said(
    build: Start, tmp_path: Path, real_count: RealCount, *, operator: str, said: str
) -> None:
    async with opened(build, tmp_path, real_count, operator=operator) as shop:
        ran = await shop.run()

    errors = {cache: error for cache, _, error in carried(ran)}
    if said:
        assert said in (errors["npm"] or "")
        assert shop.current("npm") == {}
    # A second may be enough, but never for half of a cache.
    left = [path for path in shop.directory.glob("*/.fleetpacks/*/generations/*") if not (path / "done").exists()]
    assert left == []


async def test_a_directory_that_is_none_fails_nobody(build: Start, tmp_path: Path, real_count: RealCount) -> None:
    async with opened(build, tmp_path, real_count) as shop:
        shop.directory.mkdir()
        (shop.directory / "npm").write_text("a file")
        ran = await shop.run()

    assert [(cache, to) for cache, to, _ in carried(ran)] == [("npm", "builder"), ("npm", "directory")]
    assert all(error for _, _, error in carried(ran))
    assert (shop.directory / "npm").read_text() == "a file"


async def test_an_interrupted_run_leaves_the_directory_as_it_is(
    build: Start, tmp_path: Path, real_count: RealCount
) -> None:
    async with opened(build, tmp_path, real_count) as shop:
        await shop.run()
        before = shop.current("npm")
        shop.change()
        async with build(tmp_path / "source", variables=shop.variables()) as running:
            await running.until(lambda event: isinstance(event, AppCompleted))
            running.process.send_signal(signal.SIGINT)
            interrupted = await running.end()
        later = await shop.again()

    assert interrupted.code == 130
    assert interrupted.completed()
    assert [each.error for each in interrupted.events if isinstance(each, PackagesCarried)] == []
    assert before.keys() == shop.current("npm").keys()
    # What the interrupted one had used is read by the next.
    assert carried(later) == [("npm", "directory", None)]
    assert all(step.cached for step in later.events if isinstance(step, StepCompleted) and "RUN" in step.name)
    assert list(shop.directory.rglob(".fleetpacks-*")) == []
