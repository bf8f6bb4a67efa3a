"""`fleetpacks cache push` and `cache pull`: what one builder has downloaded, another one need not download."""

import json
import re
import secrets
import shutil
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import msgspec
import pytest

from orchestrator.app.packageindex import find, publish
from orchestrator.cache.artifact import Artifact, Packages, encode
from orchestrator.config import environment
from orchestrator.model import Registry
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.manifest import OCI_INDEX, OCI_MANIFEST, Manifest, digest_of
from orchestrator.registry.reference import parse
from tests.buildkit.real import ROOT, Watched, client, private_daemon, push_to, request, shell_root
from tests.conftest import RealCount
from tests.e2e.conftest import Start
from tests.e2e.proxy import CUT, refusing
from tests.e2e.test_mirrors import CASES, mirror
from tests.lab import Engine, Lab
from tests.tiers import FULL

pytestmark = pytest.mark.real

_CREATED = "2026-11-22T00:00:00Z"
_FILES = (".tgz", ".zip", ".jar", ".pom")
"""How packages end in addresses of indexes."""


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """What it printed as JSON."""
        said: dict[str, Any] = json.loads(self.out)
        return said

    @property
    def results(self) -> dict[str, str]:
        """What became of each tool."""
        return {each["tool"]: each["result"] for each in self.document["tools"]}


class Site:
    """Two apps, which use npm's cache and pip's under a `CACHE_KEY` of their own."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.key = secrets.token_hex(6)
        self.reference = f"{lab.registry}/packages-{self.key}:main"
        self._lab = lab
        self._folder = folder
        self.of(
            {
                "web": {"package.json": '{"scripts": {"start": "x"}, "dependencies": {"escape-html": "1.0.3"}}'},
                "api": {"requirements.txt": "bottle==0.13.4\n", "app.py": "import bottle\nbottle.Bottle().run()\n"},
            }
        )

    def of(self, apps: Mapping[str, Mapping[str, str]]) -> Path:
        """Have these apps and no others; returns the source."""
        shutil.rmtree(self._folder, ignore_errors=True)
        for name, files in apps.items():
            (self._folder / name).mkdir(parents=True)
            for file, text in files.items():
                (self._folder / name / file).write_text(text)
        return self._folder

    async def cache(self, *words: str, host: str = "", key: str = "") -> Ran:
        """Run `fleetpacks cache`."""
        program = str(Path(sys.executable).with_name("fleetpacks"))
        command = [program, "cache", *words, "-C", str(self._folder), "--host", host or self._lab.buildkit_host]
        variables = {
            "PATH": environment.read()["PATH"],
            "HOME": str(self._folder.parent / "home"),
            "CACHE_KEY": key or self.key,
        }
        done = await anyio.run_process(command, check=False, env=variables)
        return Ran(code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())


@pytest.fixture
def site(lab: Lab, tmp_path: Path) -> Site:
    return Site(lab, tmp_path / "source")


async def fill(socket: Path, mount: str, files: Mapping[str, str], *, large: int = 0) -> None:
    """Put files into a builder's cache mount, and one of so many bytes that cannot be compressed."""
    writes = "".join(f"printf %s {text} > /m/{name}; " for name, text in files.items())
    writes += "cat /large > /m/large; " if large else ""
    step = f"RUN --mount=type=cache,id={mount},target=/m : {secrets.token_hex(4)}; {writes}:\n"
    context = await shell_root()
    if large:
        context = {**context, "large": secrets.token_bytes(large)}
    async with client(socket) as builder:
        await builder.solve(request(ROOT + step, context=context), on_status=Watched())


@asynccontextmanager
async def used(socket: Path, mount: str) -> AsyncGenerator[None]:
    """A build that uses a builder's cache mount for as long as the block lasts."""
    word = secrets.token_hex(4)
    heard = Watched()
    begins = heard.said(f"{word} begins\n".encode())
    step = f"RUN --mount=type=cache,id={mount},target=/m echo {word} begins; sleep 600\n"
    using = request(ROOT + step, context=await shell_root())
    async with client(socket) as builder, anyio.create_task_group() as tasks:
        tasks.start_soon(partial(builder.solve, using, on_status=heard))
        await begins.wait()
        yield
        tasks.cancel_scope.cancel()


