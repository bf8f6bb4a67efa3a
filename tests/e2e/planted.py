"""Credentials of one run alone, all the ways in which each could be written, and the search for them in whatever is.

What is searched is unpacked first, whatever it is called: gzip, tar and zip in each other. `grep` does the looking:
some hundred words in some hundred megabytes are nothing for it.
"""

import gzip
import hashlib
import io
import json
import secrets
import shutil
import string
import tarfile
import zipfile
import zlib
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, quote_plus

import anyio
import anyio.to_thread
import msgspec

from orchestrator.config import environment

_ALPHABET = string.ascii_letters + string.digits
_DEEPEST = 4
"""Archives in archives."""
_ZSTD = b"\x28\xb5\x2f\xfd"
_BROKEN = (OSError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError, RuntimeError, NotImplementedError)
"""What merely begins as an archive does: then its bytes are all there is of it."""

STEPS = ("NPM_TOKEN", "DEPLOY_KEY", "LICENCE", "SLACK_TOKEN", "SENTRY_AUTH_TOKEN")
"""Those that build steps have as secrets."""
SEEN = frozenset({*STEPS, "mirror", "proxy"})
"""Those that build steps may have in their environment."""


class Found(msgspec.Struct, frozen=True, order=True):
    """What was found, and as what."""

    name: str
    form: str


