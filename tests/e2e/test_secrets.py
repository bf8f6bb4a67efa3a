"""A declared secret reaches the steps that need it, and nothing else: no layer, no configuration, no output of ours.

What a step prints of it is masked wherever it is shown.
"""

import hashlib
import json
import re
import secrets
import zlib
from collections.abc import Mapping
from pathlib import Path

import anyio
import httpx
import msgspec
import pytest

from langs.model import SECRETS_VERSION
from orchestrator.events import AppStarted
from orchestrator.model import Registry
from orchestrator.registry import reference
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.manifest import ACCEPTED, content
from orchestrator.registry.pull import pull
from tests.buildkit.real import client
from tests.conftest import RealCount
from tests.display.runner import Runner
from tests.e2e.conftest import Ran, Start
from tests.e2e.test_terminal import command, variables
from tests.lab import Lab

pytestmark = pytest.mark.real

_NODE = """
const { createHash } = require('node:crypto')
const { readFileSync, writeFileSync } = require('node:fs')
for (const name of ['FROM_VARIABLE', 'FROM_FILE']) {
  const value = process.env[name]
  if (value !== readFileSync(`/run/secrets/${name}`, 'utf8').trimEnd()) throw new Error('variable and file differ')
  const proof = createHash('sha256').update(value).digest('hex')
  writeFileSync(`${process.argv[2]}.${name}`, proof)
  console.log(`proof ${proof}`)
}
"""
_PYTHON = """
import hashlib, os, pathlib, sys
for name in ("FROM_VARIABLE", "FROM_FILE"):
    value = os.environ[name]
    assert value == pathlib.Path("/run/secrets", name).read_text().rstrip("\\n"), "variable and file differ"
    proof = hashlib.sha256(value.encode()).hexdigest()
    pathlib.Path(f"{sys.argv[1]}.{name}").write_text(proof)
    print("proof", proof)
"""
_DECLARED = 'secrets = ["FROM_VARIABLE", "FROM_FILE"]\n'


class Case(msgspec.Struct, frozen=True, kw_only=True):
    files: Mapping[str, str]
    steps: tuple[str, ...]
    """Those that prove what they read."""


CASES = {
    "nodejs": Case(
        files={
            "package.json": '{"scripts": {"start": "node server.js", "postinstall": "node prove.js install",'
            ' "build": "node prove.js build"}}',
            "prove.js": _NODE,
            "server.js": "require('node:http').createServer().listen(process.env.PORT)\n",
            "fleetpacks.toml": _DECLARED,
        },
        steps=("install", "build"),
    ),
    "python": Case(
        files={
            "main.py": "import http.server\n",
            "prove.py": _PYTHON,
            "fleetpacks.toml": f'build = "python prove.py build"\n{_DECLARED}',
        },
        steps=("build",),
    ),
}


class Search:
    """Looks for words in a stream, over the borders of its pieces, packed or not."""

    def __init__(self, words: tuple[bytes, ...], *, gzipped: bool) -> None:
        self.found: set[bytes] = set()
        self._words = words
        self._rest = b""
        self._unpacked = zlib.decompressobj(wbits=31) if gzipped else None

    async def feed(self, piece: bytes) -> None:
        text = self._rest + (self._unpacked.decompress(piece) if self._unpacked else piece)
        assert self._unpacked is None or not self._unpacked.unused_data, "the search would miss the rest"
        self.found |= {word for word in self._words if word in text}
        self._rest = text[-max(map(len, self._words)) :]


