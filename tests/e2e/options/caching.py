"""What is kept between builds, and what is done again all the same."""

from pathlib import Path

from orchestrator.events import CacheExported
from tests.e2e.conftest import Ran
from tests.e2e.options.bench import SCRATCH, Bench
from tests.e2e.options.model import Effect, Option
from tests.e2e.options.relay import own_address, relay

_STAGES = """\
FROM REGISTRY/library/debian:trixie-slim AS build
COPY word /
RUN cat word word > /installed
FROM scratch
COPY --from=build /installed /
"""
_RUN = "cat word word"
_ALWAYS = "FROM REGISTRY/library/debian:trixie-slim\nCOPY word /\nRUN cat word > /seen\n"
_INLINE = "moby.buildkit.cache.v0"
"""Where BuildKit looks for it in an image (cache/remotecache/inline/inline.go, v0.30.0)."""
_MARKER = "marker"
NODE = {
    "package.json": '{"name": "app", "version": "1.0.0", "description": "WORD", "scripts":'
    ' {"build": "node build.js", "start": "node server.js"}}\n',
    "package-lock.json": '{"name": "app", "version": "1.0.0", "lockfileVersion": 3, "requires": true,'
    ' "packages": {"": {"name": "app", "version": "1.0.0"}}}\n',
    # npm's cache is where the step's cache mount is.
    "build.js": f"const fs = require('node:fs'), file = '/root/.npm/{_MARKER}'\n"
    "console.log('marker', fs.existsSync(file), 'WORD')\nfs.writeFileSync(file, 'WORD')\n",
    "server.js": "require('node:http').createServer().listen(process.env.PORT)\n",
    # Nothing is to be asked for: the steps of the lab's engines reach nobody.
    "fleetpacks.toml": 'env = { NPM_CONFIG_UPDATE_NOTIFIER = "false" }\n',
}
"""An app whose generated Dockerfile has a package cache, which its build step looks into."""


def _place(bench: Bench) -> str:
    return f"{bench.lab.registry}/{bench.repository}/cache:one"


async def _image(bench: Bench) -> Effect:
    bench.write({"Dockerfile": _STAGES})
    await bench.run(CACHE_IMAGE=_place(bench))
    return await _written(bench)


async def _written(bench: Bench) -> Effect:
    if await bench.cache_layers("one"):
        return Effect(there=True)
    return Effect(there=_INLINE in await bench.config(), way="inline")


async def _mode(bench: Bench) -> Effect:
    bench.write({"Dockerfile": _STAGES})
    await bench.run(CACHE_IMAGE=_place(bench), CACHE_MODE="max")
    # The base's layer and those of the stage that is not in the image.
    return Effect(there=len(await bench.cache_layers("one")) > len((await bench.manifest())["layers"]))


async def _export(bench: Bench) -> Effect:
    bench.write({"Dockerfile": _STAGES, "/fleetpacks.toml": '[cache]\nexport = "with"\n'})
    ran = await bench.run(CACHE_IMAGE=_place(bench))
    effect = await _written(bench)
    # Else it was a second solve.
    return Effect(there=effect.there and not _exports(ran), way=effect.way)


async def _compression(bench: Bench) -> Effect:
    bench.write({"Dockerfile": _STAGES, "/fleetpacks.toml": '[cache]\nmode = "max"\ncompression = "zstd"\n'})
    await bench.run(CACHE_IMAGE=_place(bench))
    own = [kind for kind in await bench.cache_layers("one") if "zstd" in kind]
    return Effect(there=bool(own))


async def _from(bench: Bench) -> Effect:
    bench.write({"Dockerfile": _STAGES})
    await bench.run(on=bench.other, CACHE_IMAGE=_place(bench), CACHE_MODE="max")
    ran = await bench.run("--no-push", CACHE_FROM=_place(bench))
    return Effect(there=bench.cached(ran, _RUN))


async def _from_image(bench: Bench) -> Effect:
    bench.write({"Dockerfile": _ALWAYS})
    await bench.run(on=await bench.inline(), CACHE_IMAGE=_place(bench))
    ran = await bench.run("--no-push", CACHE_FROM=bench.image.format(app="app") + ":latest")
    return Effect(there=bench.cached(ran, "cat word"))


async def _insecure(bench: Bench) -> Effect:
    bench.write({"Dockerfile": _STAGES})
    await bench.run(on=bench.other, CACHE_IMAGE=_place(bench), CACHE_MODE="max")
    async with relay(bench.lab, address=await own_address()) as at:
        cache = _place(bench).replace(bench.lab.registry, at)
        ran = await bench.run("--no-push", CACHE_FROM=cache, CACHE_REGISTRY_INSECURE="true")
    return Effect(there=bench.cached(ran, _RUN))


async def _insecure_written(bench: Bench) -> Effect:
    bench.write({"Dockerfile": _STAGES})
    async with relay(bench.lab, address=await own_address()) as at:
        cache = _place(bench).replace(bench.lab.registry, at)
        await bench.run(CACHE_IMAGE=cache, CACHE_REGISTRY_INSECURE="true")
    return await _written(bench)


