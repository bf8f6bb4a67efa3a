"""Certificates and proxies: who says them, and where they come from."""

from pathlib import Path

import pytest

from orchestrator.config import Config, load
from orchestrator.config.network import has_login, passwords
from orchestrator.errors import ConfigError
from orchestrator.model import Network

_PROXY = "http://proxy.example:3128"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


def _load(root: Path, text: str, variables: dict[str, str] | None = None) -> Config:
    file = root.parent / "operator.toml"
    file.write_text(f"[network]\n{text}")
    return load(root, {"FLEETPACKS_CONFIG": str(file), **(variables or {})})


@pytest.mark.parametrize(
    ("text", "variables", "expected"),
    [
        ("", {}, Network()),
        ("ca = '/etc/corp.pem'", {}, Network(ca=Path("/etc/corp.pem"))),
        ("ca = '/etc/corp.pem'", {"FLEETPACKS_CA": "/other.pem"}, Network(ca=Path("/other.pem"))),
        (
            f"https_proxy = {{ url = '{_PROXY}' }}\nno_proxy = 'localhost,.example'",
            {},
            Network(proxies={"https": _PROXY}, no_proxy="localhost,.example"),
        ),
        (
            "http_proxy = { env = 'P' }",
            {"P": "proxy.example:3128", "HTTPS_PROXY": "http://ours.example"},
            Network(proxies={"http": _PROXY}),
        ),
        # The environment's are ours alone, unless somebody says so.
        ("", {"HTTP_PROXY": _PROXY, "NO_PROXY": "x"}, Network()),
        (
            "",
            {"FLEETPACKS_BUILD_PROXY": "true", "HTTP_PROXY": "http://a", "http_proxy": _PROXY, "NO_PROXY": "x"},
            Network(proxies={"http": _PROXY}, no_proxy="x"),
        ),
        ("no_proxy = 'x'", {}, Network()),
    ],
)
def test_what_is_said_arrives(root: Path, text: str, variables: dict[str, str], expected: Network) -> None:
    assert _load(root, text, variables).network == expected


def test_a_proxys_address_is_read_from_a_file(root: Path, tmp_path: Path) -> None:
    (tmp_path / "proxy").write_text("http://me:p%40ss@proxy.example:3128\n")

    network = _load(root, f"http_proxy = {{ file = '{tmp_path}/proxy' }}").network

    assert network.proxies == {"http": "http://me:p%40ss@proxy.example:3128"}
    assert passwords(network) == ("p%40ss", "p@ss")
    assert "p%40ss" not in repr(network)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ca = 'corp.pem'", "network.ca: expected an absolute path"),
        ("http_proxy = {}", "network.http_proxy: expected one of url, env and file"),
        ("http_proxy = { url = 'http://a', env = 'B' }", "expected one of url, env and file"),
        ("http_proxy = { url = 'http://me:hunter2@a' }", "network.http_proxy.url: it holds a password"),
        ("http_proxy = { url = 'http://me:pa/hunter2@a' }", "network.http_proxy.url: it holds a password"),
        ("http_proxy = { url = 'me:hunter2@a:3128' }", "network.http_proxy.url: it holds a password"),
        ("http_proxy = { url = 'http://a b' }", "network.http_proxy: expected the URL of a proxy"),
        ("http_proxy = { env = 'HUNTER' }", "expected the URL of a proxy"),
        ("http_proxy = { env = 'MISSING' }", r"\$MISSING is not set"),
        ("http_proxy = { file = 'relative' }", "network.http_proxy.file: expected an absolute path"),
        ("http_proxy = { file = '/nowhere/at/all' }", "/nowhere/at/all cannot be read"),
        ("http_proxy = { url = 'http://a' }\nno_proxy = \"a'b\"", "the hosts that need no proxy cannot be told"),
        ("proxy = 'x'", "network.proxy: unknown key"),
    ],
)
def test_what_cannot_be_is_an_error_which_shows_no_password(root: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        _load(root, text, {"HUNTER": "hunter2 http://x"})

    assert "hunter2" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    "address",
    [
        "http://me:pa/hunter2@proxy.example:3128",
        "http://me:1/hunter2@proxy.example:3128",
        "me:pa?hunter2@proxy.example:3128",
        "http://me:1?hunter2@proxy.example:3128",
        "http://me:1#hunter2@proxy.example:3128",
        "http://me:hunter2@",
        "http://me:hunter2@proxy.example:99999",
        "http://proxy.example:hunter2",
        "http://[hunter2",
        "http://proxy.example/hunter2",
    ],
)
def test_a_proxys_address_has_a_host_and_a_port_and_nothing_behind(root: Path, address: str) -> None:
    with pytest.raises(ConfigError, match=r"network.http_proxy: expected the URL of a proxy") as caught:
        _load(root, "http_proxy = { env = 'THE_PROXY' }", {"THE_PROXY": address})

    assert "hunter2" not in caught.value.message + caught.value.hint
    assert "%2F" in caught.value.hint


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("me:p%2Fss@proxy.example:3128/", True),
        ("http://token@proxy.example", True),
        ("proxy.example:3128", False),
        ("socks5h://[::1]:1080", False),
    ],
)
def test_an_address_with_a_login_is_known_as_such(root: Path, address: str, *, expected: bool) -> None:
    network = _load(root, "http_proxy = { env = 'THE_PROXY' }", {"THE_PROXY": address}).network

    assert has_login(network.proxies["http"]) == expected
    assert len(passwords(network)) == 2 * ("%" in address)


@pytest.mark.parametrize("by_variable", [True, False])
def test_certificates_inside_the_source_are_not_trusted(root: Path, *, by_variable: bool) -> None:
    (root / "ca.pem").write_text("x")
    (root.parent / "linked.pem").symlink_to(root / "ca.pem")

    text, variables = (
        ("", {"FLEETPACKS_CA": str(root.parent / "linked.pem")})
        if by_variable
        else (
            f"ca = '{root}/ca.pem'",
            dict[str, str](),
        )
    )

    with pytest.raises(ConfigError, match=r"inside the source .* are not trusted"):
        _load(root, text, variables)


def test_a_repository_says_nothing_of_it(root: Path) -> None:
    (root / "fleetpacks.toml").write_text("[network]\nca = '/etc/corp.pem'\n")

    with pytest.raises(ConfigError, match="network") as caught:
        load(root, {"HOME": str(root.parent)})

    assert "operator" in caught.value.hint
