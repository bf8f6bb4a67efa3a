"""Credentials planted all around an app of each language, and looked for in everything that comes of building it.

What is written is searched whole: all blobs of the image's and the cache's repository (layers, configurations with
their histories, attestations), an OCI archive, package caches, output, result, records, reports, traces; and what the
builder and the registry keep. What can be read of processes while they run is a sample. A blob that was there before
the run holds nothing that was drawn for it.

What steps print of it is masked where it is shown. By design, and no part of this: what a step itself writes into a
file of the app. None of these does.
"""

import gzip
import hashlib
import io
import json
import re
import shutil
import tarfile
import time
from base64 import b64encode
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import msgspec
import pytest
from anyio.abc import SocketAttribute

from orchestrator.events import AppWarning, Event, StepLog
from tests.buildkit.real import client
from tests.conftest import RealCount
from tests.e2e import test_mirrors
from tests.e2e.conftest import Ran, Start, need_bases
from tests.e2e.gate import Gate, gate
from tests.e2e.languages import APPS, cases
from tests.e2e.planted import SEEN, STEPS, Found, Search, controls, draw, word
from tests.e2e.plantedsite import Ended, Site
from tests.e2e.test_telemetry import Collector
from tests.e2e.watch import Watch, watching
from tests.lab import Lab
from tests.lab.state import layout
from tests.tiers import FULL

pytestmark = pytest.mark.real

_PROOF = re.compile(r"proof (\S+) ([0-9a-f]{64})")
_UPSTREAMS = {
    "npm": "https://registry.npmjs.org",
    "pypi": "https://pypi.org/simple",
    "go": "https://proxy.golang.org",
    "maven": "https://repo.maven.apache.org/maven2",
    "crates": "https://index.crates.io",
}
"""Of the others there is none that this machine reaches: their mirrors have nothing."""


class App(msgspec.Struct, frozen=True, kw_only=True):
    """What is built.

    Attributes:
        case: the example app.
        files: those of an app that is none of the examples.
        index: the index that has a mirror with a password.
        build: what is run behind the proofs.
        asked: whether an installation asks the mirror.
        by_password: whether its credential is a password, or a part of its path: Go sends no password in the clear.
    """

    case: str | None = None
    files: Mapping[str, str] = {}
    index: str
    build: str = "true"
    asked: bool = True
    by_password: bool = True


