"""Authorities that are trusted beside the usual ones: for us, for tools, and for Java."""

import shutil
import ssl
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import ConfigError, RegistryError
from orchestrator.registry import trust
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from tests.registry.server import Server, running
from tests.registry.test_tls import server_side


@pytest.fixture
def authority(certificate: Path, tmp_path: Path) -> Path:
    """The server's certificate without its key."""
    file = tmp_path / "ca.pem"
    file.write_text(f"# Corporate\n{file.read_text()}")
    assert certificate.read_text().startswith(file.read_text().partition("\n")[2])
    return file


async def test_our_own_requests_trust_the_operators_authority_too(certificate: Path, authority: Path) -> None:
    async with running(Server(), tls=server_side(certificate)) as server:
        async with RegistryClient(Credentials(None), {}, ca=authority) as client:
            await client.challenges(server.host)

        async with RegistryClient(Credentials(None), {}) as client:
            with pytest.raises(RegistryError, match="does not verify"):
                await client.challenges(server.host)

        assert [seen.path for seen in server.seen] == ["/v2/"]


def test_tools_get_the_usual_authorities_and_the_operators(authority: Path) -> None:
    [own] = trust.read(authority)

    found = trust.bundle(authority)

    assert found[-1] == own
    assert len(found) > 50
    assert trust.certificates(trust.pem(found)) == found
    assert len(trust.pem(found)) < trust.LARGEST


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no certificate in it"),
        ("-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n", "it holds a private key"),
        ("-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n", "a certificate in it is none"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "a certificate in it is none"),
        (None, "No such file"),
    ],
)
def test_what_is_no_file_of_certificates_is_an_error(tmp_path: Path, text: str | None, message: str) -> None:
    file = tmp_path / "ca.pem"
    if text is not None:
        file.write_text(text)

    with pytest.raises(ConfigError, match=message) as caught:
        trust.add(ssl.create_default_context(), file)

    assert str(file) in caught.value.message


async def test_a_file_with_something_else_in_it_is_no_lost_connection(certificate: Path, authority: Path) -> None:
    with authority.open("a") as file:
        file.write("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")

    async with (
        running(Server(), tls=server_side(certificate)) as server,
        RegistryClient(Credentials(None), {}, ca=authority) as client,
    ):
        with pytest.raises(ConfigError, match="a certificate in it is none"):
            await client.challenges(server.host)


@pytest.mark.parametrize("broken", [True, False])
def test_usual_authorities_that_cannot_be_read_are_an_error(
    authority: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, broken: bool
) -> None:
    (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----\n")
    usual = tmp_path / "broken.pem" if broken else tmp_path
    monkeypatch.setattr("orchestrator.registry.trust._usual", lambda: usual)

    with pytest.raises(ConfigError, match="the usual authorities cannot be read") as caught:
        trust.bundle(authority)

    assert caught.value.message.startswith(f"{usual}: ")
    assert "SSL_CERT_FILE" in caught.value.hint


@given(st.binary())
def test_no_file_is_too_odd(data: bytes) -> None:
    try:
        found = trust.certificates(data)
    except ValueError:
        return
    assert trust.certificates(trust.pem(found)) == found


async def test_java_reads_its_own_store(authority: Path, tmp_path: Path) -> None:
    keytool = shutil.which("keytool")
    if keytool is None:
        pytest.skip("there is no keytool here: it comes with Java")
    (tmp_path / "store").write_bytes(trust.key_store(trust.bundle(authority)))

    words = ["-list", "-keystore", str(tmp_path / "store"), "-storepass", trust.PASSWORD]
    done = await anyio.run_process([keytool, *words], check=False)

    count = len(trust.bundle(authority))
    assert f"contains {count} entries".encode() in done.stdout, done.stdout[-2000:]
    assert done.stdout.count(b"trustedCertEntry") == count
