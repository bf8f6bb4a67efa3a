"""Builds on a real buildkitd: what arrives in the registry, what is reported, what is sent, what cancelling leaves."""

import hashlib
import secrets
from pathlib import Path
from typing import NamedTuple

import anyio
import httpx
import msgspec
import pytest

from orchestrator.buildkit import Client, DirectorySource, SolveRequest
from orchestrator.errors import BuildFailedError, ContextError
from tests.buildkit.real import ROOT, Watched, client, push_to, request, shell_root
from tests.conftest import RealCount
from tests.lab import Lab

pytestmark = pytest.mark.real


async def test_the_daemon_and_its_worker_are_known(lab: Lab) -> None:
    async with client(lab.buildkitd) as builder:
        info = await builder.info()
        workers = await builder.workers()

    assert info.package == "github.com/moby/buildkit"
    assert workers[0].platforms[0].startswith("linux/")
    assert "org.mobyproject.buildkit.worker.executor" in workers[0].labels


async def test_an_image_is_pushed_by_digest_and_no_tag_is_written(lab: Lab, real_count: RealCount) -> None:
    name = f"client/{secrets.token_hex(6)}"
    build = request(
        "FROM scratch\nCOPY hello /hello\n",
        context={"hello": b"hello " + name.encode()},
        exporter=push_to(lab.registry, name),
    )

    async with client(lab.buildkitd) as builder:
        result = await builder.solve(build, on_status=Watched())
    real_count.record("build")

    async with httpx.AsyncClient(base_url=f"http://{lab.registry}/v2/{name}/") as registry:
        accept = {
            "Accept": "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.index.v1+json"
        }
        manifest = await registry.get(f"manifests/{result.digest}", headers=accept)
        tags = await registry.get("tags/list")
    assert manifest.status_code == httpx.codes.OK
    assert result.digest == f"sha256:{hashlib.sha256(manifest.content).hexdigest()}"
    assert tags.json().get("tags") is None


async def test_every_step_is_reported_from_its_start_to_its_end(lab: Lab, real_count: RealCount) -> None:
    watched = Watched()
    dockerfile = ROOT + f"RUN echo out {secrets.token_hex(4)}; echo err >&2\n"

    async with client(lab.buildkitd) as builder:
        await builder.solve(request(dockerfile, context=await shell_root()), on_status=watched)
    real_count.record("build")

    run = watched.step("RUN echo")
    assert run.inputs == (watched.step("COPY").digest,)
    assert all(vertex.started and vertex.completed for vertex in watched.vertexes.values())
    assert not run.cached
    assert watched.log(1).startswith(b"out ")
    assert watched.log(2) == b"err\n"


async def test_a_failing_step_is_reported_with_all_its_output_before_the_error(lab: Lab) -> None:
    watched = Watched()
    dockerfile = ROOT + f"RUN echo {secrets.token_hex(4)}; echo last words >&2; exit 7\n"

    async with client(lab.buildkitd) as builder:
        with pytest.raises(BuildFailedError) as caught:
            await builder.solve(request(dockerfile, context=await shell_root()), on_status=watched)

    assert caught.value.message.startswith('Dockerfile:3: process "/bin/sh -c echo ')
    assert caught.value.message.endswith(" did not complete successfully: exit code: 7")
    assert watched.log(2).endswith(b"last words\n")
    assert watched.step("RUN echo").error is not None


async def test_a_step_reads_a_declared_secret_and_no_other(lab: Lab, real_count: RealCount) -> None:
    secret = secrets.token_hex(16)
    run = "RUN --mount=type=secret,id={id},required=true cat /run/secrets/{id} > /copy && echo $(cat /copy) | cat\n"
    context = await shell_root()

    async def read() -> bytes:
        return secret.encode()

    async with client(lab.buildkitd) as builder:
        watched = Watched()
        dockerfile = ROOT + f"ENV N={secrets.token_hex(4)}\n" + run.format(id="token")
        build = request(dockerfile, context=context, secrets_by_id={"token": read})
        await builder.solve(build, on_status=watched)
        build = request(ROOT + run.format(id="other"), context=context, secrets_by_id={"token": read})
        with pytest.raises(BuildFailedError) as caught:
            await builder.solve(build, on_status=Watched())
    real_count.record("build")

    assert watched.log(1).strip() == secret.encode()
    assert "secret other: not found" in caught.value.message


