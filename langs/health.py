"""HEALTHCHECK: how an image asks its own app whether it is well.

Slim images have neither curl nor wget. The interpreter that runs the app asks, where there is one; else bash, which is
a part of Debian and Ubuntu and opens connections by itself (its manual, "Redirections": /dev/tcp/host/port). What is
asked for and which answers are good come in as arguments: nothing from a repository is a part of a program.

The question is `GET path` at $PORT of the loopback address, by the name of localhost, and no redirect is followed. A
path that somebody names, or that is a framework's own for this, must answer below 400; of any other app, whose `/` may
ask for a login or be nothing at all, below 500 is enough: it answers.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from langs import hardened
from langs.errors import LangError
from langs.model import Settings

PATTERN: Final = r"^/[A-Za-z0-9._~=&%+,:@/?-]{0,199}$(?!\n)"
"""A path, with a query; what URLs know besides would have to be written as `%..`. Also for a schema."""
WORDS: Final = "true, false, or a path of at most 200 characters such as /healthz"

_PATH: Final = re.compile(PATTERN, re.ASCII)
_ROOT: Final = "/"
_OPTIONS: Final = "--interval=30s --timeout=5s --start-period=60s --retries=3"
"""Docker's own, but for the time that an app may take to start."""


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What asks: a program whose last arguments are the path and the first status that is bad."""

    command: tuple[str, ...]
    needs_shell: bool = False
    """Which hardened images have not."""


_NODE: Final = (
    "const [path, bad] = process.argv.slice(-2);"
    ' require("http").get({ host: "127.0.0.1", port: process.env.PORT, path, headers: { host: "localhost" },'
    " timeout: 4000 }, (answer) => process.exit(answer.statusCode < bad ? 0 : 1))"
    '.on("timeout", () => process.exit(1)).on("error", () => process.exit(1))'
)
# Both have these modules of Node.js's. Bun's HTTP goes through $HTTP_PROXY, wherever it leads.
_SOCKET: Final = (
    'import net from "node:net"; import process from "node:process";'
    " const [path, bad] = process.argv.slice(-2), end = (well) => process.exit(well ? 0 : 1);"
    ' const asked = net.connect(Number(process.env.PORT), "127.0.0.1", () =>'
    r" asked.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`));"
    ' asked.setTimeout(4000, () => end(false)); asked.on("error", () => end(false)).on("end", () => end(false))'
    '.on("data", (answer) => end(Number(String(answer).split(" ")[1]) < Number(bad)))'
)
_PYTHON: Final = (
    "import http.client, os, sys;"
    ' asked = http.client.HTTPConnection("127.0.0.1", int(os.environ["PORT"]), timeout=4);'
    ' asked.request("GET", sys.argv[1], headers={"Host": "localhost"});'
    " sys.exit(asked.getresponse().status >= int(sys.argv[2]))"
)
_RUBY: Final = (
    'exit Net::HTTP.start("127.0.0.1", ENV["PORT"].to_i, nil, open_timeout: 4, read_timeout: 4)'
    ' { |asked| asked.get(ARGV[0], "Host" => "localhost").code.to_i < ARGV[1].to_i }'
)
_PHP: Final = (
    '$how = ["timeout" => 4, "follow_location" => 0, "header" => "Host: localhost"];'
    ' $asked = "http://127.0.0.1:" . getenv("PORT") . $argv[1];'
    ' $said = @get_headers($asked, false, stream_context_create(["http" => $how]));'
    r' exit($said && preg_match("~^HTTP/\S+ (\d{3})~", $said[0], $found) && $found[1] < $argv[2] ? 0 : 1);'
)
_BASH: Final = (
    'exec 3<>"/dev/tcp/127.0.0.1/$PORT"'
    r""" && printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$1" >&3"""
    ' && read -r -t 4 _ status _ <&3 && [ "$status" -lt "$2" ] || exit 1'
)

NODE: Final = Probe(command=("node", "-e", _NODE))
BUN: Final = Probe(command=("bun", "-e", _SOCKET))
DENO: Final = Probe(command=("deno", "eval", _SOCKET))
PYTHON: Final = Probe(command=("python", "-I", "-c", _PYTHON))
"""Isolated: a module of the app may have the name of one that is imported."""
RUBY: Final = Probe(command=("ruby", "-rnet/http", "-e", _RUBY))
PHP: Final = Probe(command=("php", "-r", _PHP))
SHELL: Final = Probe(command=("bash", "-c", _BASH, "healthcheck"), needs_shell=True)
"""For what is compiled, and for what takes long to start."""


def path_of(said: bool | str | None) -> str | None:  # noqa: FBT001 -- a setting, not a switch
    """What is asked for; None where nothing is.

    Raises:
        LangError: it is no path.
    """
    if said is None or said is False:
        return None
    if said is True:
        return _ROOT
    if not _PATH.fullmatch(said):
        raise LangError(f"healthcheck: {said[:80]!r} is not a path", hint=f"Expected {WORDS}.")
    return said


def words(
    said: bool | str | None,  # noqa: FBT001 -- as above
    probe: Probe,
    *,
    has_shell: bool,
    image: str,
    images: Mapping[str, str],
) -> tuple[str, ...]:
    """The command line of the check; none where nobody asked for one.

    Args:
        said: the setting: True where no path is known that would be meant for this.
        probe: what the language asks with.
        has_shell: whether the image has one.
        image: the well-known name or the reference of the image that runs.
        images: those that somebody named, by well-known names.

    Raises:
        LangError: it is no path, or nothing in the image could ask.
    """
    path = path_of(said)
    if path is None:
        return ()
    if probe.needs_shell and not has_shell:
        raise LangError(
            f"`healthcheck`: nothing in {image} could ask the app, which has no shell",
            hint="Remove it for this app (Kubernetes asks by itself: httpGet), or "
            f"{hardened.instead_of(image, images)} that has bash.",
        )
    return (*probe.command, path, "500" if said is True else "400")


def answering(settings: Settings, find: Callable[[], str | None]) -> Settings:
    """The settings of an app whose framework may have a path by which it tells whether it is well.

    Args:
        settings: the app's.
        find: looks for that path, where nobody says another one; None: there is none.
    """
    path = find() if settings.healthcheck is True else None
    return settings if path is None else msgspec.structs.replace(settings, healthcheck=path)


def instruction(command: str) -> str:
    """HEALTHCHECK with a command in exec form."""
    return f"HEALTHCHECK {_OPTIONS} CMD {command}"
