"""`runtimes`: what other runtime images, and an archive of classes, would bring to example apps that are really built.

An image's bytes are those of its layers as the registry has them, compressed. A source is changed and built again: the
layers that are new are what a push carries. Starts are counted in seconds of processors, of all processes of the
container until its first answer, which other work on the machine changes less than seconds of the clock; images are
started in turn, each round once, behind a round that does not count.
"""

import datetime as dt
import io
import secrets
import statistics
import sys
import tarfile
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec

import langs
from benchmarks import variants
from benchmarks.rest import quiet
from langs.model import Settings
from orchestrator.bench.result import Figure, Report, load, machine, median_interval
from orchestrator.buildkit import StatusUpdate
from orchestrator.model import Registry
from orchestrator.registry import reference
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.pull import resolve
from tests.buildkit.real import client, push_to, request
from tests.lab import Lab, current
from tests.lab.container import answering, unpacked
from tests.lab.hosts import cgroups

_APPS = Path(__file__).parents[1] / "tests" / "apps"
_REPOSITORY = "bench/runtimes"
_MB = 1_000_000
_SPRING, _GO, _RUST = "java-maven-spring", "go-scratch", "rust-axum"
CHANGES: Mapping[str, tuple[str, str, str]] = {
    _SPRING: ("src/main/java/com/example/greeter/GreeterApplication.java", '"Hello, "', '"Hello, %s "'),
    _GO: ("main.go", 'json:"user"', 'json:"user-%s"'),
    _RUST: ("src/main.rs", '"version"', '"version-%s"'),
}
"""The app -> its source, and what in it becomes something else: a comment would change no program."""
_SLIM = "debian:bookworm-slim"
_AS_PLANNED = "as planned"
_ARCHIVED = "with an archive of classes (AppCDS)"
_REQUIRED: Mapping[str, str] = {"JAVA_OPTS": "-Xshare:on"}
"""A JVM that cannot use its archive is silent about it, and slow, unless it must use it."""
_TOOLS: Mapping[str, tuple[str, Sequence[str]]] = {
    "node:22-slim": (
        "npm, Corepack and Yarn",
        ("usr/local/lib/node_modules/npm", "usr/local/lib/node_modules/corepack", "opt/yarn-*"),
    ),
    "python:3.12-slim": ("pip", ("usr/lib/python3*/dist-packages/pip", "usr/share/python-wheels")),
}
"""Runtime image -> the package manager that it brings, and where it is in the lab's."""


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """A variant that was built."""

    name: str
    reference: str
    layers: Mapping[str, int]
    """Digest -> compressed bytes."""
    own: int
    """Bytes of the layers that its base does not have."""
    changed: int
    """Bytes of the layers that a change of source makes anew."""

    @property
    def size(self) -> int:
        """Bytes of all layers."""
        return sum(self.layers.values())


async def run_runtimes(rounds: int) -> Report:
    """The benchmark `runtimes`. The lab must be up, with the bases of Java, Go, Rust, Node.js and Python."""
    lab = current()
    if lab is None:
        raise SystemExit("benchmarks: the lab is not up\nhint: python -m tests.lab up")
    commit = await anyio.run_process(["git", "rev-parse", "--short=12", "HEAD"])
    figures = (
        *await _spring(lab, rounds),
        *await _small(lab, _GO, "Go", {"on nothing (`scratch`)": variants.on(_planned(_GO), "scratch")}),
        *await _small(
            lab, _RUST, "Rust", {"on nothing but its shared libraries": variants.with_own_libraries(_planned(_RUST))}
        ),
        *[await _tools(lab, image, *said) for image, said in _TOOLS.items()],
    )
    return Report(
        benchmark="runtimes",
        date=dt.datetime.now(tz=dt.UTC).date().isoformat(),
        commit=commit.stdout.decode().strip(),
        machine=machine(),
        figures=figures,
    )


async def _spring(lab: Lab, rounds: int) -> tuple[Figure, ...]:
    planned = _planned(_SPRING)
    texts = {
        _AS_PLANNED: planned,
        "a directory, by Spring Boot's launcher": variants.launched(planned),
        _ARCHIVED: variants.archived(planned),
        f"`jlink` on {_SLIM}": variants.linked(planned, _SLIM),
    }
    images = await _built(lab, _SPRING, texts)
    before = await quiet()
    starts = await _starts(lab, images, rounds, "/?name=bench")
    loads = (before, load())
    return tuple(
        figure for image in images for figure in (*_sizes("Spring Boot", image, loads), _start(image, starts, loads))
    )


async def _small(lab: Lab, case: str, title: str, others: Mapping[str, str]) -> tuple[Figure, ...]:
    before = load()
    images = await _built(lab, case, {_AS_PLANNED: _planned(case), **others})
    for image in images:
        # An image that does not start is no image.
        async with unpacked(lab, image.reference) as here, answering(here):
            pass
    return tuple(figure for image in images for figure in _sizes(title, image, (before, load())))


def _planned(case: str) -> str:
    """The app's Dockerfile as it is planned where nothing is said."""
    return langs.build(_APPS / case / "app", Settings()).dockerfile


