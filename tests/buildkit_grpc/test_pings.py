"""Answers to pings: they wait for other frames, but not for ever. The peer is plain `h2`."""

import anyio
import pytest
from h2.events import PingAckReceived, RequestReceived

from orchestrator.buildkit.grpc import link
from tests.buildkit_grpc.peers import client_of_peer


async def test_an_answer_goes_with_the_next_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "PING_SECONDS", 3600)
    async with client_of_peer() as (connection, peer), anyio.create_task_group() as tasks:
        peer.h2.ping(b"12345678")
        await peer.flush()
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(connection.unary, "/x", b"")

        answer = await peer.expect(PingAckReceived)

        assert answer.ping_data == b"12345678"
        await peer.respond((await peer.expect(RequestReceived)).stream_id, b"")


async def test_an_answer_does_not_wait_for_ever() -> None:
    async with client_of_peer() as (_, peer):
        peer.h2.ping(b"12345678")

        answer = await peer.expect(PingAckReceived)

        assert answer.ping_data == b"12345678"


async def test_answers_that_become_many_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "PING_SECONDS", 3600)
    async with client_of_peer() as (_, peer):
        sent = [number.to_bytes(8, "big") for number in range(100)]
        for ping in sent:
            peer.h2.ping(ping)

        answers = [(await peer.expect(PingAckReceived)).ping_data for _ in range(60)]

        assert answers == sent[:60]
