"""Cache mounts carried off a builder and back: the Dockerfiles that do it. Pure.

Nothing but a step sees what is in a cache mount. So it is copied by a step of the app's own builder image, which is
there already and has a shell: out of the mount into a layer, or from a directory or an image into an empty mount. The
id and the sharing mode are the app's own: a mount that is used in two modes at once is two mounts from then on, and
what one of them holds is lost (solver/llbsolver/mounts/mount.go, BuildKit v0.30.0; seen with it).

No such step may be found in the cache, so that each text is made with a word of its own. It is in all paths, too, which
makes it a part of the descriptions of what the builder keeps of the copy: that is how the copy is found and pruned.

A step tells of each mount in a line of its output, `NAME WORD`, which `told` reads; behind `failed` stands why.
"""

import json
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, get_args

import msgspec

from orchestrator.model import Plan
from orchestrator.text import inline

ATTRS: Final[Mapping[str, str]] = {"force-network-mode": "none"}
"""The frontend's attributes of all these solves: copying needs no network. (`RUN --network` is newer.)"""

Word = Literal["taken", "empty", "busy", "large", "filled", "full", "failed"]
"""Of `copy_out`: it is in the result; there is nothing in it; it was written while it was read; it is over the limit.
Of `copy_in` and `look`: it has the content now; there is nothing in it; it had some before. Of both copies: it could
not be copied."""

_WORDS: Final[Mapping[str, Word]] = {word: word for word in get_args(Word)}
_STAGING: Final = ".fleetpacks-seed-"
_STALE: Final = 120
"""Minutes after which what somebody is copying into a mount is taken for what a killed builder left."""
_LASTING: Final = "/fleetpacks-packages"
_NOT_CARRIED: Final = re.compile(r"apt|apt-lists|cargo-target-[0-9a-f]+")
"""A distribution's lists of packages are old within hours, and belong to users of their own, which are not carried.
What Cargo has compiled is in the layer of the dependencies, too."""
_LONGEST_REASON: Final = 300
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]*")
_FROM: Final = re.compile(r"FROM (?:--\S+ )*(\S+)(?: AS (\S+))?")

_LEAVE_OUT = r"""
  find "$to" ! -type f ! -type d ! -type l -exec rm -f {} \;
  find "$to" -type f \( -perm -4000 -o -perm -2000 \) -exec chmod ug-s {} \;"""
"""What no cache needs: devices, sockets, pipes, and programs that run as somebody else."""

_SWEEP = r"""
  find . -maxdepth 1 -name 'STAGING*' -mmin +STALE -exec rm -rf {} \; || true"""
"""What a killed builder left. What is younger may be growing: another run's step sees the same directory, and would
rename what is half deleted. Its time is that of its beginning, since the copy is a directory in it."""

_FAILED = r"""echo "$name failed $(printf '%s\n' "$said" | head -n 1)"; continue"""
"""The first of what `cp` said. It may have said as much about each of all files."""

_COPY_OUT = r"""set -eu
for name in NAMES; do
  cd "PLACE/mounts/$name"SWEEP
done
cd PLACE
mkdir RESULT
: > began
for name in NAMES; do
  from="PLACE/mounts/$name"
  to="RESULT/$name"
  if [ -z "$(ls -A "$from")" ]; then echo "$name empty"; continue; fi
  set -- $(du -sk "$from")
  if [ "$1" -gt LIMIT ]; then echo "$name large"; continue; fi
  copied=
  if said="$(cp -a "$from" "$to" 2>&1)"; then copied=yes; fi
  if [ -n "$(find "$from" -newer began | head -n 1)" ]; then rm -rf "$to"; echo "$name busy"; continue; fi
  if [ -z "$copied" ]; then rm -rf "$to"; FAILED; fi
  rm -rf "$to"/STAGING*LEAVE_OUT
  chmod -R u+rwX "$to"
  if [ -z "$(ls -A "$to")" ]; then rm -rf "$to"; echo "$name empty"; continue; fi
  echo "$name taken"
done
"""

_LOOK = r"""set -eu
for name in NAMES; do
  cd "PLACE/mounts/$name"
  left="$(ls -A | grep -v '^STAGING' | head -n 1)"
  if [ -z "$left" ]; then echo "$name empty"; else echo "$name full"; fi
done
"""

_COPY_IN = r"""set -eu
for name in NAMES; do
  cd "PLACE/mounts/$name"SWEEP
  if [ -n "$(ls -A)" ]; then echo "$name full"; continue; fi
  to="./STAGINGNONCE/new"
  mkdir -p "$to"
  if [ "$(ls -A)" != STAGINGNONCE ]; then rm -rf ./STAGINGNONCE; echo "$name full"; continue; fi
  said="$(cp -a "PLACE/content/$name/." "$to" 2>&1)" || { rm -rf ./STAGINGNONCE; FAILED; }LEAVE_OUT
  sync
  for entry in "$to"/* "$to"/.[!.]* "$to"/..?*; do
    if [ ! -e "$entry" ] && [ ! -L "$entry" ]; then continue; fi
    last="./${entry#"$to"/}"
    if [ -e "$last" ] || [ -L "$last" ]; then continue; fi
    mv "$entry" "$last"
  done
  rm -rf ./STAGINGNONCE
  echo "$name filled"
done
"""


