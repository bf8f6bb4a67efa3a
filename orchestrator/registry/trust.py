"""Certificates: an authority that the operator trusts beside the usual ones, for our own requests and for build steps.

Tools of build steps mostly read one file, which is all that they trust then: they get the usual authorities of this
machine with the operator's behind them. Java reads a store of its own: its oldest format, which every Java since reads,
is a list of certificates with a checksum (sun.security.provider.JavaKeyStore, OpenJDK 21).
"""

import hashlib
import re
import ssl
import struct
from collections.abc import Sequence
from pathlib import Path

from orchestrator.errors import ConfigError
from orchestrator.registry.failures import clean

LARGEST = 500 * 1024
"""Bytes of a secret that a builder takes (session/secrets, BuildKit v0.30.0)."""
PASSWORD = "changeit"  # noqa: S105 -- Java's own, for stores that hold no secret
_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----")
_USUAL = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
"""Where distributions keep theirs: Debian and Alpine, Red Hat, macOS."""
_MAGIC, _VERSION, _TRUSTED = 0xFEEDFEED, 2, 2
_WHITENER = b"Mighty Aphrodite"
"""What is summed up behind the password."""


def verifying(ca: Path | None) -> ssl.SSLContext:
    """Verifies certificates, against SSL_CERT_FILE or SSL_CERT_DIR where these are set, and the operator's authorities.

    Raises:
        ConfigError: what they name is not there, or is something else; or as `read`.
    """
    from orchestrator.registry.http import httpx  # noqa: PLC0415 -- start-up counts: where there is TLS alone

    try:
        made = httpx.create_ssl_context(trust_env=True)
    except OSError as error:
        raise ConfigError(
            f"the certificates of known authorities cannot be read: {clean(error.strerror or str(error))}",
            hint="let SSL_CERT_FILE name a file of certificates in PEM, SSL_CERT_DIR a directory of such, or neither",
        ) from error
    add(made, ca)
    return made


def add(context: ssl.SSLContext, ca: Path | None) -> None:
    """Have the operator's authorities trusted, too.

    Raises:
        ConfigError: as `read`.
    """
    if ca is not None:
        _load(context, read(ca))


def read(path: Path) -> tuple[bytes, ...]:
    """The operator's certificates, as DER.

    Raises:
        ConfigError: the file cannot be read, has none, or has more than certificates.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint="Name a file of certificates that can be read.") from error
    if b"PRIVATE KEY-----" in data:
        raise ConfigError(f"{path}: it holds a private key", hint="Build steps read this file: certificates only.")
    try:
        found = certificates(data)
        _load(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), found)
    except (ValueError, ssl.SSLError) as error:
        raise ConfigError(f"{path}: a certificate in it is none: {error}", hint="Export it again, as PEM.") from error
    if not found:
        raise ConfigError(f"{path}: there is no certificate in it", hint="It is read as PEM: BEGIN CERTIFICATE.")
    return found


def certificates(data: bytes) -> tuple[bytes, ...]:
    """Those of a file in PEM, as DER, each once.

    Raises:
        ValueError: one is broken.
    """
    return tuple(dict.fromkeys(ssl.PEM_cert_to_DER_cert(each.decode()) for each in _CERTIFICATE.findall(data)))


def bundle(ca: Path) -> tuple[bytes, ...]:
    """The usual authorities of this machine and the operator's, as DER.

    Raises:
        ConfigError: the operator's file cannot be read, or the usual one.
    """
    usual = _usual()
    try:
        known = certificates(usual.read_bytes())
    except (OSError, ValueError) as error:
        hint = "Let SSL_CERT_FILE name a file of certificates in PEM."
        raise ConfigError(f"{usual}: the usual authorities cannot be read: {error}", hint=hint) from error
    return tuple(dict.fromkeys((*known, *read(ca))))


def pem(found: Sequence[bytes]) -> bytes:
    """Certificates as most tools read them."""
    return "".join(map(ssl.DER_cert_to_PEM_cert, found)).encode()


def key_store(found: Sequence[bytes]) -> bytes:
    """Certificates as Java reads them."""
    head = struct.pack(">III", _MAGIC, _VERSION, len(found))
    data = head + b"".join(_entry(f"ca{number}", certificate) for number, certificate in enumerate(found))
    checked = hashlib.sha1(PASSWORD.encode("utf-16-be") + _WHITENER + data, usedforsecurity=False)
    return data + checked.digest()


def _entry(alias: str, certificate: bytes) -> bytes:
    name, kind = (struct.pack(">H", len(text)) + text.encode() for text in (alias, "X.509"))
    created = struct.pack(">Q", 0)
    return struct.pack(">I", _TRUSTED) + name + created + kind + struct.pack(">I", len(certificate)) + certificate


def _load(context: ssl.SSLContext, found: Sequence[bytes]) -> None:
    # One by one: behind the first, what is none may be taken for the end.
    for each in found:
        context.load_verify_locations(cadata=each)


def _usual() -> Path:
    # What the environment names (SSL_CERT_FILE), else the distribution's, else that of the large browsers.
    named = ssl.get_default_verify_paths().cafile
    places = (*([named] if named else []), *_USUAL)
    there = next((place for place in map(Path, places) if place.is_file()), None)
    if there is None:
        import certifi  # noqa: PLC0415 -- httpx has read it by now, where certificates matter

        there = Path(certifi.where())
    return there
