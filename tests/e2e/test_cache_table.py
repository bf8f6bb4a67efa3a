"""What a change costs, for every package manager: the table of docs/languages.md, on the real daemon.

The flags are BuildKit's own. Beside them stands the image: what claims to have executed nothing must be the same one.
"""

import secrets
import shutil
from pathlib import Path

import msgspec
import pytest

from tests.conftest import RealCount
from tests.e2e.conftest import Ran, Start
from tests.examples.answers import EXAMPLES
from tests.lab import Lab

pytestmark = pytest.mark.real


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One app of the example, and where in it to change what."""

    app: str
    install: str
    """A part of the name of the step that installs dependencies."""
    build: str
    """The same for the step that takes the source."""
    source: str
    lockfile: str


_CASES = (
    Case(
        app="storefront", install="npm ci", build="npm run build", source="src/server.ts", lockfile="package-lock.json"
    ),
    Case(app="reports", install="requirements.txt", build="/app ||", source="app.py", lockfile="requirements.txt"),
    Case(app="billing", install="--no-install-project", build="/app ||", source="main.py", lockfile="uv.lock"),
    Case(app="ledger", install="go mod download", build="go build", source="cmd/ledger/main.go", lockfile="go.mod"),
)


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.app)
async def test_a_change_runs_what_depends_on_it_and_nothing_else(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path, case: Case
) -> None:
    [example] = [example for example in EXAMPLES if example.name == case.app]
    app = tmp_path / "source" / case.app
    shutil.copytree(example.directory, app)

    async def built() -> Ran:
        async with build(app.parent, image=f"{lab.registry}/cache-table/{case.app}") as running:
            ran = await running.end()
        assert ran.code == 0, ran.err
        real_count.record("build")
        return ran

    def cached(ran: Ran) -> tuple[bool, bool]:
        steps = ran.steps(case.app)
        [install] = [step for name, step in steps.items() if case.install in name and "RUN" in name]
        [source] = [step for name, step in steps.items() if case.build in name and "RUN" in name]
        return install.cached, source.cached

    change(app / case.lockfile)
    change(app / case.source)
    first = await built()
    again = await built()
    change(app / case.source)
    after_source = await built()
    change(app / case.lockfile)
    after_lockfile = await built()

    assert cached(first) == (False, False)
    assert cached(again) == (True, True)
    assert again.completed()[case.app].steps == again.completed()[case.app].cached
    assert again.completed()[case.app].digest == first.completed()[case.app].digest
    assert cached(after_source) == (True, False)
    assert cached(after_lockfile) == (False, False)


def change(path: Path) -> None:
    """Change a file's content and nothing of its meaning: a line of blanks that nobody has built before."""
    blanks = "".join(" \t"[bit == "1"] for bit in f"{secrets.randbits(48):048b}")
    with path.open("a", encoding="utf-8") as file:
        file.write(f"\n{blanks}\n")
