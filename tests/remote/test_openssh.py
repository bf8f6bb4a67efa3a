"""OpenSSH's `ssh` as the transport: when it is taken, how it is called, what it says, and that nothing of it stays."""

import os
import signal
import sys
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote.address import SshAddress, parse
from remote.errors import AddressError, RefusedError, RemoteError, UnreachableError, UnsuitableError
from remote.ssh.folder import Folder
from remote.ssh.host import Host
from remote.ssh.openssh import chosen, failure
from remote.ssh.settings import Settings, own_home, read, settings, takes, told
from tests.remote.sshd import Sshd, until
from tests.remote.test_ssh_host import all_of, echo, listening

BUILDER = SshAddress(host="Builder", transport="openssh")
USUAL = "chacha20-poly1305@openssh.com,aes128-ctr,aes192-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com"
HOME = Path("/home/me")


def called(said: Mapping[str, str], at: SshAddress = BUILDER, *, own: Path = HOME) -> Settings:
    return settings(at, "/usr/bin/ssh", [], said, home=HOME, own=own)


# How it is called.


@pytest.mark.parametrize(
    ("said", "option"),
    [
        ({"ciphers": USUAL}, "Ciphers=aes128-gcm@openssh.com,"),
        ({"serveraliveinterval": "0"}, "ServerAliveInterval=15"),
        ({"connecttimeout": "none"}, "ConnectTimeout=10"),
        ({"forkafterauthentication": "yes"}, "ForkAfterAuthentication=no"),
        ({"setenv": "LC_ALL=de_DE"}, "SetEnv=FLEETPACKS="),
        ({"stricthostkeychecking": "false"}, "StrictHostKeyChecking=yes"),
        ({"userknownhostsfile": "/dev/null"}, 'UserKnownHostsFile="/home/me/.ssh/known_hosts"'),
        ({"userknownhostsfile": "none"}, 'UserKnownHostsFile="/home/me/.ssh/known_hosts"'),
    ],
)
def test_what_nobody_has_said_and_what_must_not_be_said_is_said(said: Mapping[str, str], option: str) -> None:
    assert any(word.startswith(option) for word in called(said).words)


@pytest.mark.parametrize(
    ("said", "option"),
    [
        ({"ciphers": "aes256-ctr"}, "Ciphers"),
        ({"serveraliveinterval": "5"}, "ServerAliveInterval"),
        ({"connecttimeout": "3"}, "ConnectTimeout"),
        ({}, "ForkAfterAuthentication"),
        ({"userknownhostsfile": "/home/me/.ssh/known_hosts /etc/known"}, "UserKnownHostsFile"),
        ({"hostname": "one.example"}, "HostName"),
    ],
)
def test_what_somebody_has_said_and_what_an_older_ssh_does_not_know_is_left_alone(
    said: Mapping[str, str], option: str
) -> None:
    assert not any(word.startswith(f"{option}=") for word in called(said).words)


def test_known_hosts_are_those_of_the_home_that_we_take_for_the_users() -> None:
    found = called({"userknownhostsfile": "/root/.ssh/known_hosts /root/.ssh/known_hosts2 /etc/k"}, own=Path("/root"))

    assert 'UserKnownHostsFile="/home/me/.ssh/known_hosts" "/home/me/.ssh/known_hosts2" "/etc/k"' in found.words


@pytest.mark.parametrize(("port", "alias"), [("22", "pods.example"), ("2222", "[pods.example]:2222")])
def test_one_of_several_addresses_is_known_by_the_name(port: str, alias: str) -> None:
    found = called({"hostname": "pods.example", "port": port}, SshAddress(host="pods", at="10.0.0.7"))

    assert {"HostName=10.0.0.7", f"HostKeyAlias={alias}"} <= set(found.words)
    assert found.where == f"10.0.0.7:{port}"


