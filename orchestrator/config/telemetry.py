"""Where traces go, as OpenTelemetry's variables say (its specification, "OTLP Exporter Configuration").

Nothing is sent unless an endpoint is named. Only OTLP over HTTP is spoken.
"""

import re
from collections.abc import Callable, Mapping
from urllib.parse import unquote, urlsplit

import msgspec

_PATH = "v1/traces"
_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
"""W3C Trace Context, `traceparent`."""
_SERVICE = "fleetpacks"
_LONGEST_WAIT = 3.0
"""Seconds: nobody is to wait for a collector."""


class Telemetry(msgspec.Struct, frozen=True, kw_only=True):
    """A collector."""

    endpoint: str
    """The whole URL to which traces are posted."""
    headers: Mapping[str, str]
    """May hold credentials."""
    resource: Mapping[str, str]
    """Attributes of this program."""
    parent: tuple[str, str] | None
    """The trace's and the span's id within which we run."""
    seconds: float
    """How long sending may take."""
    problem: str | None = None
    """Why nothing can be sent; that must fail no run."""


def parse(get: Callable[[str], str | None]) -> Telemetry | None:
    """Read the variables; None when no traces are wanted.

    They are often set for everything that runs on a machine, so that a wrong one is a problem and no error.

    Args:
        get: a variable's value; None where it is not set, or empty.
    """

    def either(name: str) -> tuple[str, str | None]:
        own, of_all = f"OTEL_EXPORTER_OTLP_TRACES_{name}", f"OTEL_EXPORTER_OTLP_{name}"
        own_value, general = get(own), get(of_all)
        return (own, own_value) if own_value is not None else (of_all, general)

    endpoint_name, endpoint = either("ENDPOINT")
    protocol_name, protocol = either("PROTOCOL")
    _, headers = either("HEADERS")
    _, timeout = either("TIMEOUT")
    disabled, exporter = get("OTEL_SDK_DISABLED"), get("OTEL_TRACES_EXPORTER")
    service, resource = get("OTEL_SERVICE_NAME"), get("OTEL_RESOURCE_ATTRIBUTES")
    parent = _PARENT.fullmatch(get("TRACEPARENT") or "")
    if endpoint is None or (disabled or "").lower() == "true" or exporter not in {None, "otlp"}:
        return None
    problem = None
    if protocol not in {None, "http/json", "http/protobuf"}:
        problem = f"${protocol_name}: {protocol} is not spoken here, only http/json"
    elif urlsplit(endpoint).scheme not in {"http", "https"} or not urlsplit(endpoint).hostname:
        problem = f"${endpoint_name}: expected an http:// or https:// URL"
    if endpoint_name.endswith("OTLP_ENDPOINT"):
        endpoint = f"{endpoint.rstrip('/')}/{_PATH}"
    milliseconds = int(timeout[:6]) if timeout and timeout.isascii() and timeout.isdigit() else _LONGEST_WAIT * 1000
    said = {"service.name": service} if service else {}
    return Telemetry(
        endpoint=endpoint,
        headers=_pairs(headers),
        resource={"service.name": _SERVICE, **_pairs(resource), **said},
        parent=(parent[1], parent[2]) if parent else None,
        seconds=min(_LONGEST_WAIT, milliseconds / 1000),
        problem=problem,
    )


def _pairs(text: str | None) -> dict[str, str]:
    """`key=value,key2=value2`, both percent-encoded; what is none of these is left out, as the specification says."""
    pairs = (word.partition("=") for word in (text or "").split(","))
    return {unquote(key.strip()): unquote(value.strip()) for key, equals, value in pairs if equals and key.strip()}
