"""An app with credentials all around it: in the environment, in the source, in the home directory, in every login."""

import json
import sys
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import anyio
import msgspec

from orchestrator.config import environment
from tests.e2e.gate import USER
from tests.e2e.planted import STEPS, public
from tests.lab import Lab
from tests.tiers import FULL

_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n"
_PROVE = """\
set -eu
proof() { printf 'proof %s %s\\n' "$1" "$(printf '%s' "$2" | sha256sum | cut -d ' ' -f 1)"; }
for name in {names}; do
  value="$(cat "/run/secrets/$name")"
  eval "[ \\"\\$$name\\" = \\"\\$value\\" ]"
  proof "$name" "$1$value"
  # What is shown of it is masked, line by line.
  cat "/run/secrets/$name"
  echo " said $name"
done
proof proxy "$1$http_proxy"
cat public.txt
# For whoever looks at processes now and then.
sleep 0.3
"""
"""Tells by hashes that nobody can try words by which secrets a step has, and prints them all."""
_HELPER = """\
#!/bin/sh
read -r _
printf '%s\\n' '{answer}'
"""
_SCANNER = 'FROM debian:trixie-slim\nCOPY scan.sh /scan.sh\nENTRYPOINT ["/bin/sh", "/scan.sh"]\n'
_SCAN = """\
cat > "$BUILDKIT_SCAN_DESTINATION/found.spdx.json" <<END
{"_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://spdx.dev/Document",
 "predicate": {"spdxVersion": "SPDX-2.3", "comment": "$(env | base64 -w 0)",
  "name": "$(find "$BUILDKIT_SCAN_SOURCE" | head -n 2000 | tr -c 'A-Za-z0-9._/-' ' ')"}}
END
"""
"""A stand-in for a real scanner: it tells of files by their names, and of all that it was told itself."""


class Ended(msgspec.Struct, frozen=True):
    """How a command ended."""

    code: int
    output: bytes


