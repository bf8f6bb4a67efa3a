"""A plan of what was known is the plan that is made without: whatever changed, whoever wrote the file."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import anyio
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import langs
from langs.errors import LangError
from langs.facts import TOOL_VARIABLES
from langs.model import AppBuild, Detection, Settings
from langs.real import Real
from orchestrator import app as application
from orchestrator.cli import output
from orchestrator.config import load
from orchestrator.errors import FleetpacksError
from orchestrator.plan.planner import Request
from orchestrator.workspace.files import walk
from orchestrator.workspace.known import Known
from orchestrator.workspace.listings import Listings
from tests.stamps import tick

pytestmark = pytest.mark.usefixtures("at_rest")

Change = Callable[[Path], object]

APPS = Path(__file__).parents[1] / "apps"
SERVER = "require('http').createServer().listen(process.env.PORT)\n"
FILES = {
    "fleetpacks.toml": '[env]\nTIER = "one"\n',
    "flask/requirements.txt": "flask\ngunicorn\n",
    "flask/app.py": "from flask import Flask\napp = Flask(__name__)\napp.run()\n",
    "flask/Procfile": "web: gunicorn app:app\n",
    "flask/.python-version": "3.11\n",
    "flask/.dockerignore": "*.log\n",
    "go/go.mod": "module example.com/a\n\ngo 1.22\n",
    "go/main.go": "package main\n\nfunc main() {}\n",
    "own/Dockerfile": "FROM scratch\n",
    "linked/real/package.json": '{"name": "x", "scripts": {"start": "node server.js"}}',
    "linked/other/package.json": '{"name": "x", "scripts": {"start": "node --no-warnings server.js"}}',
    "linked/server.js": SERVER,
    "library/package.json": '{"name": "library", "main": "index.js"}',
    "library/index.js": SERVER,
    "stack/compose.yaml": "services: {api: {build: {context: api}}}\n",
    "stack/api/Dockerfile": "FROM scratch\n",
    "docs/index.md": "",
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    shutil.copytree(APPS / "nodejs-npm-workspace/app", source / "node")
    for path, text in (FILES | {"node/.nvmrc": "20\n"}).items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(text)
    (source / "linked/package.json").symlink_to("real/package.json")
    tick(source)
    return source


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The directories that are really looked at from now on, once for each time."""
    directories: list[str] = []
    detect, build = langs.Reader.detect, langs.Reader.build

    def detected(
        reader: langs.Reader, root: Path, settings: Settings, *, within: Path | None = None
    ) -> Detection | None:
        directories.append(root.name)
        return detect(reader, root, settings, within=within)

    def built(
        reader: langs.Reader,
        root: Path,
        settings: Settings,
        *,
        within: Path | None = None,
        detection: Detection | None = None,
    ) -> AppBuild:
        directories.append(root.name)
        return build(reader, root, settings, within=within, detection=detection)

    monkeypatch.setattr(langs.Reader, "detect", detected)
    monkeypatch.setattr(langs.Reader, "build", built)
    return directories


def planned(source: Path, variables: Mapping[str, str] | None = None, *, kept: bool = True) -> str:
    """What `plan --json` prints, or the error with its hint; `kept`: with what is known from before."""
    beside = {"XDG_CACHE_HOME": str(source.parent / ("cache" if kept else "clock")), "HOME": str(source.parent)}
    try:
        config = load(source, {**beside, **(variables or {})})
        made = anyio.run(application.make_plan, config, Request())
    except FleetpacksError as error:
        return f"{error.message}\n{error.hint}"
    lines = [output.planned(each, host=None) for each in made.apps]
    return "\n".join([*made.warnings, *(msgspec.json.encode(line).decode() for line in lines)])


def file_of(source: Path) -> Path:
    """The one file in which it lies what is known."""
    (found,) = (source.parent / "cache/fleetpacks/known").iterdir()
    return found


def rewrite(path: Path, old: str, new: str) -> None:
    """Another content of the same size and modification time."""
    before = path.stat()
    path.write_text(path.read_text().replace(old, new))
    assert path.stat().st_size == before.st_size
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def relink(path: Path, target: str) -> None:
    path.unlink()
    path.symlink_to(target)


