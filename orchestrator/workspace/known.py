"""What the directories of a source were found to be, kept between runs for as long as it holds.

To look at a thousand apps takes seconds, and most of them are what they were. Kept is what `langs` said, and with it
all that was seen on the way (`langs.seen`): an answer counts only where all of that is as it was, and where the same is
asked with the same settings of the same edition of `langs`. When something is not as it was, no answer counts for which
it was seen. An error is no answer: an app whose files are wrong is looked at again, every time. What directories hold
is kept with it, where it was not git that told it.

It lies in the operator's cache, one file for a source, and decides what is built. So a file of another user counts as
none, as one does that is damaged or too large; and nothing is kept where the cache lies in the source, whose files
others write. Nothing here fails: without what is kept, everything is looked at.
"""

import hashlib
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

import langs
from langs.edition import edition
from langs.listing import Listing
from langs.model import AppBuild, Detection, Settings
from langs.real import Real
from langs.seen import Seen
from langs.stamps import Look, Stamps
from orchestrator.workspace.graph import inverted, reachable
from orchestrator.workspace.listings import Listings

_FORMAT: Final = 4
_MOST_BYTES: Final = 64 << 20
"""Ten thousand apps are not as many."""
_KEPT_SECONDS: Final = 30 * 86_400
_SEAL_BYTES: Final = 16


class _Answer(msgspec.Struct, frozen=True, array_like=True):
    directory: str
    """What was asked about, as an absolute path without links."""
    encoded: bytes


class _Kept(msgspec.Struct, frozen=True, array_like=True):
    edition: str
    """Of `langs`, and of this."""
    own: dict[str, Seen] = {}
    """What was seen of the directories that were asked about, by their paths."""
    around: dict[str, Seen] = {}
    """What was seen of others for their sake."""
    answers: dict[bytes, _Answer] = {}
    """By digests of the questions."""
    listings: dict[str, Listing] = {}
    """By the directories' paths."""


_DETECTION: Final[msgspec.msgpack.Decoder[Detection | None]] = msgspec.msgpack.Decoder(Detection | None)
_BUILD: Final = msgspec.msgpack.Decoder(AppBuild)


class Known:
    """`detect` and `build` for the directories of one source, as `langs.Reader` has them.

    Synchronous, and for one command: its answers are those of one moment.

    Args:
        cache: a directory of the operator's cache; it need not be there.
        source: the root, as an absolute path without links.
    """

    def __init__(self, cache: Path, source: Path) -> None:
        look = Stamps().__getitem__
        self._source = source
        self._place = cache / hashlib.sha256(os.fsencode(source)).hexdigest()[:32]
        self._edition = _edition(cache, source)
        self._kept = _holding(_read(self._place, self._edition), look) if self._edition else _Kept("")
        self._answers: dict[bytes, _Answer] = {}
        self._settings: tuple[Settings, bytes | None] | None = None
        self.real = Real(look)
        """Of the same moment."""
        self.listings = Listings(self._kept.listings, look)
        """Of the same moment."""
        self._reader = langs.Reader(self.listings.lasting, self.real)

    def detect(self, root: Path, settings: Settings, *, within: Path | None = None) -> Detection | None:
        """See `langs.detect`.

        Raises:
            langs.errors.LangError: as there.
        """
        question = self._question("detect", root, settings, within)
        if question and (kept := self._kept.answers.get(question[0])):
            self._answers[question[0]] = kept
            return _DETECTION.decode(kept.encoded)
        detection = self._reader.detect(root, settings, within=within)
        self._note(question, detection)
        return detection

    def build(
        self, root: Path, settings: Settings, *, within: Path | None = None, detection: Detection | None = None
    ) -> AppBuild:
        """See `langs.build`.

        Raises:
            langs.errors.LangError: as there.
        """
        question = self._question("build", root, settings, within, detection)
        if question and (kept := self._kept.answers.get(question[0])):
            self._answers[question[0]] = kept
            return _BUILD.decode(kept.encoded)
        built = self._reader.build(root, settings, within=within, detection=detection)
        self._note(question, built)
        return built

    def save(self) -> None:
        """Keep what was found out. Where nothing can be kept, nothing is."""
        if not self._edition:
            return
        before = self._kept
        if self._answers.keys() <= before.answers.keys() and not self.listings.news:
            return
        own, around = dict(before.own), dict(before.around)
        seen, seen_around = self._reader.seen(self._source)
        for directory, each in seen:
            own[directory] = each.joined(own[directory]) if directory in own else each
        for directory, each in seen_around.items():
            around[directory] = each.joined(around[directory]) if directory in around else each
        # What this run did not ask may be asked by the next one, while there is room for it.
        lasting = self.listings.lasting
        for answers, listings in (
            (before.answers | self._answers, lasting),
            (self._answers, lasting),
            (self._answers, {}),
        ):
            kept = _without(
                _Kept(self._edition, own, around, answers, listings),
                (directory for directory, each in own.items() if not _may_be_kept(directory, each)),
                (directory for directory, each in around.items() if not _may_be_kept(directory, each)),
            )
            if kept.answers.keys() <= before.answers.keys() and not self.listings.news:
                return
            data = msgspec.msgpack.encode(kept)
            if len(data) + _SEAL_BYTES <= _MOST_BYTES:
                _write(self._place, _seal(data) + data)
                return

    def _question(
        self, what: str, root: Path, settings: Settings, within: Path | None, detection: Detection | None = None
    ) -> tuple[bytes, str] | None:
        """The digest of a question, and the directory that it is about; None where no answer can be kept."""
        directory = self.real.directory(str(root)) if self._edition and within == self._source else None
        if directory is None:
            return None
        # Many apps have the same settings, one after another.
        if self._settings is None or self._settings[0] is not settings:
            self._settings = settings, _encoded(settings)
        said, asked = self._settings[1], _encoded((what, directory, detection))
        return (hashlib.sha256(asked + said).digest(), directory) if asked and said else None

    def _note(self, question: tuple[bytes, str] | None, answer: object) -> None:
        encoded = _encoded(answer) if question else None
        if question and encoded:
            self._answers[question[0]] = _Answer(question[1], encoded)


