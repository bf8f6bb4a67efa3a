"""`unchanged`: nothing has changed, all is to be pushed: `fleetpacks build`, which skips, against `buildx bake`.

The apps and the pairs are those of `cached`; here our side may skip. The peer has no such thing, and finds all steps in
its cache. Both leave every app's tag on the same image. The peer sends no trace here, in its own favour: a daemon keeps
that of all targets with each of them, which for 400 are minutes of its processor time.
"""

import datetime as dt
import tempfile
from collections.abc import Sequence
from pathlib import Path

import anyio
import msgspec

from benchmarks.cached import bake, count_cached, timed
from benchmarks.commands import installed
from orchestrator.bench.result import Report, Result, machine
from tests.lab import current

SIZES = (40, 400)
_BARS = {40: 0.4, 400: 0.1}
_PAIRS = {40: 15, 400: 5}
"""One of 400 apps takes a minute; fewer than five have no interval that holds their median at 90 %."""
_UNTRACED = {"OTEL_TRACES_SAMPLER": "always_off"}


async def run_unchanged(rounds: int | None, sizes: Sequence[int] = SIZES) -> Report:
    """The benchmark `unchanged`. The lab must be up, with its peers.

    Args:
        rounds: pairs of each size; None: as many as it needs.
        sizes: numbers of apps.
    """
    lab = current()
    if lab is None or not lab.buildx.exists():
        raise SystemExit("benchmarks: the lab is not up\nhint: python -m tests.lab up --peers")
    commit = await anyio.run_process(["git", "rev-parse", "--short=12", "HEAD"])
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="fleetpacks-bench-") as name:
        program = await installed(Path(name) / "venv")
        for apps in sizes:
            root = Path(name) / str(apps)
            root.mkdir()
            case = bake(lab, root, program=program, apps=apps, forced=False)
            case = msgspec.structs.replace(case, env={**case.env, **_UNTRACED})
            ours, theirs = await count_cached(case)
            title = f"{apps} apps, nothing changed, with push, against buildx bake"
            pairs = rounds or _PAIRS[apps]
            results.append(await timed(case, title, pairs, bar=_BARS[apps], ours=ours, theirs=theirs))
    return Report(
        benchmark="unchanged",
        date=dt.datetime.now(tz=dt.UTC).date().isoformat(),
        commit=commit.stdout.decode().strip(),
        machine=machine(),
        results=tuple(results),
    )
