"""Reports: how much the shop has sold, in words for people."""

import humanize
from flask import Flask

app = Flask(__name__)

PENCE = (3450, 5900, 128_403_500)


@app.get("/")
def index() -> dict[str, str]:
    return {"app": "reports", "computed_by": "humanize", "turnover": f"{humanize.intword(sum(PENCE) // 100)} pounds"}