async def words_in_image(lab: Lab, image: str, words: tuple[bytes, ...], destination: Path) -> set[bytes]:
    """Those of `words` that stand anywhere in an image, which is unpacked into `destination` too."""
    where = reference.parse(image)
    async with RegistryClient(
        Credentials(None), {lab.registry: Registry(host=lab.registry, insecure=True)}
    ) as registry:
        manifest = await registry.get_manifest(where)
        parts = content(manifest, image)
        found = {word for word in words if word in manifest.body}
        # The configuration holds the history.
        for blob in (parts.config, *parts.layers):
            search = Search(words, gzipped=blob.media_type.endswith("gzip"))
            await registry.get_blob(where, blob, search.feed)
            found |= search.found
        await pull(registry, where, destination)
    return found


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
async def test_a_secret_is_read_by_its_steps_and_is_found_nowhere_afterwards(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path, case: Case
) -> None:
    values = {name: secrets.token_hex(20) for name in ("FROM_VARIABLE", "FROM_FILE")}
    proofs = {name: hashlib.sha256(value.encode()).hexdigest() for name, value in values.items()}
    app = tmp_path / "source/app"
    app.mkdir(parents=True)
    # What a secret is has no part in a step's identity: without a word of its own this app would come from the cache.
    for name, text in {**case.files, "run.txt": secrets.token_hex(8)}.items():
        (app / name).write_text(text)
    (tmp_path / "value").write_text(f"{values['FROM_FILE']}\n")
    operator = tmp_path / "operator.toml"
    operator.write_text(
        f'[secrets]\nFROM_VARIABLE = {{ env = "VALUE" }}\nFROM_FILE = {{ file = "{tmp_path}/value" }}\n'
    )
    image = f"{lab.registry}/secrets-{secrets.token_hex(4)}/app:v1"
    document = tmp_path / "result.json"

    async with build(
        tmp_path / "source",
        "--result-file",
        str(document),
        image=image,
        variables={"FLEETPACKS_CONFIG": str(operator), "VALUE": values["FROM_VARIABLE"]},
    ) as running:
        ran = await running.end()

    assert (ran.code, ran.left) == (0, ()), ran.failed() or ran.err
    real_count.record("build")
    words = tuple(word.encode() for word in (*values.values(), *proofs.values()))
    in_image = await words_in_image(lab, image, words, tmp_path / "image")
    output = msgspec.json.encode(ran.events) + ran.err.encode() + document.read_bytes()
    proven = {
        (step, name): (tmp_path / f"image/app/{step}.{name}").read_text() for step in case.steps for name in values
    }
    assert proven == {(step, name): proofs[name] for step in case.steps for name in values}
    # The proofs, which are meant to be seen, show that the search would find the values.
    assert {word.decode() for word in in_image} == set(proofs.values())
    assert {word.decode() for word in words if word in output} == set(proofs.values())


_CHECK = """
import pathlib, sys
value = pathlib.Path("/run/secrets/LICENCE").read_text()
pathlib.Path("length").write_text(str(len(value)))
"""
_OWN = """\
FROM debian:bookworm-slim AS build
ARG FLEETPACKS_SECRETS_VERSION
RUN --mount=type=secret,id=LICENCE wc -c < /run/secrets/LICENCE > /length
FROM debian:bookworm-slim
COPY --from=build /length /
COPY run.txt /
"""
_READS = "type=secret"
_PROVENANCE = "application/vnd.in-toto+json"


async def _documents(lab: Lab, image: str, words: tuple[bytes, ...]) -> tuple[set[bytes], dict[str, str]]:
    """Those of `words` that are anywhere in an image with attestations, and its documents by their media type."""
    found: set[bytes] = set()
    documents: dict[str, str] = {}
    where = reference.parse(image)
    async with httpx.AsyncClient(trust_env=False, base_url=f"http://{lab.registry}/v2/{where.path}/") as http:
        index = (await http.get(f"manifests/{where.identifier}", headers={"Accept": ", ".join(ACCEPTED)})).json()
        for entry in index["manifests"]:
            manifest = (await http.get(f"manifests/{entry['digest']}", headers={"Accept": ", ".join(ACCEPTED)})).json()
            for blob in (manifest["config"], *manifest["layers"]):
                search = Search(words, gzipped=blob["mediaType"].endswith("gzip"))
                async with http.stream("GET", f"blobs/{blob['digest']}") as answer:
                    async for piece in answer.aiter_raw():
                        await search.feed(piece)
                found |= search.found
                if blob["mediaType"].endswith("json"):
                    text = (await http.get(f"blobs/{blob['digest']}")).text
                    documents[blob["mediaType"]] = documents.get(blob["mediaType"], "") + text
    return found, documents


