"""Messages of buildkitd v0.30.0, word for word, and what we make of them."""

import json
import time

import pytest
from google.protobuf.any_pb2 import Any
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.buildkit.border import protocol_error, solve_error
from orchestrator.buildkit.grpc import GrpcError, Status
from orchestrator.buildkit.protos import status_pb2
from orchestrator.errors import (
    BuildFailedError,
    CacheLostError,
    DaemonLostError,
    DiskFullError,
    FailedStep,
    FleetpacksError,
    ImageNotFoundError,
    ProtocolError,
    RegistryBusyError,
    RegistryError,
    RegistryUnavailableError,
    StepCancelledError,
    TransientError,
)

PULL = "127.0.0.1:5799/a:1: failed to resolve source metadata for 127.0.0.1:5799/a:1: "
PUSH = "failed to push 127.0.0.1:5799/a: "
MANIFEST = "request to http://127.0.0.1:5799/v2/a/manifests/1: "

RECORDED: tuple[tuple[type[FleetpacksError], str, str], ...] = (
    (BuildFailedError, 'process "/bin/sh -c false" did not complete successfully: exit code: 1', "output"),
    (BuildFailedError, "dockerfile parse error on line 2: unknown instruction: FOO (did you mean FROM?)", "Dockerfile"),
    (
        BuildFailedError,
        (
            "dockerfile parse error on line 2: COPY requires at least two arguments, but only one was provided. "
            "Destination could not be determined"
        ),
        "Dockerfile",
    ),
    (
        BuildFailedError,
        'failed to parse stage name "X:::Y": invalid reference format: repository name (library/X) must be lowercase',
        "Dockerfile",
    ),
    (BuildFailedError, "base name ($nope) should not be blank", "Dockerfile"),
    (BuildFailedError, "no build stage in current context", "Dockerfile"),
    (BuildFailedError, "the Dockerfile cannot be empty", "Dockerfile"),
    (BuildFailedError, 'target stage "zzz" could not be found', "Dockerfile"),
    (BuildFailedError, "failed to read dockerfile: open other: no such file or directory", "exists"),
    (
        BuildFailedError,
        (
            "failed to compute cache key: failed to calculate checksum of ref "
            '94uro4vd7fzxkua6zzwqca4nq::z375kyreq9tkwtz7rnbddldbq: "/nope": not found'
        ),
        ".dockerignore",
    ),
    (BuildFailedError, "secret x: not found", "declare the secret"),
    # buildkitd v0.13.2
    (ProtocolError, "unsupported request frontend.lint: unsupported request frontend.lint", "newer"),
    (BuildFailedError, "failed to load LLB: security.insecure is not allowed", "privilege"),
    (BuildFailedError, "failed to load cache key: invalid response status 404", "ADD"),
    (BuildFailedError, 'exporter "nope" could not be found', "log"),
    (ImageNotFoundError, PULL + "127.0.0.1:5799/a:1: not found", "name and tag"),
    (ImageNotFoundError, PULL + f"unexpected status from HEAD {MANIFEST}401 Unauthorized", "log in"),
    (ImageNotFoundError, PULL + f"unexpected status from HEAD {MANIFEST}403 Forbidden", "log in"),
    (RegistryError, PULL + f"unexpected status from GET {MANIFEST}405 Method Not Allowed", "refused"),
    (RegistryBusyError, PULL + f"unexpected status from HEAD {MANIFEST}429 Too Many Requests", "later"),
    (RegistryBusyError, PULL + f"unexpected status from HEAD {MANIFEST}500 Internal Server Error", "later"),
    (
        RegistryUnavailableError,
        (
            PULL + 'failed to do request: Head "http://127.0.0.1:5799/v2/a/manifests/1": dial tcp 127.0.0.1:5799: '
            "connect: connection refused"
        ),
        "reach",
    ),
    (
        RegistryUnavailableError,
        (
            "nope.example/x:1: failed to resolve source metadata for nope.example/x:1: failed to do request: Head "
            '"https://nope.example/v2/x/manifests/1": dial tcp: lookup nope.example on 10.255.255.53:53: no such host'
        ),
        "reach",
    ),
    (RegistryError, PUSH + "denied: no no", "log in"),
    (
        RegistryError,
        "failed to push 127.0.0.1:5799/X Y: invalid reference format: repository name (X Y) must be lowercase",
        "lower case",
    ),
    (
        RegistryError,
        (
            PUSH + 'failed to do request: Head "https://127.0.0.1:5799/v2/a/blobs/sha256:1": tls: first record does '
            "not look like a TLS handshake"
        ),
        "plain HTTP",
    ),
    (
        RegistryBusyError,
        (
            PUSH + "unexpected status from POST request to http://127.0.0.1:5799/v2/a/blobs/uploads/: "
            "500 Internal Server Error: oops"
        ),
        "later",
    ),
    (
        RegistryUnavailableError,
        (
            PUSH + 'failed to do request: Head "http://127.0.0.1:5799/v2/a/blobs/sha256:1": dial tcp 127.0.0.1:5799: '
            "connect: connection refused"
        ),
        "reach",
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    "said",
    [
        "failed to resolve source metadata for docker.io/docker/buildkit-syft-scanner:stable-1: not found",
        (
            "failed to resolve source metadata for docker.io/docker/buildkit-syft-scanner:stable-1: failed to do "
            'request: Head "https://registry-1.docker.io/v2/docker/buildkit-syft-scanner/manifests/stable-1": dial '
            "tcp: lookup registry-1.docker.io on 10.255.255.53:53: no such host"
        ),
    ],
)
def test_where_the_scanner_that_nobody_named_cannot_be_had_the_option_that_names_one_is_named(said: str) -> None:
    error = solve_error(GrpcError(Status.UNKNOWN, said))

    assert "--sbom-scanner" in error.hint


FULL = (
    "write /root/runc-native/snapshots/snapshots/3/big: no space left on device",
    "failed to read dockerfile: write /root/runc-native/snapshots/snapshots/4/Dockerfile: no space left on device",
    (
        "failed to compute cache key: failed to copy: write /root/runc-native/content/ingest/5f4e/data: "
        "no space left on device"
    ),
)
"""Of a buildkitd v0.30.0 with 24 MB of disk; its status is RESOURCE_EXHAUSTED."""


@pytest.mark.parametrize("text", FULL)
def test_a_full_disk_is_nobodys_fault_and_passes(text: str) -> None:
    error = solve_error(GrpcError(Status.RESOURCE_EXHAUSTED, text))

    assert type(error) is DiskFullError
    assert isinstance(error, TransientError)
    assert "prune" in error.hint


def test_pruning_a_disk_that_is_too_full_for_it_says_so() -> None:
    text = "failed to delete metadata of x: write /root/runc-native/metadata_v2.db: no space left on device"

    error = protocol_error(GrpcError(Status.RESOURCE_EXHAUSTED, text))

    assert type(error) is DiskFullError


def test_a_step_that_met_a_full_disk_is_a_failed_build_with_the_hint_of_one() -> None:
    text = 'process "/bin/sh -c dd" did not complete successfully: exit code: 1'
    at = FailedStep(log=("dd: error writing 'x': No space left on device",))

    error = solve_error(GrpcError(Status.UNKNOWN, text), at=at)

    assert type(error) is BuildFailedError
    assert "disk is full" in error.hint


@pytest.mark.parametrize(
    "text",
    [
        "context canceled",
        "failed to compute cache key: context canceled",
        "failed to push 127.0.0.1:5000/app: context canceled",
        "failed to copy: httpReadSeeker: failed open: failed to do request: context canceled",
        'failed to do request: Head "https://r.example/v2/app/manifests/1": context canceled',
    ],
)
def test_a_build_that_the_daemon_cancelled_can_be_started_again_on_it(text: str) -> None:
    error = solve_error(GrpcError(Status.UNKNOWN, text))

    assert type(error) is StepCancelledError


@pytest.mark.parametrize(
    "text",
    [
        'lease "o0owya5v4npte9ksoxpd1m5nh": not found',
        'failed to get record sfx1jm9 by blobchainid: failed to remove sfx1jm9: lease "sfx1jm9": not found',
        f"failed to mount /path: parent snapshot sha256:{'c0' * 32} does not exist: not found",
        f"snapshot extract-2tnrifjt sha256:{'f4' * 32} does not exist: not found",
        "failed to apply diffs: failed to stat lower snapshot oqp2tt0: snapshot oqp2tt0 does not exist: not found",
    ],
)
def test_a_cache_that_lacks_what_its_daemon_counts_on_is_no_fault_of_the_build(text: str) -> None:
    error = solve_error(GrpcError(Status.UNKNOWN, text))

    assert type(error) is CacheLostError
    assert "restart" in error.hint


def test_a_file_with_the_name_of_such_an_error_is_a_missing_file() -> None:
    text = r'failed to compute cache key: failed to calculate checksum of ref a::b: "/lease \"x\"": not found'

    error = solve_error(GrpcError(Status.UNKNOWN, text))

    assert type(error) is BuildFailedError


@pytest.mark.parametrize(
    "said",
    [
        "no active session for x: context deadline exceeded",
        "failed to read dockerfile: rpc error: code = Unavailable desc = error reading from server: unexpected EOF",
        "x: rpc error: code = Unavailable desc = error reading from server: rpc error: code = Canceled desc = x",
    ],
)
def test_a_build_whose_session_the_daemon_lost_is_not_tried_there_again(said: str) -> None:
    error = solve_error(GrpcError(Status.UNKNOWN, said))

    assert type(error) is DaemonLostError


@pytest.mark.parametrize("wish", ["exit code: 137", "no space left on device", "context canceled"])
def test_an_old_daemons_failed_step_is_not_judged_by_its_command(wish: str) -> None:
    text = f"executor failed running [/bin/sh -c : ]: {wish}]: exit code: 3"

    error = solve_error(GrpcError(Status.UNKNOWN, text))

    assert (type(error), error.hint) == (BuildFailedError, "the step's output says why")
    assert error.at is not None
    assert (error.at.command, error.at.exit_code) == (f": ]: {wish}", 3)


@pytest.mark.parametrize(("kind", "text", "hint"), RECORDED)
def test_every_recorded_message_has_its_error_and_its_hint(kind: type[FleetpacksError], text: str, hint: str) -> None:
    error = solve_error(GrpcError(Status.UNKNOWN, text))

    assert type(error) is kind
    assert error.message == text
    assert hint in error.hint


@pytest.mark.parametrize("other", [text for kind, text, _ in RECORDED if kind is not BuildFailedError])
def test_a_failed_command_is_a_failed_build_whatever_its_text_imitates(other: str) -> None:
    text = f'process "/bin/sh -c echo {other}\n{other}" did not complete successfully: exit code: 1'

    error = solve_error(GrpcError(Status.UNKNOWN, text))

    assert type(error) is BuildFailedError


def test_the_place_in_the_dockerfile_comes_first() -> None:
    source = {"info": {"filename": "Dockerfile", "data": "RlJPTQ=="}, "ranges": [{"start": {"line": 3}, "end": {}}]}
    details = status_pb2.Status(
        details=[
            Any(type_url="github.com/moby/buildkit/stack.Stack+json", value=b'{"frames":[]}'),
            Any(type_url="github.com/moby/buildkit/errdefs.Source+json", value=json.dumps(source).encode()),
        ]
    )

    error = solve_error(GrpcError(Status.UNKNOWN, RECORDED[0][1], details.SerializeToString()))

    assert error.message == f"Dockerfile:3: {RECORDED[0][1]}"


@given(st.binary(max_size=100), st.binary(max_size=100))
@example(b"", b'{"x":' + b"[" * 20_000)
def test_details_that_cannot_be_read_never_hide_the_error(details: bytes, value: bytes) -> None:
    entry = Any(type_url="github.com/moby/buildkit/errdefs.Source+json", value=value)
    wrapped = status_pb2.Status(details=[entry]).SerializeToString()

    for raw in (details, wrapped):
        error = solve_error(GrpcError(Status.UNKNOWN, "no", raw))
        assert error.message.endswith("no")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (Status.UNAVAILABLE, DaemonLostError),
        (Status.CANCELLED, DaemonLostError),
        (Status.UNIMPLEMENTED, ProtocolError),
        (Status.UNKNOWN, BuildFailedError),
    ],
)
def test_a_text_we_do_not_know_is_judged_by_its_status(status: Status, kind: type[FleetpacksError]) -> None:
    error = solve_error(GrpcError(status, "something new"))

    assert type(error) is kind
    assert "something new" in error.message
    assert error.hint


