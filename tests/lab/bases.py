"""The base images: a minimal Debian made by debootstrap, and toolchains built on top of it, in the lab's registry.

Those of `COMMON` are made by every `up`, others when they are asked for: by the names of languages or of images.

An image is recognised by its key (`orchestrator.bases.dockerfile.key`), which is one more tag of it: when that tag and
all others point to one manifest, there is nothing to do. Recipes and the machine's own certificates are what changes
a key; the registry is asked, not a note beside it, so that an emptied registry is filled again.
"""

import shutil
import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path

import anyio
import httpx
import msgspec

from langs.registry import LANGUAGES
from orchestrator.bases import dockerfile
from orchestrator.bases.recipes import Recipe, Recipes, Root, load
from tests.lab import archives, tools
from tests.lab.errors import LabError
from tests.lab.state import Lab, Layout, caller_environment

COMMON = frozenset({"debian", "golang", "node", "python"})
"""The repositories that the example monorepo needs."""
_AT_ONCE = 2
"""Builds at once: each is a package manager that fetches, or one that unpacks."""
_CERTIFICATES = Path("/usr/local/share/ca-certificates")
_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"
)


class Base(msgspec.Struct, frozen=True, kw_only=True):
    """One image as it has to be."""

    recipe: Recipe
    text: str
    key: str

    def names(self, registry: str) -> tuple[str, ...]:
        """All references that must point to it; its key's tag is the last one."""
        return tuple(
            f"{registry}/{self.recipe.repository}:{tag}" for tag in (*self.recipe.tags, *self.recipe.aliases, self.key)
        )


def everything() -> frozenset[str]:
    """The repositories of all recipes."""
    return frozenset(recipe.name for recipe in load().images)


def repositories(words: Collection[str]) -> frozenset[str]:
    """The repositories that are meant by the names of languages (`java`) and of images (`maven`, `oven/bun`).

    Raises:
        LabError: a word is neither.
    """
    languages = {language.NAME: language.IMAGES for language in LANGUAGES}
    known = everything()
    unknown = sorted(word for word in words if word not in languages and word not in known)
    if unknown:
        raise LabError(
            f"there is no language and no base image {', '.join(unknown)}",
            hint=f"languages: {', '.join(languages)}; images: {', '.join(sorted(known))}",
        )
    return frozenset(name for word in words for name in languages.get(word, (word,))) & known


def bases(recipes: Recipes, registry: str, *, certificates: Mapping[str, bytes]) -> tuple[Base, ...]:
    """All images as they have to be; the bare root is the first, and each comes after the one it stands on."""
    bare, *others = recipes.images
    text = dockerfile.for_root(recipes.root, bare)
    root = Base(
        recipe=bare,
        text=text,
        key=dockerfile.key(text, inputs={"root": msgspec.json.encode(recipes.root), **certificates}),
    )
    made = [root]
    by_name = dict.fromkeys(bare.names, root)
    for recipe in others:
        below = by_name[recipe.on] if recipe.on else root
        # The registry's port is no property of the image: it stays out of the key, and the key of what is below stands
        # for that.
        keyed = dockerfile.for_image(recipe, base=below.key)
        base = Base(
            recipe=recipe,
            # By its key, not by a friendly name: the daemon may hold an older image of that name.
            text=dockerfile.for_image(recipe, base=below.names(registry)[-1]),
            key=dockerfile.key(
                keyed,
                inputs={"archives": msgspec.json.encode(recipe.archives), "files": msgspec.json.encode(recipe.files)},
            ),
        )
        made.append(base)
        by_name |= dict.fromkeys(recipe.names, base)
    return tuple(made)


def certificates() -> dict[str, bytes]:
    """The machine's extra certificate authorities, by file name; builds behind an intercepting proxy need them."""
    return {path.name: path.read_bytes() for path in sorted(_CERTIFICATES.glob("*.crt"))}


async def ensure(
    lab: Lab, place: Layout, *, installed: bool, say: Callable[[str], None], wanted: Collection[str] = COMMON
) -> None:
    """Build and push what the registry does not have.

    Args:
        lab: the running lab.
        place: its state directory.
        installed: whether the machine's own debootstrap may be used.
        say: receives one line per image.
        wanted: the repositories; what their images stand on comes with them.

    Raises:
        LabError: an image cannot be built.
    """
    machine = certificates()
    recipes = load().only(wanted)
    images = bases(recipes, lab.registry, certificates=machine)
    missing = await _missing(lab, images)
    if not missing:
        return
    context = place.work / "bases"
    await anyio.Path(context / "certificates").mkdir(parents=True)
    for name, data in machine.items():
        await anyio.Path(context / "certificates" / name).write_bytes(data)
    root, *others = images
    if root in missing:
        tar = await root_file_system(place, recipes.root, installed=installed, say=say)
        await anyio.to_thread.run_sync(shutil.copyfile, tar, context / "rootfs.tar")
        await _build(lab, root, context, say)
    limit = anyio.CapacityLimiter(_AT_ONCE)
    built = {name: anyio.Event() for base in others if base in missing for name in base.recipe.names}

    async def build(base: Base) -> None:
        if base.recipe.on in built:
            await built[base.recipe.on].wait()
        async with limit:
            await _build_upon(lab, place, base, say)
        for name in base.recipe.names:
            built[name].set()

    async with anyio.create_task_group() as tasks:
        for base in others:
            if base in missing:
                tasks.start_soon(build, base)


