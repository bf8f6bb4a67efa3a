"""Which proxy the environment names for whom."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import ConfigError
from orchestrator.registry.proxies import Proxy, proxy_for

PROXY = Proxy(scheme="http", host="proxy.example", port=3128)
URL = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, None),
        ({"http": URL}, None),
        ({"https": URL}, PROXY),
        ({"https": ""}, None),
        ({"all": URL}, PROXY),
        ({"all": "http://other.example", "https": URL}, PROXY),
        ({"https": "proxy.example:3128"}, PROXY),
        ({"https": "http://proxy.example"}, Proxy(scheme="http", host="proxy.example", port=80)),
        ({"https": "https://proxy.example"}, Proxy(scheme="https", host="proxy.example", port=443)),
        ({"https": "http://[::1]:8080/"}, Proxy(scheme="http", host="::1", port=8080)),
        (
            {"https": "http://me:p%40ss@proxy.example:3128"},
            Proxy(scheme="http", host="proxy.example", port=3128, auth=("me", "p@ss")),
        ),
    ],
)
def test_the_variable_of_the_scheme_goes_first(said: dict[str, str], expected: Proxy | None) -> None:
    assert proxy_for("https", "registry.example", 443, said) == expected


@pytest.mark.parametrize(
    ("host", "none", "direct"),
    [
        ("registry.example", "registry.example", True),
        ("registry.example", "other.example, Registry.Example ,", True),
        ("registry.example", "example", True),
        ("registry.example", ".example", True),
        ("registry.example", "*.example", True),
        ("registry.example", "*", True),
        ("registry.example", "", False),
        ("registry.example", ".registry.example", False),
        ("registry.example", "gistry.example", False),
        ("registry.example", "registry.example:443", True),
        ("registry.example", "registry.example:5000", False),
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "0.0.1", False),
        ("fd00::1", "fd00::1", True),
        ("fd00::1", "[fd00::1]:443", True),
        ("fd00::1", "[fd00::1]:80", False),
    ],
)
def test_hosts_that_need_no_proxy_are_named_as_everywhere(host: str, none: str, *, direct: bool) -> None:
    found = proxy_for("https", host, 443, {"https": URL, "no": none})

    assert found == (None if direct else PROXY)


@pytest.mark.parametrize("url", ["socks5://proxy.example:1080", "http://", "http://proxy.example:x", "http://[::1"])
def test_what_is_no_proxy_for_us_is_an_error_without_the_variables_value(url: str) -> None:
    with pytest.raises(ConfigError, match="the proxy that the environment names") as caught:
        proxy_for("https", "registry.example", 443, {"https": url})

    assert url not in caught.value.message


def test_a_password_is_not_shown() -> None:
    found = proxy_for("http", "registry.example", 80, {"http": "http://me:s3cret@proxy.example"})

    assert found is not None
    assert found.auth == ("me", "s3cret")
    assert "s3cret" not in repr(found)


@given(st.text(), st.text())
def test_whatever_the_environment_says_is_a_proxy_or_our_error(url: str, none: str) -> None:
    try:
        found = proxy_for("https", "registry.example", 443, {"https": url, "no": none})
    except ConfigError:
        return

    assert found is None or found.host
