"""What a client of the hosts needs: a key, the hosts' keys, OpenSSH's configuration. The user's are left alone."""

from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.lab.hosts.host import Host
from tests.lab.state import Layout

_CONFIG = """\
Host {name} {address}
  HostName {address}
  User root
  IdentityFile "{client}/id_ed25519"
  IdentitiesOnly yes
  UserKnownHostsFile "{client}/known_hosts"
  GlobalKnownHostsFile none
  StrictHostKeyChecking yes
"""


def key(place: Layout) -> Path:
    """The private key that all hosts of a lab accept."""
    return place.root / "hosts" / "id_ed25519"


def ensure_key(file: Path) -> None:
    """Make an ed25519 key pair in OpenSSH's format, `file` and `file.pub`, unless it is there."""
    if file.exists():
        return
    made = Ed25519PrivateKey.generate()
    public = made.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    file.with_name(f"{file.name}.pub").write_bytes(public + b"\n")
    temporary = file.with_name(f"{file.name}.new")
    temporary.touch(mode=0o600)
    temporary.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
    temporary.replace(file)


def write(folder: Path, hosts: Iterable[Host]) -> Path:
    """Write `config` and `known_hosts` for some hosts, with a link to the key that all of them accept.

    Args:
        folder: where to; it may be a test's own.
        hosts: hosts of one lab.

    Returns:
        The configuration, for `ssh -F`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config, lines = "", ""
    for host in hosts:
        link = folder / "id_ed25519"
        if not link.exists():
            link.symlink_to(host.folder.parent / link.name)
        config += _CONFIG.format(name=host.name, address=host.address, client=folder)
        lines += f"{host.address} {(host.folder / 'host_key.pub').read_text(encoding='ascii')}"
    (folder / "known_hosts").write_text(lines, encoding="ascii")
    (folder / "config").write_text(config, encoding="utf-8")
    return folder / "config"
