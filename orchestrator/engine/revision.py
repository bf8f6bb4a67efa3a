"""The revision in a record: which commit the image was built from, for a later run on any machine.

A record is the image's manifest under one more tag, which a later run fetches anyway. Its copy there begins with one
annotation; taken away again, the image's own manifest is left, byte for byte. So the image itself is the same from
whatever revision it is built, and who reads records of another kind, or this one without knowing of it, has an image of
the same layers. Pure.
"""

import re

import msgspec

from orchestrator.registry.manifest import OCI_INDEX, OCI_MANIFEST, Manifest, digest_of

_ANNOTATED = frozenset({OCI_INDEX, OCI_MANIFEST})
"""Docker's own manifests have no annotations."""
_KEY = b"dev.fleetpacks.revision"
# As it stands between quotes in JSON, on a terminal and in a table.
_REVISION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,99}")
_BEGINNING = re.compile(rb'\{"annotations":\{"' + re.escape(_KEY) + rb'":"([0-9A-Za-z][0-9A-Za-z._-]{0,99})"\},')


class _Content(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    schema_version: int
    annotations: object = None


def with_revision(manifest: Manifest, revision: str | None) -> Manifest:
    """What is put under a record's tag; the manifest itself where it cannot say the revision.

    Args:
        manifest: the image's.
        revision: what it was built from; None: nobody knows.
    """
    if revision is None or not _REVISION.fullmatch(revision) or not _takes_one(manifest):
        return manifest
    body = b'{"annotations":{"%b":"%b"},%b' % (_KEY, revision.encode(), manifest.body[1:])
    return Manifest(media_type=manifest.media_type, body=body, digest=digest_of(body, manifest.digest))


def without_revision(record: Manifest) -> tuple[Manifest, str | None]:
    """The image's manifest, and the revision that it was built from where the record says it."""
    found = _BEGINNING.match(record.body) if record.media_type in _ANNOTATED else None
    if found is None:
        return record, None
    body = b"{" + record.body[found.end() :]
    manifest = Manifest(media_type=record.media_type, body=body, digest=digest_of(body, record.digest))
    return manifest, found[1].decode()


def _takes_one(manifest: Manifest) -> bool:
    if manifest.media_type not in _ANNOTATED or not manifest.body.startswith(b"{"):
        return False
    try:
        said = msgspec.json.decode(manifest.body, type=_Content)
    except (msgspec.DecodeError, RecursionError):
        return False
    return said.annotations is None
