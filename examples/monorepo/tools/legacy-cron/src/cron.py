"""An old cron job with a status page. It has its own Dockerfile and nothing else that would speak for a language."""

import os
import signal
import sys
from datetime import datetime

import bottle
import waitress
from croniter import croniter

SCHEDULE = "30 4 29 2 *"
"""Half past four on every leap day."""

app = bottle.Bottle()


@app.get("/")
def index() -> dict[str, object]:
    runs = croniter(SCHEDULE, datetime(2026, 1, 1))
    return {
        "app": "legacy-cron",
        "computed_by": "croniter",
        "next_runs": [runs.get_next(datetime).isoformat() for _ in range(2)],
    }


# As process 1 of a container nothing ends us unless we ask for it.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
waitress.serve(app, host="0.0.0.0", port=int(os.environ.get("PORT", "5000")), threads=2)
