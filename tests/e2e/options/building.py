"""What steps see, and what is said of images."""

import hashlib
import secrets

from orchestrator.events import AppFailed
from tests.buildkit.real import ROOT
from tests.buildkit.test_source_policy import published
from tests.buildkit_ssh.agent import context, real_agent
from tests.e2e.conftest import Ran
from tests.e2e.options.bench import BASE, SCRATCH, Bench
from tests.e2e.options.caching import NODE
from tests.e2e.options.model import Effect, Option
from tests.e2e.options.relay import own_address
from tests.e2e.test_mirrors import CASES, mirror
from tests.registry.conftest import certified

_ARG = f"{SCRATCH}ARG NAME=nothing\nLABEL got=$NAME\n"
_COMPOSE = """\
services:
  app:
    build:
      context: .
      target: first
      args: {NAME: WORD}
      labels: {said: WORD}
      additional_contexts: {other: "docker-image://REGISTRY/library/debian:trixie-slim"}
"""
_TARGET = """\
FROM scratch AS first
ARG NAME=nothing
LABEL got=$NAME stage=first
COPY word /
FROM scratch
LABEL stage=second
COPY word /
"""
_OTHER = "FROM other AS from\nFROM scratch AS first\nCOPY --from=from /etc/debian_version /\n"
_SECRET = "THE_SECRET"
_READS = f"RUN --mount=type=secret,id={_SECRET},required=true sha256sum /run/secrets/{_SECRET}\n"
_PROXY = "http://proxy.example:3128"


async def _labels(bench: Bench) -> dict[str, str]:
    return dict((await bench.config())["config"].get("Labels") or {})


async def _arguments(bench: Bench) -> Effect:
    bench.write({"Dockerfile": f"{_ARG}ARG MORE=nothing\nLABEL more=$MORE\n"})
    extra = f"--build-arg MORE={bench.word}more"
    await bench.run(BUILD_VARS=f'{{"NAME": "{bench.word}"}}', CI_IMAGE_BUILD_EXTRA_ARGS=extra)
    labels = await _labels(bench)
    return Effect(there=(labels["got"], labels["more"]) == (bench.word, f"{bench.word}more"))


async def _env(bench: Bench) -> Effect:
    bench.write({"Dockerfile": f"{_ARG}ARG FILE=nothing\nLABEL file=$FILE\n", "fleetpacks.toml": '[env]\nFILE = "a"\n'})
    await bench.run("--env", f"NAME={bench.word}")
    labels = await _labels(bench)
    return Effect(there=(labels["got"], labels["file"]) == (bench.word, "a"))


async def _generated(bench: Bench) -> Effect:
    said = 'run = "node server.js --word"\nport = 7000\n[env]\nNAME_IT = "WORD"\nNPM_CONFIG_UPDATE_NOTIFIER = "false"\n'
    bench.write({**NODE, "fleetpacks.toml": said})
    await bench.run(CACHE_KEY=bench.word)
    config = (await bench.config())["config"]
    command = " ".join([*(config.get("Entrypoint") or ()), *config["Cmd"]])
    wanted = {f"NAME_IT={bench.word}", "PORT=7000"} <= set(config["Env"]) and "7000/tcp" in config["ExposedPorts"]
    return Effect(there=wanted and "--word" in command and config["User"] == "1000:1000")


async def _compose(bench: Bench) -> dict[str, str]:
    bench.write({"Dockerfile": _TARGET, "compose.yaml": "".join(_COMPOSE.splitlines(keepends=True)[:-1])})
    await bench.run()
    return await _labels(bench)


async def _target(bench: Bench) -> Effect:
    return Effect(there=(await _compose(bench))["stage"] == "first")


async def _compose_arguments(bench: Bench) -> Effect:
    return Effect(there=(await _compose(bench))["got"] == bench.word)


async def _compose_labels(bench: Bench) -> Effect:
    return Effect(there=(await _compose(bench))["said"] == bench.word)


async def _additional(bench: Bench) -> Effect:
    bench.write({"Dockerfile": _OTHER, "compose.yaml": _COMPOSE})
    ran = await bench.run("--no-push")
    return Effect(there=any("debian_version" in name for name in ran.steps("app")))


async def _contexts(bench: Bench) -> Effect:
    bench.write({"Dockerfile": SCRATCH, "word": "WORD base"}, app="base")
    bench.write({"Dockerfile": "FROM base\nLABEL top=yes\n", "fleetpacks.toml": 'contexts = { base = "app:base" }\n'})
    await bench.run()
    below = {each["digest"] for each in (await bench.manifest(app="base"))["layers"]}
    return Effect(there=below == {each["digest"] for each in (await bench.manifest())["layers"]})


