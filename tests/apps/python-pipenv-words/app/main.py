import falcon.asgi
from num2words import num2words


class Words:
    async def on_get(self, request, response):
        number = request.get_param_as_int("number", default=1042)
        response.media = {"number": number, "words": num2words(number)}


app = falcon.asgi.App()
app.add_route("/", Words())
