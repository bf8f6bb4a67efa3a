"""The client's essentials inside real Docker Engines: what every builder must do alike."""

import secrets
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import msgspec
import pytest

from orchestrator.buildkit import Client, DirectorySource, Exporter
from orchestrator.buildkit.capabilities import TABLE, Kind
from orchestrator.errors import BuildFailedError
from remote import address, connect
from tests.buildkit.real import ROOT, Watched, request, shell_root
from tests.buildkit.test_real_builds import processes
from tests.buildkit.tokens import check_that_a_token_is_asked_for_and_no_password
from tests.conftest import RealCount
from tests.lab import Engine

pytestmark = pytest.mark.real

_ENGINES: dict[str, Kind] = {"graph": "engine, graph driver", "containerd": "engine, containerd's image store"}


@pytest.fixture(params=list(_ENGINES))
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(f"engine_{request.param}")
    return found


@pytest.fixture
async def builder(engine: Engine) -> AsyncGenerator[Client]:
    at = address.parse(f"docker://{engine.socket}")
    async with Client(await connect.dialer(at), address=str(at)) as client:
        yield client


def image(engine: Engine) -> Exporter:
    """An image in the engine, without a name."""
    return Exporter(type=TABLE[_ENGINES[engine.kind]].image_exporter, attrs={})


async def test_a_build_tells_its_steps_and_their_output(engine: Engine, builder: Client, real_count: RealCount) -> None:
    watched = Watched()
    salt = secrets.token_hex(4)
    dockerfile = ROOT + f"RUN echo out {salt}; echo err >&2\n"

    result = await builder.solve(
        request(dockerfile, context=await shell_root(), exporter=image(engine)), on_status=watched
    )
    real_count.record("build")

    run = watched.step("RUN echo")
    assert result.digest is not None
    assert result.digest.startswith("sha256:")
    assert all(vertex.started and vertex.completed for vertex in watched.vertexes.values())
    assert run.inputs == (watched.step("COPY").digest,)
    assert watched.log(1) == f"out {salt}\n".encode()
    assert watched.log(2) == b"err\n"


async def test_a_failing_step_is_a_failed_build_with_its_output(builder: Client) -> None:
    watched = Watched()
    dockerfile = ROOT + f"RUN echo {secrets.token_hex(4)}; echo last words >&2; exit 7\n"

    with pytest.raises(BuildFailedError, match="exit code: 7"):
        await builder.solve(request(dockerfile, context=await shell_root()), on_status=watched)

    assert watched.log(2).endswith(b"last words\n")
    assert watched.step("RUN echo").error is not None


async def test_only_what_has_changed_is_sent_again(engine: Engine, builder: Client, tmp_path: Path) -> None:
    key = secrets.token_hex(8)
    for number in range(50):
        (tmp_path / f"file{number}").write_text(f"{key} {number}")

    async def sent() -> int:
        build = request("FROM scratch\nCOPY . /\n", context={})
        sources = (DirectorySource(name="context", root=tmp_path), build.sources[1])
        build = msgspec.structs.replace(build, sources=sources, shared_key=key)
        return (await builder.solve(build, on_status=Watched())).files_sent

    first = await sent()
    (tmp_path / "file7").write_text("another")
    again = [await sent()]
    # The engine lets go of its copy shortly after it has answered: a build at its heels is given a new one.
    while again[-1] > 2 and len(again) < 5:
        (tmp_path / "file7").write_text(f"another {len(again)}")
        again.append(await sent())

    # Newer daemons ask for a Dockerfile every time.
    assert first == 51
    assert again[-1] == {"graph": 1, "containerd": 2}[engine.kind]


async def test_a_step_reads_a_declared_secret_and_no_other(builder: Client, real_count: RealCount) -> None:
    secret = secrets.token_hex(16)
    run = "RUN --mount=type=secret,id={id},required=true echo $(cat /run/secrets/{id}) | cat\n"
    context = await shell_root()
    watched = Watched()

    async def read() -> bytes:
        return secret.encode()

    dockerfile = ROOT + f"ENV N={secrets.token_hex(4)}\n" + run.format(id="token")
    await builder.solve(request(dockerfile, context=context, secrets_by_id={"token": read}), on_status=watched)
    other = request(ROOT + run.format(id="other"), context=context, secrets_by_id={"token": read})
    with pytest.raises(BuildFailedError, match="secret other"):
        await builder.solve(other, on_status=Watched())
    real_count.record("build")

    assert watched.log(1).strip() == secret.encode()


async def test_cancelling_ends_the_step(builder: Client) -> None:
    watched = Watched()
    seconds = str(100_000 + secrets.randbelow(100_000))
    build = request(ROOT + f"RUN echo sleeping; sleep {seconds}\n", context=await shell_root())
    sleeping = watched.said(b"sleeping")
    running: list[int] = []

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:

            async def cancel() -> None:
                await sleeping.wait()
                running.append(processes(seconds))
                tasks.cancel_scope.cancel()

            tasks.start_soon(cancel)
            await builder.solve(build, on_status=watched)
        # 20.10 cannot be asked which builds it has: the step's end is all that can be seen.
        while processes(seconds):  # noqa: ASYNC110 -- another program's processes
            await anyio.sleep(0.05)

    assert running[0] > 0


async def test_the_engine_gets_a_token_from_us_and_no_password(builder: Client) -> None:
    await check_that_a_token_is_asked_for_and_no_password(builder)


async def test_ten_builds_run_at_once(engine: Engine, builder: Client, real_count: RealCount) -> None:
    digests: set[str | None] = set()

    async def run(number: int) -> None:
        content = f"{secrets.token_hex(8)} {number}".encode()
        build = request("FROM scratch\nCOPY file /\n", context={"file": content}, exporter=image(engine))
        digests.add((await builder.solve(build, on_status=Watched())).digest)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(run, number)
    real_count.record("build", times=10)

    assert len(digests) == 10
    assert None not in digests