async def held(socket: Path, mount: str) -> dict[str, str]:
    """What is in a builder's cache mount."""
    look = 'for f in /m/* /m/.[!.]*; do if [ -e "$f" ]; then echo "$f $(cat "$f")"; fi; done'
    step = f"RUN --mount=type=cache,id={mount},target=/m : {secrets.token_hex(4)}; {look}\n"
    heard = Watched()
    async with client(socket) as builder:
        await builder.solve(request(ROOT + step, context=await shell_root()), on_status=heard)
    lines = heard.log(1).decode().splitlines()
    return dict(line.removeprefix("/m/").split(" ", 1) for line in lines)


async def left_by_copies(socket: Path, site: Site) -> list[str]:
    """What a builder of a test's own keeps of copies into its caches."""
    async with client(socket) as builder:
        records = await builder.disk_usage(filters=["type==regular"])
    return [each.description for each in records if re.search(f"fleetpacks-|{site.key}", each.description)]


@asynccontextmanager
async def another_builder(lab: Lab, folder: Path) -> AsyncGenerator[Path]:
    await anyio.Path(folder).mkdir()
    async with private_daemon(lab, folder, snapshotter="overlayfs") as (_, socket):
        yield socket


@asynccontextmanager
async def registry_of(lab: Lab) -> AsyncGenerator[RegistryClient]:
    async with RegistryClient(Credentials(None), {lab.registry: Registry(host=lab.registry, insecure=True)}) as client:
        yield client


async def manifest(lab: Lab, at: str) -> dict[str, Any]:
    """What the registry has under a reference."""
    async with registry_of(lab) as registry:
        found: dict[str, Any] = json.loads((await registry.get_manifest(parse(at))).body)
    return found


async def put(lab: Lab, at: str, body: bytes) -> None:
    async with registry_of(lab) as registry:
        await registry.put_manifest(
            parse(at), Manifest(media_type=OCI_INDEX, body=body, digest=digest_of(body, "sha256"))
        )


@pytest.mark.parametrize("name", ["npm", "go"] if FULL else ["npm"])
async def test_a_second_builder_downloads_no_package_that_the_first_one_had(
    lab: Lab, site: Site, build: Start, real_count: RealCount, *, tmp_path: Path, name: str
) -> None:
    case = CASES[name]
    source = site.of({"app": {file: text.replace("%s", site.key) for file, text in case.files.items()}})
    (tmp_path / "operator.toml").write_text(f'[mirrors]\n{case.index} = {{ env = "THE_MIRROR" }}\n')

    async with mirror(case, secrets.token_hex(16)) as index, another_builder(lab, tmp_path / "second") as second:

        async def built(host: str) -> tuple[str, ...]:
            """Build, and return the packages that it downloads."""
            index.asked.clear()
            variables = {
                "FLEETPACKS_CONFIG": str(tmp_path / "operator.toml"),
                "THE_MIRROR": index.url,
                "CACHE_KEY": site.key,
            }
            image = f"{lab.registry}/{site.key}/{{app}}:latest"
            async with build(source, "--force", image=image, host=host, variables=variables) as running:
                ran = await running.end()
            real_count.record("build")
            assert ran.code == 0, [*ran.failed().values(), ran.err]
            return tuple(asked for asked in index.asked if asked.endswith(_FILES))

        first = await built(lab.buildkit_host)
        pushed = await site.cache("push", site.reference, "--json")
        pulled = await site.cache("pull", site.reference, "--json", host=f"unix://{second}")
        downloaded = await built(f"unix://{second}")

    assert first
    assert pushed.code == 0, pushed.err
    assert pulled.code == 0, pulled.err
    assert {tool for tool, result in pushed.results.items() if result == "pushed"}
    assert {tool for tool, result in pushed.results.items() if result == "pushed"} == {
        tool for tool, result in pulled.results.items() if result == "pulled"
    }
    assert downloaded == ()


