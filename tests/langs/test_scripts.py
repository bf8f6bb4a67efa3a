"""What `npm start` and its like stand for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langs import scripts
from langs.errors import LangError
from langs.packagejson import PackageJson

PACKAGE = PackageJson(
    scripts={
        "start": "node server.js",
        "prestart": "yarn build",
        "build": "tsc",
        "serve": "npm run migrate && cross-env MODE=1 node serve.js",
        "migrate": "prisma migrate deploy",
        "both": "node a.js; node b.js",
        "circle": "yarn circle",
        "server.ts": "node by-name.js",
    },
    dependencies={"next": "15", "prisma": "6"},
    dev_dependencies={"nodemon": "3"},
)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("npm start", "node server.js"),
        ("npm run start --silent", "node server.js"),
        ("yarn start", "node server.js"),
        ("yarn run start", "node server.js"),
        ("pnpm start", "node server.js"),
        ("bun run start", "node server.js"),
        ("bun run src/index.ts", "bun run src/index.ts"),
        ("bun server.ts", "node by-name.js"),
        ("PORT=80 yarn start", "PORT=80 node server.js"),
        ("cross-env A=b npm start", "env A=b node server.js"),
        ("pnpm serve", "prisma migrate deploy && env MODE=1 node serve.js"),
        ("npm run serve -- -p $PORT", "prisma migrate deploy && env MODE=1 node serve.js -p $PORT"),
        ("npm run migrate && npm start", "prisma migrate deploy && node server.js"),
        ("yarn next start -p $PORT", "next start -p $PORT"),
        ("npx next start", "next start"),
        ("pnpm exec nodemon x", "nodemon x"),
        ("yarn node dist/x.js", "node dist/x.js"),
        # These do something else, or might.
        ("npx serve -s build", "npx serve -s build"),
        ("npm test", "npm test"),
        ("yarn install", "yarn install"),
        ("npm run serve | cat", "npm run serve | cat"),
        ("npm run both && node z.js", "npm run both && node z.js"),
        ("A=1 npm run serve", "A=1 npm run serve"),
        ("echo 'npm start'", "echo 'npm start'"),
    ],
)
def test_a_manager_gives_way_to_what_it_would_run(command: str, expected: str) -> None:
    assert scripts.expand(PACKAGE, command) == expected


def test_npm_starts_server_js_where_no_script_says_otherwise() -> None:
    assert scripts.expand(PackageJson(), "npm start") == "node server.js"


@pytest.mark.parametrize(
    ("command", "problem"), [("yarn circle", "leads back to itself"), ("npm run gone", "'gone' is not there")]
)
def test_a_script_that_leads_nowhere_is_an_error(command: str, problem: str) -> None:
    with pytest.raises(LangError, match=problem) as caught:
        scripts.expand(PACKAGE, command)

    assert caught.value.file == "package.json"
    assert caught.value.hint


def test_scripts_that_double_each_other_end_in_an_error_and_not_in_the_memory() -> None:
    bodies = {f"s{number}": f"npm run s{number + 1} && npm run s{number + 1}" for number in range(7)}
    package = PackageJson(scripts={**bodies, "s7": "node " + "x" * 500})

    with pytest.raises(LangError, match="more than"):
        scripts.expand(package, "npm run s0")


@given(st.text("npm runstayblx&;|'\"$()=-> \\\n"), st.text("npm runstayblx&;|'\"$()=-> \\\n"))
def test_any_script_is_expanded_or_an_error(start: str, other: str) -> None:
    package = PackageJson(scripts={"start": start, "a": other, "prestart": other})

    try:
        expanded = scripts.expand(package, "npm start")
    except LangError:
        return

    assert "\n" not in expanded
