"""Sending a run's trace to a collector: OTLP over HTTP, as JSON.

Imports httpx: imported itself only where a collector is named.
"""

from pathlib import Path

import anyio
import httpx
import msgspec

from orchestrator.config.telemetry import Telemetry
from orchestrator.errors import ConfigError
from orchestrator.registry import trust
from orchestrator.report import otlp
from orchestrator.report.analysis import of_timeline
from orchestrator.report.record import Record
from orchestrator.report.redaction import Redactor
from orchestrator.report.timeline import timeline


async def send(telemetry: Telemetry, record: Record, redactor: Redactor, *, ca: Path | None = None) -> str | None:
    """Send a trace.

    Args:
        telemetry: where to.
        record: the run's.
        redactor: masks what must not be read.
        ca: a file of authorities that are trusted, too.

    Returns:
        Why it was not sent, or not to its end; None when it was.
    """
    timed = timeline(record)
    report = of_timeline(record, timed, running=False)
    documents = otlp.requests(timed, report, resource=telemetry.resource, parent=telemetry.parent)
    headers = {**telemetry.headers, "content-type": "application/json"}
    try:
        with anyio.fail_after(telemetry.seconds):
            async with httpx.AsyncClient(timeout=telemetry.seconds, verify=trust.verifying(ca)) as client:
                for document in documents:
                    body = msgspec.json.encode(redactor.document(document))
                    answer = await client.post(telemetry.endpoint, content=body, headers=headers)
                    if not answer.is_success:
                        return f"the collector answered {answer.status_code}"
    except ConfigError as error:
        return error.message
    except TimeoutError:
        return f"the collector gave no answer within {telemetry.seconds:.1f} s"
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return redactor.text(f"{type(error).__name__}: {error}")
    return None
