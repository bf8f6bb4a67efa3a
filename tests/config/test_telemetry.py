"""OpenTelemetry's variables: they are set for all that runs on a machine, and may fail nothing here."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config.telemetry import Telemetry, parse

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
_OWN = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_PARENT = f"00-{'a' * 32}-{'b' * 16}-01"


def parsed(**variables: str) -> Telemetry:
    found = parse(lambda name: variables.get(name) or None)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"OTEL_SERVICE_NAME": "x", "TRACEPARENT": _PARENT},
        {_ENDPOINT: ""},
        {_ENDPOINT: "http://c:4318", "OTEL_SDK_DISABLED": "TRUE"},
        {_ENDPOINT: "http://c:4318", "OTEL_TRACES_EXPORTER": "none"},
        {_ENDPOINT: "http://c:4318", "OTEL_TRACES_EXPORTER": "zipkin"},
    ],
)
def test_nothing_is_sent_unless_it_is_asked_for(variables: dict[str, str]) -> None:
    assert parse(lambda name: variables.get(name) or None) is None


@pytest.mark.parametrize(
    ("variables", "endpoint"),
    [
        ({_ENDPOINT: "http://c:4318"}, "http://c:4318/v1/traces"),
        ({_ENDPOINT: "https://c/prefix/"}, "https://c/prefix/v1/traces"),
        ({_OWN: "https://c/exactly"}, "https://c/exactly"),
        ({_OWN: "https://own/", _ENDPOINT: "http://all"}, "https://own/"),
    ],
)
def test_the_endpoint_of_traces_counts_as_it_is_the_other_one_gets_a_path(
    variables: dict[str, str], endpoint: str
) -> None:
    found = parsed(**variables)

    assert (found.endpoint, found.problem) == (endpoint, None)


def test_headers_resource_parent_and_time_are_read() -> None:
    found = parsed(
        **{
            _ENDPOINT: "http://c",
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Basic%20eDp5, x-team = a%2Cb,broken",
            "OTEL_RESOURCE_ATTRIBUTES": "service.name=other,ci=yes",
            "OTEL_SERVICE_NAME": "mine",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "1500",
            "TRACEPARENT": _PARENT,
        }
    )

    assert found.headers == {"authorization": "Basic eDp5", "x-team": "a,b"}
    assert found.resource == {"service.name": "mine", "ci": "yes"}
    assert (found.seconds, found.parent) == (1.5, ("a" * 32, "b" * 16))


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({_ENDPOINT: "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "grpc is not spoken"),
        ({_ENDPOINT: "c:4318"}, f"${_ENDPOINT}: expected an http"),
        ({_OWN: "unix:///x"}, f"${_OWN}: expected an http"),
        ({_ENDPOINT: "http://"}, f"${_ENDPOINT}: expected an http"),
    ],
)
def test_what_cannot_be_done_is_a_problem_and_no_error(variables: dict[str, str], problem: str) -> None:
    assert problem in str(parsed(**variables).problem)


@given(st.text(), st.text(), st.text(), st.text())
def test_no_value_is_an_error(endpoint: str, headers: str, timeout: str, parent: str) -> None:
    variables = {
        _ENDPOINT: endpoint,
        "OTEL_EXPORTER_OTLP_HEADERS": headers,
        "OTEL_EXPORTER_OTLP_TIMEOUT": timeout,
        "OTEL_EXPORTER_OTLP_PROTOCOL": headers,
        "TRACEPARENT": parent,
    }

    found = parse(lambda name: variables.get(name) or None)

    assert found is None or 0 <= found.seconds <= 3
