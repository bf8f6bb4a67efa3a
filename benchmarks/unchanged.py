"""`unchanged`: nothing has changed, all is to be pushed: `fleetpacks build`, which skips, against `buildx bake`.

The apps and the pairs are those of `cached`; here our side may skip. The peer has no such thing, and finds all steps in
its cache. Both leave every app's tag on the same image. The peer sends no trace here, in its own favour: a daemon keeps
that of all targets with each of them, which for 400 are minutes of its processor time.
"""

import datetime as dt
import tempfile
from pathlib import Path

import anyio
import msgspec

from benchmarks.cached import bake, count_cached, timed
from benchmarks.commands import installed
from benchmarks.result import Report, Result, machine
from tests.lab import current

_FEW, _FEW_BAR = 40, 0.4
_MANY, _MANY_BAR = 400, 0.1
_PAIRS_OF_MANY = 3
"""One takes minutes."""
_UNTRACED = {"OTEL_TRACES_SAMPLER": "always_off"}


async def run_unchanged(rounds: int) -> Report:
    """The benchmark `unchanged`. The lab must be up, with its peers."""
    lab = current()
    if lab is None or not lab.buildx.exists():
        raise SystemExit("benchmarks: the lab is not up\nhint: python -m tests.lab up --peers")
    commit = await anyio.run_process(["git", "rev-parse", "--short=12", "HEAD"])
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="fleetpacks-bench-") as name:
        program = await installed(Path(name) / "venv")
        for apps, bar, pairs in ((_FEW, _FEW_BAR, rounds), (_MANY, _MANY_BAR, min(rounds, _PAIRS_OF_MANY))):
            root = Path(name) / str(apps)
            root.mkdir()
            case = bake(lab, root, program=program, apps=apps, forced=False)
            case = msgspec.structs.replace(case, env={**case.env, **_UNTRACED})
            ours, theirs = await count_cached(case)
            title = f"{apps} apps, nothing changed, with push, against buildx bake"
            results.append(await timed(case, title, pairs, bar=bar, ours=ours, theirs=theirs))
    return Report(
        benchmark="unchanged",
        date=dt.datetime.now(tz=dt.UTC).date().isoformat(),
        commit=commit.stdout.decode().strip(),
        machine=machine(),
        results=tuple(results),
    )
