"""What `ssh` says: which connection was refused, and what is for people."""

from hypothesis import given
from hypothesis import strategies as st

from remote.ssh.said import Refusals, Said

FAILED = "open failed: connect failed: open failed"


def said(*lines: str) -> Said:
    made = Said()
    made.take("".join(f"{line}\r\n" for line in lines).encode())
    return made


def taken(number: int, path: str) -> tuple[str, str]:
    return (
        f"debug1: Connection to port -2 forwarding to {path} port -2 requested.",
        f"debug1: channel {number}: new direct-streamlocal@openssh.com [direct-streamlocal@openssh.com]",
    )


def test_a_refusal_is_of_the_socket_to_which_its_connection_should_have_led() -> None:
    found = said(*taken(2, "/run/a"), *taken(3, "/run/b"), f"channel 3: {FAILED}", *taken(4, "/run/b"))

    assert found.refusals("/run/a") == Refusals()
    assert found.refusals("/run/b") == Refusals(1, "connect failed: open failed")


def test_a_number_is_of_whoever_has_got_it_last() -> None:
    found = said(*taken(2, "/run/a"), f"channel 2: {FAILED}", *taken(2, "/run/b"), "channel 2: open failed: gone")

    assert (found.refusals("/run/a").number, found.refusals("/run/b")) == (1, Refusals(1, "gone"))


def test_a_session_that_is_refused_is_no_connection_to_a_socket() -> None:
    found = said("debug1: channel 2: new [client-session]", f"channel 2: {FAILED}")

    assert found.refusals("/run/a") == Refusals()


def test_a_refusal_of_which_nothing_else_is_told_may_be_of_any_socket() -> None:
    found = said(f"channel 2: {FAILED}")

    assert (found.refusals("/run/a").number, found.refusals("/run/b").number) == (1, 1)


def test_of_a_long_path_it_tells_a_hundred_characters() -> None:
    path = f"/{'x' * 106}"

    assert said(*taken(2, path[:100]), f"channel 2: {FAILED}").refusals(path).number == 1


def test_for_people_are_the_lines_that_it_says_without_being_asked() -> None:
    found = said(
        "debug1: Connecting to builder [192.0.2.1] port 22.",
        'Authenticated to builder ([192.0.2.1]:22) using "publickey".',
        f"channel 2: {FAILED}",
        "Timeout, server builder not responding.",
        "Transferred: sent 3000, received 4000 bytes, in 1.0 seconds",
        "Bytes per second: sent 3000.0, received 4000.0",
    )

    assert list(found.lines) == ["Timeout, server builder not responding."]


@given(st.lists(st.binary() | st.sampled_from([b"debug1: channel 1: new", b"channel 1: open failed: \xff", b"\r\n"])))
def test_however_it_comes_in_pieces_the_same_was_said(pieces: list[bytes]) -> None:
    whole, parts = Said(), Said()

    whole.take(b"".join(pieces))
    for piece in pieces:
        parts.take(piece)

    assert (list(whole.lines), whole.refusals("/x")) == (list(parts.lines), parts.refusals("/x"))
    assert all(line.isprintable() for line in whole.lines)