def _edition(cache: Path, source: Path) -> str | None:
    """Whose answers count; None where none can be kept."""
    with suppress(OSError, RuntimeError):
        if not cache.resolve().is_relative_to(source):
            return f"{_FORMAT} {edition()}"
    return None


def _encoded(value: Any) -> bytes | None:  # noqa: ANN401 -- whatever is asked and answered
    """A value as bytes; None where it has none, as names that are not UTF-8."""
    try:
        return msgspec.msgpack.encode(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _may_be_kept(directory: str, seen: Seen) -> bool:
    """Whether it was at rest, and has a name that can be written: bytes that are no UTF-8 have none."""
    return seen.steady and directory.isprintable()


def _holding(kept: _Kept, look: Look) -> _Kept:
    """What still counts of what is kept."""
    own = [directory for directory, each in kept.own.items() if not each.holds(directory, look)]
    around = [directory for directory, each in kept.around.items() if not each.holds(directory, look)]
    return _without(kept, own, around) if own or around else kept


def _without(kept: _Kept, own: Iterable[str], around: Iterable[str]) -> _Kept:
    """What still counts of what is kept when these directories are not as they were seen."""
    unknown = {other for each in kept.around.values() for other in each.beside if other not in kept.around}
    changed = unknown.union(around)
    lost = changed.union(reachable(inverted({name: each.beside for name, each in kept.around.items()}), changed))
    rest = {name: each for name, each in kept.around.items() if name not in lost}
    gone = set(own)
    held = {name: each for name, each in kept.own.items() if name not in gone and each.beside.keys() <= rest.keys()}
    return _Kept(
        kept.edition,
        held,
        rest,
        {question: answer for question, answer in kept.answers.items() if answer.directory in held},
        kept.listings,
    )


def _seal(data: bytes) -> bytes:
    """What data lies behind: a machine that stopped may leave other bytes in a file of the right length."""
    # Many processors have instructions for it.
    return hashlib.sha256(data).digest()[:_SEAL_BYTES]


def _read(place: Path, edition: str) -> _Kept:
    """What is kept of an edition; nothing where it cannot be trusted, or is no such thing."""
    with suppress(OSError, msgspec.DecodeError), open(place, "rb", opener=_open) as file:
        found = os.fstat(file.fileno())
        own = found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if stat.S_ISREG(found.st_mode) and own and found.st_size <= _MOST_BYTES:
            os.utime(file.fileno())
            seal, data = file.read(_SEAL_BYTES), file.read()
            if _seal(data) != seal:
                return _Kept(edition)
            kept = msgspec.msgpack.decode(data, type=_Kept)
            if kept.edition == edition:
                return kept
    return _Kept(edition)


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)


def _write(place: Path, data: bytes) -> None:
    from orchestrator import atomic, temporary  # noqa: PLC0415 -- start-up counts: most runs find out nothing new

    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(place, data)
    temporary.sweep(place.parent)
    temporary.forget(place.parent, _KEPT_SECONDS)
