import os

import inflection
import waitress
from bottle import Bottle, request

site = Bottle()


@site.get("/")
def plural():
    word = request.query.get("word", "octopus")
    return {"word": word, "plural": inflection.pluralize(word)}


def main() -> None:
    waitress.serve(site, host="0.0.0.0", port=int(os.environ["PORT"]))
