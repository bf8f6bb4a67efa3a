"""Policies for the sources of a build: as they are sent, and what daemons make of them."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest

from orchestrator.buildkit import Client, DirectoryDestination, Exporter, SolveRequest, SourceRule
from orchestrator.buildkit.build import encode_solve
from orchestrator.buildkit.protos import control_pb2, policy_pb2
from orchestrator.engine.mirroring import Elsewhere, converted
from orchestrator.engine.request import pinned
from orchestrator.errors import FleetpacksError, ImageNotFoundError, RegistryUnavailableError
from orchestrator.model import Registry
from orchestrator.registry import reference
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from remote import address, connect
from tests.buildkit.real import Watched, client, private_daemon, push_to, request
from tests.conftest import RealCount
from tests.lab import Engine, Lab

_BASE = "debian:bookworm-slim"


def test_a_policy_is_sent_with_its_rules_in_their_order() -> None:
    rules = (
        SourceRule(action="deny", identifier="*"),
        SourceRule(action="allow", identifier="^git://", match="regex"),
        SourceRule(action="convert", identifier="docker-image://a/b:1", match="exact", to="docker-image://c/d:2"),
    )
    plain = request("FROM scratch\n", context={})

    sent = control_pb2.SolveRequest.FromString(encode_solve(_with(plain, *rules), session_id="s"))
    none = control_pb2.SolveRequest.FromString(encode_solve(pinned(plain, {}), session_id="s"))

    assert sent.source_policy.version == 1
    assert [
        (rule.action, rule.selector.identifier, rule.selector.match_type, rule.updates.identifier)
        for rule in sent.source_policy.rules
    ] == [
        (policy_pb2.DENY, "*", policy_pb2.WILDCARD, ""),
        (policy_pb2.ALLOW, "^git://", policy_pb2.REGEX, ""),
        (policy_pb2.CONVERT, "docker-image://a/b:1", policy_pb2.EXACT, "docker-image://c/d:2"),
    ]
    assert [rule.HasField("updates") for rule in sent.source_policy.rules] == [False, False, True]
    assert not none.HasField("source_policy")


class Builder(msgspec.Struct, frozen=True):
    client: Client
    knows: bool
    """Whether it knows of policies: its BuildKit is v0.11 or newer."""


@pytest.fixture(params=["current", "oldest", "containerd", "graph"])
async def builder(request: pytest.FixtureRequest, lab: Lab, tmp_path: Path) -> AsyncGenerator[Builder]:
    kind: str = request.param
    async with AsyncExitStack() as stack:
        if kind in {"containerd", "graph"}:
            engine: Engine = request.getfixturevalue(f"engine_{kind}")
            at = address.parse(f"docker://{engine.socket}")
            made = Client(await connect.dialer(at), address=str(at))
        elif kind == "oldest":
            (tmp_path / "daemon").mkdir()
            daemon = private_daemon(lab, tmp_path / "daemon", program=lab.oldest_buildkitd, snapshotter="overlayfs")
            _, socket = await stack.enter_async_context(daemon)
            made = client(socket)
        else:
            made = client(lab.buildkitd)
        yield Builder(await stack.enter_async_context(made), kind != "graph")


@pytest.mark.real
async def test_a_source_is_converted_by_its_whole_name_or_by_a_part_of_it(
    lab: Lab, builder: Builder, real_count: RealCount, tmp_path: Path
) -> None:
    name = f"policy-{secrets.token_hex(6)}/base"
    digests = {word: await published(lab, name, word) for word in ("one", "two")}
    place = f"docker-image://{lab.registry}/{name}"
    whole = SourceRule(action="convert", identifier=f"{place}:one", to=f"{place}:one@{digests['two']}")
    wildcard = SourceRule(action="convert", identifier=f"{place}:o*", to=f"{place}:tw${{1}}")
    other = SourceRule(action="convert", identifier=f"{place}:on", to=f"{place}:two")
    dockerfile = f"FROM {lab.registry}/{name}:one\n"
    found: list[str] = []

    for number, rules in enumerate(((), (whole,), (other,), (other, wildcard))):
        made = tmp_path / str(number)
        solve = request(dockerfile, context={}, exporter=_files(made))
        if rules and wildcard in rules:
            # `one` becomes `twne`: a name that is given once more.
            await published(lab, name, "twne")
        await builder.client.solve(_with(solve, *rules), on_status=Watched())
        found.append((made / "content").read_text())
        real_count.record("build")

    assert found == (["one", "two", "one", "twne"] if builder.knows else ["one"] * 4)


@pytest.mark.real
async def test_an_image_that_its_registry_does_not_have_is_taken_from_a_mirror_as_it_was_looked_up(
    lab: Lab, builder: Builder, real_count: RealCount, tmp_path: Path
) -> None:
    name = f"policy-{secrets.token_hex(6)}"
    digest = await published(lab, f"{name}/hub/{name}/base", "one")
    # For the lab's builders its registry is Docker Hub, which has no such image.
    image = Elsewhere(name=f"docker.io/{name}/base:one", at=f"{lab.registry}/{name}/hub/{name}/base:one")
    solve = request(f"FROM {name}/base:one\n", context={}, exporter=_files(tmp_path / "made"))
    solve = converted(pinned(solve, {f"{name}/base:one": digest}), [image])

    if not builder.knows:
        with pytest.raises((ImageNotFoundError, RegistryUnavailableError)):
            await builder.client.solve(solve, on_status=Watched())
        return
    await builder.client.solve(solve, on_status=Watched())
    real_count.record("build")

    assert (tmp_path / "made/content").read_text() == "one"


@pytest.mark.real
async def test_a_source_that_is_denied_fails_the_build(lab: Lab) -> None:
    rule = SourceRule(action="deny", identifier="docker-image://docker.io/*")

    async with client(lab.buildkitd) as daemon:
        with pytest.raises(FleetpacksError, match="denied by policy"):
            await daemon.solve(_with(request(f"FROM {_BASE}\n", context={}), rule), on_status=Watched())


@pytest.mark.real
@pytest.mark.parametrize("first", ["by its tag", "by its digest"])
async def test_steps_on_a_pinned_base_image_are_those_on_its_tag(
    lab: Lab, builder: Builder, real_count: RealCount, first: str
) -> None:
    async with _registry(lab) as registry:
        found = await registry.head(reference.parse(f"{lab.registry}/library/{_BASE}"))
    assert found is not None
    dockerfile = f"FROM {_BASE}\nRUN echo {secrets.token_hex(8)} > /word\n"

    def solve(*, pin: bool) -> SolveRequest:
        return pinned(request(dockerfile, context={}), {_BASE: found.digest} if pin else {})

    before, after = Watched(), Watched()
    pin_first = first == "by its digest"
    await builder.client.solve(solve(pin=pin_first), on_status=before)
    await builder.client.solve(solve(pin=not pin_first), on_status=after)
    real_count.record("build", times=2)

    assert not before.step("RUN").cached
    assert after.step("RUN").cached
    assert found.digest in after.step("FROM").name
    assert before.step("FROM").name == after.step("FROM").name


def _with(solve: SolveRequest, *rules: SourceRule) -> SolveRequest:
    return msgspec.structs.replace(solve, source_policy=rules)


def _files(directory: Path) -> Exporter:
    return Exporter(type="local", attrs={}, destination=DirectoryDestination(path=directory))


def _registry(lab: Lab) -> RegistryClient:
    return RegistryClient(Credentials(None), {lab.registry: Registry(host=lab.registry, insecure=True)})


async def published(lab: Lab, name: str, word: str) -> str:
    """Publish an image that holds a word, under a tag of that name."""
    async with client(lab.buildkitd) as daemon, _registry(lab) as registry:
        solve = request("FROM scratch\nCOPY content /\n", context={"content": word.encode()})
        solve = msgspec.structs.replace(solve, exporter=push_to(lab.registry, name))
        made = await daemon.solve(solve, on_status=Watched())
        at = reference.parse(f"{lab.registry}/{name}@{made.digest}")
        await registry.put_manifest(at.with_tag(word), await registry.get_manifest(at))
    assert made.digest is not None
    return made.digest