def move(path: Path, place: Path) -> None:
    """Also to where something is."""
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(exist_ok=True)
    path.rename(place)


def link_away(path: Path, place: Path) -> None:
    path.rename(place)
    path.symlink_to(place)


def unreadable(path: Path) -> None:
    """Nobody reads a FIFO."""
    path.unlink()
    os.mkfifo(path)


_REQUIRES = '{"name": "api", "dependencies": {"words": "*", "unused": "*"}, "scripts": {"start": "node src/server.ts"}}'

MEMBERS = frozenset({"api", "src", "web", "words", "durations", "unused"})

CHANGES: dict[str, Change] = {
    "a manifest": lambda root: (root / "go/go.mod").write_text("module example.com/b\n\ngo 1.21\n"),
    "a manifest that is gone": lambda root: (root / "flask/requirements.txt").unlink(),
    "a new manifest": lambda root: (root / "go/package.json").write_text('{"scripts": {"build": "vite build"}}'),
    "a manifest, behind its size and time": lambda root: rewrite(root / "go/go.mod", "1.22", "1.21"),
    "a version file": lambda root: rewrite(root / "flask/.python-version", "3.11", "3.12"),
    "a version file that is gone": lambda root: (root / "flask/.python-version").unlink(),
    "a new version file": lambda root: (root / "go/.go-version").write_text("1.23\n"),
    "a version file of the workspace": lambda root: (root / "node/.nvmrc").write_text("22\n"),
    "a Procfile": lambda root: (root / "flask/Procfile").write_text("web: gunicorn --workers 2 app:app\n"),
    "a Procfile that is gone": lambda root: (root / "flask/Procfile").unlink(),
    "an entry point": lambda root: move(root / "go/main.go", root / "go/cmd/main.go"),
    "a source that says what starts": lambda root: (root / "go/main.go").write_text("package other\n"),
    "a file of another language": lambda root: (root / "go/index.php").write_text("<?php\n"),
    "a lockfile": lambda root: (root / "flask/uv.lock").write_text("version = 1\n"),
    "the workspace's lockfile": lambda root: move(root / "node/package-lock.json", root / "node/npm-shrinkwrap.json"),
    "the workspace's manifest": lambda root: (root / "node/package.json").unlink(),
    "a member's manifest": lambda root: (root / "node/apps/api/package.json").write_text(_REQUIRES),
    "a shared package's manifest": lambda root: rewrite(root / "node/packages/words/package.json", "words", "sword"),
    "a directory that moved": lambda root: (root / "node/packages/words").rename(root / "node/words"),
    "where a link leads": lambda root: relink(root / "linked/package.json", "other/package.json"),
    "what a link leads to": lambda root: rewrite(root / "linked/real/package.json", "node server", "deno server"),
    "a directory that became a link": lambda root: link_away(root / "go", root / "docs/go"),
    "a manifest that cannot be read": lambda root: unreadable(root / "flask/requirements.txt"),
    "a manifest that is wrong": lambda root: (root / "node/apps/api/package.json").write_text("{"),
    "the app's own Dockerfile": lambda root: (root / "own/Dockerfile").write_text("FROM scratch\nCMD x\n"),
    "a new Dockerfile": lambda root: (root / "library/Dockerfile").write_text("FROM scratch\n"),
    "a library that became an app": lambda root: (root / "library/package.json").write_text(
        '{"name": "library", "scripts": {"start": "node index.js"}}'
    ),
    "a Compose file": lambda root: (root / "stack/compose.yaml").write_text(
        "services: {api: {build: {context: api, target: small}}, web: {build: api}}\n"
    ),
    "a Compose service's Dockerfile": lambda root: (root / "stack/api/Dockerfile").unlink(),
    "a new app": lambda root: shutil.copytree(root / "go", root / "second"),
    "an app that is gone": lambda root: shutil.rmtree(root / "go"),
    "an app in the place of another one": lambda root: move(root / "flask", root / "go"),
    "the app's .dockerignore": lambda root: (root / "flask/.dockerignore").unlink(),
    "the root's .gitignore": lambda root: (root / ".gitignore").write_text("/go/\n"),
    "the root's file": lambda root: (root / "fleetpacks.toml").write_text('[env]\nTIER = "two"\n'),
    "a table of the root's file": lambda root: (root / "fleetpacks.toml").write_text("[apps.go]\nport = 81\n"),
    "what the root's file ignores": lambda root: (root / "fleetpacks.toml").write_text('ignore = ["/go/"]\n'),
    "a new file of the app's": lambda root: (root / "go/fleetpacks.toml").write_text("port = 82\n"),
    "the lock file": lambda root: (root / "fleetpacks.lock").write_text("x"),
    "permissions": lambda root: (root / "flask/app.py").chmod(0o755),
    "times": lambda root: os.utime(root / "go/go.mod"),
    "nothing": lambda root: root.exists(),
}
SAME = frozenset({"the app's .dockerignore", "permissions", "times", "nothing"})
"""What changes no plan."""


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_the_plan_is_the_one_that_is_made_without(source: Path, change: str) -> None:
    before = planned(source)

    CHANGES[change](source)
    after = planned(source)
    again = planned(source)

    assert after == again == planned(source, kept=False)
    assert (after == before) == (change in SAME)