async def test_what_is_pushed_is_pulled_by_another_builder_as_it_was(lab: Lab, site: Site, tmp_path: Path) -> None:
    npm, pip = {"a": "1", ".b": "2"}, {"c": "3"}
    await fill(lab.buildkitd, f"{site.key}-npm", npm)
    await fill(lab.buildkitd, f"{site.key}-pip", pip)

    pushed = await site.cache("push", site.reference, "--json")
    index = await manifest(lab, site.reference)
    async with another_builder(lab, tmp_path / "second") as second:
        host = f"unix://{second}"
        await fill(second, f"{site.key}-pip", {"own": "4"})
        pulled = await site.cache("pull", site.reference, "--json", host=host)
        again = await site.cache("pull", pulled.document["reference"], host=host)
        found = [await held(second, f"{site.key}-{tool}") for tool in ("npm", "pip")]
        left = await left_by_copies(second, site)

    assert (pushed.code, pulled.code, again.code) == (0, 0, 0), pushed.err + pulled.err + again.err
    assert (pushed.document["format"], pushed.document["builder"]) == (1, lab.buildkit_host)
    assert (pushed.results, pulled.results) == (
        {"npm": "pushed", "pip": "pushed"},
        {"npm": "pulled", "pip": "full"},
    )
    assert all(each["size"] > 0 for each in pushed.document["tools"])
    assert pushed.document["reference"] == pulled.document["reference"]
    assert found == [npm, {"own": "4"}]
    assert left == []
    assert index["artifactType"].startswith("application/vnd.fleetpacks.packages.")
    assert sorted(again.out.splitlines()[:-1]) == ["npm: has something already", "pip: has something already"]
    assert again.out.splitlines()[-1] == f"{host}: {pulled.document['reference']}: 0 of 2 package caches, 0 B"


async def test_of_a_pool_the_fullest_cache_is_pushed_and_every_host_pulls(lab: Lab, site: Site, tmp_path: Path) -> None:
    await fill(lab.buildkitd, f"{site.key}-npm", {"a": "1"})
    await fill(lab.buildkitd, f"{site.key}-pip", {"c": "3"})
    async with another_builder(lab, tmp_path / "second") as second:
        hosts = [lab.buildkit_host, f"unix://{second}"]
        away = f"unix://{tmp_path}/away"
        more = ("--host", hosts[1], "--host", away)
        await fill(second, f"{site.key}-npm", {"a": "2"}, large=1_000_000)
        pushed = await site.cache("push", site.reference, *more, "--json")
        # By a name that no host has a cache of.
        other = secrets.token_hex(6)
        pulled = await site.cache("pull", site.reference, *more, "--json", key=other)
        found = [await held(socket, f"{other}-pip") for socket in (lab.buildkitd, second)]

    assert (pushed.code, pulled.code) == (75, 75), pushed.err + pulled.err
    assert {each["tool"]: (each["result"], each["builder"]) for each in pushed.document["tools"]} == {
        "npm": ("pushed", hosts[1]),
        "pip": ("pushed", hosts[0]),
    }
    assert [each["builder"] for each in pushed.document["missing"]] == [away]
    told = {each["builder"]: each for each in pulled.document["hosts"]}
    assert told.keys() == {*hosts, away}
    assert [[tool["result"] for tool in told[host]["tools"]] for host in hosts] == [["pulled", "pulled"]] * 2
    assert told[away]["transient"]
    assert found == [{"c": "3"}] * 2


async def test_what_is_unchanged_is_not_sent_again_and_what_is_not_pushed_stays(lab: Lab, site: Site) -> None:
    asked: list[tuple[str, str]] = []

    def listen(method: str, path: str) -> None:
        asked.append((method, path))

    await fill(lab.buildkitd, f"{site.key}-npm", {"a": "1"})
    await fill(lab.buildkitd, f"{site.key}-pip", {"b": "2"})
    async with refusing(lab, listen) as registry:
        reference = f"{registry}/packages-{site.key}:main"
        first = await site.cache("push", reference, "--json")
        assert [each for each in asked if each[0] in {"POST", "PUT", "PATCH"}]
        asked.clear()
        second = await site.cache("push", reference, "--json")
        sent = [each for each in asked if each[0] in {"POST", "PUT", "PATCH"} and "/blobs/" in each[1]]
        tags = [each for each in asked if each == ("PUT", f"/v2/packages-{site.key}/manifests/main")]
        await fill(lab.buildkitd, f"{site.key}-npm", {"c": "3"})
        third = await site.cache("push", reference, "--tool", "npm", "--json")

    assert (first.code, second.code, third.code) == (0, 0, 0), first.err + second.err + third.err
    assert second.results == {"npm": "unchanged", "pip": "unchanged"}
    assert second.document["reference"] == first.document["reference"]
    assert (sent, tags) == ([], [])
    assert (third.results, third.document["others"]) == ({"npm": "pushed"}, ["pip"])
    before, after = [
        await manifest(lab, f"{lab.registry}/packages-{site.key}@{_digest(ran)}") for ran in (first, third)
    ]
    same = [
        one["digest"] == other["digest"] for one, other in zip(before["manifests"], after["manifests"], strict=True)
    ]
    assert same == [False, True]