def test_an_alias_of_the_hosts_key_stays() -> None:
    found = called({"hostname": "pods.example", "hostkeyalias": "all"}, SshAddress(host="pods", at="10.0.0.7"))

    assert not any(word.startswith("HostKeyAlias") for word in found.words)


@given(st.text())
def test_whatever_ssh_tells_is_read(text: str) -> None:
    assert all("\n" not in key + value for key, value in told(text).items())


@given(st.text(alphabet="/ab.%$:\\\"' \n*[]{}~-"))
def test_no_path_is_taken_in_which_ssh_would_find_something(path: str) -> None:
    assert not takes(path) or (path.startswith("/") and not set(path) & set("%$:\\\"' \n*[]{}~"))


def test_a_path_that_is_too_long_for_a_socket_is_not_taken() -> None:
    assert takes(f"/{'x' * 106}")
    assert not takes(f"/{'x' * 107}")


# Whether it is taken.


async def test_it_is_taken_where_it_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(own_home()))

    found = await chosen(SshAddress(host="192.0.2.1"))

    assert found is not None
    assert found.where == "192.0.2.1:22"


@pytest.mark.parametrize(
    ("config", "url"),
    [
        ("Host *\n  ProxyJump other\n", "ssh://192.0.2.1"),
        ("Host *\n  NoSuchOption yes\n", "ssh://192.0.2.1"),
        ("", "ssh://192.0.2.1?socket=/run/a%20b"),
        ("", "ssh://192.0.2.1?transport=asyncssh"),
    ],
)
async def test_asyncssh_serves_where_it_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str, url: str
) -> None:
    at_home(tmp_path, config, monkeypatch)
    address = parse(url)
    assert isinstance(address, SshAddress)

    assert await chosen(address) is None


@pytest.mark.parametrize(
    ("config", "url", "words"),
    [
        ("Host *\n  ProxyJump other\n", "ssh://192.0.2.1?transport=openssh", "behind other (ProxyJump)"),
        ("Host *\n  NoSuchOption yes\n", "ssh://192.0.2.1?transport=openssh", "line 2"),
        ("", "ssh://192.0.2.1?transport=openssh&socket=/run/a%20b", "socket's path"),
    ],
)
async def test_who_asks_for_it_where_it_does_not_serve_is_told_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str, url: str, words: str
) -> None:
    at_home(tmp_path, config, monkeypatch)
    address = parse(url)
    assert isinstance(address, SshAddress)

    with pytest.raises(AddressError) as caught:
        await chosen(address)

    assert words in caught.value.message


async def test_without_an_ssh_asyncssh_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(own_home()))
    monkeypatch.setenv("PATH", str(tmp_path))

    assert await chosen(SshAddress(host="192.0.2.1")) is None
    with pytest.raises(AddressError, match="there is no `ssh` here"):
        await chosen(BUILDER)


async def test_a_command_in_the_configuration_that_does_not_end_is_waited_for_in_vain_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told_by = tmp_path / "pid"
    at_home(tmp_path, f'Match exec "echo $$ > {told_by}; sleep 30; true"\n', monkeypatch)
    monkeypatch.setattr("remote.ssh.settings._ASKING_SECONDS", 0.5)

    with anyio.fail_after(10):
        with pytest.raises(AddressError, match="gives no answer within") as caught:
            await read(SshAddress(host="192.0.2.1"), "ssh")

        assert "Match exec" in caught.value.hint
        await until(lambda: not runs(int(told_by.read_text())))


def at_home(home: Path, config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".ssh").mkdir()
    (home / ".ssh" / "config").write_text(config)
    monkeypatch.setenv("HOME", str(home))
    # As if the user's entry said so, too: nobody else's files are read.
    monkeypatch.setattr("remote.ssh.openssh.own_home", lambda: home)


