import os

import humanize
from aiohttp import web


async def ordinal(request: web.Request) -> web.Response:
    number = int(request.query.get("number", "1042"))
    return web.json_response({"number": number, "ordinal": humanize.ordinal(number)})


def main() -> None:
    app = web.Application()
    app.router.add_get("/", ordinal)
    web.run_app(app, host="0.0.0.0", port=int(os.environ["PORT"]))
