import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.buildkit.grpc.framing import MessageDecoder, Outgoing
from orchestrator.buildkit.grpc.status import GrpcError, Status
from tests.buildkit_grpc.peers import framed

messages_ = st.lists(st.binary(max_size=5000), max_size=8)


def decode(decoder: MessageDecoder) -> list[bytes]:
    messages: list[bytes] = []
    while (message := decoder.next_message()) is not None:
        messages.append(message)
    return messages


@given(messages=messages_, data=st.data())
def test_messages_survive_any_split(messages: list[bytes], data: st.DataObject) -> None:
    wire = b"".join(map(framed, messages))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=20)))
    decoder = MessageDecoder()

    decoded: list[bytes] = []
    for start, stop in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        decoder.feed(wire[start:stop])
        decoded += decode(decoder)

    assert decoded == messages
    assert not decoder.pending


@given(messages=messages_, data=st.data())
def test_outgoing_slices_join_to_the_framed_messages(messages: list[bytes], data: st.DataObject) -> None:
    outgoing = Outgoing(messages)
    parts: list[bytes | memoryview] = []

    while outgoing.remaining:
        outgoing.take(data.draw(st.integers(1, outgoing.remaining)), parts)

    assert b"".join(parts) == b"".join(map(framed, messages))


@given(messages=st.lists(st.lists(st.binary(max_size=1500), max_size=4).map(tuple), max_size=6), data=st.data())
def test_messages_in_pieces_are_framed_as_whole_ones_are(
    messages: list[tuple[bytes, ...]], data: st.DataObject
) -> None:
    outgoing = Outgoing(messages)
    parts: list[bytes | memoryview] = []

    while outgoing.remaining:
        outgoing.take(data.draw(st.integers(1, outgoing.remaining)), parts)

    assert b"".join(parts) == b"".join(framed(b"".join(pieces)) for pieces in messages)


@given(message=st.binary(max_size=100), data=st.data())
def test_a_cut_off_message_is_pending(message: bytes, data: st.DataObject) -> None:
    wire = framed(message)
    decoder = MessageDecoder()

    decoder.feed(wire[: data.draw(st.integers(1, len(wire) - 1))])

    assert decoder.next_message() is None
    assert decoder.pending


@pytest.mark.parametrize(
    ("wire", "status", "text"),
    [
        (framed(bytes(11)), Status.RESOURCE_EXHAUSTED, "11 bytes is larger than the limit of 10"),
        (b"\0\xff\xff\xff\xff", Status.RESOURCE_EXHAUSTED, "4294967295 bytes"),
        (b"\1\0\0\0\0", Status.INTERNAL, "compressed"),
        (b"\2\0\0\0\0", Status.INTERNAL, "flags 0x2"),
    ],
)
def test_messages_that_are_refused(wire: bytes, status: Status, text: str) -> None:
    decoder = MessageDecoder(limit=10)
    decoder.feed(wire)

    with pytest.raises(GrpcError, match=text) as caught:
        decoder.next_message()

    assert caught.value.status is status


def test_a_message_of_the_limit_is_accepted() -> None:
    decoder = MessageDecoder(limit=10)

    decoder.feed(framed(bytes(10)))

    assert decoder.next_message() == bytes(10)