class Site:
    """Where everything lies, and what `fleetpacks` is told.

    Args:
        lab: the builder.
        folder: of the test's own.
        planted: the credentials, by name.
        marks: what is no secret, by name.
    """

    def __init__(self, lab: Lab, folder: Path, planted: Mapping[str, str], marks: Mapping[str, str]) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.source = folder / "source"
        self.temporary = folder / "temporary"
        self.scanner = folder / "tools"
        self.sessions: set[int] = set()
        """Of the processes that were started with all of it in their environment."""
        self.laid: list[Path] = []
        """Files below the home directory that hold credentials because we put them there."""
        self._lab = lab
        self._planted = planted
        self._marks = marks
        self.temporary.mkdir()

    @property
    def name(self) -> str:
        """What the image, the cache and the build command have in their names."""
        return self._marks["name"]

    def lay_source(self, files: Mapping[str, str]) -> None:
        """Put beside an app what has no place in an image; `files` are those of an app that has no directory yet."""
        said, planted = {path: text.replace("%s", self.name) for path, text in files.items()}, self._planted
        said |= {
            ".env": f"API_KEY={planted['.env']}\n",
            "deploy/.env.production": f"API_KEY={planted['.env.production']}\n",
            ".ssh/id_ed25519": _KEY.format(planted[".ssh/id_ed25519"]),
            ".netrc": f"machine git.example login me password {planted['.netrc']}\n",
            ".aws/credentials": f"[default]\naws_secret_access_key = {planted['.aws/credentials']}\n",
            "prove.sh": _PROVE.replace("{names}", " ".join(STEPS)),
        }
        for path, text in said.items():
            _write(self.source / path, text)
        for path, data in public(self._marks).items():
            (self.source / path).write_bytes(data)
        own = self.source / "fleetpacks.toml"
        declared = 'secrets = ["NPM_TOKEN", "DEPLOY_KEY", { name = "LICENCE", invalidates = true }]\n'
        own.write_text(declared + (own.read_text() if own.exists() else ""))
        _write(self.scanner / "scanner/Dockerfile", _SCANNER)
        _write(self.scanner / "scanner/scan.sh", _SCAN)

    async def commit(self) -> None:
        """Make the source a checkout whose origin has a token in its address."""
        commit = ("-c", "user.name=n", "-c", "user.email=e", "commit", "--quiet", "-m", "first")
        for words in (("init", "--quiet", "."), ("add", "prove.sh"), commit):
            await anyio.run_process(["git", *words], cwd=self.source)
        # Written, and not told to git: its arguments are looked at, too.
        with (self.source / ".git/config").open("a") as config:
            address = f"https://me:{self._planted['.git/config']}@git.example/shop.git"
            config.write(f'[remote "origin"]\n\turl = {address}\n')

    def lay_home(self, *, registry: str, caches: str) -> None:
        """Put where tools look for them the logins of whoever builds.

        Args:
            registry: the host whose login stands in Docker's configuration.
            caches: the one whose login a helper knows.
        """
        planted = self._planted
        login = b64encode(f"{USER}:{planted['registry password']}".encode()).decode()
        docker = {
            "auths": {registry: {"auth": login}, "registry.example": {"identitytoken": planted["identity token"]}},
            "credHelpers": {caches: "planted"},
        }
        lines = {
            ".docker/config.json": json.dumps(docker),
            ".npmrc": f"//registry.npmjs.org/:_authToken={planted['~/.npmrc']}\n",
            ".netrc": f"machine git.example login me password {planted['~/.netrc']}\n",
            ".m2/settings.xml": "<settings><servers><server><id>central</id><username>me</username>"
            f"<password>{planted['~/.m2/settings.xml']}</password></server></servers></settings>\n",
            ".config/pip/pip.conf": "[global]\nindex-url = "
            f"https://me:{planted['~/.config/pip/pip.conf']}@pypi.example/simple\n",
            ".aws/credentials": f"[default]\naws_secret_access_key = {planted['~/.aws/credentials']}\n",
            ".git-credentials": f"https://me:{planted['~/.git-credentials']}@git.example\n",
            ".ssh/id_ed25519": _KEY.format(planted["~/.ssh/id_ed25519"]),
        }
        for path, text in lines.items():
            self.laid.append(_write(self.home / path, text))
        answer = json.dumps({"ServerURL": caches, "Username": USER, "Secret": planted["cache registry password"]})
        helper = _write(self.folder / "bin/docker-credential-planted", _HELPER.replace("{answer}", answer))
        helper.chmod(0o700)
        _write(self.folder / "secrets/deploy_key", _KEY.format(planted["DEPLOY_KEY"]))
        _write(self.folder / "secrets/licence", f"{planted['LICENCE']}\n")

    def lay_operator(self, index: str) -> None:
        """Write the operator's file: one index is mirrored for the app, another one for nobody."""
        other = "hex" if index == "nuget" else "nuget"
        address = _write(self.folder / "secrets/other", f"https://me:{self._planted['unused mirror']}@index.example/\n")
        _write(
            self.folder / "operator.toml",
            '[secrets]\nNPM_TOKEN = { env = "NPM_TOKEN" }\n'
            f'DEPLOY_KEY = {{ file = "{self.folder}/secrets/deploy_key" }}\n'
            f'LICENCE = {{ file = "{self.folder}/secrets/licence" }}\n'
            f'[mirrors]\n{index} = {{ env = "THE_MIRROR" }}\n{other} = {{ file = "{address}" }}\n'
            '[network]\nhttp_proxy = { env = "THE_PROXY" }\nno_proxy = "127.0.0.1,localhost"\n',
        )

    @property
    def proxy(self) -> str:
        """The address of the steps' proxy, which nobody has to ask: all that is fetched by HTTP is on this machine."""
        return f"http://me:{quote(self._planted['proxy'], safe='')}@127.0.0.1:9"

    def variables(self, *, mirror: str, collector: str, caches: str, build: str) -> dict[str, str]:
        """The environment: settings, and whatever else a CI job has in it."""
        planted = self._planted
        auth = b64encode(f"me:{planted['DOCKER_AUTH_CONFIG']}".encode()).decode()
        named = (
            *("NPM_TOKEN", "SLACK_TOKEN", "FLEETPACKS_HMAC_KEY", "DHI_PASSWORD", "GITHUB_TOKEN", "CI_JOB_TOKEN"),
            *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PGPASSWORD", "STRIPE_API_KEY"),
            *("RAILS_MASTER_KEY", "KUBE_TOKEN", "DEPLOY_TOKEN"),
        )
        return {
            **{name: planted[name] for name in named},
            "PATH": f"{self.folder}/bin:{environment.read()['PATH']}",
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "FLEETPACKS_CONFIG": f"{self.folder}/operator.toml",
            "THE_MIRROR": mirror,
            "THE_PROXY": self.proxy,
            "BUILD_COMMAND": build,
            "BUILD_VARS": json.dumps({"STAGE": "planted", "SENTRY_AUTH_TOKEN": planted["SENTRY_AUTH_TOKEN"]}),
            "PUBLIC_MARK": self._marks["variable"],
            "CACHE_IMAGE": f"{caches}/planted-{self.name}/cache:v1",
            # With "max" the layers of all stages are sent, and those of the base images with them.
            "CACHE_MODE": "max" if FULL else "min",
            "CACHE_KEY": self.name,
            "RESULT_FILE": f"{self.folder}/result.json",
            "DHI_USERNAME": "me",
            "DATABASE_URL": f"postgres://shop:{quote(planted['DATABASE_URL'], safe='')}@db.example/shop",
            "SESSION_JWT": f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.{planted['SESSION_JWT']}",
            "DOCKER_AUTH_CONFIG": json.dumps({"auths": {"other.example": {"auth": auth}}}),
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{planted['token of a collector']}",
        }

    async def told(self, variables: Mapping[str, str], *words: str) -> Ended:
        """Run `fleetpacks`, and read all that it says."""
        program = Path(sys.executable).with_name("fleetpacks")
        file = self.folder / "told"
        with file.open("wb") as output:
            process = await anyio.open_process(
                [str(program), *words], env=variables, stdout=output, stderr=output, start_new_session=True
            )
            async with process:
                self.sessions.add(process.pid)
                code = await process.wait()
        return Ended(code=code, output=file.read_bytes())


def _write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file