VARIABLES: dict[str, Mapping[str, str]] = {
    "a version": {"GO_VERSION": "1.20"},
    "a port": {"PORT": "81"},
    "the package caches' namespace": {"CACHE_KEY": "other"},
    "hardened images": {"USE_DHI": "1"},
    "a tool's variable": {TOOL_VARIABLES[0]: "https://one.example"},
    "a part of the source": {"PROJECT_PATH": "go"},
    "one app's language": {"PROJECT_PATH": "go", "LANGUAGE": "static"},
    "one app's command": {"PROJECT_PATH": "go", "RUN_COMMAND": "./other"},
}


@pytest.mark.parametrize("said", VARIABLES)
def test_whatever_the_environment_says_the_plan_is_the_one_that_is_made_without(source: Path, said: str) -> None:
    before = planned(source)

    after = planned(source, VARIABLES[said])

    assert after == planned(source, VARIABLES[said]) == planned(source, VARIABLES[said], kept=False)
    assert after != before == planned(source)


def test_what_the_operator_says_counts(source: Path) -> None:
    before = planned(source)
    file = source.parent / ".config/fleetpacks/config.toml"
    file.parent.mkdir(parents=True)

    file.write_text('image = "registry.example/x/{app}"\n[mirrors.npm]\nurl = "https://npm.example"\n')

    assert planned(source) == planned(source, kept=False) != before


def test_what_is_known_is_not_looked_at_again(source: Path, asked: list[str]) -> None:
    planned(source)
    first, asked[:] = sorted(set(asked)), []

    planned(source)

    assert {"api", "web", "flask", "go", "own", "linked", "stack", "library"} <= set(first)
    assert asked == []


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ("a manifest", {"go", "source"}),
        ("what a link leads to", {"linked", "real", "other", "source"}),
        ("a member's manifest", {"source", "node", *MEMBERS}),
        ("a manifest that is wrong", {"source", "node", *MEMBERS}),
    ],
)
def test_what_changed_is_looked_at_again_and_nothing_else(
    source: Path, asked: list[str], change: str, again: set[str]
) -> None:
    planned(source)
    asked.clear()

    CHANGES[change](source)
    planned(source)

    assert set(asked) <= again
    assert asked


def test_a_variable_of_one_language_makes_nobody_forget(source: Path, asked: list[str]) -> None:
    planned(source)
    planned(source, {"PORT": "81"})
    asked.clear()

    planned(source)
    planned(source, {"PORT": "81"})

    assert asked == []


def test_an_app_that_is_wrong_is_looked_at_every_time_and_the_others_are_not(source: Path, asked: list[str]) -> None:
    (source / "go/go.mod").write_text("module (")
    planned(source)
    asked.clear()

    said = planned(source)

    assert said == planned(source, kept=False)
    assert "go.mod" in said
    assert asked.count("flask") == 1  # of the run that keeps nothing