async def test_an_index_keeps_what_others_have_put_there_and_drops_what_the_registry_has_lost(lab: Lab) -> None:
    name = f"packages-{secrets.token_hex(6)}"
    reference = parse(f"{lab.registry}/{name}:main")

    async with registry_of(lab) as registry, client(lab.buildkitd) as builder:

        async def pushed(tool: str) -> Packages:
            image = request(
                "FROM scratch\nCOPY a /a\n", context={"a": tool.encode()}, exporter=push_to(lab.registry, name)
            )
            digest = (await builder.solve(image, on_status=Watched())).digest
            assert digest is not None
            found = await registry.get_manifest(reference.with_digest(digest))
            return Packages(tool=tool, digest=digest, size=len(found.body), media_type=found.media_type)

        npm, pip = await pushed("npm"), await pushed("pip")
        first = await publish(registry, reference, "key", [npm])
        second = await publish(registry, reference, "key", [pip])
        again = await publish(registry, reference, "key", [pip])
        both = await find(registry, reference)
        async with httpx.AsyncClient(trust_env=False) as http:
            gone = await http.delete(f"http://{lab.registry}/v2/{name}/manifests/{npm.digest}")
        third = await publish(registry, reference, "key", [pip])
        left = await find(registry, reference)

    assert (first.others, second.others, again.others) == ((), ("npm",), ("npm",))
    assert again.digest == second.digest != first.digest
    assert both is not None
    assert both.says.packages == (npm, pip)
    assert gone.is_success
    assert (third.others, third.lost) == ((), ("npm",))
    assert left is not None
    assert left.says.packages == (pip,)


def _digest(ran: Ran) -> str:
    said: str = ran.document["reference"]
    return said.partition("@")[2]


async def test_a_cache_that_a_build_uses_is_passed_over(lab: Lab, site: Site) -> None:
    await fill(lab.buildkitd, f"{site.key}-npm", {"a": "1"})
    await fill(lab.buildkitd, f"{site.key}-pip", {"b": "2"})
    async with used(lab.buildkitd, f"{site.key}-npm"):
        ran = await site.cache("push", site.reference, "--json")
        said = await site.cache("push", site.reference)

    assert (ran.code, said.code) == (0, 0), ran.err + said.err
    assert ran.results == {"npm": "busy", "pip": "pushed"}
    assert "npm: passed over: a running build uses it" in said.out.splitlines()
    assert [
        each["annotations"]["dev.fleetpacks.tool"] for each in (await manifest(lab, site.reference))["manifests"]
    ] == ["pip"]


async def test_what_cannot_be_is_refused_in_words_and_changes_nothing(lab: Lab, site: Site) -> None:
    await fill(lab.buildkitd, f"{site.key}-npm", {"a": "1"})
    repository = site.reference.removesuffix(":main")
    image = request(
        "FROM scratch\nCOPY a /npm/a\n", context={"a": b"x"}, exporter=push_to(lab.registry, parse(site.reference).path)
    )
    async with client(lab.buildkitd) as builder:
        digest = (await builder.solve(image, on_status=Watched())).digest
    assert digest is not None
    async with registry_of(lab) as registry:
        plain = await registry.get_manifest(parse(f"{repository}@{digest}"))
        await registry.put_manifest(parse(f"{repository}:image"), plain)
    entry = Packages(tool="npm", digest=digest, size=len(plain.body), media_type=OCI_MANIFEST)
    ours = encode(Artifact(cache_key="other", packages=(entry,)), media_type=OCI_INDEX, created=_CREATED)
    await put(lab, f"{repository}:other", ours)
    await put(lab, f"{repository}:newer", ours.replace(b"packages.v1+json", b"packages.v2+json"))
    await put(
        lab, f"{repository}:absurd", ours.replace(b'"dev.fleetpacks.tool":"npm"', b'"dev.fleetpacks.tool":"../x"')
    )
    rows: dict[tuple[str, ...], tuple[int, str]] = {
        ("push", f"{repository}@{digest}"): (2, "nothing else can be pushed to it"),
        ("push", f"{repository}:image"): (2, "found another kind of image"),
        ("pull", f"{repository}:image"): (2, "found another kind of image"),
        ("push", f"{repository}:other"): (2, "$CACHE_KEY 'other'"),
        ("push", f"{repository}:newer"): (2, "of format 2, and this fleetpacks knows format 1"),
        ("pull", f"{repository}:newer"): (2, "of format 2, and this fleetpacks knows format 1"),
        ("push", f"{repository}:absurd"): (2, "'../x' is no tool"),
        ("pull", f"{repository}:absurd"): (2, "'../x' is no tool"),
        ("pull", f"{repository}:none"): (1, "there are no packages"),
        ("pull", "127.0.0.1:1/x:1"): (75, "127.0.0.1:1 cannot read 127.0.0.1:1/x:1 now"),
        ("push", "127.0.0.1:1/x:1"): (75, "127.0.0.1:1 cannot read 127.0.0.1:1/x:1 now"),
        ("push", "no reference!"): (2, "is not an image reference"),
        ("push", f"{repository}:new", "--tool", "cargo-git"): (2, "no package cache of 'cargo-git'"),
    }

    ran: dict[tuple[str, ...], Ran] = {}

    async def run(row: tuple[str, ...]) -> None:
        ran[row] = await site.cache(*row)

    async with anyio.create_task_group() as tasks:  # two of them wait for a registry that is not there
        for row in rows:
            tasks.start_soon(run, row)
    nothing = await site.cache("push", f"{repository}:new", key=secrets.token_hex(6))

    assert {row: (each.code, rows[row][1] in each.err, "\nhint: " in each.err) for row, each in ran.items()} == {
        row: (code, True, True) for row, (code, _) in rows.items()
    }, [each.err for each in ran.values()]
    assert (nothing.code, "there is nothing to push" in nothing.err) == (2, True), nothing.err
    assert (await manifest(lab, f"{repository}:image"))["config"] == json.loads(plain.body)["config"]
    async with registry_of(lab) as registry:
        assert set(await registry.get_tags(parse(repository))) == {"image", "other", "newer", "absurd"}