# What it says.


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        ("ssh: connect to host h port 22: Connection refused", UnreachableError, "h:22: connect to host"),
        ("ssh: Could not resolve hostname h: Name or service not known", UnreachableError, "Could not resolve"),
        ("kex_exchange_identification: read: Connection reset by peer", UnreachableError, "Connection reset"),
        ("kex_exchange_identification: banner line contains invalid characters", UnsuitableError, "invalid char"),
        ("Unable to negotiate with 10.0.0.1 port 22: no matching cipher found.", UnsuitableError, "no matching cipher"),
        ("me@h: Permission denied (publickey).", UnsuitableError, "takes none of our keys"),
        ("Received disconnect from h port 22:2: Too many authentication failures", UnsuitableError, "none of our"),
        ("No ED25519 host key is known for h\nHost key verification failed.", UnsuitableError, "the host's key"),
        ("", UnreachableError, "no answer in time"),
    ],
)
def test_its_last_words_become_an_error(said: str, kind: type[RemoteError], words: str) -> None:
    error = failure(said.splitlines(), name="ssh://h", where="h:22")

    assert type(error) is kind
    assert words in error.message


# Nothing stays.


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """Where directories for sockets are made."""
    with tempfile.TemporaryDirectory(prefix="fp-") as name:
        monkeypatch.setattr(tempfile, "tempdir", name)
        yield Path(name)


