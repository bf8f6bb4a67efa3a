"""Layer caches in a directory: generations, readers, and what becomes of both."""

import errno
import hashlib
import io
import json
import os
import secrets
import shutil
import tarfile
from pathlib import Path

import pytest

from orchestrator import owner
from orchestrator.cache import blobs
from orchestrator.cache.blobs import Descriptor
from orchestrator.cache.generation import Generation
from orchestrator.cache.local import LostError, Pin, Store, tidy
from orchestrator.cache.sweep import ABANDONED
from orchestrator.errors import OutputError, ProtocolError

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_LIMIT = 10_000_000


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path, "api")


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def send(generation: Generation, data: bytes) -> str:
    """What a builder does: it asks first."""
    digest = digest_of(data)
    if generation.size(digest) is None:
        part = generation.part()
        part.write(data[:1])
        part.write(data[1:])
        part.commit(size=len(data), digest=digest)
    return digest


def manifest_of(*layers: bytes) -> bytes:
    described = [{"digest": digest_of(each), "size": len(each), "mediaType": "a/layer"} for each in layers]
    return json.dumps({"schemaVersion": 2, "config": described[0], "layers": described}).encode()


def root_of(*layers: bytes) -> Descriptor:
    manifest = manifest_of(*layers)
    return Descriptor(digest=digest_of(manifest), size=len(manifest), media_type=_MANIFEST)


def write(store: Store, *layers: bytes) -> Generation:
    generation = Generation(store, limit=_LIMIT)
    for each in (*layers, manifest_of(*layers)):
        send(generation, each)
    generation.commit(root_of(*layers))
    return generation


def pinned(store: Store) -> Pin:
    pin = store.pin()
    assert pin is not None
    return pin


def content(pin: Pin, digest: str) -> bytes | None:
    file = pin.open(digest)
    if file is None:
        return None
    with file:
        return file.read()


def generations(store: Store) -> set[str]:
    return {path.name for path in store.generations.iterdir()}


def test_what_was_written_is_read(store: Store) -> None:
    write(store, b"one", b"two")

    pin = pinned(store)

    assert pin.root == root_of(b"one", b"two")
    assert (content(pin, digest_of(b"one")), pin.size(digest_of(b"two"))) == (b"one", 3)
    assert (content(pin, digest_of(b"three")), pin.size(digest_of(b"three"))) == (None, None)


def test_an_empty_cache_is_none(store: Store) -> None:
    assert store.pin() is None
    assert store.used() is None


def test_a_reader_keeps_what_it_holds_while_others_replace_it(store: Store) -> None:
    write(store, b"one")
    pin = pinned(store)

    write(store, b"two")
    Store(store.path.parent, "api").drop()

    assert content(pin, digest_of(b"one")) == b"one"
    pin.release()
    assert content(pin, digest_of(b"one")) is None


def test_only_the_current_generation_stays(store: Store) -> None:
    for number in range(5):
        write(store, b"stays", str(number).encode())

    current = store.current()

    assert current is not None
    assert generations(store) == {current.generation}
    assert {path.name for path in store.blobs(current.generation).iterdir()} == {
        digest_of(each).removeprefix("sha256:") for each in (b"stays", b"4", manifest_of(b"stays", b"4"))
    }


def test_a_blob_that_stays_is_not_sent_and_has_one_inode(store: Store) -> None:
    write(store, b"stays")
    before = pinned(store)

    generation = write(store, b"stays", b"new")

    assert generation.kept == 1
    after = pinned(store)
    held, again = before.open(digest_of(b"stays")), after.open(digest_of(b"stays"))
    assert held is not None
    assert again is not None
    with held, again:
        assert os.fstat(held.fileno()).st_ino == os.fstat(again.fileno()).st_ino


def test_a_generation_is_a_layout_that_other_tools_read(store: Store) -> None:
    write(store, b"one")
    current = store.current()
    assert current is not None

    directory = store.generations / current.generation

    index = json.loads((directory / "index.json").read_bytes())
    assert index["manifests"][0]["digest"] == root_of(b"one").digest
    assert json.loads((directory / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        (None, False),
        (b"", True),
        (b"{", True),
        (b'{"manifests": []}', True),
        (json.dumps({"manifests": [{"digest": digest_of(b"other")}]}).encode(), True),
        (json.dumps({"manifests": [{"digest": root_of(b"one").digest, "size": 1}]}).encode(), False),
    ],
)
def test_an_index_that_other_tools_cannot_read_is_found(store: Store, text: bytes | None, *, broken: bool) -> None:
    write(store, b"one")
    pin = pinned(store)
    path = store.generations / pin.generation / "index.json"
    before = store.broken_index(pin)
    if text is None:
        path.unlink()
    else:
        path.write_bytes(text)

    assert before is None
    assert store.broken_index(pin) == (path if broken else None)


def test_a_directory_in_the_place_of_the_pointer_is_named(store: Store) -> None:
    (store.path / "current").mkdir(parents=True)

    with pytest.raises(LostError, match="current is a directory"):
        store.pin()


def test_a_blob_that_has_rotted_is_not_read_and_the_next_writer_is_sent_it_again(store: Store) -> None:
    write(store, b"good")
    current = store.current()
    assert current is not None
    (store.blobs(current.generation) / hashlib.sha256(b"good").hexdigest()).write_bytes(b"evil")

    pin = pinned(store)
    assert content(pin, digest_of(b"good")) is None
    assert pin.damaged == [digest_of(b"good")]

    generation = write(store, b"good")
    # The manifest alone.
    assert generation.kept == 1
    assert content(pinned(store), digest_of(b"good")) == b"good"