def _invalidating(tmp_path: Path) -> tuple[Path, Path]:
    """A source of three apps of which two have a secret that invalidates, and the operator's file."""
    source, operator = tmp_path / "source", tmp_path / "operator.toml"
    for name in ("generated", "own", "plain"):
        (source / name).mkdir(parents=True)
        # Nothing of an earlier run is cached.
        (source / name / "run.txt").write_text(secrets.token_hex(8))
        declared = "'LICENCE'" if name == "plain" else "{ name = 'LICENCE', invalidates = true }"
        (source / name / "fleetpacks.toml").write_text(f"secrets = [{declared}]\n")
    for name in ("generated", "plain"):
        (source / name / "main.py").write_text("import http.server\n")
        (source / name / "check.py").write_text(_CHECK)
        with (source / name / "fleetpacks.toml").open("a") as said:
            said.write("build = 'python check.py'\n")
    (source / "own/Dockerfile").write_text(_OWN)
    operator.write_text("[secrets]\nLICENCE = { env = 'VALUE' }\n")
    return source, operator


async def test_another_value_runs_the_steps_of_a_secret_that_invalidates_again_and_tells_nobody(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path
) -> None:
    source, operator = _invalidating(tmp_path)
    image = f"{lab.registry}/invalidating-{secrets.token_hex(6)}/{{app}}:v1"
    one, two = secrets.token_hex(20), secrets.token_hex(24)

    async def run(value: str, *words: str, **more: str) -> Ran:
        said = {"FLEETPACKS_CONFIG": str(operator), "VALUE": value, "REGISTRY_MIRROR": lab.registry, **more}
        async with build(source, "--provenance", "max", *words, image=image, variables=said) as running:
            ran = await running.end()
        assert ran.code == 0, (ran.failed(), ran.err)
        real_count.record("build", times=sum(not event.skipped for event in ran.completed().values()))
        return ran

    first = await run(one)
    again = await run(one)
    forced = await run(one, "--force")
    changed = await run(two)
    changed_by_force = await run(two, "--force")
    other_key = await run(two, FLEETPACKS_HMAC_KEY=secrets.token_hex(16))

    everything, invalidated = {"generated", "own", "plain"}, {"generated", "own"}
    assert _executed(first) == everything
    assert _skipped(again) == everything
    assert (_skipped(forced), _executed(forced)) == (set(), set())
    assert (_skipped(changed), _executed(changed)) == ({"plain"}, invalidated)
    assert (_skipped(changed_by_force), _executed(changed_by_force)) == (set(), set())
    assert (_skipped(other_key), _executed(other_key)) == ({"plain"}, invalidated)
    reasons = {event.app: event.reason for event in changed.events if isinstance(event, AppStarted)}
    assert reasons == dict.fromkeys(invalidated, "changed: values of secrets")

    # The value's length is in the image.
    assert all(_digest(changed, app) != _digest(first, app) for app in invalidated)

    hashes = [
        hashlib.new(name, text.encode()).hexdigest()
        for name in ("sha256", "sha1", "md5")
        for text in (one, two, f"{one}\n", f"{two}\n", f"LICENCE={two}")
    ]
    words = tuple(word.encode() for word in (one, two, *hashes))
    versions: set[str] = set()
    for app in everything:
        found, documents = await _documents(lab, image.format(app=app), words)
        said = re.findall(rf'"build-arg:{SECRETS_VERSION}": ?"([^"]*)"', documents.pop(_PROVENANCE))
        versions |= set(said)
        assert found == set()
        assert len(said) == (app != "plain")
        # It is in the provenance alone, and not in the history.
        assert '"history":' in str(documents)
        assert SECRETS_VERSION not in str(documents)
    (version,) = versions
    assert re.fullmatch(r"[0-9a-f]{32}", version)
    runs = (first, again, forced, changed, changed_by_force, other_key)
    told = b"".join(msgspec.json.encode(ran.events) + ran.err.encode() for ran in runs)
    # Records of runs, and what is remembered of builds.
    kept = [file.read_bytes() for file in (tmp_path / "home").rglob("*") if file.is_file()]
    assert sum(b'"run-started"' in text for text in kept) == len(runs)
    assert [word for word in words if word in told or any(word in text for text in kept)] == []
    async with client(lab.buildkitd) as daemon:
        remembered = [record for record in await daemon.history() if version in record.attrs.values()]
    assert remembered
    assert [word for word in words if word.decode() in repr(remembered)] == []