async def download(
    place: Layout, *, installed: bool, say: Callable[[str], None], wanted: Collection[str] = COMMON
) -> None:
    """Get from package registries what all images are made of. `ensure` does the same, for those that it builds.

    Args:
        place: the lab's state directory.
        installed: whether the machine's own debootstrap may be used.
        say: receives one line per thing that has to be got.
        wanted: the repositories.

    Raises:
        LabError: something is not to be had.
    """
    recipes = load().only(wanted)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(partial(root_file_system, place, recipes.root, installed=installed, say=say))
        for archive in (archive for recipe in recipes.images for archive in recipe.archives):
            tasks.start_soon(archives.fetch, place, archive, say)


async def root_file_system(place: Layout, root: Root, *, installed: bool, say: Callable[[str], None]) -> Path:
    """The bare root as a tar file, made by debootstrap once per definition.

    It runs in mount and pid namespaces of its own, so that whatever it mounts and starts in the new root is gone when
    it ends, in whichever way.

    Raises:
        LabError: debootstrap is not to be had, or fails.
    """
    finished = place.root / "bases" / f"{dockerfile.key('', inputs={'root': msgspec.json.encode(root)})}.tar"
    if await anyio.Path(finished).exists():
        return finished
    started = time.monotonic()
    say("making a minimal Debian with debootstrap, once: about a minute")
    program = await tools.debian_program(place, "debootstrap", "usr/sbin/debootstrap", installed=installed)
    scripts = program.parent.parent.parent / "usr" / "share" / "debootstrap"
    target = place.work / "root"
    await tools.run(
        [
            *("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"),
            *(program, "--variant=minbase", f"--include={','.join(root.include)}", root.suite, target),
        ],
        doing="debootstrap",
        hint=f"look whether Debian's mirror can be reached; the log is {target}/debootstrap/debootstrap.log",
        env={**caller_environment(), "DEBOOTSTRAP_DIR": str(scripts)},
    )
    words = [f"--exclude=./{pattern}" for pattern in root.exclude]
    await tools.run(
        ["tar", "--create", "--numeric-owner", "--sort=name", *words, "-C", target, "--file", f"{target}.tar", "."],
        doing="packing the new root",
        hint="look whether the disk is full",
    )
    await anyio.Path(finished.parent).mkdir(exist_ok=True)
    await anyio.Path(f"{target}.tar").rename(finished)
    say(f"made a minimal Debian in {time.monotonic() - started:.0f} s")
    return finished


async def _build_upon(lab: Lab, place: Layout, base: Base, say: Callable[[str], None]) -> None:
    """Build an image that stands on another, with the archives it is made of as its context."""
    context = place.work / f"base-{base.key}"
    await anyio.Path(context).mkdir()
    for archive in base.recipe.archives:
        source = await archives.fetch(place, archive, say)
        await anyio.to_thread.run_sync(archives.repack, source, archive, context / dockerfile.tar_of(archive))
    for name, text in base.recipe.files.items():
        file = anyio.Path(context / "files" / name.lstrip("/"))
        await file.parent.mkdir(parents=True, exist_ok=True)
        await file.write_text(text)
        await file.chmod(0o755 if text.startswith("#!") else 0o644)
    await _build(lab, base, context, say)


async def _build(lab: Lab, base: Base, context: Path, say: Callable[[str], None]) -> None:
    started = time.monotonic()
    folder = context.with_name(f"{context.name}-dockerfile")
    await anyio.Path(folder).mkdir()
    await anyio.Path(folder / "Dockerfile").write_text(base.text)
    names = ",".join(base.names(lab.registry))
    command: list[str | Path] = [
        *(lab.buildctl, "--addr", lab.buildkit_host, "build", "--progress=plain", "--frontend=dockerfile.v0"),
        *("--local", f"context={context}", "--local", f"dockerfile={folder}"),
        *("--output", f'type=image,"name={names}",push=true'),
    ]
    await tools.run(
        command,
        doing=f"building the base image {base.recipe.names[0]}",
        hint="look whether the machine's package registries can be reached",
    )
    size = await _compressed_size(lab, base)
    say(f"built {base.recipe.names[0]} in {time.monotonic() - started:.0f} s, {size / 1e6:.0f} MB compressed")


async def _missing(lab: Lab, images: tuple[Base, ...]) -> tuple[Base, ...]:
    missing: set[str] = set()
    async with httpx.AsyncClient(headers={"Accept": _MANIFESTS}, trust_env=False) as client:

        async def look(base: Base) -> None:
            digests = {await _digest(client, name) for name in base.names(lab.registry)}
            if len(digests) > 1 or None in digests:
                missing.add(base.key)

        async with anyio.create_task_group() as tasks:
            for base in images:
                tasks.start_soon(look, base)
    return tuple(base for base in images if base.key in missing)


async def _digest(client: httpx.AsyncClient, name: str) -> str | None:
    answer = await client.head(_manifest_url(name))
    return answer.headers.get("Docker-Content-Digest") if answer.is_success else None


async def _compressed_size(lab: Lab, base: Base) -> int:
    async with httpx.AsyncClient(headers={"Accept": _MANIFESTS}, trust_env=False) as client:
        manifest = (await client.get(_manifest_url(base.names(lab.registry)[-1]))).raise_for_status().json()
    return sum(int(layer["size"]) for layer in manifest["layers"])


def _manifest_url(name: str) -> str:
    registry, _, rest = name.partition("/")
    repository, _, tag = rest.rpartition(":")
    return f"http://{registry}/v2/{repository}/manifests/{tag}"