_MAVEN = "mvn -B -DskipTests package"
_CARGO = "cargo build --release && mkdir -p bin && cp target/release/small bin/"
_CRATE = {
    "Cargo.toml": '[package]\nname = "small"\nversion = "0.1.0"\nedition = "2021"\n\n'
    '[dependencies]\nitoa = "=1.0.15"\n',
    "src/main.rs": 'fn main() {\n    println!("{}", itoa::Buffer::new().format(1));\n}\n',
}
_MCS = "mkdir -p /out && mcs -r:System.Numerics -out:/out/Power.dll Program.cs && cp Power.runtimeconfig.json /out/"
_APPS = {
    "small": App(files=test_mirrors.CASES["npm"].files, index="npm"),
    "nodejs": App(case="nodejs-npm-express", index="npm", build="npm run build"),
    # A lockfile of Bun's says that packages are npm's own, whatever the registry.
    "bun": App(case="bun-express", index="npm", build="bun run build", asked=False),
    "deno": App(case="deno-hono", index="npm"),
    "python": App(case="python-pip-slugs", index="pypi"),
    "ruby": App(case="ruby-rack", index="rubygems", asked=False),
    "go": App(files=test_mirrors.CASES["go"].files, index="go", build="go build -o bin/a .", by_password=False),
    "rust": App(files=_CRATE, index="crates", build=_CARGO),
    "java": App(case="java-maven-javalin", index="maven", build=_MAVEN),
    "kotlin": App(case="kotlin-maven-ktor", index="maven", build=_MAVEN),
    # The lab's image names repositories of its own, behind ours.
    "scala": App(case="scala-sbt-cask", index="maven", build="sbt stage", asked=False),
    "clojure": App(case="clojure-deps-uber", index="maven", build="clojure -T:build uber"),
    "dotnet": App(case="dotnet-mcs", index="nuget", build=_MCS, asked=False),
    "php": App(case="php-composer", index="composer", asked=False),
    "elixir": App(case="elixir-release", index="hex", build="mix compile", asked=False),
    # It keeps what it was told of an index beside the packages.
    "pnpm": App(case="nodejs-pnpm-fastify", index="npm", build="pnpm run build"),
}
_LIKE = {"npm": "nodejs-npm-express", "go": "go-ledger", "crates": "rust-axum"}
"""Examples that stand on the images of those that are none."""
_TRIED = tuple(_APPS) if FULL else ("small",)


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What a build meets."""

    mirror: test_mirrors.Mirror
    registry: Gate
    caches: Gate
    collector: Collector
    watch: Watch


class Run:
    """A build with all of it, and everything that it has left anywhere."""

    def __init__(self, lab: Lab, build: Start, folder: Path) -> None:
        self.began = time.time()
        self.planted, self.marks = draw(), controls()
        self.site = Site(lab, folder, self.planted, self.marks)
        words = {**self.planted, **{f"mark {name}": each for name, each in self.marks.items()}}
        self.search = Search(words, folder / "search")
        self.found: dict[str, set[Found]] = {}
        """By where it was found."""
        self._lab = lab
        self._build = build
        self._logs = {name: layout().log(name).stat().st_size for name in ("buildkitd", "registry")}

    @asynccontextmanager
    async def surroundings(self, app: App) -> AsyncGenerator[Surroundings]:
        """Everything that asks for a credential, and the processes of this machine under watch."""
        planted, token = self.planted, self.planted["token of a registry"]
        index = test_mirrors.Case(
            index=app.index,
            upstream=_UPSTREAMS.get(app.index, f"http://{self._lab.registry}/none"),
            files={},
            step="",
            by_password=app.by_password,
        )
        collector = Collector()
        async with AsyncExitStack() as stack:
            watch = await stack.enter_async_context(watching(self.site.temporary))
            mirror = await stack.enter_async_context(test_mirrors.mirror(index, planted["mirror"]))
            registry = await stack.enter_async_context(
                gate(self._lab, password=planted["registry password"], token=token)
            )
            caches = await stack.enter_async_context(
                gate(self._lab, password=planted["cache registry password"], token=token)
            )
            listener = await stack.enter_async_context(await anyio.create_tcp_listener(local_host="127.0.0.1"))
            tasks = await stack.enter_async_context(anyio.create_task_group())
            collector.address = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"  # noqa: S610 -- anyio's
            tasks.start_soon(listener.serve, collector.serve)
            yield Surroundings(mirror=mirror, registry=registry, caches=caches, collector=collector, watch=watch)
            tasks.cancel_scope.cancel()

    async def lay(self, app: App, around: Surroundings) -> dict[str, str]:
        """Lay everything out; returns the environment."""
        site = self.site
        if app.case is not None:
            shutil.copytree(APPS / app.case / "app", site.source, symlinks=True)
        site.lay_source(app.files)
        await site.commit()
        site.lay_home(registry=around.registry.address, caches=around.caches.address)
        site.lay_operator(app.index)
        return site.variables(
            mirror=around.mirror.url,
            collector=around.collector.address,
            caches=around.caches.address,
            build=f"sh prove.sh {site.name} && {app.build}",
        )

    async def built(self, variables: Mapping[str, str], around: Surroundings) -> Ran:
        """Build with everything that writes something."""
        site = self.site
        scanner = f"{self._lab.registry}/planted"
        async with self._build(site.scanner, image=f"{scanner}/{{app}}") as running:
            ended = await running.end()
        assert ended.code == 0, (ended.failed(), ended.err)
        words = ["--drop-in", "--secret", "SLACK_TOKEN", "--provenance", "max"]
        words += ["--sbom-scanner", f"{scanner}/scanner:latest"]
        said = {**variables, "NO_CACHE": "true"}
        if FULL:
            for each in ("archive", "packages"):
                (site.folder / each).mkdir()
            words += ["--push", "-o", f"type=oci,dest={site.folder}/archive/image.tar"]
            said |= {"BUILD_CACHE_DIR": f"{site.folder}/packages"}
        image = self._image(around)
        # Nothing is cached, and all comes through a mirror in this process.
        async with self._build(site.source, *words, image=image, variables=said, patience=1800) as running:
            site.sessions.add(running.process.pid)
            return await running.end()

    async def told(self, variables: Mapping[str, str], around: Surroundings) -> None:
        """Have everything told that there is to tell, and search that."""
        site, source = self.site, ("-C", str(self.site.source), "--image", self._image(around))
        files = site.folder / "reports"
        files.mkdir()
        report = ("report", "--json", "--trace", f"{files}/trace.json", "--html", f"{files}/page.html")
        told = [await site.told(variables, *report), await site.told(variables, "report")]
        told.append(await site.told(variables, "plan", *source, "--json", "--dockerfile", f"{files}/dockerfiles"))
        if FULL:
            told.append(await self._plainly(variables, source))
        assert [each.code for each in told] == [0] * len(told), [each.output.decode() for each in told]
        for number, each in enumerate(told):
            self.found[f"output of command {number}"] = await self.search.text(each.output)
        self.found["reports"] = await self.search.below(files)
        # What would end up in an image is refused, and not repeated.
        other = {**variables, "RESULT_FILE": f"{site.folder}/refused.json"}
        argument = {**other, "CI_IMAGE_BUILD_EXTRA_ARGS": f"--build-arg UPLOAD_TOKEN={self.planted['argument']}"}
        host = ("--host", self._lab.buildkit_host)
        refused = [
            await site.told(other, "build", *source, *host, "--env", "DEPLOY_TOKEN"),
            await site.told(argument, "build", *source, *host),
        ]
        assert [each.code for each in refused] == [2, 2], refused
        assert [b"_TOKEN: its name is" in each.output for each in refused] == [True, True], refused
        self.found["refusals"] = await self.search.text(*(each.output for each in refused))
        self.found["refusals"] |= await self.search.file(site.folder / "refused.json")

    async def _plainly(self, variables: Mapping[str, str], source: Iterable[str]) -> Ended:
        """The same once more, as lines and with the summary of a job."""
        summary = self.site.folder / "summary.md"
        said = {
            **variables,
            "GITHUB_ACTIONS": "true",
            "GITHUB_STEP_SUMMARY": str(summary),
            "GITHUB_REF": "refs/heads/main",
            "GITHUB_REF_NAME": "main",
        }
        words = ("--host", self._lab.buildkit_host, "--drop-in", "--force", "--secret", "SLACK_TOKEN")
        ended = await self.site.told(said, "build", *source, *words, "--progress", "plain")
        self.found["summary of a job"] = await self.search.file(summary)
        return ended

    async def looked(self, ran: Ran, around: Surroundings) -> Mapping[str, int]:
        """Search all that the build has left; returns how many blobs there were of each kind."""
        search, site, found = self.search, self.site, self.found
        found["events"] = await search.text(msgspec.json.encode(ran.events), ran.err)
        found["result"] = await search.file(site.folder / "result.json")
        found["home directory"] = await search.below(site.home, without=site.laid)
        found["temporary files"] = await search.text(*around.watch.files) | await search.below(site.temporary)
        found["trace that was sent"] = await search.text(*(body for _, body in around.collector.requests))
        found["arguments of processes"] = await search.text(*(c.replace(b"\0", b"\n") for c in around.watch.commands))
        found["environments"] = await search.text(
            *(each for session, each in around.watch.environments if session not in site.sessions)
        )
        async with client(self._lab.buildkitd) as daemon:
            found["builder's records"] = await search.text(repr(await daemon.history()))
        for name, size in self._logs.items():
            with layout().log(name).open("rb") as log:
                log.seek(size)
                found[f"log of {name}"] = await search.text(log.read())
        kinds, old = await self._blobs()
        if FULL:
            names = frozenset(f"blobs/sha256/{digest}" for digest in old)
            found["archive"] = await search.file(site.folder / "archive/image.tar", known=names)
            found["package caches"] = await search.below(site.folder / "packages")
        return kinds

    async def _blobs(self) -> tuple[dict[str, int], set[str]]:
        """Search what the registry has of the image and the cache: whatever was sent, also what no manifest names."""
        data = self._lab.state / "registry/docker/registry/v2"
        links = (data / "repositories" / f"planted-{self.site.name}").rglob("link")
        kinds, old = dict[str, int](), set[str]()
        for digest in {link.read_text().strip().removeprefix("sha256:") for link in links}:
            file = data / "blobs/sha256" / digest[:2] / digest / "data"
            if file.stat().st_mtime < self.began:
                old.add(digest)
                continue
            kind = _kind(file)
            kinds[kind] = kinds.get(kind, 0) + 1
            self.found.setdefault(kind, set()).update(await self.search.file(file))
        return kinds, old

    def _image(self, around: Surroundings) -> str:
        return f"{around.registry.address}/planted-{self.site.name}/app:v1"


def _kind(blob: Path) -> str:
    with blob.open("rb") as file:
        if file.read(1) != b"{":
            return "layers"
    document = json.loads(blob.read_bytes())
    if "predicateType" in document:
        return "attestations"
    if "rootfs" in document:
        return "configurations"
    return "manifests" if "schemaVersion" in document else "cache"


async def _check_bases(lab: Lab, app: App) -> None:
    [case] = [each for each in cases() if each.name == (app.case or _LIKE[app.index])]
    await need_bases(lab, case)


def _proven(events: Iterable[Event]) -> dict[str, str]:
    text = "\n".join(event.text for event in events if isinstance(event, StepLog))
    return dict(_PROOF.findall(text))


def _masked(events: Iterable[Event]) -> dict[str, str]:
    """What is shown of the secrets that steps have printed; of the last line, where there are more."""
    text = "\n".join(event.text for event in events if isinstance(event, StepLog))
    return {name: shown for shown, name in re.findall(r"^(.*)\n? said ([A-Z_]+)$", text, re.MULTILINE)}


def _expected(run: Run) -> dict[str, str]:
    """What the proofs have to be, if steps had what they have to have."""
    key = (run.site.folder / "secrets/deploy_key").read_text().rstrip("\n")
    values = {**{name: run.planted[name] for name in STEPS}, "DEPLOY_KEY": key, "proxy": run.site.proxy}
    return {name: hashlib.sha256(f"{run.site.name}{each}".encode()).hexdigest() for name, each in values.items()}


def _marked(found: set[Found]) -> set[str]:
    return {each.name.removeprefix("mark ") for each in found if each.name.startswith("mark ")}


@pytest.mark.parametrize("name", _TRIED)
async def test_no_planted_credential_is_found_in_anything_that_comes_of_a_build(
    lab: Lab, build: Start, real_count: RealCount, tmp_path: Path, name: str
) -> None:
    app, run = _APPS[name], Run(lab, build, tmp_path)
    await _check_bases(lab, app)

    async with run.surroundings(app) as around:
        variables = await run.lay(app, around)
        ran = await run.built(variables, around)
        real_count.record("build", times=2 if FULL else 1)
        assert ran.completed(), (
            ran.err,
            ran.events[-1],
            *(line for each in ran.failed().values() for line in each.log),
        )
        await run.told(variables, around)
    kinds = await run.looked(ran, around)

    # All of it was used that is of use.
    assert _proven(ran.events) == _expected(run)
    # And printed, of which only that is left.
    assert _masked(ran.events) == dict.fromkeys(STEPS, "***")
    assert bool(around.mirror.asked) == app.asked
    [(request, _)] = around.collector.requests[:1]
    assert dict(request.headers)[b"authorization"].decode() == f"Bearer {run.planted['token of a collector']}"
    for each in (around.registry, around.caches):
        # Passwords come from us, and builders have tokens.
        assert {agent.partition("/")[0] for agent in each.logins} == {"fleetpacks"}
        assert any(not agent.startswith("fleetpacks/") for agent in each.guests), each.guests
    [said] = [event.message for event in ran.events if isinstance(event, AppWarning) and "BUILD_VARS" in event.message]
    assert "SENTRY_AUTH_TOKEN" in said
    # What is no secret is found wherever it has to be, in whatever form.
    marked = {place: _marked(found) for place, found in run.found.items()}
    lacking = {place: wanted - marked[place] for place, wanted in _WANTED.items() if place in marked}
    assert {place: names for place, names in lacking.items() if names} == {}
    assert set(_WANTED) - set(marked) == (set() if FULL else {"archive", "summary of a job", "output of command 3"})
    assert {Found("mark base64", "base64"), Found("mark percent", "percent-encoded")} <= run.found["layers"]
    assert min(kinds.values()) > 0
    assert around.watch.looks > 10
    # And nothing else is found anywhere, but that steps have in their environment what they were to have.
    assert len(run.planted) >= 30
    hits = {place: names for place in run.found if (names := sorted(_hits(place, run.found[place])))}
    assert hits == {}, [place for place, each in run.search.places.items() if _hits("", each)]


_WANTED = {
    "layers": {"file", "percent", "base64", "packed"},
    "configurations": {"variable"},
    "attestations": {"name"},
    "manifests": set[str](),
    "cache": set[str](),
    "events": {"name", "file", "percent", "base64"},
    "result": {"name"},
    "home directory": {"name"},
    "trace that was sent": {"name"},
    "arguments of processes": {"name"},
    "environments": {"variable"},
    "builder's records": {"name"},
    "log of registry": {"name"},
    "reports": {"name"},
    # A report names the ten slowest steps: whether those that have the name are among them depends on the machine.
    "output of command 0": set[str](),
    "output of command 2": {"name"},
    "output of command 3": {"name"},
    "archive": {"variable", "name"},
    "summary of a job": {"name"},
}
"""What is no secret, by where it has to be found."""


def _hits(place: str, found: set[Found]) -> set[Found]:
    """What must not have been found."""
    allowed = SEEN if place == "environments" else frozenset[str]()
    return {each for each in found if not each.name.startswith("mark ") and each.name not in allowed}


async def test_the_search_finds_a_word_in_every_form_and_in_archives_of_archives(tmp_path: Path) -> None:
    hidden = {"plain": word(20), "alone": f"{word(10)}/+={word(10)}"}
    search = Search(hidden, tmp_path / "search")
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:gz") as tar:
        data = f"https://me:{hidden['plain']}@x".encode()
        info = tarfile.TarInfo("inside")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    outer = tmp_path / "outer.gz"
    outer.write_bytes(gzip.compress(inner.getvalue()))

    in_archives = await search.file(outer)
    forms = [
        await search.text(b64encode(f"{'x' * before}{hidden['alone']}{'y' * after}".encode()))
        for before in range(3)
        for after in range(3)
    ]
    nothing = await search.text(word(200))

    assert in_archives == {Found("plain", "literal")}
    assert forms == [{Found("alone", "base64")}] * 9
    assert nothing == set()
