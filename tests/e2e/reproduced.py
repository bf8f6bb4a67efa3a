"""Which example apps become the same image wherever and whenever they are built: what was seen, and its table.

`tests/e2e/test_reproducible.py` builds each on two builders and two days and compares; `FLEETPACKS_FULL=1` keeps what
was seen in `reproduced.json` beside this, with the digests, and writes the document. Where the base images are still
the same on a later day, the image must be, too.
"""

import fcntl
import hashlib
import io
import json
import os
import tarfile
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec

from orchestrator.registry.manifest import ACCEPTED
from tests.e2e.languages import ROOT, Case, cases, filled

DOCUMENT = ROOT / "docs/reproducible.md"
FILE = Path(__file__).with_name("reproduced.json")
NOT_YET: Mapping[str, str] = {
    "nodejs-astro": "Astro makes up a key for its server islands in each build, unless `$ASTRO_KEY` says it",
}
"""Cases that are not the same image -> why."""
_MOST_NAMED = 40
_MOST_SHOWN = 3


class Reproduced(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one app."""

    date: str
    commit: str
    digest: str = ""
    """The image's; empty where there are two."""
    before: str = ""
    """The first day on which it was this image."""
    differs: tuple[str, ...] = ()
    """Files of the image that were not the same."""


def read() -> Mapping[str, Reproduced]:
    """What is kept, by case."""
    return msgspec.json.decode(FILE.read_bytes(), type=dict[str, Reproduced]) if FILE.exists() else {}


def since(seen: Reproduced, known: Reproduced | None) -> Reproduced:
    """What is seen today, with the day since which it is so."""
    if known is None or not seen.digest or seen.digest != known.digest:
        return seen
    first = known.before or known.date
    return msgspec.structs.replace(seen, before=first if first != seen.date else "")


def keep(case: str, seen: Reproduced) -> None:
    """Keep what was seen: others may do so at the same time."""
    lock = os.open(FILE.parent, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = read()
        known = dict(sorted({**known, case: since(seen, known.get(case))}.items()))
        FILE.write_bytes(msgspec.json.format(msgspec.json.encode(known), indent=2) + b"\n")
        DOCUMENT.write_text(document(), encoding="utf-8")
    finally:
        os.close(lock)


async def differences(registry: str, one: str, other: str) -> tuple[str, ...]:
    """What is not the same in two images, as `repository@digest`: fields of the configuration, and files.

    Raises:
        httpx.HTTPError: the registry's.
    """
    async with httpx.AsyncClient(trust_env=False, base_url=f"http://{registry}/v2/", timeout=60) as http:
        found = [[line async for line in _contents(http, image)] for image in (one, other)]
    first, second = (dict(each) for each in found)
    changed = [name for name in {**first, **second} if first.get(name) != second.get(name)]
    return tuple(f"{name}: {first.get(name)} | {second.get(name)}" for name in changed[:_MOST_NAMED])


def place(difference: str) -> str:
    """The file, or the field of the configuration."""
    return difference.partition(": ")[2].partition(": ")[0]


async def _contents(http: httpx.AsyncClient, image: str) -> AsyncIterator[tuple[str, str]]:
    repository, _, digest = image.partition("@")
    answer = await http.get(f"{repository}/manifests/{digest}", headers={"Accept": ", ".join(ACCEPTED)})
    manifest: Any = answer.raise_for_status().json()
    config: Any = (await http.get(f"{repository}/blobs/{manifest['config']['digest']}")).raise_for_status().json()
    for number, layer in enumerate(manifest["layers"]):
        data = (await http.get(f"{repository}/blobs/{layer['digest']}")).raise_for_status().content
        files = tuple(_files(data))
        for name, said in files:
            yield f"layer {number}: {name}", said
        # Where all files are the same, the archive may not be.
        order = "\n".join(name for name, _ in files)
        yield f"layer {number}: the order of files", hashlib.sha256(order.encode()).hexdigest()
    for name, value in config.items():
        if name != "rootfs":
            yield f"configuration: {name}", json.dumps(value)


def _files(archive: bytes) -> Iterator[tuple[str, str]]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        for each in opened:
            file = opened.extractfile(each) if each.isfile() else None
            content = hashlib.sha256(file.read()).hexdigest()[:12] if file else each.linkname
            yield each.name, f"{each.mode:o} {each.uid}:{each.gid} {each.mtime} {each.pax_headers} {content}"


def table(seen: Mapping[str, Reproduced], known: tuple[Case, ...]) -> str:
    """What was seen, as a Markdown table."""
    rows = ["| language | package manager | example app | the same image? |", "|---|---|---|---|"]
    for case in known:
        found = seen.get(case.name)
        if found is None:
            continue
        if found.digest:
            said = f"yes, {found.date}"
            said += f"; and as on {found.before}" if found.before else ""
        else:
            files = ", ".join(f"`{name}`" for name in found.differs[:_MOST_SHOWN])
            left = len(found.differs) - _MOST_SHOWN
            files += f" and {left} more" if left > 0 else ""
            said = f"**no**: {NOT_YET.get(case.name, 'nobody has looked yet')} ({files})"
        rows.append(f"| {case.plan.language} | {case.plan.package_manager or ''} | `{case.name}` | {said} |")
    return "\n".join(rows)


def document() -> str:
    """The document as it has to be."""
    return filled(DOCUMENT.read_text(encoding="utf-8"), "reproducible", table(read(), cases()))
