"""Addresses of builders."""

from pathlib import Path

import anyio
import anyio.abc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote.address import EngineAddress, SshAddress, TcpAddress, Tls, UnixAddress, parse
from remote.connect import connect
from remote.errors import AddressError, UnreachableError


@given(st.text(alphabet=st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=40))
def test_an_address_survives_being_written_and_read(name: str) -> None:
    address = UnixAddress(path=f"/run/{name}.sock")

    assert parse(str(address)) == address


_PATHS = st.from_regex(r"/[a-z0-9 %?#&=+~-]{1,20}\.pem", fullmatch=True).map(Path)
_HOSTS = st.from_regex(r"[a-z0-9]{1,10}(\.[a-z0-9]{1,10}){0,2}", fullmatch=True) | st.sampled_from(["::1", "fe80::1"])


@given(
    host=_HOSTS,
    port=st.integers(1, 65535),
    tls=st.none()
    | st.builds(Tls, cacert=_PATHS, cert=_PATHS, key=_PATHS, servername=st.none() | _HOSTS)
    | st.builds(Tls, cacert=_PATHS),
    engine=st.booleans(),
)
def test_an_address_elsewhere_survives_too(host: str, port: int, tls: Tls | None, *, engine: bool) -> None:
    tcp = TcpAddress(host=host, port=port, tls=tls)
    address = EngineAddress(at=tcp) if engine else tcp

    assert parse(str(address)) == address


@given(
    st.builds(
        SshAddress,
        host=_HOSTS | st.from_regex(r"[A-Za-z][A-Za-z0-9_]{1,10}", fullmatch=True),
        user=st.none() | st.from_regex(r"[a-z][a-z0-9._@+-]{0,10}", fullmatch=True),
        port=st.none() | st.integers(1, 65535),
        socket=st.none() | st.from_regex(r"/[a-zA-Z0-9 %?#&=+~@-]{1,20}\.sock", fullmatch=True),
        slots=st.none() | st.integers(1, 1024),
        platform=st.none() | st.sampled_from(["linux/amd64", "linux/arm64", "linux/arm/v7"]),
    )
)
def test_an_address_of_a_host_behind_sshd_survives_too(address: SshAddress) -> None:
    assert parse(str(address)) == address


def test_an_alias_of_openssh_keeps_its_case() -> None:
    assert parse("ssh://deploy@Builder-One?slots=4") == SshAddress(host="Builder-One", user="deploy", slots=4)
    assert parse("ssh://pods?at=2001:db8::7") == SshAddress(host="pods", at="2001:db8::7")


def test_a_password_in_an_address_is_refused_and_not_shown() -> None:
    with pytest.raises(AddressError) as caught:
        parse("ssh://deploy:hunter2@builder.example")

    assert "hunter2" not in f"{caught.value.message} {caught.value.hint}"
    assert "ssh-add" in caught.value.hint


def test_docker_without_a_host_is_a_socket_of_this_machine() -> None:
    assert parse("docker:///var/run/docker.sock") == EngineAddress(at=UnixAddress(path="/var/run/docker.sock"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/run/buildkit.sock",
        "ssh://",
        "ssh://user@",
        "ssh://@host",
        "ssh://-oProxyCommand=x",
        "ssh://-l@host",
        "ssh://host;id",
        "ssh://a b",
        "ssh://host:0",
        "ssh://host:65536",
        "ssh://host/var/run/docker.sock",
        "ssh://host#fragment",
        "ssh://host?socket=docker.sock",
        "ssh://host?socket=/a%00b",
        "ssh://host?at=other",
        "ssh://host?at=10.0.0.7:22",
        "ssh://host?slots=0",
        "ssh://host?slots=1025",
        "ssh://host?slots=many",
        "ssh://host?slots=1&slots=2",
        "ssh://host?platform=arm64",
        "ssh://host?platform=linux/arm64;id",
        "ssh://host?key=/home/me/.ssh/id_rsa",
        "ssh://host?slots",
        "unix://relative/path",
        "unix://",
        "unix:///a?x=1",
        "unix:///a#b",
        "unix:///" + "a" * 120,
        "unix:///a%00b",
        "unix://[",
        "tcp://host",
        "tcp://host:0",
        "tcp://host:65536",
        "tcp://:1234",
        "tcp://user@host:1234",
        "tcp://host:1234/path",
        "tcp://host:1234#fragment",
        "tcp://host:1234?cacert",
        "tcp://host:1234?cacert=",
        "tcp://host:1234?cacert=relative.pem",
        "tcp://host:1234?cacert=/a.pem&cacert=/b.pem",
        "tcp://host:1234?cert=/a.pem",
        "tcp://host:1234?key=/a.pem",
        "tcp://host:1234?password=/a.pem",
        "docker://",
        "docker://host",
        "docker://relative/path",
        "docker:///a?cacert=/b.pem",
        "http://host:1234",
    ],
)
def test_what_is_no_address_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse(text)

    assert text in caught.value.message
    assert caught.value.hint


@given(st.text())
def test_any_text_is_an_address_or_a_clear_refusal(text: str) -> None:
    for scheme in ("unix://", "tcp://", "docker://", "ssh://", ""):
        try:
            address = parse(scheme + text)
        except AddressError:
            continue

        assert parse(str(address)) == address


async def test_a_socket_that_does_not_exist_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError) as caught:
        await connect(UnixAddress(path=str(tmp_path / "none.sock")))

    assert "no such socket" in caught.value.message


async def test_a_socket_that_nobody_listens_on_is_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "dead.sock"
    async with await anyio.create_unix_listener(path):
        pass

    with pytest.raises(UnreachableError) as caught:
        await connect(UnixAddress(path=str(path)))

    assert caught.value.hint


async def test_bytes_cross_a_connected_socket(tmp_path: Path) -> None:
    path = tmp_path / "live.sock"
    async with await anyio.create_unix_listener(path) as listener, anyio.create_task_group() as tasks:

        async def echo(stream: anyio.abc.SocketStream) -> None:
            async with stream:
                await stream.send(await stream.receive())

        tasks.start_soon(listener.serve, echo)

        async with await connect(UnixAddress(path=str(path))) as stream:
            await stream.send(b"ping")

            assert await stream.receive() == b"ping"
        tasks.cancel_scope.cancel()
