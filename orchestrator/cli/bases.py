"""`fleetpacks bases`: base images out of packages, for places that reach no image registry but their own."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from langs.indexes import ORIGINS
from orchestrator.bases import choosing, contents
from orchestrator.bases.recipes import load as load_recipes
from orchestrator.cli import loop, output
from orchestrator.config import Config, Flags, credentials, environment, load
from orchestrator.errors import ConfigError, UsageError
from orchestrator.report import place
from orchestrator.text import duration

if TYPE_CHECKING:
    from orchestrator.app.bases import Made
    from orchestrator.bases.contents import Lock

_LOCK = "bases.lock"
_LOCK_OPTION = "--lock"


@click.group()
def bases() -> None:
    """Make base images out of a distribution's packages and language registries."""


@bases.command(name="ls")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line and image.")
def ls(*, as_json: bool) -> int:
    """List the images that can be made."""
    for recipe in load_recipes().images:
        if as_json:
            output.write_json({"name": recipe.name, "tags": recipe.tags, "aliases": recipe.aliases, "on": recipe.on})
    if not as_json:
        output.write_table(
            (recipe.names[0], f"on {recipe.on}" if recipe.on else "", recipe.holds or "")
            for recipe in load_recipes().images
        )
    return 0


@bases.command()
@click.option("--prefix", metavar="REGISTRY/PATH", required=True, help="Where the images go.")
@click.option("--host", "hosts", metavar="URL", multiple=True, help="The builder; default: as for `build`.")
@click.option("--root", metavar="IMAGE", help="A Debian to stand on; default: debootstrap makes one.")
@click.option(
    "--mirror",
    "mirrors",
    metavar="NAME=URL",
    multiple=True,
    help=f"Where packages are: {', '.join(ORIGINS)}. Default: the operator's file, else the public ones.",
)
@click.option(
    "--ca",
    "authorities",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A certificate authority that images trust. Repeatable.",
)
@click.option("--aliases", is_flag=True, help="Also the tags of versions that an image only stands in for.")
@click.option(_LOCK_OPTION, metavar="FILE", type=click.Path(path_type=Path), default=_LOCK, help=f"Default: {_LOCK}.")
@click.option("--locked", is_flag=True, help="Make exactly what the lock file says, or nothing.")
@click.option("--sbom", metavar="DIR", type=click.Path(path_type=Path), help="Write the SBOMs into DIR, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line and image.")
@click.argument("names", metavar="[NAME...]", nargs=-1)
def build(
    *,
    prefix: str,
    hosts: tuple[str, ...],
    root: str | None,
    mirrors: tuple[str, ...],
    authorities: tuple[Path, ...],
    aliases: bool,
    lock: Path,
    locked: bool,
    sbom: Path | None,
    as_json: bool,
    names: tuple[str, ...],
) -> int:
    """Make the images NAME, with those that they stand on, and push them below --prefix; without NAMEs, all.

    A NAME is that of an image (`node`, `oven/bun`) or of a language (`java`). Each image has an SBOM attested; the lock
    file says what is in each of them, and keeps what it says of others.
    """
    from orchestrator.app import bases as application  # noqa: PLC0415 -- h2, protobuf: only now
    from orchestrator.registry.reference import parse  # noqa: PLC0415 -- as above

    config = load(None, environment.read(), Flags(hosts=hosts))
    parse(f"{prefix}/{application.SCANNER}")
    asked = application.Asked(
        recipes=load_recipes().only(choosing.repositories(names)),
        prefix=prefix.rstrip("/"),
        registries=loop.run(partial(_registries, config, mirrors, root)),
        root=root,
        certificates=_certificates(authorities),
        aliases=aliases,
        locked=_locked(lock) if locked else None,
    )
    earlier = None
    if not locked:
        place.check(lock, what="the lock file", said_by=_LOCK_OPTION)
        # What is no file, or an empty one, says nothing yet.
        earlier = _locked(lock) if lock.is_file() and lock.stat().st_size else None

    def hear(made: "Made") -> None:
        if sbom is not None:
            sbom.mkdir(parents=True, exist_ok=True)
            file = sbom / f"{made.image.name.replace('/', '-')}-{made.image.tags[0]}.spdx.json"
            place.write(file, made.sbom, what="the SBOM", said_by="--sbom")
        if as_json:
            output.write_json({"image": made.image, "references": made.references, "seconds": made.seconds})
        else:
            size = f"{len(made.image.packages)} packages"
            click.echo(f"{made.references[0]}  {made.image.digest}  {size}  {duration(made.seconds)}")

    done: Lock = loop.run(partial(application.build, config, asked, hear=hear))
    if not locked:
        place.write(lock, contents.encode(contents.merged(earlier, done)), what="the lock file", said_by=_LOCK_OPTION)
    return 0


async def _registries(config: Config, said: tuple[str, ...], root: str | None) -> Mapping[str, str]:
    """Where packages are: what the command line says, else the operator's file, else the public registries.

    Raises:
        UsageError: a name is none, an address is none, or nobody would ask there.
        ConfigError: an address cannot be read, or would have its password in an image.
    """
    from orchestrator.app.secretvalues import mirror_addresses  # noqa: PLC0415 -- h2, protobuf: only now

    found = {**ORIGINS}
    found |= {name: each for name, each in (await mirror_addresses(config)).items() if name in found}
    for word in said:
        name, stated, url = word.partition("=")
        if name not in ORIGINS or not stated or not url.startswith(("https://", "http://")):
            known = ", ".join(ORIGINS)
            raise UsageError(f"--mirror: expected NAME=URL, got {word!r}", hint=f"NAME is one of {known}.")
        if name == "apt" and root is not None:
            raise UsageError(
                "--mirror apt: the images ask where the image of --root says", hint="Leave it out, or leave out --root."
            )
        found[name] = url
    if credentials.reason("MIRROR", found["apt"]):
        raise ConfigError(
            "the mirror of apt has a password in its address, which the images would have, too",
            hint="Name one without: --mirror apt=http://mirror.example.",
        )
    return found


def _certificates(paths: tuple[Path, ...]) -> Mapping[str, bytes]:
    """Authorities by the names that they get: images read only what ends in `.crt`.

    Raises:
        UsageError: one cannot be read, or two would have one name.
    """
    found: dict[str, bytes] = {}
    for path in paths:
        name = path.with_suffix(".crt").name
        if name in found:
            raise UsageError(f"--ca: two files would be {name} in the images", hint="Give one of them another name.")
        found[name] = _read(path, "--ca")
    return found


def _locked(path: Path) -> "Lock":
    return contents.decode(_read(path, _LOCK_OPTION), str(path))


def _read(path: Path, option: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{option}: {path}: {error.strerror}", hint="Name a file that can be read.") from error