async def test_the_packages_of_another_namespace_are_pulled_and_that_is_said(
    lab: Lab, site: Site, tmp_path: Path
) -> None:
    await fill(lab.buildkitd, f"{site.key}-npm", {"a": "1"})
    pushed = await site.cache("push", site.reference)

    async with another_builder(lab, tmp_path / "second") as second:
        ran = await site.cache("pull", site.reference, host=f"unix://{second}", key="mine")
        found = await held(second, "mine-npm")

    assert (pushed.code, ran.code) == (0, 0), pushed.err + ran.err
    assert found == {"a": "1"}
    assert f"pushed for $CACHE_KEY {site.key!r}, and fill the caches of 'mine'" in ran.err


_FAULTS = {
    "unavailable": (503, "/blobs/", 1),
    "busy": (429, "/blobs/", 1),
    "cut": (0, "/blobs/", 1),
    "cut in the middle": (CUT, "/blobs/uploads/", 1),
    "the list alone": (503, "/manifests/main", 75),
}


@pytest.mark.parametrize("fault", _FAULTS)
async def test_a_registry_that_fails_is_said_to_and_has_nothing_under_the_tag(lab: Lab, site: Site, fault: str) -> None:
    status, where, code = _FAULTS[fault]
    refused: list[str] = []

    def refuse(method: str, path: str) -> int | None:
        if where not in path or method in {"GET", "HEAD"} or (method == "POST" and status == CUT):
            return None
        refused.append(path)
        return status

    # More than goes into one piece.
    await fill(lab.buildkitd, f"{site.key}-npm", {"a": "1"}, large=1_000_000 if status == CUT else 0)
    async with refusing(lab, refuse) as registry:
        ran = await site.cache("push", f"{registry}/packages-{site.key}:main")

    assert refused
    assert ran.code == code, ran.err
    assert re.search(r"^error: .*\nhint: .", ran.err, re.MULTILINE), ran.err
    assert "Traceback" not in ran.err
    async with registry_of(lab) as real:
        assert await real.head(parse(site.reference)) is None


@pytest.fixture(params=["graph", "containerd"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(f"engine_{request.param}")
    return found


async def test_an_engine_pulls_and_pushes_as_far_as_it_can(lab: Lab, site: Site, engine: Engine) -> None:
    host = f"docker://{engine.socket}"
    await fill(lab.buildkitd, f"{site.key}-npm", {"a": "1"})
    pushed = await site.cache("push", site.reference)

    pulled = await site.cache("pull", site.reference, "--json", host=host)
    back = await site.cache("push", f"{site.reference}-back", "--json", host=host)

    assert (pushed.code, pulled.code) == (0, 0), pushed.err + pulled.err
    assert pulled.results == {"npm": "pulled", "pip": "missing"}
    if engine.kind == "graph":
        assert (back.code, "cannot push packages" in back.err) == (2, True), back.err
    else:
        assert (back.code, back.results) == (0, {"npm": "pushed", "pip": "missing"}), back.err