def within(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def old(folder: Path) -> None:
    os.utime(folder, (0, 0))


def test_a_directory_is_left_alone_while_its_maker_uses_it_and_goes_with_it(place: Path) -> None:
    with Folder() as first:
        old(first)
        with Folder() as second:
            assert first.stat().st_mode & 0o777 == 0o700
            assert within(place) == sorted((first, second))

    assert within(place) == []


def test_what_killed_processes_left_is_deleted_and_nothing_else(place: Path) -> None:
    left, young, other = (place / name for name in ("fleetpacks-ssh-left", "fleetpacks-ssh-young", "mine"))
    for folder in (left, young, other):
        folder.mkdir()
        (folder / "control").touch()
    for folder in (left, other):
        old(folder)

    with Folder() as made:
        assert within(place) == sorted((made, young, other))


def children(pid: int) -> list[int]:
    return [int(word) for file in Path(f"/proc/{pid}/task").glob("*/children") for word in file.read_text().split()]


def runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def in_session(leader: int) -> list[int]:
    """Processes of the session that one has begun, wherever they have gone."""
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, _, rest = stat.read_text().partition(" ")
        except OSError:
            continue
        fields = rest.rpartition(")")[2].split()
        if fields[0] != "Z" and int(fields[3]) == leader:
            found.append(int(pid))
    return found


@pytest.mark.real
@pytest.mark.apart
async def test_a_refusal_at_one_socket_is_not_told_as_another_ones(
    ssh_host: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(ssh_host.home(tmp_path / "home")))
    refused = anyio.Event()

    async def hang_up(stream: anyio.abc.ByteStream) -> None:
        await refused.wait()

    async with (
        listening(tmp_path / "s", hang_up) as path,
        Host(BUILDER) as host,
        await host.open(path) as stream,
        await host.open(str(tmp_path / "none")) as other,
    ):
        with pytest.raises(RefusedError, match=r"nobody answers at .*/none"):
            await other.receive()
        refused.set()
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()


@pytest.mark.real
@pytest.mark.apart
async def test_leaving_leaves_no_process_and_no_directory(
    ssh_host: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    monkeypatch.setenv("HOME", str(ssh_host.home(tmp_path / "home")))
    before = children(os.getpid())

    async with listening(tmp_path / "s", echo) as path, Host(BUILDER) as host, await host.open(path) as stream:
        await stream.send(b"x")
        assert await stream.receive() == b"x"
        assert len(children(os.getpid())) == len(before) + 1
        assert len(within(place)) == 1

    assert children(os.getpid()) == before
    assert within(place) == []


@pytest.mark.real
@pytest.mark.apart
async def test_who_is_cancelled_while_it_connects_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ssh_host: Sshd, place: Path
) -> None:
    told_by = tmp_path / "proxy"
    config = f"Host Builder\n  ProxyCommand sh -c 'echo $$ > {told_by}; exec sleep 60'\n"
    monkeypatch.setenv("HOME", str(ssh_host.home(tmp_path / "home", config)))
    before = children(os.getpid())

    async with Host(BUILDER) as host:
        with anyio.move_on_after(0.5) as patience:
            await host.connect()

    assert patience.cancelled_caught
    assert children(os.getpid()) == before
    assert within(place) == []
    await until(lambda: not runs(int(told_by.read_text())))


@pytest.mark.real
@pytest.mark.apart
async def test_an_ssh_that_is_killed_breaks_its_streams_and_another_takes_its_place(
    ssh_host: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    monkeypatch.setenv("HOME", str(ssh_host.home(tmp_path / "home")))
    before = set(children(os.getpid()))

    async with listening(tmp_path / "s", echo) as path, Host(BUILDER) as host, await host.open(path) as stream:
        await stream.send(b"x")
        await stream.receive()
        (ssh,) = set(children(os.getpid())) - before
        os.kill(ssh, signal.SIGKILL)
        with pytest.raises(anyio.BrokenResourceError, match="SSH connection is lost"):
            await stream.receive()
        async with await host.open(path) as again:
            await again.send(b"y")
            assert await again.receive() == b"y"

    assert within(place) == []


HOLD = """
import anyio, sys
from remote.address import SshAddress
from remote.ssh.host import Host
async def main():
    async with Host(SshAddress(host="Builder", transport="openssh")) as host, await host.open(sys.argv[1]) as stream:
        await stream.send(b"x")
        await stream.receive()
        print("ready", flush=True)
        await anyio.sleep_forever()
anyio.run(main, backend=sys.argv[2])
"""


@pytest.mark.real
@pytest.mark.apart
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_with_us_its_process_ends_however_we_end(
    ssh_host: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Path, backend: str
) -> None:
    environment = {"HOME": str(ssh_host.home(tmp_path / "home")), "PATH": os.defpath, "TMPDIR": str(place)}
    gone = anyio.Event()

    async def serve(stream: anyio.abc.ByteStream) -> None:
        await stream.send(await stream.receive())
        await all_of(stream)
        gone.set()

    async with listening(tmp_path / "s", serve) as path:
        command = [sys.executable, "-c", HOLD, path, backend]
        async with await anyio.open_process(command, cwd=Path(__file__).parents[2], env=environment) as process:
            assert process.stdout is not None
            assert await process.stdout.receive() == b"ready\n"
            (ssh,) = children(process.pid)
            process.kill()
        with anyio.fail_after(20):
            await gone.wait()
            await until(lambda: not runs(ssh))

    (left,) = within(place)
    old(left)
    with Folder() as made:
        assert within(place) == [made]


KILLED_TOO_EARLY = """
import anyio, os, signal, sys
from remote.ssh.lifeline import Lifeline
from remote.ssh.master import Master
from remote.ssh.settings import Settings
def tie(lifeline, pid):
    print(pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
Lifeline.tie = tie
async def main():
    words = ("-F", "none", "-o", "ProxyCommand=sleep 60")
    settings = Settings(program="ssh", words=words, host="builder", where="builder:22", jump=None)
    async with anyio.create_task_group() as tasks:
        await tasks.start(Master(settings, name="builder").live)
anyio.run(main, backend=sys.argv[1])
"""


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_so_it_does_when_we_are_killed_before_it_is_tied_to_us(place: Path, backend: str) -> None:
    command = [sys.executable, "-c", KILLED_TOO_EARLY, backend]
    environment = {"PATH": os.defpath, "TMPDIR": str(place)}

    done = await anyio.run_process(command, cwd=Path(__file__).parents[2], env=environment, check=False)

    started = int(done.stdout)
    try:
        await until(lambda: not in_session(started))
    finally:
        for pid in in_session(started):
            os.kill(pid, signal.SIGKILL)