async def _directory(bench: Bench) -> Effect:
    bench.write({"Dockerfile": _STAGES})
    place = bench.folder / "cache"
    bench.said["CI_IMAGE_BUILD_EXTRA_ARGS"] = (
        f"--cache-from type=local,src={place} --cache-to type=local,dest={place},mode=max"
    )
    await bench.run(on=bench.other)
    ran = await bench.run("--no-push")
    exported = [each.error for each in _exports(ran)] == [None]
    return Effect(there=exported and bench.cached(ran, _RUN))


async def _no_cache(bench: Bench) -> Effect:
    bench.write({"Dockerfile": _ALWAYS})
    await bench.run("--no-push")
    usual = await bench.run("--no-push")
    ran = await bench.run("--no-push", "--no-cache")
    return Effect(there=(bench.cached(usual, "cat word"), bench.cached(ran, "cat word")) == (True, False))


def _exports(ran: Ran) -> list[CacheExported]:
    return [event for event in ran.events if isinstance(event, CacheExported)]


async def _key(bench: Bench) -> Effect:
    seen: list[bool] = []
    for number, key in enumerate(("one", "one", "two")):
        bench.write({**NODE, "/app/source": str(number)})
        ran = await bench.run("--no-push", CACHE_KEY=f"{bench.word}{key}")
        seen.append(_saw(bench, ran))
    return Effect(there=seen == [False, True, False])


async def _kept(bench: Bench) -> Effect:
    bench.write(NODE)
    await bench.run("--no-push", CACHE_KEY=bench.word, BUILD_CACHE_DIR=str(bench.folder / "packages"))
    return Effect(there=any(path.read_text() == bench.word for path in _markers(bench.folder / "packages")))


async def _filled(bench: Bench) -> Effect:
    bench.write(NODE)
    bench.carried = "builder"
    (bench.folder / "packages/npm").mkdir(parents=True)
    (bench.folder / "packages/npm" / _MARKER).write_text("from elsewhere")
    ran = await bench.run("--no-push", CACHE_KEY=bench.word, BUILD_CACHE_DIR=str(bench.folder / "packages"))
    return Effect(there=_saw(bench, ran))


def _saw(bench: Bench, ran: Ran) -> bool:
    """Whether the build step found the marker."""
    said = bench.logged(ran)
    assert f" {bench.word}" in said, said
    return f"marker true {bench.word}" in said


def _markers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob(_MARKER) if path.is_file()]


async def _skip(bench: Bench) -> Effect:
    bench.write({"Dockerfile": SCRATCH})
    ran = [await bench.run(force=force) for force in (False, False, True)]
    return Effect(there=[each.completed()["app"].skipped for each in ran] == [False, True, False])


ROWS = (
    Option(
        name="`CACHE_IMAGE`, `cache.image`",
        of=("cache.image", "$CACHE_IMAGE"),
        look="the cache's layers are in the registry",
        observe=_image,
    ),
    Option(
        name="`CACHE_MODE=max`, `cache.mode`",
        of=("cache.mode", "$CACHE_MODE"),
        look="the cache has more layers than the image",
        observe=_mode,
    ),
    Option(
        name='`cache.export = "with"`',
        of=("cache.export",),
        look="the cache is there without a second solve",
        observe=_export,
    ),
    Option(
        name='`cache.compression = "zstd"`',
        of=("cache.compression",),
        look="media types of the cache's layers",
        observe=_compression,
    ),
    Option(
        name="`CACHE_FROM`, `cache.from`",
        of=("cache.from", "$CACHE_FROM"),
        look="a step that another builder has executed is cached",
        observe=_from,
    ),
    Option(
        name="`CACHE_FROM` with an image that keeps its cache",
        of=(),
        look="the same, where an engine with a graph driver has executed it, with a BuildKit of about that age",
        observe=_from_image,
    ),
    Option(
        name="`CACHE_REGISTRY_INSECURE`, read",
        of=("$CACHE_REGISTRY_INSECURE",),
        look="the same, from plain HTTP that is at no loopback address",
        observe=_insecure,
    ),
    Option(
        name="`CACHE_REGISTRY_INSECURE`, written",
        of=(),
        look="the cache is in such a registry",
        observe=_insecure_written,
    ),
    Option(
        name="`cache.local`, `CI_IMAGE_BUILD_EXTRA_ARGS`",
        of=("cache.local", "cache.local_size", "$CI_IMAGE_BUILD_EXTRA_ARGS", "$CONTAINER_NAME"),
        look="a step that another builder has executed is cached, and the directory is written anew",
        observe=_directory,
    ),
    Option(
        name="`--no-cache`",
        of=("--no-cache", "$NO_CACHE"),
        look="a step that was cached is executed",
        observe=_no_cache,
    ),
    Option(
        name="`CACHE_KEY`",
        of=("$CACHE_KEY",),
        look="a step finds what the last build has left in its cache mount, with the same key alone",
        observe=_key,
    ),
    Option(
        name="`BUILD_CACHE_DIR`, filled from",
        of=("cache.mounts", "cache.mounts_time", "$BUILD_CACHE_DIR"),
        look="a step finds a file of the directory in its cache mount",
        observe=_filled,
    ),
    Option(
        name="`BUILD_CACHE_DIR`, kept in",
        of=("cache.mounts_size",),
        look="the directory has what a step has written",
        observe=_kept,
    ),
    Option(
        name="`--force`, `skip`",
        of=("--force", "skip.enabled", "skip.max_age"),
        look="an unchanged app is not built again, but by `--force`",
        observe=_skip,
    ),
)