async def _built(lab: Lab, case: str, texts: Mapping[str, str]) -> Sequence[Image]:
    """Build the variants, by name, each twice: the second time with a source that is changed, for all alike."""
    root = anyio.Path(_APPS / case / "app")
    files = {
        str(file.relative_to(root)): await file.read_bytes() async for file in root.rglob("*") if await file.is_file()
    }
    source, before, after = CHANGES[case]
    changed = {**files, source: files[source].replace(before.encode(), (after % secrets.token_hex(6)).encode())}
    return [await _variant(lab, case, name, text, (files, changed)) for name, text in texts.items()]


async def _variant(lab: Lab, case: str, name: str, text: str, contexts: Sequence[Mapping[str, bytes]]) -> Image:
    _say(f"{case}, {name}: building")
    base = variants.cut(text).base
    # A stage of the variant's own stands on what is planned.
    base = variants.cut(_planned(case)).base if base == variants.APP else base
    below: Mapping[str, int] = {} if base == "scratch" else await _layers(lab, f"{lab.registry}/library/{base}")
    digests = [await _solve(lab, text, context) for context in contexts]
    first, second = [await _layers(lab, f"{lab.registry}/{_REPOSITORY}@{digest}") for digest in digests]
    return Image(
        name=name,
        reference=f"{lab.registry}/{_REPOSITORY}@{digests[0]}",
        layers=first,
        own=sum(size for digest, size in first.items() if digest not in below),
        changed=sum(size for digest, size in second.items() if digest not in first),
    )


async def _solve(lab: Lab, text: str, context: Mapping[str, bytes]) -> str:
    asked = request(text, context=context, exporter=push_to(lab.registry, _REPOSITORY))

    async def ignore(_: StatusUpdate) -> None:
        return

    async with client(lab.buildkitd) as builder:
        digest = (await builder.solve(asked, on_status=ignore)).digest
    if digest is None:
        raise SystemExit("the builder told no digest")
    return digest


async def _layers(lab: Lab, image: str) -> Mapping[str, int]:
    async with RegistryClient(Credentials(None), {lab.registry: Registry(host=lab.registry, insecure=True)}) as asking:
        return {layer.digest: layer.size for layer in (await resolve(asking, reference.parse(image))).layers}


async def _starts(
    lab: Lab, images: Sequence[Image], rounds: int, path: str
) -> Mapping[str, Sequence[tuple[float, float]]]:
    """For each image its starts, in seconds of processors and of the clock."""
    found: dict[str, list[tuple[float, float]]] = {image.name: [] for image in images}
    async with AsyncExitStack() as stack:
        ready = {image.name: await stack.enter_async_context(unpacked(lab, image.reference)) for image in images}
        for number in range(rounds + 1):
            _say(f"{_SPRING}: round {number} of {rounds}, load {load():.1f}")
            for name, here in ready.items():
                env = _REQUIRED if number == 0 and name == _ARCHIVED else None
                began = time.perf_counter()
                async with answering(here, path=path, env=env) as container:
                    found[name].append((cgroups.used(container.cgroup), time.perf_counter() - began))
    return {name: runs[1:] for name, runs in found.items()}


def _sizes(title: str, image: Image, loads: tuple[float, float]) -> tuple[Figure, Figure]:
    said = f"{title}, {image.name}"
    note = f"{image.own / _MB:.1f} MB of it are not of the image below"
    return (
        Figure(name=f"{said}: the image", unit="MB", value=image.size / _MB, load=loads, note=note),
        Figure(name=f"{said}: pushed for a change of source", unit="MB", value=image.changed / _MB, load=loads),
    )


def _start(image: Image, starts: Mapping[str, Sequence[tuple[float, float]]], loads: tuple[float, float]) -> Figure:
    mine, planned = starts[image.name], starts[_AS_PLANNED]
    note = f"median; {statistics.median(taken for _, taken in mine):.2f} s by the clock"
    if image.name != _AS_PLANNED:
        ratios = [used / other for (used, _), (other, _) in zip(mine, planned, strict=True)]
        low, high = median_interval(ratios)
        note = f"{statistics.median(ratios):.2f} ({low:.2f} to {high:.2f}) times what is planned; {note}"
    return Figure(
        name=f"Spring Boot, {image.name}: processor time to the first answer",
        unit="s",
        value=statistics.median(used for used, _ in mine),
        runs=len(mine),
        load=loads,
        note=note,
    )


async def _tools(lab: Lab, image: str, tools: str, places: Sequence[str]) -> Figure:
    """What a package manager takes in a runtime image."""
    _say(f"{image}: {tools}")
    before = load()
    layers = await _layers(lab, f"{lab.registry}/library/{image}")
    async with unpacked(lab, f"{lab.registry}/library/{image}") as here:
        found = {place: sorted(here.root.glob(place)) for place in places}
        if missing := [place for place, paths in found.items() if not paths]:
            raise SystemExit(f"{image} has no {', '.join(missing)}")
        packed = await anyio.to_thread.run_sync(_compressed, [path for paths in found.values() for path in paths])
    return Figure(
        name=f"{image}: {tools}",
        unit="MB",
        value=packed / _MB,
        load=(before, load()),
        note=f"compressed alone; the image has {sum(layers.values()) / _MB:.1f} MB",
    )


def _compressed(paths: Iterable[Path]) -> int:
    """Bytes of an archive of these, compressed as layers are."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=6) as archive:
        for path in paths:
            archive.add(path, arcname=path.name)
    return len(packed.getvalue())


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
