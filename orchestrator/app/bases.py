"""The wiring of `bases build`: recipes become images in a registry, each with an SBOM, and a lock file of all.

The SBOM is attested by the builder, with a scanner that is made out of the same bare root: nothing has to be pulled for
it, and `fleetpacks build --sbom-scanner` can use it, too. What is in the lock file is read from what was attested.
"""

import secrets
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path

import anyio
import anyio.to_thread
import msgspec

from orchestrator.app import hosts
from orchestrator.app.caching import is_insecure
from orchestrator.app.logins import given
from orchestrator.bases import contents, dockerfile
from orchestrator.bases.archives import repack
from orchestrator.bases.contents import Lock, LockedImage
from orchestrator.bases.fetching import fetch
from orchestrator.bases.recipes import Recipe, Recipes
from orchestrator.bases.root import bootstrap
from orchestrator.buildkit import DirectorySource, Exporter, MemorySource, SolveRequest, StatusUpdate
from orchestrator.config import Config
from orchestrator.engine.publish import put_all
from orchestrator.errors import ProtocolError, UsageError
from orchestrator.registry.client import RegistryClient
from orchestrator.registry.credentials import Credentials
from orchestrator.registry.manifest import INDEXES, content
from orchestrator.registry.reference import Reference, parse
from orchestrator.registry.tokens import RegistryTokens

SCANNER = "sbom-scanner"
_AT_ONCE = 2
"""Builds: each is a package manager that fetches, or one that unpacks."""
_LARGEST_STATEMENT = 64 * 1024 * 1024
_FOLDER = "/usr/share/fleetpacks/bases"
"""Where images say which archives they are made of: the scanner reads it."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be made."""

    recipes: Recipes
    prefix: str
    """Stands before each repository: `registry.example/bases`."""
    registries: Mapping[str, str]
    """Where packages are, by the names of `langs.indexes.ORIGINS`."""
    root: str | None = None
    """The image that stands in for the bare root; None: debootstrap makes it."""
    certificates: Mapping[str, bytes] = {}
    """More certificate authorities, by file name."""
    aliases: bool = False
    """Whether images get the names of versions, too, that they only stand in for."""
    locked: Lock | None = None
    """What they must be made of."""


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """One image."""

    image: LockedImage
    references: tuple[str, ...]
    sbom: bytes
    """An SPDX document."""
    seconds: float


Hear = Callable[[Made], None]


async def build(config: Config, asked: Asked, *, hear: Hear) -> Lock:
    """Make the images, each as soon as what it stands on is there.

    Args:
        config: what was said.
        asked: what is to be made.
        hear: told of each image when it has its tags.

    Raises:
        UsageError: the builder cannot push by digest, or a name cannot be.
        ConfigError: a package is not to be had, the lock file does not have an image, or it becomes another one.
        FleetpacksError: the builder's answer, or the registry's.
    """
    if asked.locked is not None:
        contents.require(asked.locked, asked.recipes)
    credentials = Credentials(config.docker_config / "config.json", given(config))
    named = hosts.in_use(await hosts.resolved(hosts.named(config)))
    cache = config.environment.cache_directory / "bases"
    await anyio.Path(cache).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fleetpacks-bases-") as work:
        async with (
            RegistryClient(credentials, config.registries, ca=config.network.ca) as registry,
            hosts.opened(named[:1]) as builders,
        ):
            of = builders.first
            if not of.can.pushes:
                raise UsageError(
                    f"{of.address}: this builder cannot push an image by digest", hint="Name a buildkitd with --host."
                )
            making = _Making(
                config=config,
                asked=asked,
                of=of,
                registry=registry,
                tokens=RegistryTokens(registry, credentials),
                work=Path(work),
                cache=cache,
                hear=hear,
            )
            return await making.all()


