"""A declared secret reaches the steps that need it, and nothing else: no layer, no configuration, no output of ours."""

import hashlib
import secrets
import zlib
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from orchestrator.model import Registry
from orchestrator.registry import reference
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.manifest import content
from orchestrator.registry.pull import pull
from tests.conftest import RealCount
from tests.e2e.conftest import Start
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
    async with RegistryClient(Credentials(None), {lab.registry: Registry(host=lab.registry, insecure=True)}) as client:
        manifest = await client.get_manifest(where)
        parts = content(manifest, image)
        found = {word for word in words if word in manifest.body}
        # The configuration holds the history.
        for blob in (parts.config, *parts.layers):
            search = Search(words, gzipped=blob.media_type.endswith("gzip"))
            await client.get_blob(where, blob, search.feed)
            found |= search.found
        await pull(client, where, destination)
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
