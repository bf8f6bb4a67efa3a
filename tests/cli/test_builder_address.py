"""Which builder is meant: flags, variables, files, and the sockets that daemons have."""

import socket
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from orchestrator.app import builder
from orchestrator.app.builder import WellKnown
from orchestrator.config import Config, Flags, load
from orchestrator.config.settings import Host
from orchestrator.errors import UsageError
from remote.address import Address, EngineAddress, TcpAddress, Tls, UnixAddress


def config(home: Path, variables: Mapping[str, str] | None = None, host: str | None = None) -> Config:
    flags = Flags(hosts=(host,) if host else ())
    return load(None, {"HOME": str(home), **(variables or {})}, flags)


def one_of(said: Config) -> Address:
    """The only builder."""
    [found] = builder.addresses(said)
    return found


@pytest.fixture
def sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that holds the system's sockets, so that this machine's own are not seen."""
    system = tuple(
        WellKnown(f"{tmp_path}{known.path}" if known.path.startswith("/") else known.path, known.address)
        for known in builder.SOCKETS
    )
    monkeypatch.setattr(builder, "SOCKETS", system)
    return tmp_path


def listen(stack: ExitStack, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    stack.enter_context(socket.socket(socket.AF_UNIX)).bind(str(path))


def test_a_builder_that_is_said_is_taken_whatever_sockets_there_are(sockets: Path) -> None:
    with ExitStack() as stack:
        listen(stack, sockets / "run/buildkit/buildkitd.sock")

        found = one_of(config(sockets, {"DOCKER_HOST": "unix:///d"}, host="unix:///said"))

    assert found == UnixAddress(path="/said")


@pytest.mark.parametrize(
    ("there", "kind"),
    [
        ("run/buildkit/buildkitd.sock", UnixAddress),
        ("user/buildkit/buildkitd.sock", UnixAddress),
        ("user/buildkit-default/buildkitd.sock", UnixAddress),
        ("var/run/docker.sock", EngineAddress),
        ("user/docker.sock", EngineAddress),
    ],
)
def test_the_first_well_known_socket_is_taken_also_a_rootless_daemons(sockets: Path, there: str, kind: type) -> None:
    with ExitStack() as stack:
        listen(stack, sockets / there)
        # The last one of all is there, too.
        if there != "user/docker.sock":
            listen(stack, sockets / "user/docker.sock")

        found = one_of(config(sockets, {"XDG_RUNTIME_DIR": str(sockets / "user")}))

    assert type(found) is kind
    assert str(found).endswith(f"://{sockets / there}")


def test_without_any_builder_the_places_are_named_that_were_looked_at(sockets: Path) -> None:
    with pytest.raises(UsageError) as caught:
        one_of(config(sockets))

    assert f"{sockets}/run/buildkit/buildkitd.sock" in caught.value.message
    assert f"{sockets}/var/run/docker.sock" in caught.value.message
    assert "--host" in caught.value.hint


@pytest.mark.parametrize(
    ("said", "url"),
    [
        ("unix:///var/run/docker.sock", "docker:///var/run/docker.sock"),
        ("tcp://host:2375", "docker://host:2375"),
        ("tcp://[::1]:2375", "docker://[::1]:2375"),
        ("docker:///d", "docker:///d"),
    ],
)
def test_docker_host_names_an_engine_where_nobody_names_a_builder(sockets: Path, said: str, url: str) -> None:
    found = config(sockets, {"DOCKER_HOST": said})

    assert str(one_of(found)) == url
    assert str(builder.engine_address(found)) == url
    assert one_of(config(sockets, {"DOCKER_HOST": said, "BUILDKIT_HOST": "unix:///b"})) == UnixAddress(path="/b")


@pytest.mark.parametrize("said", ["ssh://user@host", "npipe:////./pipe/docker_engine", "fd://", "host:2375", "/d.sock"])
def test_a_docker_host_that_we_cannot_speak_to_is_named(sockets: Path, said: str) -> None:
    with pytest.raises(UsageError, match=r"^\$DOCKER_HOST: ") as caught:
        one_of(config(sockets, {"DOCKER_HOST": said}))

    assert caught.value.hint


def test_an_engine_elsewhere_gets_dockers_certificates_when_docker_would_use_them(sockets: Path) -> None:
    variables = {"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs"}
    expected = Tls(cacert=Path("/certs/ca.pem"), cert=Path("/certs/cert.pem"), key=Path("/certs/key.pem"))

    by_variable = one_of(config(sockets, {**variables, "DOCKER_HOST": "tcp://host:2376"}))
    by_flag = one_of(config(sockets, variables, host="docker://host:2376"))

    assert by_variable == by_flag == EngineAddress(at=TcpAddress(host="host", port=2376, tls=expected))


@pytest.mark.parametrize(
    ("variables", "host"),
    [
        ({"DOCKER_CERT_PATH": "/certs"}, "docker://host:2375"),
        ({"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs"}, "docker:///var/run/docker.sock"),
        ({"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs"}, "docker://host:2376?cacert=/own.pem"),
        ({"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs"}, "tcp://host:1234"),
    ],
)
def test_nobody_else_gets_them(sockets: Path, variables: Mapping[str, str], host: str) -> None:
    assert str(one_of(config(sockets, variables, host=host))) == host


def test_the_certificates_lie_in_dockers_directory_unless_somebody_says_otherwise(sockets: Path) -> None:
    variables = {"DOCKER_TLS_VERIFY": "yes", "DOCKER_HOST": "tcp://host:2376"}

    found = one_of(config(sockets, variables))

    assert f"cacert={sockets}/.docker/ca.pem" in str(found)


@pytest.mark.parametrize(
    ("url", "slots", "expected"),
    [
        ("ssh://host?slots=4", None, 4),
        ("ssh://host", 3, 3),
        ("ssh://host?slots=3", 3, 3),
        ("unix:///b", 2, 2),
        ("unix:///b", None, None),
    ],
)
def test_the_slots_of_a_builder_are_said_by_its_address_or_beside_it(
    sockets: Path, url: str, slots: int | None, expected: int | None
) -> None:
    found = hosted(sockets, url, slots)

    assert builder.slots(found.hosts[0], one_of(found)) == expected


def test_slots_that_are_said_twice_and_differ_are_refused(sockets: Path) -> None:
    found = hosted(sockets, "ssh://host?slots=4", 3)

    with pytest.raises(UsageError, match="slots is 3 besides"):
        builder.slots(found.hosts[0], one_of(found))


def hosted(sockets: Path, url: str, slots: int | None) -> Config:
    host = Host(url=url, slots=slots, source="config.toml: hosts")
    return msgspec.structs.replace(config(sockets), hosts=(host,))


def test_all_builders_of_a_pool_are_known_and_one_that_is_named_twice_is_refused(sockets: Path) -> None:
    one, two = (Host(url=url, slots=None, source="--host") for url in ("ssh://one", "unix:///two"))
    pool = msgspec.structs.replace(config(sockets), hosts=(one, two))

    assert [str(address) for address in builder.addresses(pool)] == ["ssh://one", "unix:///two"]
    with pytest.raises(UsageError, match="unix:///two is named twice"):
        builder.addresses(msgspec.structs.replace(pool, hosts=(one, two, two)))
