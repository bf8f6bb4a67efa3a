"""Certificates and proxies of the operator's: real tools use them in their steps, and nothing else knows of them."""

import secrets
from collections.abc import Mapping
from pathlib import Path

import anyio
import msgspec
import pytest

from orchestrator.app import networking
from orchestrator.events import AppWarning
from orchestrator.model import Network, Registry
from orchestrator.registry import reference, trust
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.manifest import content
from tests.buildkit.real import client
from tests.conftest import RealCount
from tests.e2e.conftest import Ran, Start
from tests.e2e.test_mirrors import CASES, mirror
from tests.e2e.test_secrets import words_in_image
from tests.lab import Lab
from tests.registry.conftest import certified
from tests.registry.test_tls import server_side

pytestmark = pytest.mark.real

_INDEX = "index.invalid"
_OWN = """\
FROM debian:trixie-slim
RUN test "$http_proxy" = "$HTTP_PROXY" && test "$HTTP_PROXY" = http://proxy.example:3128 && test "$NO_PROXY" = a.example
RUN --mount=type=secret,id=fleetpacks-ca,required=true grep -q BEGIN /run/secrets/fleetpacks-ca
RUN test ! -e /run/secrets/fleetpacks-network && echo %s > /run.txt
"""


class Site:
    """Apps, what the operator says, and the image that they become."""

    def __init__(self, lab: Lab, build: Start, folder: Path) -> None:
        self.word = secrets.token_hex(8)
        self.image = f"{lab.registry}/network-{self.word}"
        self.apps = folder / "source"
        self._file = folder / "operator.toml"
        self._lab = lab
        self._build = build

    def app(self, name: str, files: Mapping[str, str]) -> None:
        """Have an app."""
        for path, text in files.items():
            (self.apps / name / path).parent.mkdir(parents=True, exist_ok=True)
            (self.apps / name / path).write_text(text.replace("%s", self.word))

    async def built(self, operator: str, *, fresh: bool = False, **variables: str) -> Ran:
        """Build and push all."""
        self._file.write_text(operator)
        said = {
            "FLEETPACKS_CONFIG": str(self._file),
            "CACHE_KEY": self.word,
            "NO_CACHE": str(fresh).lower(),
            **variables,
        }
        async with self._build(self.apps, "--force", image=f"{self.image}/{{app}}:latest", variables=said) as running:
            return await running.end()

    async def knows(self, words: tuple[bytes, ...], folder: Path, *, there: bytes = b"PORT=5000") -> set[bytes]:
        """Which words are anywhere in the app's image, in which one is that shows that they would be found."""
        found = await words_in_image(self._lab, f"{self.image}/app:latest", (*words, there), folder)
        assert there in found
        return found - {there}


@pytest.fixture
def site(lab: Lab, build: Start, tmp_path: Path) -> Site:
    return Site(lab, build, tmp_path)


def _warnings(ran: Ran) -> list[str]:
    """What was said of the run."""
    return [event.message for event in ran.events if isinstance(event, AppWarning) and event.app is None]


async def _config(lab: Lab, site: Site) -> str:
    """The configuration of the app's image, with its history."""
    async with RegistryClient(Credentials(None), {lab.registry: Registry(host=lab.registry, insecure=True)}) as client:
        where, found = reference.parse(f"{site.image}/app:latest"), bytearray()

        async def keep(data: bytes) -> None:
            found.extend(data)

        await client.get_blob(where, content(await client.get_manifest(where), site.image).config, keep)
    return found.decode()


def _steps(ran: Ran) -> int:
    """How many were executed."""
    return sum(event.steps - event.cached for event in ran.completed().values())


@pytest.mark.full
@pytest.mark.parametrize("name", ["pip", "npm", "go", "gradle"])
async def test_steps_trust_the_operators_authority_which_no_image_knows(
    site: Site, real_count: RealCount, tmp_path: Path, name: str
) -> None:
    case, certificate = CASES[name], certified(tmp_path, "127.0.0.1")
    site.app("app", case.files)
    ca = tmp_path / "ca.pem"
    text = ca.read_text()
    told = f'[network]\nca = "{ca}"\n'

    async with mirror(case, secrets.token_hex(8), tls=server_side(certificate)) as index:
        # pip checks no address against a certificate, but names.
        address = index.url.replace("127.0.0.1", "localhost")
        mirrored = f'[mirrors]\n{case.index} = {{ env = "INDEX" }}\n'
        without = await site.built(mirrored, fresh=True, INDEX=address)
        asked_without = len(index.asked)
        ran = await site.built(mirrored + told, fresh=True, INDEX=address)
    # Another authority makes no other layer.
    ca.write_bytes(trust.pem(trust.bundle(ca)[:1]))
    again = await site.built(mirrored + told, INDEX=address)
    real_count.record("build", times=2)

    assert without.code == 1
    assert asked_without == 0
    assert (ran.code, again.code) == (0, 0), [*ran.failed().values(), *again.failed().values(), ran.err]
    assert index.asked
    assert _steps(again) == 0
    words = tuple(line.encode() for line in text.splitlines()[1:3])
    assert await site.knows((*words, b"fleetpacks-network", b"fleetpacks-ca"), tmp_path / "image") == set()