@pytest.mark.parametrize("harm", ["truncate", "delete"])
def test_a_cache_with_a_hole_is_lost_and_not_an_error_of_the_build(store: Store, harm: str) -> None:
    write(store, b"whole")
    current = store.current()
    assert current is not None
    path = store.blobs(current.generation) / hashlib.sha256(b"whole").hexdigest()
    if harm == "truncate":
        path.write_bytes(b"who")
    else:
        path.unlink()

    with pytest.raises(LostError):
        store.pin()

    write(store, b"whole")
    assert content(pinned(store), digest_of(b"whole")) == b"whole"


@pytest.mark.parametrize(
    "said", [b"", b"{}", b'{"generation": "../..", "root": {"digest": "x", "size": 1}, "size": 1}']
)
def test_a_pointer_that_is_none_is_a_lost_cache_and_the_next_writer_mends_it(store: Store, said: bytes) -> None:
    write(store, b"one")
    (store.path / "current").write_bytes(said)

    with pytest.raises(LostError):
        store.pin()

    write(store, b"two")
    assert content(pinned(store), digest_of(b"two")) == b"two"


def test_a_blob_that_is_not_what_it_should_be_is_refused(store: Store) -> None:
    generation = Generation(store, limit=_LIMIT)
    part = generation.part()
    part.write(b"this")

    with pytest.raises(ProtocolError, match="expected sha256:"):
        part.commit(size=4, digest=digest_of(b"that"))

    assert generation.size(digest_of(b"this")) is None


def test_a_manifest_that_names_what_was_not_sent_leaves_the_old_generation(store: Store) -> None:
    write(store, b"old")
    generation = Generation(store, limit=_LIMIT)
    send(generation, manifest_of(b"new"))

    with pytest.raises(ProtocolError, match="was not sent"):
        generation.commit(root_of(b"new"))
    generation.discard()

    assert content(pinned(store), digest_of(b"old")) == b"old"
    assert len(generations(store)) == 1


def test_a_builder_that_sends_more_than_it_may_is_stopped(store: Store) -> None:
    generation = Generation(store, limit=5)
    part = generation.part()
    part.write(b"12345")

    with pytest.raises(OutputError, match="larger than 5 bytes"):
        part.write(b"6")
    part.discard()

    # There is room again.
    other = generation.part()
    other.write(b"1234")
    with pytest.raises(OutputError, match="larger than 5 bytes"):
        other.write(b"56")
    generation.discard()
    assert generations(store) == set()


def test_a_full_disk_leaves_the_old_generation(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    write(store, b"old")

    def full(_path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(blobs, "flush", full)
        generation = Generation(store, limit=_LIMIT)
        for each in (b"new", manifest_of(b"new")):
            send(generation, each)
        with pytest.raises(OutputError, match="No space left"):
            generation.commit(root_of(b"new"))
        generation.discard()

    assert content(pinned(store), digest_of(b"old")) == b"old"
    assert len(generations(store)) == 1


def test_where_links_are_refused_blobs_are_copied(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    write(store, b"one")

    def refused(_source: Path, _target: Path) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refused)
    pin = pinned(store)
    shutil.rmtree(store.generations)

    assert content(pin, digest_of(b"one")) == b"one"


def test_what_those_left_who_were_killed_is_swept_and_what_others_write_is_not(store: Store) -> None:
    write(store, b"one")
    mine = Generation(store, limit=_LIMIT)
    home, _, rest = owner.name().partition("-")
    _, began, word = rest.split("-")
    gone = f"{home}-{os.getpid()}-{int(began) - 1}-{word}"
    elsewhere = f"{'0' * 12}-1-1-{word}"
    old = f"{'0' * 12}-1-2-{word}"
    for name in (gone, elsewhere, old):
        (store.generations / name).mkdir()
        (store.path / "readers" / name).mkdir(parents=True)
    for parent in (store.generations, store.path / "readers"):
        long_ago = (parent / old).stat().st_mtime - ABANDONED - 60
        os.utime(parent / old, (long_ago, long_ago))

    store.sweep()

    current = store.current()
    assert current is not None
    assert generations(store) - {current.generation, elsewhere} == {path.name for path in [mine.blobs.parent.parent]}
    assert {path.name for path in (store.path / "readers").iterdir()} == {elsewhere}


def test_where_there_is_no_room_for_all_those_go_first_that_were_not_used_for_longest(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "old", "older")):
        store = Store(tmp_path, name)
        write(store, secrets.token_bytes(1000))
        used = store.path.joinpath("current").stat().st_mtime - 1000 * age
        os.utime(store.path / "current", (used, used))
    pin = pinned(Store(tmp_path, "older"))

    assert tidy(tmp_path, budget=3000) == ("old",)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "older"]
    pin.release()
    assert set(tidy(tmp_path, budget=100)) == {"new", "older"}
    assert list(tmp_path.iterdir()) == []


def test_bytes_that_are_no_manifest_are_refused(store: Store) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w"):
        pass
    data = archive.getvalue()
    generation = Generation(store, limit=_LIMIT)
    send(generation, data)

    with pytest.raises(ProtocolError, match="is no manifest"):
        generation.commit(Descriptor(digest=digest_of(data), size=len(data)))
