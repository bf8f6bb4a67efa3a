import humanize
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def size(request: Request) -> JSONResponse:
    count = int(request.query_params.get("bytes", "123456789"))
    return JSONResponse({"decimal": humanize.naturalsize(count), "binary": humanize.naturalsize(count, binary=True)})


app = Starlette(routes=[Route("/", size)])