async def _secret(bench: Bench) -> Effect:
    bench.write({"Dockerfile": BASE + _READS})
    value = secrets.token_hex(16)
    ran = await bench.run("--no-push", "--secret", _SECRET, THE_SECRET=value)
    return Effect(there=hashlib.sha256(value.encode()).hexdigest() in bench.logged(ran))


async def _invalidates(bench: Bench) -> Effect:
    bench.write({"Dockerfile": f"{BASE}ARG FLEETPACKS_SECRETS_VERSION\n{_READS}"})
    bench.write({"fleetpacks.toml": f'secrets = [{{ name = "{_SECRET}", invalidates = true }}]\n'})
    bench.operator(f'[secrets]\n{_SECRET} = {{ env = "VALUE" }}\n')
    ran = [await bench.run("--no-push", VALUE=value) for value in ("one-value", "one-value", "other-value")]
    return Effect(there=[bench.cached(each, "sha256sum") for each in ran] == [False, True, False])


async def _ssh(bench: Bench) -> Effect:
    run = 'RUN --mount=type=ssh,required=true ["/bin/sh", "-c", "echo WORD; ssh-add -l"]\n'
    bench.write({"Dockerfile": ROOT + run, "fleetpacks.toml": 'ssh = ["default"]\n'})
    bench.operator("[ssh.default]\n")
    async with real_agent(bench.folder) as agent:
        for name, data in (await context(agent)).items():
            path = bench.source / "app" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        ran = await bench.run("--no-push", SSH_AUTH_SOCK=str(agent.socket))
    return Effect(there=agent.fingerprint in bench.logged(ran))


async def _entitlements(bench: Bench) -> Effect:
    bench.write({"Dockerfile": f"{BASE}RUN --network=host echo got WORD\n"})
    without = await bench.run("--no-push", fails=True)
    bench.operator('entitlements = ["network.host"]\n')
    ran = await bench.run("--no-push", fails=True)
    for failed in ran.failed().values():
        bench.hear(failed.message)
    return Effect(there=bool(without.failed()) and ran.code == 0 and f"got {bench.word}" in bench.logged(ran))


async def _certificates(bench: Bench) -> Effect:
    reads = (
        "RUN --mount=type=secret,id=fleetpacks-ca,required=true grep -q LINE /run/secrets/fleetpacks-ca && echo it\n"
    )
    ca = certified(bench.folder, "127.0.0.1").with_name("ca.pem")
    bench.write({"Dockerfile": BASE + reads.replace("LINE", ca.read_text().splitlines()[1])})
    ran = await bench.run("--no-push", FLEETPACKS_CA=str(ca))
    return Effect(there="it" in bench.logged(ran).splitlines())


async def _proxies(bench: Bench) -> Effect:
    bench.write({"Dockerfile": f'{BASE}RUN echo "$http_proxy $HTTPS_PROXY $NO_PROXY WORD"\n'})
    addresses = "".join(f'{kind}_proxy = {{ url = "{_PROXY}" }}\n' for kind in ("http", "https"))
    bench.operator(f'[network]\n{addresses}no_proxy = "a.example"\n')
    ran = await bench.run("--no-push")
    return Effect(there=f"{_PROXY} {_PROXY} a.example {bench.word}" in bench.logged(ran))


async def _index(bench: Bench) -> Effect:
    case = CASES["npm"]
    bench.write({name: text.replace("%s", bench.word) for name, text in case.files.items()})
    bench.operator('[mirrors]\nnpm = { env = "THE_MIRROR" }\n')
    # Steps of engines reach this machine, but not its loopback addresses.
    async with mirror(case, secrets.token_hex(16), at=await own_address()) as index:
        await bench.run("--no-push", THE_MIRROR=index.url, CACHE_KEY=bench.word)
    return Effect(there=any("escape-html" in path for path in index.asked))


async def _image_mirror(bench: Bench) -> Effect:
    name = f"{bench.repository}/base"
    await published(bench.lab, f"{bench.repository}/hub/{name}", "one")
    bench.write({"Dockerfile": f"FROM {name}:one\nCOPY word /\n"})
    place = f"{bench.lab.registry}/{bench.repository}/hub"
    # For the lab's builders its registry is Docker Hub, which has no such image.
    ran = await bench.run("--no-push", REGISTRY_MIRROR=place)
    way = "the Dockerfile gets the mirror's names" if _names(ran, place) else ""
    return Effect(there=ran.code == 0, way=way)