def word(length: int) -> str:
    """Letters and digits that nobody has drawn before."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def awkward(length: int) -> str:
    """The same, with what URLs, JSON and base64 write in another way."""
    return f"{word(length // 2)}+/@%{word(length - length // 2)}="


def draw() -> dict[str, str]:
    """One credential of each kind. Of a key it is one line, which is enough to know it by."""
    return {
        # Build steps have these.
        "NPM_TOKEN": f"npm_{word(36)}",
        "DEPLOY_KEY": word(64),
        "LICENCE": awkward(32),
        "SLACK_TOKEN": f"xoxb-{word(12)}-{word(24)}",
        "SENTRY_AUTH_TOKEN": word(64),
        "mirror": word(32),
        "proxy": awkward(24),
        # The program uses these, and nobody else does.
        "FLEETPACKS_HMAC_KEY": word(48),
        "registry password": awkward(24),
        "cache registry password": awkward(24),
        "token of a registry": word(24),
        "token of a collector": word(40),
        "unused mirror": word(32),
        # The program has been told of these, and needs none of them.
        "identity token": word(80),
        "DOCKER_AUTH_CONFIG": awkward(24),
        "DHI_PASSWORD": awkward(24),
        "GITHUB_TOKEN": f"ghp_{word(36)}",
        "CI_JOB_TOKEN": f"glpat-{word(20)}",
        "AWS_ACCESS_KEY_ID": f"AKIA{secrets.token_hex(8).upper()}",
        "AWS_SECRET_ACCESS_KEY": awkward(36),
        "AWS_SESSION_TOKEN": awkward(200),
        "DATABASE_URL": awkward(20),
        "PGPASSWORD": awkward(20),
        "SESSION_JWT": word(43),
        "STRIPE_API_KEY": f"sk_live_{word(24)}",
        "RAILS_MASTER_KEY": secrets.token_hex(16),
        "KUBE_TOKEN": word(60),
        "DEPLOY_TOKEN": word(40),
        "argument": word(40),
        # These lie beside what is built.
        ".env": word(40),
        ".env.production": awkward(32),
        ".ssh/id_ed25519": word(64),
        ".netrc": word(32),
        ".aws/credentials": awkward(36),
        ".git/config": f"ghp_{word(36)}",
        # These lie in the home directory of whoever builds.
        "~/.npmrc": f"npm_{word(36)}",
        "~/.netrc": word(32),
        "~/.m2/settings.xml": word(32),
        "~/.config/pip/pip.conf": word(32),
        "~/.aws/credentials": awkward(36),
        "~/.git-credentials": f"ghp_{word(36)}",
        "~/.ssh/id_ed25519": word(64),
    }


def controls() -> dict[str, str]:
    """What is no secret, and must be found: with it, that the others were not is worth something."""
    return {
        "name": secrets.token_hex(12),
        "file": word(32),
        "variable": word(32),
        "percent": awkward(32),
        "base64": word(32),
        "packed": word(32),
    }


def public(known: Mapping[str, str]) -> Mapping[str, bytes]:
    """Files of an app that hold the controls, by their names."""
    lines = [known["file"], quote(known["percent"], safe=""), b64encode(f"me:{known['base64']}".encode()).decode()]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.txt", f"{known['packed']}\n" * 20)
    return {"public.txt": "\n".join((*lines, "")).encode(), "public.zip": packed.getvalue()}


def forms(value: str) -> Iterator[tuple[str, bytes]]:
    """A value in all the ways in which it may be written."""
    data = value.encode()
    yield "literal", data
    for text in {quote(value, safe=""), quote(value), quote_plus(value)} - {value}:
        yield "percent-encoded", text.encode()
        yield "percent-encoded", _lower(text).encode()
    for text in {json.dumps(value)[1:-1], value.replace("/", "\\/")} - {value}:
        yield "escaped", text.encode()
    for part in _aligned(data):
        yield "base64", part
        yield "base64", part.translate(bytes.maketrans(b"+/", b"-_"))
    for name in ("sha256", "sha1", "md5"):
        # Whoever knows a plain hash can try values.
        yield "hash", hashlib.new(name, data).hexdigest().encode()


def _lower(text: str) -> str:
    first, *rest = text.split("%")
    return "%".join((first, *(part[:2].lower() + part[2:] for part in rest)))


def _aligned(data: bytes) -> Iterator[bytes]:
    """What is the same of its base64 whatever stands around it, for each place at which it may begin."""
    for before in range(3):
        first, last = -(-before * 8 // 6), (before + len(data)) * 8 // 6
        yield b64encode(bytes(before) + data)[first:last]


class Search:
    """Looks for words in all their forms.

    Attributes:
        places: files of directories in which some were found, for whoever has to find out why.

    Args:
        words: by name.
        folder: where it may write what it unpacks.
    """

    def __init__(self, words: Mapping[str, str], folder: Path) -> None:
        self.places: dict[str, set[Found]] = {}
        self._meanings: dict[bytes, set[Found]] = {}
        for name, value in words.items():
            for form, text in forms(value):
                assert len(text) >= 12, "a shorter word is found by chance"
                self._meanings.setdefault(text, set()).add(Found(name, form))
        folder.mkdir()
        self._folder = folder
        self._patterns = folder / "patterns"
        self._patterns.write_bytes(b"".join(text + b"\n" for text in self._meanings))
        self._searched = 0

    async def text(self, *texts: str | bytes) -> set[Found]:
        """What stands in texts."""
        file = self._new()
        file.write_bytes(b"\n".join(text.encode() if isinstance(text, str) else text for text in texts) + b"\n")
        return await self.file(file)

    async def below(self, folder: Path, *, without: Iterable[Path] = ()) -> set[Found]:
        """What stands in the files below a directory, and in their names."""
        left = {str(path) for path in without}
        names = await anyio.to_thread.run_sync(_names, folder)
        found = await self.text(*names)
        words = ["grep", "-r", "-a", "-F", "-o", "-H", "-Z", "-f", str(self._patterns), str(folder)]
        for line in (await _output(words)).split(b"\n"):
            place, _, text = line.partition(b"\0")
            if text and place.decode() not in left:
                found |= self._meanings[text]
                self.places.setdefault(place.decode(), set()).update(self._meanings[text])
        nested = self._new()
        await anyio.to_thread.run_sync(_unpack_all, names, nested)
        found |= await self._looked(nested)
        nested.unlink()
        return found

    async def file(self, file: Path, *, known: frozenset[str] = frozenset()) -> set[Found]:
        """What stands in a file, packed or not.

        Args:
            file: of any size.
            known: names of members that need not be looked at.
        """
        plain, nested = self._new(), self._new()
        try:
            await anyio.to_thread.run_sync(_unpack, file, plain, nested, known)
            return await self._looked(plain) | await self._looked(nested)
        finally:
            plain.unlink(missing_ok=True)
            nested.unlink(missing_ok=True)

    def _new(self) -> Path:
        self._searched += 1
        return self._folder / str(self._searched)

    async def _looked(self, file: Path) -> set[Found]:
        output = await _output(["grep", "-a", "-F", "-o", "-h", "-f", str(self._patterns), str(file)])
        return {meaning for text in set(output.split(b"\n")) - {b""} for meaning in self._meanings[text]}


async def _output(words: list[str]) -> bytes:
    done = await anyio.run_process(words, check=False, env={"PATH": environment.read()["PATH"], "LC_ALL": "C"})
    assert done.returncode in {0, 1}, done.stderr
    return done.stdout


def _names(folder: Path) -> list[str]:
    """Of all that is below a directory, and of what links there lead to."""
    paths = sorted(folder.rglob("*"))
    return [*map(str, paths), *(str(path.readlink()) for path in paths if path.is_symlink())]


def _unpack_all(names: Iterable[str], nested: Path) -> None:
    with nested.open("wb") as into:
        for file in map(Path, names):
            if file.is_file() and not file.is_symlink():
                _write_packed(file.read_bytes(), into, 0)


def _unpack(file: Path, plain: Path, nested: Path, known: frozenset[str]) -> None:
    """Write a file's own bytes into one, and those of what is packed in it into another."""
    with file.open("rb") as source:
        magic = source.read(4)
    assert magic != _ZSTD, "nothing here packs so: what is in it would not be searched"
    shutil.copyfile(file, plain)
    if magic[:2] == b"\x1f\x8b":
        with suppress(*_BROKEN), plain.open("wb") as into, gzip.open(file) as source:
            shutil.copyfileobj(source, into, 1 << 20)
    with nested.open("wb") as into:
        with plain.open("rb") as source:
            beginning = source.read(262)
        if beginning[257:] != b"ustar":
            _write_packed(plain.read_bytes(), into, 0)
            return
        # Layers are large, and not held as one.
        with tarfile.open(plain, "r:") as tar:
            for member in tar:
                if member.isreg() and member.name not in known and (inner := tar.extractfile(member)) is not None:
                    _write_packed(inner.read(), into, 0)


def _write_packed(data: bytes, into: io.BufferedWriter, depth: int) -> None:
    """Write what is packed in an archive: not the archive itself."""
    if depth > _DEEPEST:
        return
    with suppress(*_BROKEN):
        if data[:2] == b"\x1f\x8b":
            inner = gzip.decompress(data)
            into.write(inner + b"\n")
            _write_packed(inner, into, depth + 1)
        elif data[:4] == b"PK\x03\x04":
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for each in archive.infolist():
                    inner = archive.read(each)
                    into.write(f"\n{each.filename}\n".encode(errors="replace") + inner + b"\n")
                    _write_packed(inner, into, depth + 1)
        elif data[257:262] == b"ustar":
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                for member in tar:
                    if member.isreg() and (opened := tar.extractfile(member)) is not None:
                        _write_packed(opened.read(), into, depth + 1)
