"""The apps that are compared, and what a user of the peer would have to say of them."""

from collections.abc import Mapping

import msgspec

from tests.e2e.languages import Case, Real, cases


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """An example app, and what the peer has to be told of it: what is built, and how that is started."""

    name: str
    said: Mapping[str, str] = {}


def _started(name: str, command: str, **more: str) -> Compared:
    return Compared(name=name, said={"RUN_COMMAND": command, **more})


COMPARED = (
    # With `NODE_ENV=production`, which the peer sets, its second installation removes what `build` needs.
    _started("nodejs-npm-express", "node dist/server.js", BUILD_COMMAND="npm ci --include=dev && npm run build"),
    # The peer's own commands bind [::] alone, where the answer is not asked for.
    _started("python-pip-slugs", "gunicorn --bind 0.0.0.0:$PORT app:app"),
    _started("python-uv-sizes", "uvicorn --host 0.0.0.0 --port $PORT main:app"),
    _started("go-ledger", "./bin/ledger", GO_INSTALL_PACKAGE_SPEC="./cmd/ledger"),
    Compared(name="bun-hono"),
    Compared(name="deno-hono"),
    # `exec`: else the peer makes it FrankenPHP's, which the lab's base image has not.
    _started("php-pages", "exec php -S 0.0.0.0:$PORT -t ."),
    _started("java-maven-spring", "java -Dserver.port=$PORT -jar target/*.jar"),
    _started("clojure-lein-json", "java -cp $(find target -name '*-standalone.jar') clojure.main -m greeter.core"),
    _started("scala-sbt-cask", "target/universal/stage/bin/greeter-app"),
    Compared(name="rust-axum"),
    Compared(name="nodejs-pnpm-settings"),
    _started(
        "nodejs-yarn-express", "node dist/server.js", BUILD_COMMAND="yarn install --production=false && yarn run build"
    ),
    Compared(name="bun-express"),
    _started("python-poetry-dates", "python app.py"),
    # Tried, so that what the peer lacks here is seen and not said: jars without what they need, indexes out of reach.
    _started("java-maven-javalin", "java -cp target/*.jar com.example.weather.Main"),
    _started("kotlin-gradle-spark", "java -cp build/libs/*.jar DiceKt"),
    _started("ruby-sinatra", "bundle exec puma --bind tcp://0.0.0.0:$PORT"),
    Compared(name="elixir-release"),
    _started("php-composer", "exec php -S 0.0.0.0:$PORT -t public"),
    Compared(name="dotnet-mcs"),
)
"""Those whose builds are short come first."""


def chosen(names: tuple[str, ...]) -> tuple[tuple[Compared, Case], ...]:
    """The apps of some names, or all; in the order above.

    Raises:
        SystemExit: a name is none of these.
    """
    known = {each.name: each for each in COMPARED}
    if unknown := [name for name in names if name not in known]:
        raise SystemExit(f"benchmarks: no such app: {', '.join(unknown)}\nhint: one of {', '.join(known)}")
    of = {case.name: case for case in cases()}
    return tuple((each, of[name]) for name, each in known.items() if not names or name in names)


def real(case: Case) -> Real:
    """How an app is changed and asked. All of those above can be."""
    if case.real is None or case.real.app != ".":
        raise SystemExit(f"benchmarks: {case.name} is never built alone")
    return case.real
