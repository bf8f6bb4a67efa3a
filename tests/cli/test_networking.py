"""What build steps are told of the operator's network, as far as no builder is needed to know it."""

import shlex
from pathlib import Path

import pytest

from langs.network import CA, KEY_STORE, SCRIPT
from orchestrator.app import networking
from orchestrator.config import Config, load
from orchestrator.errors import ConfigError
from orchestrator.model import Network
from orchestrator.registry import trust
from tests.registry.conftest import certified


def _java(network: Network) -> list[str]:
    """The options of a JVM, as one takes them apart: at blanks."""
    [line] = [line for line in networking.script(network).splitlines() if "JAVA_TOOL_OPTIONS" in line]
    [_, said] = shlex.split(line.rpartition("export ")[2])[0].split("=", 1)
    return said.removeprefix("$JAVA_TOOL_OPTIONS ").split()


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (
            Network(proxies={"http": "http://me:pw@p.example", "https": "https://p.example"}),
            {"http.proxyHost": "p.example", "http.proxyPort": "80"}
            | {"https.proxyHost": "p.example", "https.proxyPort": "443"},
        ),
        (
            Network(proxies={"http": "socks5://p.example:9050", "https": "socks5h://p.example:9050"}),
            {"socksProxyHost": "p.example", "socksProxyPort": "9050"},
        ),
        (
            Network(proxies={"https": "socks5://p.example"}, no_proxy="localhost 10.0.0.1, .example,"),
            {"socksProxyHost": "p.example", "socksProxyPort": "1080"}
            | dict.fromkeys(("http.nonProxyHosts", "socksNonProxyHosts"), "localhost|10.0.0.1|*.example"),
        ),
        (
            Network(proxies={"http": "http://p.example:3128"}, no_proxy=" , "),
            {"http.proxyHost": "p.example", "http.proxyPort": "3128"},
        ),
        (Network(), {}),
    ],
)
def test_a_jvm_is_told_of_proxies_by_options_and_nothing_else(network: Network, expected: dict[str, str]) -> None:
    words = _java(network)

    assert [word for word in words if not word.startswith("-D")] == []
    told = dict(word.removeprefix("-D").split("=", 1) for word in words)
    assert bool(network.proxies) == (told.pop("aether.connector.http.useSystemProperties", None) == "true")
    assert told == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "No such file"),
        ("-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n", "it holds a private key"),
    ],
)
async def test_certificates_that_cannot_be_read_are_an_error_before_a_step_asks_for_them(
    tmp_path: Path, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / "ca.pem").write_text(text)

    with pytest.raises(ConfigError, match=message) as caught:
        await networking.readers(_config(tmp_path))

    assert caught.value.hint


async def test_more_certificates_than_builders_take_are_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certified(tmp_path, "127.0.0.1")
    monkeypatch.setattr(trust, "LARGEST", 1000)

    with pytest.raises(ConfigError, match="and builders take 1000"):
        await networking.readers(_config(tmp_path))


async def test_certificates_are_read_once_for_all_steps(tmp_path: Path) -> None:
    certified(tmp_path, "127.0.0.1")
    own = (tmp_path / "ca.pem").read_bytes()

    readers = await networking.readers(_config(tmp_path))
    (tmp_path / "ca.pem").unlink()

    assert (await readers[CA]()).endswith(own)
    assert (await readers[KEY_STORE]()).startswith(b"\xfe\xed\xfe\xed")
    assert b"export SSL_CERT_FILE=" in await readers[SCRIPT]()


def _config(folder: Path) -> Config:
    (folder / "source").mkdir()
    return load(folder / "source", {"FLEETPACKS_CA": str(folder / "ca.pem")})