def test_what_has_just_changed_is_not_kept(source: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("langs.stamps.REST_NS", 3600 * 1_000_000_000)
    planned(source)
    first, asked[:] = list(asked), []

    planned(source)

    assert asked == first
    assert not (source.parent / "cache/fleetpacks/known").exists()


def test_what_directories_hold_is_known_though_every_app_is_as_it_was(source: Path, asked: list[str]) -> None:
    deep = source / "docs/1/2/3/4/5/6/7/8"
    deep.mkdir(parents=True)
    tick(source)
    planned(source)
    (deep / "new.txt").write_text("")
    tick(source)
    asked.clear()
    planned(source)

    listings = Known(source.parent / "cache/fleetpacks/known", source).listings
    found = walk(source, listings=listings)

    assert asked == []
    assert f"{deep.relative_to(source)}/new.txt" in found
    assert str(deep) in listings.lasting
    assert not listings.news


def test_another_edition_of_the_library_is_asked_anew(
    source: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(source)
    first, asked[:] = list(asked), []
    monkeypatch.setattr("orchestrator.workspace.known.edition", lambda: "other")

    planned(source)

    assert asked == first


def _truncate(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def _forge(file: Path) -> None:
    """Of another form, and well-formed."""
    file.write_bytes(msgspec.msgpack.encode({"edition": 1}))


def _of_somebody_else(file: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    os.chown(file, 65534, -1)


def _damage(file: Path) -> None:
    """Bytes of an answer, which is well-formed no more."""
    data = file.read_bytes()
    at = data.rindex(b"FROM ")
    file.write_bytes(data[: at - 40] + b"\xff" * 40 + data[at:])


def _a_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


FILES_OF_NO_USE: dict[str, Change] = {
    "empty": lambda file: os.truncate(file, 0),
    "cut off": _truncate,
    "another form": _forge,
    "damaged": _damage,
    "noise": lambda file: file.write_bytes(os.urandom(1000)),
    "somebody else's": _of_somebody_else,
    "writable for all": lambda file: file.chmod(0o666),
    "a link": lambda file: link_away(file, file.parent.parent / "moved"),
    "a FIFO": unreadable,
    "a directory": _a_directory,
}


@pytest.mark.parametrize("kind", FILES_OF_NO_USE)
def test_a_file_that_cannot_be_trusted_counts_as_none(source: Path, asked: list[str], kind: str) -> None:
    planned(source)
    first, asked[:] = list(asked), []

    FILES_OF_NO_USE[kind](file_of(source))
    said = planned(source)

    assert asked == first
    assert said == planned(source, kept=False)


def test_what_cannot_be_kept_is_no_error(source: Path) -> None:
    (source.parent / "cache").write_text("no directory")

    said = planned(source)

    assert said == planned(source, kept=False)
    assert (source.parent / "cache").is_file()


def test_a_directory_whose_name_is_no_utf_8_is_looked_at_every_time_and_the_others_are_not(
    tmp_path: Path, asked: list[str]
) -> None:
    root = tmp_path / "source"
    places = [root / "plain", root / os.fsdecode(b"caf\xe9"), root / os.fsdecode(b"caf\xe9/below")]
    for place in places:
        place.mkdir(parents=True)
        (place / "package.json").write_text('{"scripts": {"start": "node server.js"}}')

    for _ in range(2):
        asked.clear()
        known = Known(tmp_path / "cache", root)
        assert None not in [known.detect(place, Settings(), within=root) for place in places]
        known.save()

    assert asked == [place.name for place in places[1:]]


def test_nothing_is_kept_in_the_source(source: Path, asked: list[str]) -> None:
    inside = {"XDG_CACHE_HOME": str(source / ".cache")}
    planned(source, inside)
    first, asked[:] = list(asked), []

    planned(source, inside)

    assert asked == first
    assert not (source / ".cache").exists()


def test_only_what_is_asked_stays_where_there_is_not_room_for_all(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(source, {"PORT": "81"})
    size = file_of(source).stat().st_size

    monkeypatch.setattr("orchestrator.workspace.known._MOST_BYTES", size + 100)
    planned(source)
    kept = file_of(source).stat().st_size
    monkeypatch.setattr("orchestrator.workspace.known._MOST_BYTES", 100)

    assert 100 < kept <= size + 100
    assert planned(source) == planned(source, kept=False)
    assert file_of(source).stat().st_size == kept


def test_apps_are_known_though_there_is_no_room_for_what_directories_hold(
    source: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(source)
    size = file_of(source).stat().st_size
    for number in range(size // 10):
        (source / f"docs/{number:08}.txt").touch()
    tick(source)
    monkeypatch.setattr("orchestrator.workspace.known._MOST_BYTES", size + 1000)
    planned(source)
    asked.clear()

    said = planned(source)

    assert asked == []
    assert file_of(source).stat().st_size <= size + 1000
    assert said == planned(source, kept=False)


@pytest.mark.parametrize("case", sorted(path.name for path in APPS.iterdir() if (path / "app").is_dir()))
def test_every_example_is_known_as_it_was_found(case: str, tmp_path: Path) -> None:
    root = APPS / case / "app"
    places = [path.parent for path in root.rglob("*") if path.name in {"package.json", "pom.xml", "Cargo.toml"}]
    answers: list[list[object]] = []
    for _ in range(2):
        known = Known(tmp_path / "cache", root)
        answers.append([])
        for place in dict.fromkeys((root, *places)):
            try:
                detection = known.detect(place, Settings(), within=root)
                answers[-1].append(detection)
                if detection is not None and not detection.services:
                    answers[-1].append(known.build(place, Settings(), within=root, detection=detection))
            except LangError as error:
                answers[-1].append((error.message, error.file))
        known.save()

    assert answers[0] == answers[1]


@pytest.mark.parametrize("case", sorted(path.name for path in APPS.iterdir() if (path / "app").is_dir()))
def test_every_example_is_found_in_the_listings_of_a_walk_as_without(case: str) -> None:
    root = APPS / case / "app"
    listings = Listings()
    walk(root, listings=listings)
    found: list[object] = []

    for reader in (langs.Reader(listings.lasting, Real()), langs.Reader()):
        try:
            detection = reader.detect(root, Settings(), within=root)
            found.append(detection)
            if detection is not None and not detection.services:
                found.append(reader.build(root, Settings(), within=root, detection=detection))
        except LangError as error:
            found.append((error.message, error.file))
        found.append(reader.seen(root))

    assert listings.lasting
    assert found[: len(found) // 2] == found[len(found) // 2 :]


_PATHS = st.sampled_from(
    [
        "package.json",
        "a/package.json",
        "a/server.js",
        "a/lib/package.json",
        "a/Procfile",
        "b/main.py",
        "b/requirements.txt",
    ]
)
_TEXTS = st.sampled_from(
    [
        "",
        "{",
        '{"workspaces": ["a", "a/*"]}',
        '{"scripts": {"start": "node server.js"}}',
        '{"scripts": {"start": "node server.ts"}}',
        '{"name": "lib", "dependencies": {"lib": "*"}}',
        "web: node server.js\n",
        "flask\n",
        "from flask import Flask\napp = Flask(__name__)\napp.run()\n",
    ]
)
_DEEDS = st.one_of(
    st.tuples(st.just("write"), _PATHS, _TEXTS),
    st.tuples(st.just("remove"), _PATHS, st.just("")),
    st.tuples(st.just("link"), _PATHS, _PATHS),
    st.tuples(st.just("move"), st.sampled_from(["a", "b", "a/lib"]), st.sampled_from(["a", "b", "c", "a/lib"])),
)


def _do(root: Path, deed: str, path: str, more: str) -> None:
    place = root / path
    if deed == "move":
        if place.is_dir() and not (root / more).exists() and not more.startswith(f"{path}/"):
            (root / more).parent.mkdir(parents=True, exist_ok=True)
            place.rename(root / more)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    if deed == "write":
        place.write_text(more)
    elif deed == "link":
        place.symlink_to(os.path.relpath(root / more, place.parent))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(_DEEDS, max_size=3), min_size=1, max_size=5))
def test_a_plan_is_the_same_with_what_is_known_after_any_edits(rounds: list[list[tuple[str, str, str]]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "source"
        source.mkdir()
        for deeds in rounds:
            tick(source)
            for deed, path, more in deeds:
                _do(source, deed, path, more)

            assert planned(source) == planned(source, kept=False)