def _names(ran: Ran, place: str) -> bool:
    return any(place in name and "load metadata for" in name for name in ran.steps("app"))


async def _timeout(bench: Bench) -> Effect:
    bench.write({"Dockerfile": f"{BASE}RUN sleep 600\n"})
    ran = await bench.run("--no-push", "--timeout", "4s", fails=True)
    [failed] = [event for event in ran.events if isinstance(event, AppFailed)]
    return Effect(there=failed.kind == "timeout" and failed.seconds < 60)


async def _reproducible(bench: Bench) -> Effect:
    bench.write({"Dockerfile": f"{BASE}RUN date > /dev/null && touch /made\n"})
    first, second = [(await bench.run("--no-cache", "--reproducible")).completed()["app"].digest for _ in range(2)]
    third = (await bench.run("--no-cache", SOURCE_DATE_EPOCH="1000")).completed()["app"].digest
    created = (await bench.config())["created"]
    return Effect(there=first == second != third and created.startswith("1970-01-01T00:16:40"))


ROWS = (
    Option(
        name="`BUILD_VARS`, `--build-arg`",
        of=("$BUILD_VARS",),
        look="a label that the Dockerfile makes of a build argument",
        observe=_arguments,
    ),
    Option(
        name="`--env`, `env`, with a Dockerfile of your own",
        of=("--env", "env"),
        look="the same",
        observe=_env,
    ),
    Option(
        name="`env`, `run`, `port`, of a generated one",
        of=("run", "port", "$RUN_COMMAND", "$PORT"),
        look="the image's configuration",
        observe=_generated,
    ),
    Option(name="`target` of a Compose file", of=("build.target",), look="the stage's label", observe=_target),
    Option(name="`args` of one", of=("build.args",), look="a label made of one", observe=_compose_arguments),
    Option(name="`labels` of one", of=("build.labels",), look="the image's label", observe=_compose_labels),
    Option(
        name="`additional_contexts` of one",
        of=("build.additional_contexts",),
        look="a step that copies from one",
        observe=_additional,
    ),
    Option(
        name="`contexts`", of=("contexts",), look="the layers of the app that it stands on are its", observe=_contexts
    ),
    Option(
        name="`--secret`, `secrets`",
        of=("--secret", "secrets", "secrets.name", "build.secrets"),
        look="a step prints the hash of the value",
        observe=_secret,
    ),
    Option(
        name="`invalidates` of a secret",
        of=("secrets.invalidates", "$FLEETPACKS_HMAC_KEY"),
        look="a step that was cached is executed for another value",
        observe=_invalidates,
    ),
    Option(
        name="`ssh`",
        of=("ssh", "ssh.socket", "$SSH_AUTH_SOCK", "build.ssh"),
        look="a step prints the fingerprint of the agent's key",
        observe=_ssh,
    ),
    Option(
        name="`entitlements`",
        of=("entitlements",),
        look="a step that asks for the builder's network is executed, and without the key it is refused",
        observe=_entitlements,
    ),
    Option(
        name="`network.ca`, `FLEETPACKS_CA`",
        of=("network.ca", "$FLEETPACKS_CA"),
        look="a step finds the authority",
        observe=_certificates,
    ),
    Option(
        name="`network.http_proxy` and the like",
        of=("network.http_proxy", "network.https_proxy", "network.no_proxy", "$FLEETPACKS_BUILD_PROXY"),
        look="a step prints them",
        observe=_proxies,
    ),
    Option(
        name="`mirrors`",
        of=("mirrors",),
        look="the mirror is asked for a package by a real installation",
        observe=_index,
    ),
    Option(
        name="`REGISTRY_MIRROR`, `registries` with `mirror`",
        of=("registries.mirror", "$REGISTRY_MIRROR", "$DHI_MIRROR"),
        look="an image is built on what the mirror alone has",
        observe=_image_mirror,
    ),
    Option(
        name="`--reproducible`, `SOURCE_DATE_EPOCH`",
        of=("--reproducible", "$SOURCE_DATE_EPOCH"),
        look="two builds that execute every step make one image; its configuration has the time that was said",
        observe=_reproducible,
    ),
    Option(
        name="`--timeout`",
        of=("--timeout", "timeout"),
        look="a step that would take ten minutes is ended",
        observe=_timeout,
    ),
)
