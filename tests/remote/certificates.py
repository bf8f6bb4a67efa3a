"""An authority, a daemon's certificate and a client's, as files with the names that docker and buildctl use."""

import datetime as dt
import ipaddress
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVER_NAME = "builder.example"


class Certificates(msgspec.Struct, frozen=True, kw_only=True):
    """Directories, each with `ca.pem`, `cert.pem` and `key.pem`."""

    server: Path
    """Valid for 127.0.0.1 and for `SERVER_NAME`."""
    client: Path

    @property
    def query(self) -> str:
        """The query of a client's address."""
        folder = self.client
        return f"cacert={folder}/ca.pem&cert={folder}/cert.pem&key={folder}/key.pem"


def make(folder: Path) -> Certificates:
    """Make all of them below a directory."""
    authority = ec.generate_private_key(ec.SECP256R1())
    issuer = _name("authority")
    root = _sign(issuer, authority.public_key(), issuer, authority, ca=True)
    made = Certificates(server=folder / "server", client=folder / "client")
    for place, usage in (
        (made.server, ExtendedKeyUsageOID.SERVER_AUTH),
        (made.client, ExtendedKeyUsageOID.CLIENT_AUTH),
    ):
        key = ec.generate_private_key(ec.SECP256R1())
        signed = _sign(_name(place.name), key.public_key(), issuer, authority, usage=usage)
        place.mkdir(parents=True)
        (place / "ca.pem").write_bytes(root.public_bytes(serialization.Encoding.PEM))
        (place / "cert.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        (place / "key.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    return made


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _sign(
    subject: x509.Name,
    public: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    authority: ec.EllipticCurvePrivateKey,
    *,
    ca: bool = False,
    usage: x509.ObjectIdentifier | None = None,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName(SERVER_NAME)]
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    )
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(authority, hashes.SHA256())