@pytest.mark.parametrize(
    "wish",
    [
        "registry.example/a: failed to resolve source metadata for x: 503 Service Unavailable",
        "no active session for x",
        "failed to authorize: x",
        "no space left on device",
    ],
)
def test_a_steps_command_does_not_choose_what_its_failure_means(wish: str) -> None:
    text = f'process "/bin/sh -c : {wish}" did not complete successfully: runc did not complete successfully: EOF'

    error = solve_error(GrpcError(Status.UNKNOWN, text))

    assert (type(error), error.message) == (BuildFailedError, text)
    assert "disk" not in error.hint


@pytest.mark.parametrize("repeated", [" did not complete successfully: ", ": failed to resolve source metadata for "])
@pytest.mark.parametrize("begin", ["process ", "something "])
def test_a_long_text_does_not_hold_the_event_loop(repeated: str, begin: str) -> None:
    text = begin + repeated * (100_000 // len(repeated))

    began = time.process_time()
    error = solve_error(GrpcError(Status.UNKNOWN, f"{text} x"))

    assert error.message == f"{text} x"
    assert time.process_time() - began < 0.5


def test_a_refused_question_names_the_status() -> None:
    error = protocol_error(GrpcError(Status.UNIMPLEMENTED, "unknown method Info"))

    assert type(error) is ProtocolError
    assert "UNIMPLEMENTED: unknown method Info" in error.message