class Mount(msgspec.Struct, frozen=True, kw_only=True):
    """A package cache that builds of a run keep on their builder."""

    id: str
    name: str
    """The tool's: the id without the namespace that it begins with."""
    sharing: str
    image: str
    """One with a shell, which an app that uses the mount is built in."""


def mounts_of(plan: Plan) -> tuple[Mount, ...]:
    """The package caches that a plan's generated Dockerfiles use, each once, in the order in which they come."""
    found: dict[str, Mount] = {}
    for app in plan.apps:
        prefix = f"{app.app.settings.cache_key}-"
        for mount in app.build.cache if app.build.dockerfile_path is None else ():
            name, image = mount.id.removeprefix(prefix), _image(app.build.dockerfile, mount.id)
            if image is None or _NOT_CARRIED.fullmatch(name) or not _NAME.fullmatch(name):
                continue
            found.setdefault(mount.id, Mount(id=mount.id, name=name, sharing=mount.sharing, image=image))
    return tuple(found.values())


def _image(text: str, mount: str) -> str | None:
    """The image that the stage stands on in which a generated Dockerfile uses a mount."""
    stages: dict[str, str] = {}
    current: str | None = None
    for line in text.splitlines():
        if match := _FROM.match(line):
            current = stages.get(match[1], match[1])
            stages |= {match[2]: current} if match[2] else {}
        elif f"--mount=type=cache,id={mount}," in line:
            return current
    return None


def copy_out(mounts: Sequence[Mount], image: str, *, nonce: str, limit: int, lasting: bool = False) -> str:
    """The Dockerfile whose result has the content of each mount in a directory by its name.

    What is not there is told of: it was empty, it is too large, or somebody wrote into it meanwhile.

    Args:
        mounts: which; they must be on the builder, or are empty from then on.
        image: one with a shell, where the builder has it already.
        nonce: a word that no other text has; letters and digits.
        limit: bytes that each may have.
        lasting: the result is kept as an image: nothing of it tells one copy of the same content from another, and only
            the step's own copy is found by the word.
    """
    out = _LASTING if lasting else f"{_place(nonce)}/out"
    script = _COPY_OUT.replace("LIMIT", str(limit // 1024)).replace("RESULT", out)
    return _step(script, mounts, image, nonce=nonce) + f"FROM scratch\nCOPY --from=copy {out}/ /\n"


def look(mounts: Sequence[Mount], image: str, *, nonce: str) -> str:
    """The Dockerfile of a step that tells which mounts are empty; see `copy_out`."""
    return _step(_LOOK, mounts, image, nonce=nonce)


def copy_in(mounts: Sequence[Mount], image: str, source: str | None, *, nonce: str) -> str:
    """The Dockerfile of a step that fills each mount that is empty.

    What is in a mount is whole: it is copied beside its place, and renamed, entry by entry, by one step at a time: of
    two that begin together one or both give up. What a killed builder leaves beside it goes when it is old.

    Args:
        mounts: which.
        image: one with a shell, where the builder has it already.
        source: the image or the named context that has the content of each in a directory by its name, as the result
            of `copy_out` has it; None: the main context.
        nonce: a word that no other text has; letters and digits.
    """
    origin = "" if source is None else f"from={source},"
    binds = "".join(
        f"--mount=type=bind,{origin}source=/{mount.name},target={_place(nonce)}/content/{mount.name} "
        for mount in mounts
    )
    return _step(_COPY_IN, mounts, image, nonce=nonce, options=binds)


def _step(script: str, mounts: Sequence[Mount], image: str, *, nonce: str, options: str = "") -> str:
    place = _place(nonce)
    caches = "".join(
        f"--mount=type=cache,id={mount.id},target={place}/mounts/{mount.name},sharing={mount.sharing} "
        for mount in mounts
    )
    script = script.replace("LEAVE_OUT", _LEAVE_OUT).replace("SWEEP", _SWEEP).replace("STALE", str(_STALE))
    script = script.replace("FAILED", _FAILED)
    script = script.replace("STAGING", _STAGING).replace("NONCE", nonce)
    script = script.replace("PLACE", place).replace("NAMES", shlex.join(mount.name for mount in mounts))
    words = json.dumps(["/bin/sh", "-c", script])
    return f"FROM {image} AS copy\nUSER 0:0\nRUN {caches}{options}{words}\n"


def _place(nonce: str) -> str:
    return f"/fleetpacks-{nonce}"


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a step said of a mount."""

    word: Word
    reason: str = ""
    """Of `failed`: what `cp` said, in one line."""


def told(output: bytes, mounts: Iterable[Mount]) -> Mapping[str, Said]:
    """What a step said of each mount, by its name; those that it said nothing of are left out.

    Args:
        output: all that the step has printed.
        mounts: those that it was for.
    """
    names = {mount.name for mount in mounts}
    found: dict[str, Said] = {}
    for line in output.decode(errors="replace").splitlines():
        name, _, said = line.partition(" ")
        word, _, reason = said.partition(" ")
        if name in names and word in _WORDS and word in {"failed", said}:
            found[name] = Said(word=_WORDS[word], reason=inline(reason, _LONGEST_REASON))
    return found
