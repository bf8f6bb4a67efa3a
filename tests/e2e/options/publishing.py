"""Where images and files go, for which machines, and what is attested of them."""

import gzip
import tarfile
from base64 import b64encode
from pathlib import Path

import msgspec

from orchestrator.model import Registry
from orchestrator.registry import reference
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from tests.buildkit.real import Watched, client, push_to, request
from tests.e2e.options.bench import SCRATCH, Bench
from tests.e2e.options.model import Effect, Option
from tests.e2e.options.relay import own_address, relay
from tests.e2e.test_attestations import predicates
from tests.e2e.test_outputs import loaded
from tests.lab import Lab

PLATFORMS = "services:\n  app:\n    build:\n      context: .\n      platforms: [linux/amd64, linux/arm64]\n"
_SCANNER = """\
FROM REGISTRY/library/debian:trixie-slim
COPY scan.sh /scan.sh
ENTRYPOINT ["/bin/sh", "/scan.sh"]
"""
_SCAN = b"""\
cat > "$BUILDKIT_SCAN_DESTINATION/found.spdx.json" <<END
{"_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://spdx.dev/Document",
 "predicate": {"spdxVersion": "SPDX-2.3", "name": "$(ls "$BUILDKIT_SCAN_SOURCE" | tr '\\n' ' ')"}}
END
"""
"""A stand-in for a real scanner: it lists the top of the image, by the protocol of BuildKit's docs/attestations."""


def _holds(archive: Path, word: str) -> bool:
    """Whether a file somewhere in an archive, or in an archive within it, holds a word."""
    with tarfile.open(archive) as tar:
        for member in tar:
            data = tar.extractfile(member)
            content = data.read() if data else b""
            if word.encode() in (gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content):
                return True
    return False


async def _push(bench: Bench) -> Effect:
    bench.write({"Dockerfile": SCRATCH})
    ran = await bench.run("--push")
    for each in bench.told_of_pushes:
        bench.hear(each.removeprefix("--push: "))
    return Effect(there=await bench.digest() == ran.completed()["app"].digest is not None)


async def _tags(bench: Bench) -> Effect:
    bench.write({"Dockerfile": SCRATCH})
    ran = await bench.run("--tag", "one", "--tag", "two", TAG_LATEST="true")
    found = {await bench.digest(tag) for tag in ("one", "two", "latest")}
    return Effect(there=found == {ran.completed()["app"].digest})


async def _load(bench: Bench) -> Effect:
    return await _loading(bench, "--load")


async def _push_and_load(bench: Bench) -> Effect:
    found = await _loading(bench, "--push", "--load")
    return Effect(there=found.there and await bench.digest() is not None)


async def _loading(bench: Bench, *words: str) -> Effect:
    engine = bench.place.engine or bench.engine
    bench.write({"Dockerfile": f"{SCRATCH}LABEL word=WORD\n"})
    await bench.run(*words, DOCKER_HOST=engine.docker_host)
    async with loaded(engine, bench.image.format(app="app") + ":latest") as answer:
        there = answer.is_success and answer.json()["Config"]["Labels"].get("word") == bench.word
    return Effect(there=there)


async def _oci(bench: Bench) -> Effect:
    return await _archive(bench, "oci")


async def _docker(bench: Bench) -> Effect:
    return await _archive(bench, "docker")


async def _tar(bench: Bench) -> Effect:
    return await _archive(bench, "tar")


async def _archive(bench: Bench, kind: str) -> Effect:
    bench.write({"Dockerfile": SCRATCH})
    file = bench.folder / "out.tar"
    await bench.run("--output", f"type={kind},dest={file}")
    return Effect(there=_holds(file, bench.word))


async def _local(bench: Bench) -> Effect:
    bench.write({"Dockerfile": SCRATCH})
    await bench.run("--output", f"type=local,dest={bench.folder}/out")
    return Effect(there=(bench.folder / "out/word").read_text() == bench.word)


async def _several(bench: Bench) -> Effect:
    bench.write({"Dockerfile": SCRATCH})
    ran = await bench.run("--push", "--output", f"type=local,dest={bench.folder}/out")
    pushed = await bench.digest() == ran.completed()["app"].digest
    return Effect(there=pushed and (bench.folder / "out/word").read_text() == bench.word)


async def _insecure(bench: Bench) -> Effect:
    bench.write({"Dockerfile": SCRATCH})
    async with relay(bench.lab, address=await own_address()) as at:
        bench.operator(f'[registries."{at}"]\ninsecure = true\n')
        ran = await bench.run("--retries", "0", image=f"{at}/{bench.repository}/{{app}}", fails=True)
    return Effect(there=ran.code == 0 and await bench.digest() == ran.completed()["app"].digest)


