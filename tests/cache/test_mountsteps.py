"""The steps that copy cache mounts, run by this machine's shell in directories that stand for mounts."""

import json
import os
import re
import stat
import time
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.app.mountsteps import Mount, Said, copy_in, copy_out, look, told

_NONCE = "abc123"
_LIMIT = 1_000_000


@pytest.fixture
def anyio_backend() -> str:
    # The shell does not care.
    return "asyncio"


def mount(name: str) -> Mount:
    return Mount(id=f"key-{name}", name=name, sharing="shared", image="debian")


class Place:
    """What a step sees."""

    def __init__(self, root: Path, *names: str) -> None:
        self.root = root
        self.mounts = [mount(name) for name in names]
        self.reasons: dict[str, str] = {}
        for name in names:
            (root / "mounts" / name).mkdir(parents=True)
            (root / "content" / name).mkdir(parents=True)

    async def run(self, dockerfile: str, *, before: str = "") -> dict[str, str]:
        """Run the step of a Dockerfile, after some words of a shell; returns what it said of each mount."""
        run = next(line for line in dockerfile.splitlines() if line.startswith("RUN"))
        script = json.loads(run[run.index('["/bin/sh"') :])[2].replace(f"/fleetpacks-{_NONCE}", str(self.root))
        done = await anyio.run_process(["/bin/sh", "-c", before + script])
        said = told(done.stdout, self.mounts)
        self.reasons = {name: each.reason for name, each in said.items() if each.reason}
        return {name: each.word for name, each in said.items()}

    async def out(self, limit: int = _LIMIT, *, before: str = "") -> dict[str, str]:
        past = (time.time() - 100, time.time() - 100)
        for path in self.root.joinpath("mounts").rglob("*"):
            # Older than the step, as files are that nobody writes just now.
            os.utime(path, past, follow_symlinks=False)
        for each in self.mounts:
            os.utime(self.root / "mounts" / each.name, past)
        return await self.run(copy_out(self.mounts, "debian", nonce=_NONCE, limit=limit), before=before)

    async def fill(self, *, before: str = "") -> dict[str, str]:
        return await self.run(copy_in(self.mounts, "debian", None, nonce=_NONCE), before=before)


@pytest.fixture
def npm(tmp_path: Path) -> Place:
    return Place(tmp_path / "step", "npm")