async def test_cancelling_ends_the_step_and_leaves_no_active_build(lab: Lab) -> None:
    watched = Watched()
    seconds = str(100_000 + secrets.randbelow(100_000))
    build = request(ROOT + f"RUN echo sleeping; sleep {seconds}\n", context=await shell_root())
    sleeping = watched.said(b"sleeping")
    active: tuple[str, ...] = ()
    running: list[int] = []
    scope = anyio.CancelScope()

    async with client(lab.buildkitd) as builder:
        async with anyio.create_task_group() as tasks:

            async def cancel() -> None:
                nonlocal active
                await sleeping.wait()
                active = await builder.active_builds()
                running.append(processes(seconds))
                scope.cancel()

            tasks.start_soon(cancel)
            with anyio.fail_after(60), scope:
                await builder.solve(build, on_status=watched)
        left = await builder.active_builds()

    assert build.ref in active
    assert running[0] > 0
    assert build.ref not in left
    assert processes(seconds) == 0


def processes(argument: str) -> int:
    """How many processes of this machine have this in their command line."""
    found = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += argument.encode() in path.read_bytes()
        except OSError:
            continue
    return found


async def test_twenty_builds_run_at_once_and_send_nothing_again(lab: Lab, real_count: RealCount) -> None:
    salt = secrets.token_hex(8)
    apps = [f"app{number}" for number in range(20)]

    async def build_all(builder: Client) -> dict[str, Outcome]:
        outcomes: dict[str, Outcome] = {}

        async def run(app: str) -> None:
            watched = Watched()
            context = {f"dir/file{index}": f"{salt} {app} {index}".encode() * 50 for index in range(40)}
            build = request(
                "FROM scratch\nCOPY dir /\n", context=context, exporter=push_to(lab.registry, f"{salt}/{app}")
            )
            result = await builder.solve(msgspec.structs.replace(build, shared_key=f"{salt}-{app}"), on_status=watched)
            outcomes[app] = Outcome(result.digest, result.files_sent, watched.step("COPY").cached)

        async with anyio.create_task_group() as tasks:
            for app in apps:
                tasks.start_soon(run, app)
        real_count.record("build", times=len(apps))
        return outcomes

    async with client(lab.buildkitd) as builder:
        first = await build_all(builder)
        again = await build_all(builder)
        for _ in range(5):
            # The daemon lets go of a copy shortly after it has answered: a build at its heels is given a new one.
            if all(outcome.files_sent == 1 for outcome in again.values()):
                break
            again = await build_all(builder)

    # Of everything, a Dockerfile alone is asked for every time: the frontend does not compare it.
    assert {(outcome.files_sent, outcome.cached) for outcome in first.values()} == {(41, False)}
    assert {(outcome.files_sent, outcome.cached) for outcome in again.values()} == {(1, True)}
    assert len({outcome.digest for outcome in first.values()}) == len(apps)
    assert {app: outcome.digest for app, outcome in again.items()} == {
        app: outcome.digest for app, outcome in first.items()
    }


class Outcome(NamedTuple):
    digest: str | None
    files_sent: int
    cached: bool


async def test_a_context_that_is_not_there_is_a_context_error(lab: Lab, tmp_path: Path) -> None:
    build = SolveRequest(
        ref=secrets.token_hex(12),
        attrs={"filename": "Dockerfile"},
        sources=(DirectorySource(name="context", root=tmp_path / "gone"),),
        shared_key="gone",
    )

    async with client(lab.buildkitd) as builder:
        with pytest.raises(ContextError) as caught:
            await builder.solve(build, on_status=Watched())

    assert "gone" in caught.value.message
    assert caught.value.hint