async def _login(bench: Bench) -> Effect:
    bench.write({"Dockerfile": SCRATCH})
    login, docker = f"me:{bench.word}", bench.folder / "docker"
    docker.mkdir()
    async with relay(bench.lab, login=login) as at:
        known = {"auths": {at: {"auth": b64encode(login.encode()).decode()}}}
        (docker / "config.json").write_bytes(msgspec.json.encode(known))
        image = f"{at}/{bench.repository}/{{app}}"
        ran = await bench.run("--retries", "0", image=image, DOCKER_CONFIG=str(docker))
    return Effect(there=await bench.digest() == ran.completed()["app"].digest)


async def _platform(bench: Bench) -> Effect:
    bench.write({"Dockerfile": SCRATCH})
    await bench.run(ARCH="arm64")
    return Effect(there=(await bench.config())["architecture"] == "arm64")


async def _platforms(bench: Bench) -> Effect:
    async def both(*words: str) -> bool:
        await bench.run(*words)
        found = await bench.manifest(index=True)
        return {"amd64", "arm64"} <= {each["platform"]["architecture"] for each in found.get("manifests", ())}

    bench.write({"Dockerfile": SCRATCH})
    flag = await both("--platform", "linux/amd64,linux/arm64")
    bench.write({"/fleetpacks.toml": 'platforms = ["linux/amd64", "linux/arm64"]\n', "word": "key"})
    key = await both()
    bench.write({"/fleetpacks.toml": "", "compose.yaml": PLATFORMS, "word": "compose"})
    return Effect(there=flag and key and await both())


async def _provenance(bench: Bench) -> Effect:
    bench.write({"Dockerfile": SCRATCH})
    ran = await bench.run("--provenance", "max")
    found = await predicates(bench.lab, f"{bench.repository}/app", ran.completed()["app"].digest or "")
    return Effect(there=any(kind.startswith("https://slsa.dev/provenance/") for kind in found))


async def _sbom(bench: Bench) -> Effect:
    bench.write({"Dockerfile": SCRATCH})
    ran = await bench.run("--sbom", "--sbom-scanner", await _scanner(bench.lab, f"{bench.repository}/scanner"))
    found = await predicates(bench.lab, f"{bench.repository}/app", ran.completed()["app"].digest or "")
    return Effect(there=found.get("https://spdx.dev/Document", {}).get("name") == "word ")


async def _scanner(lab: Lab, name: str) -> str:
    """The reference of a scanner's image."""
    solve = request(_SCANNER.replace("REGISTRY", lab.registry), context={"scan.sh": _SCAN})
    solve = msgspec.structs.replace(solve, exporter=push_to(lab.registry, name))
    insecure = {lab.registry: Registry(host=lab.registry, insecure=True)}
    async with client(lab.buildkitd) as daemon, RegistryClient(Credentials(None), insecure) as registry:
        made = await daemon.solve(solve, on_status=Watched())
        at = reference.parse(f"{lab.registry}/{name}@{made.digest}")
        await registry.put_manifest(at.with_tag("one"), await registry.get_manifest(at))
    return f"{lab.registry}/{name}:one"


ROWS = (
    Option(
        name="`--push`, `--image`",
        of=("--push", "--image", "image", "$OUTPUT_IMAGE"),
        look="the registry's manifest has the digest that was reported",
        observe=_push,
    ),
    Option(name="`--tag`", of=("--tag", "$TAG_LATEST"), look="all tags have that digest", observe=_tags),
    Option(name="`--load`", of=("--load",), look="the engine has the image, by a label", observe=_load),
    Option(name="`--push --load`", of=(), look="both", observe=_push_and_load),
    Option(
        name="`--output type=oci`", of=("--output",), look="the app's file is in the archive's layers", observe=_oci
    ),
    Option(name="`--output type=docker`", of=(), look="the same", observe=_docker),
    Option(name="`--output type=tar`", of=(), look="the app's file is in the archive", observe=_tar),
    Option(name="`--output type=local`", of=(), look="the app's file is in the directory", observe=_local),
    Option(name="`--push --output type=local`", of=(), look="both", observe=_several),
    Option(
        name="`registries` with `insecure`",
        of=("registries.insecure",),
        look="the image is in a registry with plain HTTP that is at no loopback address",
        observe=_insecure,
    ),
    Option(
        name="a login in `$DOCKER_CONFIG`",
        of=("$DOCKER_CONFIG",),
        look="the image is in a registry that asks for one",
        observe=_login,
    ),
    Option(name="`$ARCH`", of=("$ARCH",), look="the image's configuration says `arm64`", observe=_platform),
    Option(
        name="several `platforms`",
        of=("build.platforms", "platforms", "--platform"),
        look="the image is an index of both",
        observe=_platforms,
    ),
    Option(
        name="`--provenance`", of=("--provenance",), look="a statement of SLSA beside the image", observe=_provenance
    ),
    Option(
        name="`--sbom`",
        of=("--sbom", "--sbom-scanner"),
        look="the scanner's document beside the image names the app's file",
        observe=_sbom,
    ),
)