class _Making:
    """One run."""

    def __init__(
        self,
        *,
        config: Config,
        asked: Asked,
        of: hosts.Opened,
        registry: RegistryClient,
        tokens: RegistryTokens,
        work: Path,
        cache: Path,
        hear: Hear,
    ) -> None:
        self._config = config
        self._asked = asked
        self._of = of
        self._registry = registry
        self._tokens = tokens
        self._work = work
        self._cache = cache
        self._hear = hear

    async def all(self) -> Lock:
        """Make all of them."""
        root, *others = self._asked.recipes.images
        text = await self._root(root)
        bare = await self._solve(root, text, self._work / "bare")
        scanner = await self._scanner(f"{self._repository(root)}@{bare}")
        made: dict[str, LockedImage] = {}
        made |= await self._make(root, text, self._work / "bare", scanner, on=None)
        # An image stands on another by one of its names.
        ready = {name: anyio.Event() for recipe in others for name in recipe.names}
        limit = anyio.CapacityLimiter(_AT_ONCE)

        async def one(recipe: Recipe) -> None:
            below = recipe.on or root.names[0]
            if below in ready:
                await ready[below].wait()
            async with limit:
                place = self._work / secrets.token_hex(8)
                base = made[below]
                text = await self._context(recipe, place, f"{self._asked.prefix}/{base.name}@{base.digest}")
                made.update(await self._make(recipe, text, place, scanner, on=below))
            for name in recipe.names:
                ready[name].set()

        async with anyio.create_task_group() as tasks:
            for recipe in others:
                tasks.start_soon(one, recipe)
        images = tuple(made[recipe.names[0]] for recipe in self._asked.recipes.images)
        return Lock(suite=self._asked.recipes.root.suite, images=images)

    async def _root(self, recipe: Recipe) -> str:
        """Get the context of the bare root ready; returns its Dockerfile."""
        place, asked = self._work / "bare", self._asked
        await anyio.Path(place / "certificates").mkdir(parents=True)
        for name, data in asked.certificates.items():
            await anyio.Path(place / "certificates" / name).write_bytes(data)
        if asked.root is not None:
            return dockerfile.for_root_on(asked.root, asked.recipes.root, recipe)
        work = self._work / "debootstrap"
        await anyio.Path(work).mkdir()
        variables = self._config.environment.variables
        tar = await bootstrap(asked.recipes.root, work, asked.registries["apt"], variables)
        await anyio.Path(tar).rename(place / "rootfs.tar")
        return dockerfile.for_root(asked.recipes.root, recipe)

    async def _context(self, recipe: Recipe, place: Path, base: str) -> str:
        """Get the context of an image ready that stands on another; returns its Dockerfile."""
        await anyio.Path(place).mkdir()
        for archive in recipe.archives:
            source = await fetch(archive, self._cache, self._asked.registries, ca=self._config.network.ca)
            await anyio.to_thread.run_sync(repack, source, archive, place / dockerfile.tar_of(archive))
        for name, text in recipe.files.items():
            file = anyio.Path(place / "files" / name.lstrip("/"))
            await file.parent.mkdir(parents=True, exist_ok=True)
            await file.write_text(text)
            await file.chmod(0o755 if text.startswith("#!") else 0o644)
        locked = self._asked.locked.of(recipe) if self._asked.locked else None
        text = dockerfile.for_image(contents.pinned(recipe, locked) if locked else recipe, base=base)
        if not recipe.archives:
            return text
        listed = f"{recipe.repository.replace('/', '-')}-{(*recipe.tags, *recipe.aliases)[0]}.tsv"
        await anyio.Path(place / listed).write_bytes(contents.listed(recipe.archives))
        return f"{text}COPY {listed} {_FOLDER}/{listed}\n"

    async def _scanner(self, base: str) -> str:
        """The image that lists what others are made of, under its tag."""
        place = self._work / "scanner"
        await anyio.Path(place).mkdir()
        script = files("orchestrator.bases").joinpath("scan.sh").read_bytes()
        await anyio.Path(place / "scan.sh").write_bytes(script)
        repository = f"{self._asked.prefix}/{SCANNER}"
        text = f'FROM {base}\nCOPY scan.sh /\nENTRYPOINT ["/bin/sh", "/scan.sh"]\n'
        digest = await self._pushed(repository, text, place, {})
        manifest = await self._registry.get_manifest(parse(repository).with_digest(digest))
        await put_all(self._registry, repository, manifest, ("latest",))
        return f"{repository}@{digest}"

    async def _make(
        self, recipe: Recipe, text: str, place: Path, scanner: str, *, on: str | None
    ) -> Mapping[str, LockedImage]:
        """Build, look, and only then publish under tags; returns the image by all of its names."""
        began = time.monotonic()
        repository = self._repository(recipe)
        digest = await self._solve(recipe, text, place, scanner=scanner)
        reference = parse(repository).with_digest(digest)
        spdx = await self._attested(reference)
        tags = (*recipe.tags, *(recipe.aliases if self._asked.aliases or not recipe.tags else ()))
        image = LockedImage(
            name=recipe.repository,
            tags=tags,
            digest=digest,
            on=on,
            packages=contents.packages(spdx, str(reference)),
            archives={archive.name: archive.sha256 for archive in recipe.archives},
        )
        locked = self._asked.locked.of(recipe) if self._asked.locked else None
        if locked is not None:
            contents.check(image, locked)
        manifest = await self._registry.get_manifest(reference)
        references = await put_all(self._registry, repository, manifest, tags)
        self._hear(Made(image=image, references=references, sbom=spdx, seconds=time.monotonic() - began))
        return dict.fromkeys(recipe.names, image)

    async def _solve(self, recipe: Recipe, text: str, place: Path, *, scanner: str | None = None) -> str:
        attrs = {"attest:sbom": f"generator={scanner}"} if scanner else {}
        return await self._pushed(self._repository(recipe), text, place, attrs)

    async def _pushed(self, repository: str, text: str, place: Path, attrs: Mapping[str, str]) -> str:
        """Build a context and push the image by digest."""
        can, ref = self._of.can, f"fleetpacks-bases-{secrets.token_hex(8)}"
        host = parse(repository).host
        said = {"name": repository, "push": "true", "push-by-digest": "true", "store": "false"}
        said |= {"oci-mediatypes": "true"} if can.oci_media_types else {}
        said |= {"registry.insecure": "true"} if is_insecure(self._config, host) else {}
        # What the root stands on may be elsewhere.
        others = [parse(self._asked.root).host] if self._asked.root else []
        request = SolveRequest(
            ref=ref,
            attrs={"filename": "Dockerfile", **attrs},
            exporter=Exporter(type=can.image_exporter, attrs=said),
            sources=(
                DirectorySource(name="context", root=place),
                MemorySource(name="dockerfile", files={"Dockerfile": text.encode()}),
            ),
            shared_key=ref,
            tokens=self._tokens,
            registries=(host, *others),
        )
        result = await self._of.client.solve(request, on_status=_unheard)
        if result.digest is None:
            raise ProtocolError(
                f"{self._of.address}: the builder has pushed {repository}, and gives no digest",
                hint="fleetpacks needs a buildkitd of v0.13 or newer at the builder's address",
            )
        return result.digest

    async def _attested(self, reference: Reference) -> bytes:
        """The SPDX document that is attested of an image."""
        index = await self._registry.get_manifest(reference)
        found = _entries(index.body) if index.media_type in INDEXES else ()
        for digest in found:
            manifest = await self._registry.get_manifest(reference.with_digest(digest))
            for layer in content(manifest, str(reference)).layers:
                body = bytearray()
                if layer.size <= _LARGEST_STATEMENT:
                    await self._registry.get_blob(reference, layer, partial(_extend, body))
                    if (spdx := contents.document(bytes(body), str(reference))) is not None:
                        return spdx
        raise ProtocolError(f"{reference}: the builder has attested no SBOM", hint="Use a buildkitd of v0.13 or newer.")

    def _repository(self, recipe: Recipe) -> str:
        return f"{self._asked.prefix}/{recipe.repository}"


async def _unheard(_update: StatusUpdate) -> None:
    """Steps are told of when one fails, by the error."""


class _Entry(msgspec.Struct, frozen=True):
    digest: str
    annotations: Mapping[str, str] = {}


class _Index(msgspec.Struct, frozen=True):
    manifests: Sequence[_Entry] = ()


def _entries(index: bytes) -> tuple[str, ...]:
    """The attestation manifests of an index that a builder has pushed."""
    return tuple(
        entry.digest
        for entry in msgspec.json.decode(index, type=_Index).manifests
        if entry.annotations.get("vnd.docker.reference.type") == "attestation-manifest"
    )


async def _extend(body: bytearray, chunk: bytes) -> None:
    body.extend(chunk)
