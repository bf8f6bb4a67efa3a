"""Builds that fail, each in its own way: what the messages in `recorded/` come from, and how they are had anew.

A scenario is a Dockerfile and, where a registry must misbehave, what that registry answers.
"""

import hashlib
import json
import secrets
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import unquote

import msgspec

from orchestrator.buildkit import Exporter, SolveRequest
from tests.buildkit.real import ROOT, request, shell_root
from tests.buildkit.scripted_registry import HANG_UP, Answer, Asked, scripted_registry

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = b"never unpacked, " + secrets.token_hex(4).encode()
"""New in each process: a daemon that had it once would not ask for it again."""


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


CONFIG = json.dumps(
    {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [_digest(LAYER)]}}
).encode()


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One failure. In a Dockerfile and in `push`, `{registry}` stands for the scripted registry."""

    name: str
    dockerfile: str
    attrs: Mapping[str, str] = {}
    files: Mapping[str, bytes] = {}
    """More of the context."""
    push: str | None = None
    refuse: Mapping[str, Answer] = {}
    """By the beginning of `METHOD /path`: what the scripted registry answers instead of serving."""


def _denied(code: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": "not for you"}]}).encode()


_COPY = "FROM scratch\nCOPY a /a\n"
_BASE = "FROM {registry}/base:1\nCOPY a /a\n"
_FROM_BASE = "FROM {registry}/base:1 AS base\nFROM scratch\nCOPY --from=base /gone /\n"
_PULL = "HEAD /v2/base/manifests/"
_LAYER = f"GET /v2/base/blobs/{_digest(LAYER)}"
_PUSH = "POST /v2/app/blobs/uploads/"

SCENARIOS = (
    Scenario(name="step: exit 3", dockerfile=ROOT + "RUN echo out; echo err >&2; exit 3\n"),
    Scenario(name="step: not found", dockerfile=ROOT + "RUN no-such-program\n"),
    Scenario(name="step: killed", dockerfile=ROOT + "RUN sh -c 'kill -9 $$'; exit $?\n"),
    Scenario(name="step: exec form", dockerfile=ROOT + 'RUN ["/bin/cat", "/no such file"]\n'),
    Scenario(name="step: no shell", dockerfile="FROM scratch\nRUN true\n"),
    Scenario(name="step: quotes", dockerfile=ROOT + "RUN echo \"it's\" '\\t' \\\n && exit 4\n"),
    Scenario(name="dockerfile: unknown instruction", dockerfile="FROM scratch\nFOO bar\n"),
    Scenario(name="dockerfile: no arguments", dockerfile="FROM scratch\nCOPY a\n"),
    Scenario(name="dockerfile: empty", dockerfile=""),
    Scenario(name="dockerfile: no stage", dockerfile="ARG A=1\n"),
    Scenario(name="dockerfile: no base", dockerfile="ARG A\nFROM $A\n"),
    Scenario(name="dockerfile: bad base", dockerfile="FROM X:::Y\n"),
    Scenario(name="dockerfile: missing", dockerfile=_COPY, attrs={"filename": "other"}),
    Scenario(name="dockerfile: unknown target", dockerfile=_COPY, attrs={"target": "zzz"}),
    Scenario(name="dockerfile: unknown stage", dockerfile="FROM scratch\nCOPY --from=7 /a /\n"),
    Scenario(name="dockerfile: bad platform", dockerfile=_COPY, attrs={"platform": "what/ever/this/is"}),
    Scenario(name="dockerfile: unknown flag", dockerfile="FROM scratch\nCOPY --what a /\n"),
    Scenario(name="dockerfile: bad argument", dockerfile='FROM scratch\nENV "a\n'),
    Scenario(name="dockerfile: cycle", dockerfile="FROM b AS a\nCOPY --from=a /a /\n"),
    Scenario(name="frontend: not there", dockerfile="# syntax={registry}/frontend:1\nFROM scratch\n"),
    Scenario(name="context: file not found", dockerfile="FROM scratch\nCOPY nope /\n"),
    Scenario(name="context: file of a stage not found", dockerfile=ROOT + "FROM scratch\nCOPY --from=0 /nope /\n"),
    Scenario(name="dockerignore: class not closed", dockerfile=_COPY, files={".dockerignore": b"[z-\n"}),
    Scenario(name="dockerignore: nothing taken back", dockerfile=_COPY, files={".dockerignore": b"b\n!\n"}),
    Scenario(name="secret: not declared", dockerfile=ROOT + "RUN --mount=type=secret,id=x,required=true true\n"),
    Scenario(name="ssh: not forwarded", dockerfile=ROOT + "RUN --mount=type=ssh,required=true true\n"),
    Scenario(name="entitlement: insecure", dockerfile=ROOT + "RUN --security=insecure true\n"),
    Scenario(name="entitlement: host network", dockerfile=ROOT + "RUN --network=host true\n"),
    Scenario(name="add: 404", dockerfile="FROM scratch\nADD http://{registry}/v2/gone /\n"),
    Scenario(name="add: refused", dockerfile="FROM scratch\nADD http://127.0.0.1:9/x /\n"),
    Scenario(name="add: no such host", dockerfile="FROM scratch\nADD http://nothing.invalid/x /\n"),
    Scenario(
        name="add: checksum",
        dockerfile=f"FROM scratch\nADD --checksum=sha256:{'0' * 64} http://{{registry}}/v2/ /\n",
    ),
    Scenario(name="base: not found", dockerfile="FROM {registry}/gone:1\nCOPY a /a\n"),
    *(
        Scenario(name=f"base: {status}", dockerfile=_BASE, refuse={_PULL: Answer(status)})
        for status in (401, 403, 429, 500, 502, 503)
    ),
    Scenario(name="base: token 401", dockerfile=_BASE, refuse={
        _PULL: Answer(401, headers={"WWW-Authenticate": 'Bearer realm="http://{registry}/token",service="lab"'}),
        "GET /token": Answer(401, _denied("UNAUTHORIZED")),
        "POST /token": Answer(401, _denied("UNAUTHORIZED")),
    }),
    Scenario(name="base: token 503", dockerfile=_BASE, refuse={
        _PULL: Answer(401, headers={"WWW-Authenticate": 'Bearer realm="http://{registry}/token",service="lab"'}),
        "GET /token": Answer(503), "POST /token": Answer(503),
    }),
    Scenario(name="base: reset", dockerfile=_BASE, refuse={_PULL: Answer(HANG_UP)}),
    Scenario(name="base: refused", dockerfile="FROM 127.0.0.1:9/base:1\nCOPY a /a\n"),
    Scenario(name="base: no such host", dockerfile="FROM nothing.invalid/base:1\nCOPY a /a\n"),
    Scenario(
        name="base: platform",
        dockerfile="FROM {registry}/index:1\nCOPY a /a\n",
        attrs={"platform": "linux/s390x"},
    ),
    Scenario(name="base: layer 404", dockerfile=_FROM_BASE, refuse={_LAYER: Answer(404)}),
    Scenario(name="base: layer 404 under RUN", dockerfile=_BASE + "RUN true\n", refuse={_LAYER: Answer(404)}),
    Scenario(name="base: layer 403", dockerfile=_FROM_BASE, refuse={_LAYER: Answer(403)}),
    Scenario(name="base: layer 429", dockerfile=_FROM_BASE, refuse={_LAYER: Answer(429)}),
    Scenario(name="base: layer 503", dockerfile=_FROM_BASE, refuse={_LAYER: Answer(503)}),
    Scenario(name="base: layer damaged", dockerfile=_FROM_BASE, refuse={_LAYER: Answer(200, LAYER[::-1])}),
    *(
        Scenario(name=f"push: {status}", dockerfile=_COPY, push="{registry}/app", refuse={_PUSH: Answer(status)})
        for status in (401, 403, 404, 405, 429, 500, 503)
    ),
    Scenario(name="push: denied", dockerfile=_COPY, push="{registry}/app", refuse={
        _PUSH: Answer(403, _denied("DENIED"))
    }),
    Scenario(name="push: too many", dockerfile=_COPY, push="{registry}/app", refuse={
        _PUSH: Answer(429, _denied("TOOMANYREQUESTS"))
    }),
    Scenario(name="push: manifest 400", dockerfile=_COPY, push="{registry}/app", refuse={
        "PUT /v2/app/manifests/": Answer(400, _denied("MANIFEST_INVALID"))
    }),
    Scenario(name="push: reset", dockerfile=_COPY, push="{registry}/app", refuse={_PUSH: Answer(HANG_UP)}),
    Scenario(name="push: refused", dockerfile=_COPY, push="127.0.0.1:9/app"),
    Scenario(name="push: no such host", dockerfile=_COPY, push="nothing.invalid/app"),
    Scenario(name="push: name", dockerfile=_COPY, push="127.0.0.1:9/Not A Name"),
    Scenario(name="exporter: unknown", dockerfile=_COPY, push=""),
)  # fmt: skip


@asynccontextmanager
async def prepared(scenario: Scenario) -> AsyncGenerator[SolveRequest]:
    """The build of a scenario, with its registry running."""

    async def script(asked: Asked) -> Answer:
        line = f"{asked.method} {asked.path}"
        for prefix, answer in scenario.refuse.items():
            if line.startswith(prefix):
                headers = {key: value.format(registry=registry) for key, value in answer.headers.items()}
                return msgspec.structs.replace(answer, headers=headers)
        return _serve(asked)

    async with scripted_registry(script) as registry:
        exporter = None
        if scenario.push is not None:
            attrs = {"name": scenario.push.format(registry=registry), "push": "true", "push-by-digest": "true"}
            exporter = Exporter(type="image" if scenario.push else "nope", attrs=attrs if scenario.push else {})
        dockerfile = scenario.dockerfile.replace("{registry}", registry)
        build = request(dockerfile, context={"a": b"a", **await shell_root(), **scenario.files}, exporter=exporter)
        yield msgspec.structs.replace(build, attrs={**build.attrs, **scenario.attrs})


def _serve(asked: Asked) -> Answer:
    """A registry that holds `base:1` and `index:1`, and takes what is pushed."""
    path, _, query = asked.path.partition("?")
    answers = {
        "/v2/": Answer(200),
        f"/v2/base/blobs/{_digest(CONFIG)}": Answer(200, CONFIG),
        f"/v2/base/blobs/{_digest(LAYER)}": Answer(200, LAYER),
    }
    if asked.method == "POST" and path == "/v2/app/blobs/uploads/":
        return Answer(202, headers={"Location": "/v2/app/blobs/uploads/1"})
    if asked.method == "PUT":
        digest = unquote(query.removeprefix("digest=")) or path.rpartition("/")[2]
        return Answer(201, headers={"Docker-Content-Digest": digest})
    if path.startswith("/v2/base/manifests/"):
        return _manifest(MANIFEST, {
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **_described(CONFIG)},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", **_described(LAYER)}],
        })  # fmt: skip
    if path.startswith("/v2/index/manifests/"):
        platform = {"architecture": "amd64", "os": "linux"}
        return _manifest(INDEX, {"manifests": [{"mediaType": MANIFEST, **_described(b"x"), "platform": platform}]})
    return answers.get(path, Answer(404))


def _described(data: bytes) -> Mapping[str, str | int]:
    return {"digest": _digest(data), "size": len(data)}


def _manifest(kind: str, content: Mapping[str, object]) -> Answer:
    data = json.dumps({"schemaVersion": 2, "mediaType": kind, **content}).encode()
    return Answer(200, data, {"Content-Type": kind, "Docker-Content-Digest": _digest(data)})
