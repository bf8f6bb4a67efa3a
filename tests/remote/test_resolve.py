"""Names that have several addresses, by a name service whose answers are written here."""

import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from remote.address import parse
from remote.resolve import resolved

_KNOWN = {
    "pods": ["10.0.0.9", "10.0.0.7"],
    "one": ["10.0.0.7"],
    "both": ["10.0.0.7", "2001:db8::7"],
    "mixed": ["2001:db8::7", "10.0.0.8", "10.0.0.7"],
}
_Answer = tuple[int, int, int, str, tuple[str, int]]


@pytest.fixture(autouse=True)
def service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The name service, and nobody's configuration of OpenSSH."""
    monkeypatch.setattr(anyio, "getaddrinfo", _answering(_KNOWN))
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/config").write_text("Host alias\n  HostName pods\n  Port 2222\nHost far\n  ProxyJump pods\n")


def _answering(known: Mapping[str, Sequence[str]]) -> Callable[..., object]:
    async def answer(host: str, port: int, **_: object) -> list[_Answer]:
        await anyio.lowlevel.checkpoint()
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        kinds = [(socket.AF_INET6 if ":" in each else socket.AF_INET, each) for each in known[host]]
        return [(kind, 0, 0, "", (each, port)) for kind, each in kinds]

    return answer


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("tcp://pods:1", ["tcp://10.0.0.7:1", "tcp://10.0.0.9:1"]),
        (
            "tcp://pods:1?cacert=/ca.pem",
            ["tcp://10.0.0.7:1?cacert=/ca.pem&servername=pods", "tcp://10.0.0.9:1?cacert=/ca.pem&servername=pods"],
        ),
        (
            "tcp://pods:1?cacert=/ca.pem&servername=x",
            ["tcp://10.0.0.7:1?cacert=/ca.pem&servername=x", "tcp://10.0.0.9:1?cacert=/ca.pem&servername=x"],
        ),
        ("tcp://one:1?cacert=/ca.pem", ["tcp://one:1?cacert=/ca.pem"]),
        ("tcp://both:1", ["tcp://both:1"]),
        ("tcp://mixed:1", ["tcp://10.0.0.7:1", "tcp://10.0.0.8:1"]),
        ("tcp://unknown:1", ["tcp://unknown:1"]),
        ("tcp://10.0.0.7:1", ["tcp://10.0.0.7:1"]),
        ("ssh://a@pods?slots=2", ["ssh://a@pods?slots=2&at=10.0.0.7", "ssh://a@pods?slots=2&at=10.0.0.9"]),
        ("ssh://alias", ["ssh://alias?at=10.0.0.7", "ssh://alias?at=10.0.0.9"]),
        ("ssh://far", ["ssh://far"]),
        ("ssh://pods?at=10.0.0.9", ["ssh://pods?at=10.0.0.9"]),
        ("unix:///run/pods", ["unix:///run/pods"]),
        ("docker://pods:1", ["docker://pods:1"]),
    ],
)
async def test_a_name_with_several_addresses_is_several_hosts_that_are_checked_by_the_name(
    said: str, found: Sequence[str]
) -> None:
    hosts = await resolved(parse(said))

    assert [str(host) for host in hosts] == found
    assert tuple(parse(str(host)) for host in hosts) == hosts
