"""Addresses of builders."""

from pathlib import Path

import anyio
import anyio.abc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remote.address import UnixAddress, parse
from remote.connect import connect
from remote.errors import AddressError, UnreachableError


@given(st.text(alphabet=st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=40))
def test_an_address_survives_being_written_and_read(name: str) -> None:
    address = UnixAddress(path=f"/run/{name}.sock")

    assert parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/run/buildkit.sock",
        "ssh://user@host",
        "unix://relative/path",
        "unix://",
        "unix:///a?x=1",
        "unix:///a#b",
        "unix:///" + "a" * 120,
        "unix:///a%00b",
        "unix://[",
    ],
)
def test_what_is_no_address_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse(text)

    assert text in caught.value.message
    assert caught.value.hint


@given(st.text())
def test_any_text_is_an_address_or_a_clear_refusal(text: str) -> None:
    try:
        address = parse(f"unix://{text}")
    except AddressError:
        return

    assert isinstance(address, UnixAddress)
    assert address.path.startswith("/")


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
