"""TLS: certificates are verified, and one that does not verify never leads to plain HTTP."""

import ssl
from pathlib import Path

import pytest

from orchestrator.errors import ConfigError, ProtocolError, RegistryError
from orchestrator.registry.backoff import Timing
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.reference import parse
from tests.registry.server import Answer, Fault, Server, running


def server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_a_certificate_that_does_not_verify_is_an_error_and_no_reason_for_plain_http(certificate: Path) -> None:
    async with running(Server(), tls=server_side(certificate)) as server:
        async with RegistryClient(Credentials(None), {}) as client:
            with pytest.raises(RegistryError, match="does not verify") as caught:
                await client.challenges(server.host)

        assert "SSL_CERT_FILE" in caught.value.hint
        assert server.seen == []


async def test_a_certificate_of_a_known_authority_is_accepted_on_loopback_too(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with running(Server(), tls=server_side(certificate)) as server:
        async with RegistryClient(Credentials(None), {}) as client:
            await client.challenges(server.host)

        assert [seen.path for seen in server.seen] == ["/v2/"]


@pytest.mark.parametrize("content", [None, "no certificate"], ids=["missing", "something else"])
async def test_authorities_that_cannot_be_read_are_one_error_at_once(
    certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    file = tmp_path / "authorities.pem"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    # Whoever tries again is caught.
    timing = Timing(sleep=_nobody_sleeps)
    async with (
        running(Server(), tls=server_side(certificate)) as server,
        RegistryClient(Credentials(None), {}, timing=timing) as client,
    ):
        with pytest.raises(ConfigError, match="certificates of known authorities cannot be read") as caught:
            await client.challenges(server.host)

    assert "SSL_CERT_FILE" in caught.value.hint


async def _nobody_sleeps(seconds: float) -> None:
    raise AssertionError(f"it waits {seconds} s")


async def test_nothing_leads_from_tls_to_plain_http(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    async with running(Server()) as plain:
        secure = Server(auth="token", realm=f"{plain.base}/token")
        async with running(secure, tls=server_side(certificate)), RegistryClient(Credentials(None), {}) as client:
            reference = parse(f"{secure.host}/team/api:1")

            away = (("location", f"{plain.base}/v2/"),)
            secure.faults.append(Fault(path="/manifests/", answer=Answer(status=307, headers=away)))
            with pytest.raises(ProtocolError, match="redirect not followed"):
                await client.get_manifest(reference)
            with pytest.raises(RegistryError, match="plain HTTP, but the registry is not"):
                await client.get_manifest(reference)

        assert plain.seen == []
