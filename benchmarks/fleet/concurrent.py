"""`concurrent`: 64 builds at once on four hosts behind sshd with default limits, and what others make of the same.

Connections are counted by sshd itself: those that were accepted, in its log. The peer is buildx with a remote builder
behind `ssh://` for each host, which starts an `ssh` for each of its connections: it gets as many builds at once, one
process each, and those that fail are counted.
"""

import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path

import anyio

from benchmarks.commands import run
from benchmarks.fleet.pool import BASE, Fleet, fleet
from benchmarks.fleet.report import report
from orchestrator.bench.result import Figure, Report, load
from tests.lab import Lab, current
from tests.lab.hosts import Host

_ACCEPTED = "Accepted publickey"


def _plant(source: Path, builds: int) -> list[Path]:
    made: list[Path] = []
    for number in range(builds):
        app = source / f"app{number:02}"
        app.mkdir(parents=True)
        (app / "seed.txt").write_text(secrets.token_hex(16))
        # All at once: each is there long enough to meet the others.
        (app / "Dockerfile").write_text(f"FROM {BASE}\nCOPY seed.txt /\nRUN sleep 3 && sha256sum /seed.txt > /sum\n")
        made.append(app)
    return made


async def run_concurrent(*, seed: int, hosts: int, builds: int) -> Report:
    """The benchmark `concurrent`. The lab must be up."""
    del seed
    lab = current()
    if lab is None or not lab.buildx.exists():
        raise SystemExit("benchmarks: the lab is not up\nhint: python -m tests.lab up --peers")
    began = load()
    with tempfile.TemporaryDirectory(prefix="fleetpacks-bench-") as name:
        root = Path(name)
        ours, theirs = _plant(root / "ours", builds), _plant(root / "theirs", builds)
        async with fleet(hosts, root / "fleet") as pool:
            await pool.warm()
            before = _accepted(pool.hosts)
            ran = await pool.build(root / "ours", "--keep-going", slots=-(-builds // hosts))
            connections = _accepted(pool.hosts) - before
            before = _accepted(pool.hosts)
            failed, said = await _buildx(lab, pool, theirs)
            peer_connections = _accepted(pool.hosts) - before
    loads = began, load()
    title = f"{builds} builds at once on {hosts} hosts, default sshd"
    return await report(
        "concurrent",
        [
            Figure(name=f"{title}: failed", unit="", value=len(ours) - len(ran.completed), bar=0, load=loads),
            Figure(name=f"{title}: SSH connections", unit="", value=connections, bar=hosts, load=loads),
            Figure(
                name=f"the same by buildx with `ssh://`, {builds} processes: failed",
                unit="",
                value=failed,
                load=loads,
                note=f"{peer_connections} SSH connections accepted" + (f'; "{said}"' if said else ""),
            ),
        ],
    )


def _accepted(hosts: Sequence[Host]) -> int:
    return sum((host.folder / "sshd.log").read_text(errors="replace").count(_ACCEPTED) for host in hosts)


async def _buildx(lab: Lab, pool: Fleet, apps: Sequence[Path]) -> tuple[int, str]:
    """One process for each build: how many failed, and what the first of them said."""
    env, errors = _with_ssh(pool), list[str]()
    for host in pool.hosts:
        await run(
            [str(lab.buildx), "create", "--name", host.name, "--driver", "remote", f"ssh://{host.name}"],
            cwd=pool.root,
            env=env,
        )

    async def build(app: Path, host: Host) -> None:
        words = [str(lab.buildx), "build", "--builder", host.name, "--progress", "plain", str(app)]
        done = await anyio.run_process(words, check=False, env=env)
        if done.returncode:
            errors.append(done.stderr.decode(errors="replace"))

    async with anyio.create_task_group() as tasks:
        for number, app in enumerate(apps):
            tasks.start_soon(build, app, pool.hosts[number % len(pool.hosts)])
    said = next((line for error in errors for line in error.splitlines() if "kex_exchange" in line), "")
    said = said or (errors[0].strip().splitlines()[-1] if errors else "")
    return len(errors), said.strip().replace("|", "/")[:120]


def _with_ssh(pool: Fleet) -> dict[str, str]:
    """An `ssh` that reads the pool's configuration: OpenSSH takes a home from the users' list, not from $HOME."""
    folder = pool.root / "bin"
    folder.mkdir(exist_ok=True)
    program = folder / "ssh"
    if not program.exists():
        program.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F "{pool.home}/.ssh/config" "$@"\n')
        program.chmod(0o755)
    return {**pool.env, "PATH": f"{folder}:{pool.env['PATH']}"}