def _executed(ran: Ran) -> set[str]:
    """The apps of which a step that reads a secret ran."""
    return {
        app
        for app in ran.completed()
        if any(_READS in name and not step.cached for name, step in ran.steps(app).items())
    }


def _skipped(ran: Ran) -> set[str]:
    return {name for name, event in ran.completed().items() if event.skipped}


def _digest(ran: Ran, app: str) -> str | None:
    return ran.completed()[app].digest


_TALKATIVE = """\
FROM debian:bookworm-slim
COPY run.txt /
RUN --mount=type=secret,id=LICENCE --mount=type=secret,id=DEPLOY_KEY \
    cat /run/secrets/LICENCE /run/secrets/DEPLOY_KEY; echo "licence: $(cat /run/secrets/LICENCE)." >&2; \
    echo {token} {variable} https://me:{password}@git.example/x; exit 3
"""


@pytest.mark.parametrize(("progress", "kept"), [("plain", True), ("json", False)])
async def test_what_a_step_prints_of_secrets_before_it_fails_is_shown_nowhere(
    lab: Lab, real_count: RealCount, tmp_path: Path, progress: str, *, kept: bool
) -> None:
    names = ("licence", "first line", "second line", "variable", "password")
    words = {name: secrets.token_hex(16) for name in names} | {"token": f"ghp_{secrets.token_hex(18)}"}
    app = tmp_path / "source/app"
    app.mkdir(parents=True)
    (app / "Dockerfile").write_text(_TALKATIVE.format_map(words))
    (app / "run.txt").write_text(secrets.token_hex(8))
    (app / "fleetpacks.toml").write_text('secrets = ["LICENCE", "DEPLOY_KEY"]\n')
    key = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{words['first line']}\n{words['second line']}\n"
    (tmp_path / "key").write_text(f"{key}-----END OPENSSH PRIVATE KEY-----\n")
    operator, result, summary = (tmp_path / name for name in ("operator.toml", "result.json", "summary.md"))
    said = f"[secrets]\nLICENCE = {{ env = 'VALUE' }}\nDEPLOY_KEY = {{ file = '{tmp_path}/key' }}\n"
    operator.write_text(said + ("" if kept else "[runs]\nkeep = 0\n"))
    env = variables(
        tmp_path,
        FLEETPACKS_CONFIG=str(operator),
        VALUE=words["licence"],
        DEPLOY_TOKEN=words["variable"],
        GITHUB_ACTIONS="true",
        GITHUB_STEP_SUMMARY=str(summary),
    )
    more = ("--progress", progress, "--result-file", str(result))

    with anyio.fail_after(60):
        ran = await anyio.run_process(command(lab, tmp_path / "source", *more)[2:], env=env, check=False)

    real_count.record("build")
    out, err = ran.stdout.decode(), ran.stderr.decode()
    told = [out, err, result.read_text(), summary.read_text().replace("\\", "")]
    home = tmp_path / "home"
    told += [file.read_bytes().decode(errors="replace") for file in home.rglob("*") if file.is_file()]
    assert (ran.returncode, list(home.rglob("record.jsonl")) != []) == (1, kept), err
    assert {name for name, word in words.items() if any(word in text for text in told)} == set()
    # All of it was printed, and is told without it, also in the log of what failed.
    assert out.count("licence: ***.") >= 2
    assert out.count("*** *** https://***@git.example/x") >= 2
    [failed] = json.loads(result.read_text())["apps"]
    assert "echo *** *** https://***@git.example/x; exit 3" in failed["error"]["command"]
    assert "app | failed" in told[3]
    if progress == "plain":
        runner = Runner()
        runner.read(out)
        assert [each.name for each in runner.commands] == ["group", "endgroup", "error"]
