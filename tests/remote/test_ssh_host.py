"""Hosts behind a real sshd: what crosses a channel, what a lost connection does, whom we believe."""

import socket
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import anyio.abc
import msgspec
import pytest

from remote.address import SshAddress, UnixAddress
from remote.connect import connect, reaching
from remote.errors import AddressError, RemoteError, UnreachableError, UnsuitableError
from remote.ssh.host import Host
from remote.unix import UnixStream
from tests.remote import sshd
from tests.remote.sshd import Sshd

pytestmark = [pytest.mark.real, pytest.mark.apart]

TRANSPORTS = ("asyncssh", "openssh")
Serve = Callable[[UnixStream], Awaitable[None]]
MUCH = bytes(range(256)) * 20_000


ON_ONE_LOOP = pytest.mark.parametrize("anyio_backend", ["asyncio"])
"""Of what is decided before a byte is moved."""


@pytest.fixture
def home(ssh_host: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of whoever runs this; no agent."""
    made = ssh_host.home(tmp_path / "home")
    monkeypatch.setenv("HOME", str(made))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return made


@pytest.fixture(params=TRANSPORTS)
def builder(request: pytest.FixtureRequest) -> SshAddress:
    """The host, by each transport."""
    return SshAddress(host="Builder", transport=request.param)


@asynccontextmanager
async def listening(path: Path, serve: Serve) -> AsyncGenerator[str]:
    """Somebody at a socket."""

    async def one(stream: UnixStream) -> None:
        async with stream:
            # A test may leave before its peer has said everything.
            with suppress(anyio.BrokenResourceError):
                await serve(stream)

    async def accept(listener: socket.socket) -> None:
        while True:
            await anyio.wait_readable(listener)
            raw, _ = listener.accept()
            raw.setblocking(False)
            tasks.start_soon(one, UnixStream(raw))

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.setblocking(False)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(accept, listener)
            yield str(path)
            tasks.cancel_scope.cancel()


async def echo(stream: UnixStream) -> None:
    """All of it comes back, and then the end."""
    async for data in stream:
        await stream.send(data)
    await stream.send_eof()


@asynccontextmanager
async def stream_to(how: str, path: str) -> AsyncGenerator[anyio.abc.ByteStream]:
    """A connection to a socket: directly, or on the host that is this machine."""
    if how == "unix":
        async with await connect(UnixAddress(path=path)) as stream:
            yield stream
    else:
        async with Host(SshAddress(host="Builder", transport=how)) as host, await host.open(path) as stream:
            yield stream


async def all_of(stream: anyio.abc.ByteStream) -> bytes:
    return b"".join([data async for data in stream])


RELAY = """
import os, socket, sys, threading
open(sys.argv[0] + ".log", "w").write(" ".join(sys.argv[1:]))
to = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def up():
    while data := os.read(0, 65536):
        to.sendall(data)
    os._exit(0)
threading.Thread(target=up).start()
while data := to.recv(65536):
    os.write(1, data)
os._exit(0)
"""
"""What `nc` does, where there may be none."""

# The same of every transport.


@pytest.mark.parametrize("how", ["unix", *TRANSPORTS])
async def test_more_than_all_buffers_crosses_both_ways_and_then_the_end(home: Path, tmp_path: Path, how: str) -> None:
    received = b""

    async with listening(tmp_path / "s", echo) as path, stream_to(how, path) as stream:

        async def send() -> None:
            await stream.send(MUCH)
            await stream.send_eof()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send)
            received = await all_of(stream)

    assert received == MUCH


@pytest.mark.parametrize("how", ["unix", *TRANSPORTS])
async def test_what_was_sent_before_closing_arrives(home: Path, tmp_path: Path, how: str) -> None:
    arrived: list[bytes] = []
    done = anyio.Event()

    async def take(stream: UnixStream) -> None:
        arrived.append(await all_of(stream))
        done.set()

    async with listening(tmp_path / "s", take) as path, stream_to(how, path) as stream:
        await stream.send(b"last words")
        await stream.aclose()
        with anyio.fail_after(20):
            await done.wait()

    assert arrived == [b"last words"]


@pytest.mark.parametrize("how", ["unix", *TRANSPORTS])
async def test_a_daemon_that_hangs_up_ends_the_stream_behind_its_last_words(
    home: Path, tmp_path: Path, how: str
) -> None:
    async def leave(stream: UnixStream) -> None:
        await stream.send(MUCH)

    async with listening(tmp_path / "s", leave) as path, stream_to(how, path) as stream:
        assert await all_of(stream) == MUCH


@pytest.mark.parametrize("how", TRANSPORTS)
async def test_a_peer_that_takes_nothing_holds_the_sender_up(home: Path, tmp_path: Path, how: str) -> None:
    async def take_nothing(_: UnixStream) -> None:
        await anyio.sleep_forever()

    async with listening(tmp_path / "s", take_nothing) as path, stream_to(how, path) as stream:
        sent = 0
        with anyio.move_on_after(1) as patience:
            while True:
                await stream.send(MUCH)
                sent += 1

    assert patience.cancelled_caught
    assert sent < 4


@pytest.mark.parametrize("how", TRANSPORTS)
async def test_a_reader_that_takes_nothing_holds_the_daemon_up(home: Path, tmp_path: Path, how: str) -> None:
    sent: list[int] = []

    async def send(stream: UnixStream) -> None:
        while True:
            await stream.send(MUCH)
            sent.append(len(MUCH))

    async with listening(tmp_path / "s", send) as path, stream_to(how, path):
        await anyio.sleep(1)

    assert sum(sent) < 32 << 20


# One connection for all.


async def test_many_channels_are_one_connection_and_no_session(
    home: Path, tmp_path: Path, ssh_host: Sshd, builder: SshAddress
) -> None:
    answers: list[bytes] = []
    log = ssh_host.folder / "log"
    logged = log.read_text().count("Accepted publickey")

    async def ask(stream: anyio.abc.ByteStream, number: int) -> None:
        await stream.send(b"%d" % number)
        answers.append(await stream.receive())

    # sshd_config: MaxSessions 1.
    async with listening(tmp_path / "s", echo) as path, Host(builder) as host:
        streams = [await host.open(path) for _ in range(40)]
        async with anyio.create_task_group() as tasks:
            for number, stream in enumerate(streams):
                tasks.start_soon(ask, stream, number)
        for stream in streams:
            await stream.aclose()

    assert sorted(answers) == sorted(b"%d" % number for number in range(40))
    assert log.read_text().count("Accepted publickey") == logged + 1


async def test_callers_at_once_share_the_connection_that_one_of_them_opens(
    home: Path, tmp_path: Path, ssh_host: Sshd, builder: SshAddress
) -> None:
    log = ssh_host.folder / "log"
    logged = log.read_text().count("Accepted publickey")

    async with listening(tmp_path / "s", echo) as path, Host(builder) as host:

        async def ask() -> None:
            async with await host.open(path) as stream:
                await stream.send(b"x")
                await stream.receive()

        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(ask)

    assert log.read_text().count("Accepted publickey") == logged + 1


async def test_a_host_that_goes_and_comes_back_breaks_its_streams_and_is_reached_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, builder: SshAddress
) -> None:
    folder = tmp_path / "sshd"
    folder.mkdir()
    own = await sshd.make(folder, sockets={})
    monkeypatch.setenv("HOME", str(own.home(tmp_path / "home")))
    daemon = await own.start()

    try:
        async with listening(tmp_path / "s", echo) as path, Host(builder) as host, anyio.create_task_group() as tasks:
            stream = await host.open(path)
            await stream.send(b"one")
            assert await stream.receive() == b"one"

            await own.stop(daemon)

            with pytest.raises(anyio.BrokenResourceError):
                await stream.receive()
            with pytest.raises(anyio.BrokenResourceError):
                await stream.send(b"x")
            await stream.aclose()

            async def restart() -> None:
                nonlocal daemon
                daemon = await own.start()

            # Opening begins while nobody listens.
            tasks.start_soon(restart)
            async with await host.open(path) as again:
                await again.send(b"two")
                assert await again.receive() == b"two"
    finally:
        with anyio.CancelScope(shield=True):
            await own.stop(daemon)


async def test_a_host_that_falls_silent_breaks_its_streams_in_the_time_that_openssh_was_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, builder: SshAddress
) -> None:
    folder = tmp_path / "sshd"
    folder.mkdir()
    own = await sshd.make(folder, sockets={})
    config = "Host *\n  ServerAliveInterval 1\n  ServerAliveCountMax 1\n"
    monkeypatch.setenv("HOME", str(own.home(tmp_path / "home", config)))
    daemon = await own.start()

    try:
        async with (
            listening(tmp_path / "s", echo) as path,
            Host(builder) as host,
            await host.open(path) as stream,
        ):
            own.freeze(daemon)
            with anyio.fail_after(20), pytest.raises(anyio.BrokenResourceError):
                await stream.receive()
    finally:
        with anyio.CancelScope(shield=True):
            await own.stop(daemon)


async def test_leaving_with_open_channels_takes_no_time_and_leaves_none_on_the_host(
    home: Path, tmp_path: Path, builder: SshAddress
) -> None:
    came, gone = anyio.Event(), anyio.Event()

    async def serve(stream: UnixStream) -> None:
        came.set()
        await all_of(stream)
        gone.set()

    async with listening(tmp_path / "s", serve) as path:
        with anyio.fail_after(20):
            async with Host(builder) as host:
                stream = await host.open(path)
                await came.wait()
            await gone.wait()
            with pytest.raises(anyio.EndOfStream):
                await stream.receive()
            await stream.aclose()


# Who reaches what.


@ON_ONE_LOOP
async def test_the_first_well_known_socket_where_a_daemon_answers_is_taken(home: Path, builder: SshAddress) -> None:
    async with reaching(builder) as ready:
        dial = await ready()
        async with await dial() as stream:
            assert isinstance(stream, anyio.abc.ByteStream)


async def refusal(address: SshAddress) -> RemoteError:
    async with reaching(address) as ready:
        with pytest.raises(RemoteError) as caught:
            await ready()
    return caught.value


@ON_ONE_LOOP
async def test_a_socket_where_nobody_answers_is_named(home: Path, builder: SshAddress) -> None:
    error = await refusal(msgspec.structs.replace(builder, socket="/run/none.sock"))

    assert isinstance(error, UnreachableError)
    assert "/run/none.sock" in error.message
    assert "?socket=" in error.hint


@ON_ONE_LOOP
async def test_a_port_where_nobody_listens_is_one_error_at_once(home: Path, builder: SshAddress) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]

        error = await refusal(msgspec.structs.replace(builder, host="127.0.0.1", port=port))

    assert isinstance(error, UnreachableError)
    assert "Connection refused" in error.message


@ON_ONE_LOOP
async def test_a_host_that_forwards_no_sockets_is_said_to_do_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, builder: SshAddress
) -> None:
    async with sshd.running(sockets={}, more="AllowStreamLocalForwarding no") as own:
        monkeypatch.setenv("HOME", str(own.home(tmp_path / "home")))

        error = await refusal(builder)

    assert isinstance(error, UnreachableError)
    assert "AllowStreamLocalForwarding yes" in error.hint


@ON_ONE_LOOP
async def test_a_key_that_the_host_does_not_take_is_refused_with_a_hint(
    home: Path, ssh_host: Sshd, builder: SshAddress
) -> None:
    await sshd.keygen(home / "other")
    config = home / ".ssh" / "config"
    config.write_text(config.read_text().replace(str(ssh_host.identity), str(home / "other")))

    error = await refusal(builder)

    assert isinstance(error, UnsuitableError)
    assert "none of our keys" in error.message
    assert "ssh-add" in error.hint


@ON_ONE_LOOP
async def test_keys_of_an_agent_serve_and_files_that_are_not_there_do_no_harm(
    home: Path, ssh_host: Sshd, monkeypatch: pytest.MonkeyPatch, builder: SshAddress
) -> None:
    config = home / ".ssh" / "config"
    config.write_text(config.read_text().replace(str(ssh_host.identity), str(home / "none")))

    async with sshd.agent(home, ssh_host.identity) as path:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        async with Host(builder) as host:
            await host.connect()


@pytest.mark.parametrize(
    "config",
    [
        "IdentitiesOnly yes\nGlobalKnownHostsFile none\n",
        "Host *\n  Ciphers chacha20-poly1305@openssh.com\n  Compression yes\n",
        "Match host 127.0.0.1\n  ServerAliveInterval 5\n",
    ],
)
@ON_ONE_LOOP
async def test_what_else_openssh_may_have_been_told(home: Path, config: str, builder: SshAddress) -> None:
    file = home / ".ssh" / "included"
    file.write_text(config)
    own = home / ".ssh" / "config"
    # A relative name is, to `ssh`, below the home of the user's entry, which a test cannot move.
    name = file if builder.transport == "openssh" else file.name
    own.write_text(f"Include {name}\n{own.read_text()}")

    async with Host(builder) as host:
        await host.connect()


@ON_ONE_LOOP
async def test_a_configuration_that_is_wrong_is_named_with_its_line(home: Path, builder: SshAddress) -> None:
    (home / ".ssh" / "config").write_text("Host Builder\n  Port many\n")

    error = await refusal(builder)

    assert isinstance(error, AddressError)
    assert f"{home}/.ssh/config line 2" in error.message


@ON_ONE_LOOP
async def test_a_command_that_leads_to_the_host_is_run(home: Path, ssh_host: Sshd, builder: SshAddress) -> None:
    relay = home / "relay.py"
    relay.write_text(RELAY)
    config = home / ".ssh" / "config"
    config.write_text(f"Host Builder\n  ProxyCommand {sys.executable} {relay} %h %p\n{config.read_text()}")

    async with Host(builder) as host:
        await host.connect()

    assert (home / "relay.py.log").read_text() == f"127.0.0.1 {ssh_host.port}"


async def test_hosts_that_jump_over_each_other_are_refused(home: Path) -> None:
    (home / ".ssh" / "config").write_text("Host Builder\n  ProxyJump Other\nHost Other\n  ProxyJump Builder\n")

    error = await refusal(SshAddress(host="Builder"))

    assert isinstance(error, AddressError)
    assert "ProxyJump" in error.message


async def test_a_host_behind_another_is_reached(home: Path, tmp_path: Path, ssh_host: Sshd) -> None:
    config = home / ".ssh" / "config"
    behind = f"Host Behind\n  HostName 127.0.0.1\n  Port {ssh_host.port}\n  IdentityFile {ssh_host.identity}\n"
    config.write_text(f"{config.read_text()}{behind}  ProxyJump Builder\n")
    log = ssh_host.folder / "log"
    logged = log.read_text().count("Accepted publickey")

    async with (
        listening(tmp_path / "s", echo) as path,
        Host(SshAddress(host="Behind", user="root")) as host,
        await host.open(path) as stream,
    ):
        await stream.send(b"ping")
        assert await stream.receive() == b"ping"

    assert log.read_text().count("Accepted publickey") == logged + 2


# Whom we believe.


async def fingerprint(key: Path) -> str:
    shown = await anyio.run_process(["ssh-keygen", "-lf", str(key)])
    return shown.stdout.decode().split()[1]


LAX = "StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\n"


@pytest.mark.parametrize("config", ["", "StrictHostKeyChecking no\n", LAX, "UserKnownHostsFile none\n"])
@ON_ONE_LOOP
async def test_an_unknown_host_is_refused_until_the_command_that_the_error_shows_was_run(
    tmp_path: Path, ssh_host: Sshd, monkeypatch: pytest.MonkeyPatch, config: str, builder: SshAddress
) -> None:
    home = ssh_host.home(tmp_path / "ho me", config, known="")
    monkeypatch.setenv("HOME", str(home))

    error = await refusal(builder)

    assert isinstance(error, UnsuitableError)
    assert await fingerprint(ssh_host.host_key) in error.message
    assert "compare the fingerprint" in error.hint
    assert (home / ".ssh" / "known_hosts").read_text() == ""
    if "UserKnownHostsFile" not in config:
        await accept(error)
        async with Host(builder) as host:
            await host.connect()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
@ON_ONE_LOOP
async def test_a_changed_host_key_is_refused_until_the_commands_that_the_error_shows_were_run(
    tmp_path: Path, ssh_host: Sshd, monkeypatch: pytest.MonkeyPatch, kind: str, builder: SshAddress
) -> None:
    await sshd.keygen(tmp_path / "former", kind=kind)
    algorithm, key = (tmp_path / "former.pub").read_text().split()[:2]
    known = f"[127.0.0.1]:{ssh_host.port} {algorithm} {key}\n"
    monkeypatch.setenv("HOME", str(ssh_host.home(tmp_path / "home", known=known)))

    error = await refusal(builder)

    assert isinstance(error, UnsuitableError)
    assert "CHANGED" in error.message
    assert await fingerprint(ssh_host.host_key) in error.message
    await accept(error)
    async with Host(builder) as host:
        await host.connect()


async def accept(error: UnsuitableError) -> None:
    command = error.hint.partition(": ")[2]
    if command.startswith("ssh-keygen -lf"):
        raise AssertionError(command)
    await anyio.run_process(["/bin/sh", "-ec", command])


@ON_ONE_LOOP
async def test_one_of_several_addresses_of_a_name_is_connected_to_and_must_have_a_key_of_the_name(
    tmp_path: Path, ssh_host: Sshd, monkeypatch: pytest.MonkeyPatch, builder: SshAddress
) -> None:
    config = "Host Builder\n  HostName pods.invalid\n"
    monkeypatch.setenv("HOME", str(ssh_host.home(tmp_path / "home", config, known="")))
    pod = msgspec.structs.replace(builder, at="127.0.0.1")

    error = await refusal(pod)

    assert isinstance(error, UnsuitableError)
    await accept(error)
    known = (tmp_path / "home/.ssh/known_hosts").read_text()
    assert {line.split()[0] for line in known.splitlines()} == {f"[pods.invalid]:{ssh_host.port}"}
    async with Host(pod) as host:
        await host.connect()


@ON_ONE_LOOP
async def test_an_address_of_a_host_that_is_jumped_to_is_an_error(
    tmp_path: Path, ssh_host: Sshd, monkeypatch: pytest.MonkeyPatch, builder: SshAddress
) -> None:
    monkeypatch.setenv("HOME", str(ssh_host.home(tmp_path / "home", "Host Builder\n  ProxyJump other\n")))

    error = await refusal(msgspec.structs.replace(builder, at="127.0.0.1"))

    assert isinstance(error, AddressError)
    assert "ProxyJump" in error.hint


async def test_a_host_on_the_way_must_be_known_too(home: Path, ssh_host: Sshd) -> None:
    (home / ".ssh" / "known_hosts").write_text("")
    config = home / ".ssh" / "config"
    # asyncssh's own ProxyJump would take this for a wish not to look at keys.
    config.write_text(
        f"Host Behind\n  ProxyJump Builder\n  UserKnownHostsFile {home}/elsewhere\n"
        f"Host Builder\n  UserKnownHostsFile none\n{config.read_text()}"
    )
    (home / "elsewhere").write_text(ssh_host.known_host)

    error = await refusal(SshAddress(host="Behind"))

    assert isinstance(error, UnsuitableError)
    assert "nobody has accepted" in error.message


@ON_ONE_LOOP
async def test_a_key_that_was_revoked_is_refused(home: Path, ssh_host: Sshd, builder: SshAddress) -> None:
    known = home / ".ssh" / "known_hosts"
    known.write_text(f"{ssh_host.known_host}@revoked {ssh_host.known_host}")

    error = await refusal(builder)

    assert isinstance(error, UnsuitableError)
    assert "revoked" in error.message


@pytest.mark.parametrize("line", ["one-word", "@marked * ssh-ed25519 AAAA"])
async def test_a_line_of_known_hosts_that_is_none_is_named(home: Path, line: str) -> None:
    known = home / ".ssh" / "known_hosts"
    known.write_text(f"{known.read_text()}{line}\n")

    error = await refusal(SshAddress(host="Builder"))

    assert isinstance(error, AddressError)
    assert f"{known}, line 2" in error.message


@ON_ONE_LOOP
async def test_hashed_names_of_hosts_are_known(home: Path, builder: SshAddress) -> None:
    await anyio.run_process(["ssh-keygen", "-q", "-H", "-f", str(home / ".ssh" / "known_hosts")])

    async with Host(builder) as host:
        await host.connect()