def tree(root: Path) -> dict[str, str]:
    """Files by their paths, with content, and links with their targets."""
    return {
        str(path.relative_to(root)): f"-> {path.readlink()}" if path.is_symlink() else path.read_text()
        for path in sorted(root.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


_ODD = {"a": "1", ".hidden": "2", "-rf": "3", "..odd": "4", "with\nnewline": "5", "d/e f": "6", "d/'\"$x": "7"}


def fill(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


async def test_what_is_in_a_mount_is_copied_with_its_links_and_times(npm: Place) -> None:
    source = npm.root / "mounts/npm"
    fill(source, _ODD)
    (source / "link").symlink_to("/etc/passwd")
    (source / "same").hardlink_to(source / "a")

    assert await npm.out() == {"npm": "taken"}

    out = npm.root / "out/npm"
    assert tree(out) == tree(source)
    assert (out / "same").samefile(out / "a")
    assert (out / "a").stat().st_mtime_ns == (source / "a").stat().st_mtime_ns


async def test_special_files_and_rights_of_others_are_left_out_and_all_can_be_read(npm: Place) -> None:
    source = npm.root / "mounts/npm"
    fill(source, {"tool": "x", "d/closed": "y"})
    os.mkfifo(source / "pipe")
    (source / "tool").chmod(0o6755)
    (source / "d/closed").chmod(0)
    (source / "d").chmod(0o500)

    assert await npm.out() == {"npm": "taken"}

    out = npm.root / "out/npm"
    assert sorted(path.name for path in out.iterdir()) == ["d", "tool"]
    assert stat.S_IMODE((out / "tool").stat().st_mode) == 0o755
    assert stat.S_IMODE((out / "d/closed").stat().st_mode) == 0o600
    assert stat.S_IMODE((out / "d").stat().st_mode) == 0o700


async def test_each_mount_is_judged_by_itself(tmp_path: Path) -> None:
    place = Place(tmp_path / "step", "npm", "pip", "uv", "go-mod")
    fill(place.root / "mounts/npm", {"a": "1"})
    fill(place.root / "mounts/uv", {"large": "x" * 50_000})
    fill(place.root / "mounts/go-mod", {".fleetpacks-seed-killed/half": "1"})

    said = await place.out(limit=20_000)

    assert said == {"npm": "taken", "pip": "empty", "uv": "large", "go-mod": "empty"}
    assert tree(place.root / "out") == {"npm/a": "1"}


async def test_what_is_written_while_it_is_read_is_not_taken(npm: Place) -> None:
    source = npm.root / "mounts/npm"
    fill(source, {"a": "1"})
    text = copy_out(npm.mounts, "debian", nonce=_NONCE, limit=_LIMIT)
    future = time.time() + 100
    os.utime(source / "a", (future, future))

    assert await npm.run(text) == {"npm": "busy"}

    assert tree(npm.root / "out") == {}


_NO_CP = 'cp() { for end in 1 2; do echo "cp: $*: No space left on device" >&2; done; return 1; }; '


@pytest.mark.parametrize("of", ["out", "in"])
async def test_what_cannot_be_copied_is_said_in_the_words_of_cp(npm: Place, of: str) -> None:
    fill(npm.root / "mounts/npm" if of == "out" else npm.root / "content/npm", {"a": "1"})

    said = await (npm.out(before=_NO_CP) if of == "out" else npm.fill(before=_NO_CP))

    assert said == {"npm": "failed"}
    assert re.fullmatch(r"cp: -a [^\n]*: No space left on device", npm.reasons["npm"])
    assert tree(npm.root / "out") == {}
    assert [path.name for path in (npm.root / "mounts/npm").iterdir()] == (["a"] if of == "out" else [])


async def test_what_is_taken_away_while_it_is_read_is_in_use(npm: Place) -> None:
    fill(npm.root / "mounts/npm", {"a": "1"})

    said = await npm.out(before='cp() { rm "$2/a"; command cp "$@"; return 1; }; ')

    assert said == {"npm": "busy"}


async def test_an_empty_mount_is_filled_with_all_and_a_full_one_is_left_as_it_is(tmp_path: Path) -> None:
    place = Place(tmp_path / "step", "npm", "pip")
    for name in ("npm", "pip"):
        fill(place.root / "content" / name, _ODD)
    (place.root / "content/npm/link").symlink_to("/etc/passwd")
    os.mkfifo(place.root / "content/npm/pipe")
    fill(place.root / "mounts/pip", {"own": "x"})

    assert await place.fill() == {"npm": "filled", "pip": "full"}

    assert tree(place.root / "mounts/npm") == {**_ODD, "link": "-> /etc/passwd"}
    assert not (place.root / "mounts/npm/pipe").exists()
    assert tree(place.root / "mounts/pip") == {"own": "x"}
    assert await place.fill() == {"npm": "full", "pip": "full"}


def grown_old(mount: Path) -> None:
    """What is being copied there looks as if its builder had been killed hours ago."""
    past = (time.time() - 3 * 3600, time.time() - 3 * 3600)
    for path in mount.glob(".fleetpacks-seed-*"):
        os.utime(path, past)


async def test_what_a_killed_builder_left_is_nothing_and_goes(npm: Place) -> None:
    fill(npm.root / "content/npm", {"a": "whole"})
    fill(npm.root / "mounts/npm", {".fleetpacks-seed-dead/a": "ha", ".fleetpacks-seed-other/b": "x"})
    grown_old(npm.root / "mounts/npm")

    assert await npm.run(look(npm.mounts, "debian", nonce=_NONCE)) == {"npm": "empty"}
    assert await npm.fill() == {"npm": "filled"}

    assert tree(npm.root / "mounts/npm") == {"a": "whole"}
    assert [path.name for path in (npm.root / "mounts/npm").iterdir()] == ["a"]
    assert await npm.run(look(npm.mounts, "debian", nonce=_NONCE)) == {"npm": "full"}


async def test_what_another_step_is_copying_into_a_mount_is_left_alone(npm: Place) -> None:
    fill(npm.root / "content/npm", {"a": "mine"})
    fill(npm.root / "mounts/npm", {".fleetpacks-seed-other/new/a": "ha"})
    past = (time.time() - 3 * 3600, time.time() - 3 * 3600)
    # `cp -a` gives the copy the time of what it is a copy of.
    os.utime(npm.root / "mounts/npm/.fleetpacks-seed-other/new", past)

    assert await npm.fill() == {"npm": "full"}

    assert tree(npm.root / "mounts/npm") == {".fleetpacks-seed-other/new/a": "ha"}


async def test_what_a_killed_builder_left_goes_when_the_mount_is_read(npm: Place) -> None:
    source = npm.root / "mounts/npm"
    fill(source, {"a": "1", ".fleetpacks-seed-dead/new/a": "ha"})
    past = (time.time() - 3 * 3600, time.time() - 3 * 3600)
    for path in (*source.rglob("*"), source):
        os.utime(path, past)

    said = await npm.run(copy_out(npm.mounts, "debian", nonce=_NONCE, limit=_LIMIT))

    assert said == {"npm": "taken"}
    assert (tree(npm.root / "out"), tree(source)) == ({"npm/a": "1"}, {"a": "1"})


async def test_whenever_a_builder_is_killed_no_entry_is_half_there(npm: Place) -> None:
    """Each command of the step is the last one, once."""
    content = {f"{name}/{number}": name * 50 for name in "abc" for number in range(3)}
    fill(npm.root / "content/npm", content)
    dockerfile = copy_in(npm.mounts, "debian", None, nonce=_NONCE)
    run = next(line for line in dockerfile.splitlines() if line.startswith("RUN"))
    script = json.loads(run[run.index('["/bin/sh"') :])[2].replace(f"/fleetpacks-{_NONCE}", str(npm.root))
    seen: set[tuple[str, ...]] = set()

    for last in range(40):
        counting = f'left={last}; step() {{ left=$((left - 1)); [ "$left" -ge 0 ] || kill -9 $$; }}\n'
        stepped = re.sub(r"^(\s*)(rm |mkdir |said=|find |sync$|mv )", r"\1step; \2", script, flags=re.MULTILINE)
        # Half of what is copied, too.
        stepped = stepped.replace("step; said=", f"step; cp -a '{npm.root}/content/npm/a' \"$to\"; step; said=")
        await anyio.run_process(["/bin/sh", "-c", counting + stepped], check=False)
        here = npm.root / "mounts/npm"
        entries = [path for path in here.iterdir() if not path.name.startswith(".fleetpacks-")]
        for entry in entries:
            assert tree(entry) == {
                name.partition("/")[2]: text for name, text in content.items() if name.startswith(entry.name)
            }
        seen.add(tuple(sorted(entry.name for entry in entries)))
        for entry in entries:
            await anyio.run_process(["rm", "-r", str(entry)])
        grown_old(here)

    assert {(), ("a",), ("a", "b"), ("a", "b", "c")} <= seen


@given(output=st.binary(max_size=200) | st.binary(max_size=200).map(b"pip failed ".__add__))
def test_whatever_a_step_prints_only_its_own_words_are_heard(output: bytes) -> None:
    said = told(output + b"\nnpm taken\nnpm\nuv taken\n", [mount("npm"), mount("pip")])

    assert said["npm"] == Said(word="taken")
    assert set(said) <= {"npm", "pip"}
    assert all(each.reason.isprintable() and len(each.reason) <= 300 for each in said.values())
