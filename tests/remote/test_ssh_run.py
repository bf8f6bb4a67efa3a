"""A script on a host behind a real sshd: what it is given, how much of its output is taken, and what stays."""

import platform
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from remote import probe
from remote.address import SshAddress
from remote.errors import UnsuitableError
from remote.ssh.host import Host
from tests.remote import sshd
from tests.remote.sshd import Sshd

pytestmark = [pytest.mark.real, pytest.mark.apart]


@pytest.fixture(params=["asyncssh", "openssh"])
def builder(request: pytest.FixtureRequest) -> SshAddress:
    """The host, by each transport."""
    return SshAddress(host="Builder", transport=request.param)


@asynccontextmanager
async def own(folder: Path, more: str) -> AsyncGenerator[Sshd]:
    """An sshd with a line in its configuration."""
    await anyio.Path(folder).mkdir()
    made = await sshd.make(folder, sockets={}, more=more)
    daemon = await made.start()
    try:
        yield made
    finally:
        with anyio.CancelScope(shield=True):
            await made.stop(daemon)


async def until_free(host: Host, script: bytes) -> bytes:
    """Run a script as soon as sshd, which allows one session, has forgotten the one before."""
    with anyio.fail_after(60):
        while True:
            try:
                return await host.run(script, most=10_000)
            except UnsuitableError:
                await anyio.sleep(0.05)


async def test_a_script_tells_of_the_host_where_one_session_may_be_open(
    ssh_host: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, builder: SshAddress
) -> None:
    monkeypatch.setenv("HOME", str(ssh_host.home(tmp_path / "home")))

    # sshd_config: MaxSessions 1.
    async with Host(builder) as host:
        told = probe.parse(await host.run(probe.script(), most=probe.MOST))
        again = await until_free(host, b"echo again\n")

    assert told is not None
    assert told.architecture == platform.machine()
    assert again == b"again\n"


async def test_of_endless_output_a_part_is_taken_and_the_script_is_over(
    ssh_host: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, builder: SshAddress
) -> None:
    monkeypatch.setenv("HOME", str(ssh_host.home(tmp_path / "home")))

    with anyio.fail_after(60):
        async with Host(builder) as host:
            taken = await host.run(b"yes\n", most=10_000)
            again = await until_free(host, b"echo again\n")

    assert taken == b"y\n" * 5000
    assert again == b"again\n"


async def test_a_script_gets_nothing_of_ours_but_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, builder: SshAddress
) -> None:
    script = b'echo "${LC_SENT-none} ${LC_SET-none} ${SSH_AUTH_SOCK-none} $(tty)"\n'
    said = "Host *\n  SendEnv LC_SENT\n  SetEnv LC_SET=b\n  ForwardAgent yes\n  RequestTTY force\n"
    monkeypatch.setenv("LC_SENT", "a")

    async with own(tmp_path / "sshd", "AcceptEnv LC_*") as there:
        monkeypatch.setenv("HOME", str(there.home(tmp_path / "home", said)))
        async with Host(builder) as host:
            told = await host.run(script, most=1000)

    assert told == b"none none none not a tty\n"


@pytest.mark.parametrize("more", ["ForceCommand echo hello", "ForceCommand /bin/false"])
async def test_a_host_that_runs_something_else_tells_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str, builder: SshAddress
) -> None:
    async with own(tmp_path / "sshd", more) as there:
        monkeypatch.setenv("HOME", str(there.home(tmp_path / "home")))
        async with Host(builder) as host:
            told = await host.run(probe.script(), most=probe.MOST)

    assert probe.parse(told) is None


async def test_a_host_that_opens_no_session_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, builder: SshAddress
) -> None:
    async with own(tmp_path / "sshd", "MaxSessions 0") as there:
        monkeypatch.setenv("HOME", str(there.home(tmp_path / "home")))
        async with Host(builder) as host:
            with pytest.raises(UnsuitableError, match="lets us run nothing"):
                await host.run(probe.script(), most=probe.MOST)