@pytest.mark.full
async def test_steps_use_the_operators_proxy_whose_password_nobody_reads(
    lab: Lab, site: Site, real_count: RealCount, tmp_path: Path
) -> None:
    password = f"{secrets.token_hex(8)}%40"
    case = CASES["npm"]
    site.app("app", case.files)
    # The token is in the path: whoever asks was sent here by the proxy's address.
    token = secrets.token_hex(8)

    async with mirror(case, token, through=_INDEX) as proxy:
        address = proxy.url.removesuffix(f"/{token}").replace("//", f"//me:{password}@")
        operator = (
            f'[mirrors]\nnpm = {{ url = "http://{_INDEX}/{token}" }}\n'
            '[network]\nhttp_proxy = { env = "THE_PROXY" }\nno_proxy = "a.example"\n'
        )
        ran = await site.built(operator, fresh=True, THE_PROXY=address)
    again = await site.built(operator, THE_PROXY="http://other.example:3128")
    real_count.record("build", times=2)
    async with client(lab.buildkitd) as daemon:
        history = await daemon.history(limit=20)

    assert (ran.code, again.code) == (0, 0), [*ran.failed().values(), *again.failed().values(), ran.err]
    assert any("escape-html" in path for path in proxy.asked)
    assert _steps(again) == 0
    secret = (password.encode(), password.replace("%40", "@").encode())
    assert await site.knows((*secret, b"fleetpacks-network", b"a.example"), tmp_path / "image") == set()
    told = msgspec.json.encode((ran.events, history)) + ran.err.encode()
    assert history
    assert not [each for each in secret if each in told]


async def test_a_users_own_dockerfile_has_the_proxy_as_build_arguments_and_the_authority_as_a_secret(
    lab: Lab, site: Site, real_count: RealCount, tmp_path: Path
) -> None:
    ca = certified(tmp_path, "127.0.0.1").with_name("ca.pem")
    site.app("app", {"Dockerfile": _OWN})
    operator = '[network]\nhttp_proxy = { env = "THE_PROXY" }\nno_proxy = "a.example"\n'
    addresses = ("http://proxy.example:3128", "http://other.example:3128", "http://me:hunter2@third.example:3128")

    ran, again, withheld = [
        await site.built(operator, FLEETPACKS_CA=str(ca), THE_PROXY=address) for address in addresses
    ]
    real_count.record("build", times=3)

    assert [each.code for each in (ran, again, withheld)] == [0, 0, 0], [*ran.failed().values(), ran.err]
    # Neither is a part of a step's identity.
    assert (_steps(again), _steps(withheld)) == (0, 0)
    assert [any("without the proxy" in text for text in _warnings(each)) for each in (ran, again, withheld)] == [
        False,
        False,
        True,
    ]
    assert "hunter2" not in str(withheld.events)
    config = await _config(lab, site)
    words = ("other.example", "third.example", "proxy.example:3128/", ca.read_text().splitlines()[1])
    assert site.word in config
    assert not [word for word in words if word in config]


async def test_certificates_that_cannot_be_read_end_the_run_before_a_step(site: Site, tmp_path: Path) -> None:
    site.app("app", {"Dockerfile": _OWN})

    ran = await site.built("", FLEETPACKS_CA=str(tmp_path / "missing.pem"))

    assert ran.code == 2
    assert "missing.pem: No such file" in ran.err
    assert "Name a file of certificates" in ran.err
    assert "Traceback" not in ran.err
    assert not ran.failed()


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (Network(proxies={"http": "http://p.example"}), ["http_proxy=http://p.example", "HTTP_PROXY=http://p.example"]),
        (
            Network(proxies={"https": "http://me:it's@p.example:1"}, no_proxy=".example"),
            ["https_proxy=http://me:it's@p.example:1", "NO_PROXY=.example"],
        ),
        (Network(ca=Path("/ca.pem")), ["SSL_CERT_FILE=/run/secrets/fleetpacks-ca"]),
    ],
)
async def test_a_shell_reads_what_steps_are_told(network: Network, expected: list[str], tmp_path: Path) -> None:
    (tmp_path / "script").write_text(networking.script(network))

    done = await anyio.run_process(["/bin/sh", "-c", f". {tmp_path}/script && env"], env={"JAVA_TOOL_OPTIONS": "-Da=b"})

    lines = done.stdout.decode().splitlines()
    assert set(expected) <= set(lines)
    [java] = [line for line in lines if line.startswith("JAVA_TOOL_OPTIONS=")]
    assert java.startswith("JAVA_TOOL_OPTIONS=-Da=b")
