"""The apps that are compared, and what a user of a peer would have to say of them."""

from collections.abc import Mapping

import msgspec

from tests.e2e.languages import Case, Real, cases


class Nix(msgspec.Struct, frozen=True, kw_only=True):
    """What Nix would bring, and the image with the language has not: a part of what stands for nixpacks' base image."""

    lines: tuple[str, ...] = ()
    """Of its Dockerfile."""
    files: Mapping[str, str] = {}
    """Programs that are found before all others: name -> text."""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """An example app, and what each peer has to be told of it: what is built, and how that is started."""

    name: str
    migetpacks: Mapping[str, str] = {}
    nixpacks: Mapping[str, str] = {}
    nix: Nix = Nix()
    spared: Mapping[str, str] = {}
    """What migetpacks' Dockerfile fetches from where nothing is reached here -> what is done instead, in its favour."""


def _started(name: str, command: str, *, spared: Mapping[str, str] | None = None, **more: str) -> Compared:
    """An app whose start migetpacks does not find out."""
    return Compared(name=name, migetpacks={"RUN_COMMAND": command, **more}, spared=spared or {})


def _told(
    name: str,
    command: str,
    *,
    migetpacks: Mapping[str, str] | None = None,
    nix: Nix = Nix(),  # noqa: B008 -- a value
    **more: str,
) -> Compared:
    """An app whose start both do not find out, or not so that it is reached."""
    return Compared(
        name=name,
        migetpacks={"RUN_COMMAND": command, **(migetpacks or {})},
        nixpacks={"NIXPACKS_START_CMD": command, **more},
        nix=nix,
    )


_CARGO = """\
#!/bin/sh
# Debian's Rust has no musl: what is built for that is built as it can be, and found where it would be.
for word; do
  shift
  if [ "$word" = x86_64-unknown-linux-musl ]; then word=x86_64-unknown-linux-gnu; fi
  set -- "$@" "$word"
done
mkdir -p target
ln -sfn x86_64-unknown-linux-gnu target/x86_64-unknown-linux-musl
exec /usr/bin/cargo "$@"
"""

# Both start a jar without what it needs.
_WITH_JARS = "mvn package dependency:copy-dependencies -DincludeScope=runtime -DskipTests -B"
_JARS = "target/*:target/dependency/*"
COMPARED = (
    Compared(
        name="nodejs-npm-express",
        # With `NODE_ENV=production`, which the peer sets, its second installation removes what `build` needs.
        migetpacks={"RUN_COMMAND": "node dist/server.js", "BUILD_COMMAND": "npm ci --include=dev && npm run build"},
    ),
    # The peers' own commands bind [::] alone, where the answer is not asked for, or there are none.
    _told("python-pip-slugs", "gunicorn --bind 0.0.0.0:$PORT app:app"),
    # The base image holds Python 3.13 by another's name: without this uv wants to download that.
    _told("python-uv-sizes", "uvicorn --host 0.0.0.0 --port $PORT main:app", UV_PYTHON="3.13"),
    _started("go-ledger", "./bin/ledger", GO_INSTALL_PACKAGE_SPEC="./cmd/ledger"),
    Compared(name="bun-hono"),
    # What is fetched at each start, as this peer does it, is written where a root without capabilities may write.
    Compared(name="deno-hono", nix=Nix(lines=("ENV DENO_DIR=/root/.cache/deno",))),
    # `exec`: else migetpacks makes it FrankenPHP's, which the lab's base image has not.
    _started("php-pages", "exec php -S 0.0.0.0:$PORT -t ."),
    _started("java-maven-spring", "java -Dserver.port=$PORT -jar target/*.jar"),
    # Leiningen's own profile for development asks for nREPL, which is on Clojars alone.
    msgspec.structs.replace(
        _told("clojure-lein-json", "java -cp $(find target -name '*-standalone.jar') clojure.main -m greeter.core"),
        spared={"lein deps": "lein with-profile uberjar deps"},
    ),
    _told("scala-sbt-cask", "target/universal/stage/bin/greeter-app"),
    # Where its caches are looked for; the image of the language has another place.
    Compared(name="rust-axum", nix=Nix(lines=("ENV CARGO_HOME=/root/.cargo",), files={"cargo": _CARGO})),
    Compared(name="nodejs-pnpm-settings", nix=Nix(lines=("RUN npm install --global pnpm@9",))),
    _started(
        "nodejs-yarn-express", "node dist/server.js", BUILD_COMMAND="yarn install --production=false && yarn run build"
    ),
    # Nix brings Node.js along with Bun, and nixpacks uses its npm.
    Compared(name="bun-express", nix=Nix(lines=("COPY --from=node:22.16.0 /usr/local/ /usr/local/",))),
    # nixpacks' own choice, 1.3.1, does not know the keys of this app's `pyproject.toml`.
    _told("python-poetry-dates", "waitress-serve --listen=0.0.0.0:$PORT app:app", NIXPACKS_POETRY_VERSION="1.8.5"),
    # Tried, so that what a peer lacks here is seen and not said: jars without what they need, indexes out of reach.
    _told(
        "java-maven-javalin",
        f"java -cp '{_JARS}' com.example.weather.Main",
        migetpacks={"BUILD_COMMAND": _WITH_JARS},
        NIXPACKS_BUILD_CMD=_WITH_JARS,
    ),
    _told("kotlin-gradle-spark", "java -cp build/libs/*.jar DiceKt"),
    _told("ruby-sinatra", "bundle exec puma --bind tcp://0.0.0.0:$PORT"),
    # The base images hold what it fetches: Bundler, Hex and Rebar. Without a dependency none of them has more to do.
    _started(
        "ruby-rack",
        "bundle exec rackup --host 0.0.0.0 --port $PORT",
        spared={
            "gem install bundler -v '2.6.7' --no-document": "true",
            "COPY Gemfile Gemfile.lock ./": "COPY Gemfile Gemfile.lock ./\nCOPY vendor/cache vendor/cache",
        },
    ),
    _started(
        "elixir-release",
        "mix run --no-halt",
        spared={
            "mix local.hex --force": "true",
            "mix local.rebar --force": 'mix local.rebar --force rebar3 "$(command -v rebar3)"',
            "COPY mix.exs mix.lock* ./": "COPY mix.exs mix.lock* ./\nCOPY vendor vendor",
        },
    ),
    # `LANGUAGE`: for Kotlin it knows Gradle alone.
    _started(
        "kotlin-maven-ktor", f"java -cp '{_JARS}' com.example.ApplicationKt", BUILD_COMMAND=_WITH_JARS, LANGUAGE="java"
    ),
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
