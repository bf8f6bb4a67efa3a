"""What engines said, word for word: 20.10.24+dfsg1 (graph driver) and 2.0.0-beta.24 (containerd's image store)."""

import time

import aiodocker
import pytest

from orchestrator.docker.border import translated
from orchestrator.errors import (
    DiskFullError,
    EngineError,
    FleetpacksError,
    ImageNotFoundError,
    ProtocolError,
    RegistryBusyError,
    RegistryError,
    RegistryUnavailableError,
    TransientError,
)

PUSH, PULL = "push r.example/t/a:1", "pull r.example/t/a:1"
IN_A_STREAM = 0


@pytest.mark.parametrize(
    ("doing", "status", "text", "expected", "hint"),
    [
        (
            PUSH,
            IN_A_STREAM,
            "An image does not exist locally with the tag: r.example/t/a",
            ImageNotFoundError,
            "pull, load",
        ),
        (PUSH, IN_A_STREAM, "tag does not exist: r.example/t/a:1", ImageNotFoundError, "pull, load"),
        ("tag a as b", 404, "No such image: r.example/t/a:1", ImageNotFoundError, "pull, load"),
        ("start r.example/t/a:1", 404, "No such image: r.example/t/a:1", ImageNotFoundError, "pull, load"),
        (PUSH, IN_A_STREAM, "no basic auth credentials", RegistryError, "log in"),
        (PUSH, IN_A_STREAM, "unauthorized: authentication required", RegistryError, "log in"),
        (PUSH, IN_A_STREAM, "denied: said by the registry", RegistryError, "log in"),
        (
            PUSH,
            IN_A_STREAM,
            (
                "push access denied, repository does not exist or may require authorization: "
                "authorization failed: no basic auth credentials"
            ),
            RegistryError,
            "log in",
        ),
        (
            PUSH,
            IN_A_STREAM,
            (
                "unknown: unexpected status from HEAD request to http://127.0.0.1:45999/v2/t/a/blobs/sha256:50ea6c709a3a9c806"
                "51222688306b82f9ad86d83cead1764741a76fbd6809e34: 401 Unauthorized"
            ),
            RegistryError,
            "log in",
        ),
        (PUSH, IN_A_STREAM, "toomanyrequests: said by the registry", RegistryBusyError, "try again"),
        (
            PUSH,
            IN_A_STREAM,
            'error parsing HTTP 429 response body: unexpected end of JSON input: ""',
            RegistryBusyError,
            "try again",
        ),
        (
            PUSH,
            IN_A_STREAM,
            "received unexpected HTTP status: 503 Service Unavailable",
            RegistryBusyError,
            "try again",
        ),
        (
            PUSH,
            IN_A_STREAM,
            'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
            RegistryUnavailableError,
            "cannot reach",
        ),
        (
            PUSH,
            IN_A_STREAM,
            (
                'failed to do request: Head "https://nohost.invalid/v2/t/a/blobs/sha256:e882cc8ebabd5696705fe0388ff98e166ca15'
                'a86ed89c62dde11198c6a5169d5": dial tcp: lookup nohost.invalid on 10.255.255.53:53: no such host'
            ),
            RegistryUnavailableError,
            "cannot reach",
        ),
        (
            PUSH,
            IN_A_STREAM,
            (
                'failed to do request: Head "https://127.0.0.1:45998/v2/a/blobs/sha256:5450169938c18154d3f7624e57ade9d38ccbd'
                '33efeb6f45d5c1c0d83bb930e3c": tls: first record does not look like a TLS handshake'
            ),
            RegistryError,
            "insecure-registries",
        ),
        (
            PULL,
            500,
            'Get "https://r.example/v2/": x509: certificate signed by unknown authority',
            RegistryError,
            "certs.d",
        ),
        (
            PULL,
            404,
            "manifest for r.example/t/a:1 not found: manifest unknown: manifest unknown",
            ImageNotFoundError,
            "name and tag",
        ),
        (
            PULL,
            404,
            'failed to resolve reference "r.example/t/a:1": r.example/t/a:1: not found',
            ImageNotFoundError,
            "name and tag",
        ),
        (
            PULL,
            404,
            "pull access denied for r.example/t/a, repository does not exist or may require 'docker login': denied: no",
            ImageNotFoundError,
            "log in",
        ),
        (
            PULL,
            500,
            'Head "http://127.0.0.1:45999/v2/t/a/manifests/2": no basic auth credentials',
            ImageNotFoundError,
            "log in",
        ),
        (
            PULL,
            500,
            (
                'unknown: failed to resolve reference "127.0.0.1:45999/t/a:2": unexpected status from HEAD request to '
                "http://127.0.0.1:45999/v2/t/a/manifests/2: 401 Unauthorized"
            ),
            ImageNotFoundError,
            "log in",
        ),
        (PULL, 500, "toomanyrequests: said by the registry", RegistryBusyError, "try again"),
        (
            PULL,
            500,
            "received unexpected HTTP status: 500 Internal Server Error",
            RegistryBusyError,
            "try again",
        ),
        (
            "load an image",
            IN_A_STREAM,
            "Error processing tar file(exit status 1): write /x: no space left on device",
            DiskFullError,
            "prune",
        ),
        (PULL, IN_A_STREAM, "failed to register layer: write /x: no space left on device", DiskFullError, "prune"),
        (
            "say who it is",
            400,
            "client version 1.99 is too new. Maximum supported API version is 1.41",
            ProtocolError,
            "20.10",
        ),
        (
            "start r.example/t/a:1",
            400,
            (
                "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container "
                'process: exec: "nope": executable file not found in $PATH: unknown'
            ),
            EngineError,
            "start command",
        ),
        ("prune", 409, "a prune operation is already running", EngineError, "log says more"),
    ],
)
def test_what_an_engine_says_becomes_an_error_of_ours(
    doing: str, status: int, text: str, expected: type[FleetpacksError], hint: str
) -> None:
    with pytest.raises(FleetpacksError) as caught, translated("docker:///run/docker.sock", doing):
        raise aiodocker.DockerError(status, text)

    assert type(caught.value) is expected
    assert hint in caught.value.hint
    assert text in caught.value.message
    assert doing in caught.value.message


def test_what_a_name_says_does_not_choose_the_error() -> None:
    # The part that others choose: an image's name, within what was asked for.
    with pytest.raises(FleetpacksError) as caught, translated("docker:///s", "push r.example/denied/503:x509"):
        raise aiodocker.DockerError(0, "layer does not exist")

    assert type(caught.value) is EngineError
    assert not isinstance(caught.value, TransientError)


def test_a_long_text_is_cut_and_judged_in_no_time() -> None:
    text = "unexpected status from HEAD " * 100_000

    began = time.monotonic()
    with pytest.raises(EngineError) as caught, translated("docker:///s", PUSH):
        raise aiodocker.DockerError(0, text)

    assert time.monotonic() - began < 1
    assert len(caught.value.message) < 3000
