"""Where a registry is reached, and whom its credentials may be told."""

import pytest

from orchestrator.model import Registry
from orchestrator.registry.hosts import Endpoint, canonical, endpoints, is_loopback, refuse_realm, refuse_redirect

INSECURE = {
    "plain.example:80": Registry(host="plain.example:80", insecure=True),
    "x.example": Registry(host="x.example"),
}


@pytest.mark.parametrize(
    ("host", "bases"),
    [
        ("docker.io", ["https://registry-1.docker.io"]),
        ("registry.example:5001", ["https://registry.example:5001"]),
        ("x.example", ["https://x.example"]),
        ("plain.example:80", ["http://plain.example:80"]),
        ("localhost:5001", ["http://localhost:5001", "https://localhost:5001"]),
        ("127.0.0.53", ["http://127.0.0.53", "https://127.0.0.53"]),
        ("[::1]:5001", ["http://[::1]:5001", "https://[::1]:5001"]),
        ("127.0.0.1.attacker.example", ["https://127.0.0.1.attacker.example"]),
        ("localhost.attacker.example", ["https://localhost.attacker.example"]),
    ],
)
def test_only_loopback_and_insecure_registries_are_spoken_with_in_the_clear(host: str, bases: list[str]) -> None:
    assert [endpoint.base for endpoint in endpoints(host, INSECURE)] == bases


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("localhost", True), ("127.1.2.3", True), ("::1", True), ("[::1]", True), ("128.0.0.1", False), ("", False)],
)
def test_loopback_is_told_by_address(host: str, *, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_all_names_of_docker_hub_are_one() -> None:
    assert {canonical(name) for name in ("docker.io", "index.docker.io", "registry-1.docker.io")} == {"docker.io"}


@pytest.mark.parametrize(
    ("base", "realm", "allowed"),
    [
        ("https://registry.example", "https://auth.example/token?x=1", True),
        ("https://registry.example", "http://auth.example/token", False),
        ("https://registry.example", "http://registry.example/token", False),
        ("https://registry.example", "http://127.0.0.1/token", False),
        ("https://127.0.0.1:5001", "http://127.0.0.1:5001/token", False),
        ("https://registry.example", "https://user:pass@auth.example/token", False),
        ("https://registry.example", "https://user@auth.example/token", False),
        ("https://registry.example", "ftp://auth.example/token", False),
        ("https://registry.example", "//auth.example/token", False),
        ("https://registry.example", "https:///token", False),
        ("https://registry.example", "https://auth.example:port/token", False),
        ("http://intern.example:5001", "http://intern.example:5002/token", True),
        ("http://intern.example:5001", "http://other.example/token", False),
        ("http://intern.example:5001", "http://127.0.0.1/token", False),
        ("http://intern.example:5001", "http://plain.example:80/token", True),
        ("http://intern.example:5001", "https://other.example/token", True),
        ("http://127.0.0.1:5001", "http://localhost:5002/token", True),
        ("http://127.0.0.1:5001", "http://[::1]:5002/token", True),
        ("http://127.0.0.1:5001", "http://10.0.0.1/token", False),
    ],
)
def test_a_realm_is_told_credentials_only_where_the_registry_could_be_told_them(
    base: str, realm: str, *, allowed: bool
) -> None:
    scheme, _, authority = base.partition("://")
    endpoint = Endpoint(host=authority, scheme=scheme, authority=authority)

    assert (refuse_realm(realm, endpoint, INSECURE) is None) is allowed


@pytest.mark.parametrize(
    ("source", "target", "allowed"),
    [
        ("https://a.example/x", "https://b.example/y", True),
        ("https://a.example/x", "http://a.example/x", False),
        ("http://a.example/x", "http://b.example/y", True),
        ("http://a.example/x", "https://b.example/y", True),
        ("http://a.example/x", "file:///etc/passwd", False),
        ("http://a.example/x", "http://me:secret@b.example/", False),
    ],
)
def test_a_redirect_never_leaves_tls(source: str, target: str, *, allowed: bool) -> None:
    assert (refuse_redirect(source, target) is None) is allowed
