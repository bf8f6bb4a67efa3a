import os

import bottle


@bottle.route("/")
def greet() -> str:
    return bottle.template("{{greeting}} {{greeted}}\n", greeting=os.environ["GREETING"], greeted=os.environ["GREETED"])


bottle.run(host="0.0.0.0", port=int(os.environ["PORT"]))
