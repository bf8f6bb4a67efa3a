from durations import in_words
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def index(request):
    return JSONResponse({"words": in_words("36h")})


app = Starlette(routes=[Route("/", index)])
