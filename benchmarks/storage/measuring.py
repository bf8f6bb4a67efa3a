"""One run of `fleetpacks bench storage` on this machine's disk and on the lab's CephFS, as a user types it."""

import tempfile
import time
from pathlib import Path

import anyio
import msgspec

from benchmarks.commands import fleetpacks
from benchmarks.rest import quiet
from benchmarks.storage.reported import CEPHFS, LOCAL
from orchestrator.bench.reading import read
from orchestrator.bench.result import Report
from orchestrator.config import environment as variables
from tests.lab import ceph, current
from tests.lab.ceph.shape import Shape
from tests.lab.state import layout

_NAME = "fleetpacks-bench"
SLOWED = "storage-network"
"""What a measurement is called where the cluster is told to have a link and a delay: another one."""


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """Where is measured."""

    local: Path
    cephfs: Path
    shape: Shape
    """The cluster's link and its OSD's delay."""
    programs: tuple[Path, ...]
    """Where the lab's buildkitd and runc are."""


def found(local: Path | None) -> Case:
    """The two targets.

    Args:
        local: a directory on this machine's disk; None: one beside the lab.

    Raises:
        SystemExit: the lab's Ceph is not up.
    """
    lab, cluster = current(), ceph.current()
    if lab is None or cluster is None:
        raise SystemExit("benchmarks: the lab's Ceph is not up\nhint: python -m tests.lab up --ceph")
    return Case(
        local=local or layout().root / _NAME,
        cephfs=cluster.mount / _NAME,
        shape=cluster.shape,
        programs=(lab.buildctl.parent, lab.runc.parent),
    )


async def measured_here(case: Case, *, quick: bool, rounds: int | None = None) -> tuple[Report, float]:
    """Wait for a quiet machine, measure, and return the report and the seconds that all of it took."""
    words = [
        word for name, path in ((LOCAL, case.local), (CEPHFS, case.cephfs)) for word in ("--target", f"{name}={path}")
    ]
    words += ["--quick"] if quick else []
    words += [] if rounds is None else ["--rounds", str(rounds)]
    for path in (case.local, case.cephfs):
        path.mkdir(exist_ok=True)
    await quiet()
    with tempfile.TemporaryDirectory(prefix="fleetpacks-bench-") as name:
        file = Path(name) / "report.json"
        command = [fleetpacks(), "bench", "storage", *words, "--json", str(file)]
        began = time.perf_counter()
        env = variables.read()
        env = {**env, "PATH": ":".join([*map(str, case.programs), env["PATH"]])}
        # Its progress is seen: it takes minutes.
        done = await anyio.run_process(command, cwd=name, env=env, stderr=None, check=False)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)}: exit code {done.returncode}")
        seconds = time.perf_counter() - began
        for path in (case.local, case.cephfs):
            path.rmdir()
        report = read(file)
    commit = await anyio.run_process(["git", "rev-parse", "--short=12", "HEAD"])
    return msgspec.structs.replace(
        report,
        benchmark=report.benchmark if case.shape == Shape() else SLOWED,
        commit=commit.stdout.decode().strip(),
        # Where the checkout and the lab are is nobody's business.
        settings={
            **{key: value for key, value in report.settings.items() if not key.startswith("path.")},
            "ceph": str(case.shape),
        },
    ), seconds
