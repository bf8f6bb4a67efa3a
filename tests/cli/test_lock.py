"""`fleetpacks lock` and `fleetpacks update`: what is chosen is written down once, and every build obeys it."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from langs import releases
from langs.releases import Tool
from orchestrator import app as application
from orchestrator.app.lock import Outcome, pin, unknown
from orchestrator.config import Config, environment, load, lock
from orchestrator.config.lock import Lock
from orchestrator.errors import ConfigError, ImageNotFoundError, RegistryUnavailableError, UsageError
from orchestrator.plan.planner import Request
from orchestrator.skip.bases import UnknownBaseError
from tests.cli.conftest import Run
from tests.lab import Lab
from tests.registry.server import Answer, Fault, Server, running

GO = {"go.mod": "module a\n\ngo 1.25\n", "main.go": "package main\n\nfunc main() {}\n"}
BARE = {"index.js": "require('http').createServer().listen(process.env.PORT)\n"}
RANGE = {**BARE, "package.json": '{"engines": {"node": "^20.1"}}'}
IMAGES = ("debian:bookworm-slim", "golang:1.25")
OWN = "FROM busybox:1\nCMD true\n"


def monorepo(root: Path, apps: Mapping[str, Mapping[str, str]] | None = None) -> Path:
    """An app of ours, and one with a Dockerfile of its own, which pins for itself; or others."""
    for app, files in (apps or {"api": GO, "own": {"Dockerfile": OWN}}).items():
        for name, text in files.items():
            (root / app / name).parent.mkdir(parents=True, exist_ok=True)
            (root / app / name).write_text(text)
    return root


def variables(root: Path, host: str) -> Mapping[str, str]:
    return {"PATH": environment.read()["PATH"], "HOME": str(root / ".home"), "REGISTRY_MIRROR": host}


def config(root: Path, server: Server, **more: str) -> Config:
    return load(root, {**variables(root, server.host), **more})


def serve(server: Server, *images: str) -> dict[str, str]:
    """Make the images be there, and say their digests."""
    return {
        name: server.add_manifest(f"library/{name.partition(':')[0]}", name.partition(":")[2], name.encode())
        for name in images or IMAGES
    }


def refreshed(root: Path, *lines: str) -> None:
    """What `fleetpacks versions refresh` writes when Node.js has these releases."""
    file = root / ".home/.cache/fleetpacks/releases.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    table = Tool(source="a test", read="9999-12-31", lines={"20": " ".join(lines)})
    file.write_text(releases.write({"nodejs": table}))


async def dockerfiles(root: Path, server: Server, **more: str) -> dict[str, str]:
    plan = await application.make_plan(config(root, server, **more), Request())
    return {app.app.path: app.build.dockerfile for app in plan.apps}


def images_of(outcome: Outcome) -> list[tuple[str, str | None, str | None]]:
    return [(each.name, each.digest, each.before) for each in outcome.images]


def versions_of(outcome: Outcome) -> list[tuple[str, str, str | None, str | None]]:
    return [(each.app, each.tool, each.version, each.before) for each in outcome.versions]


async def test_what_generated_dockerfiles_stand_on_is_written_and_then_stands_in_them(tmp_path: Path) -> None:
    root = monorepo(tmp_path)
    async with running(Server()) as server:
        digests = serve(server)

        outcome = await pin(config(root, server))
        again = await pin(config(root, server))
        plan = await application.make_plan(config(root, server), Request())

    assert lock.read(root) == Lock(images=digests)
    assert images_of(outcome) == [(name, digests[name], None) for name in IMAGES]
    assert not again.outdated
    api, own = (app.build for app in plan.apps)
    for name in IMAGES:
        assert f"FROM {name}@{digests[name]} AS " in api.dockerfile
    assert f'image.base.name="{IMAGES[0]}"' in api.dockerfile
    assert f'image.base.digest="{digests[IMAGES[0]]}"' in api.dockerfile
    assert api.warnings == ()
    assert own.dockerfile == OWN
    assert [path.name for path in root.iterdir() if path.name.startswith(".fleetpacks")] == []


async def test_newer_releases_change_nothing_until_they_are_asked_for(tmp_path: Path) -> None:
    root = monorepo(tmp_path, {"web": RANGE})
    refreshed(root, "1.0", "2.0")
    async with running(Server()) as server:
        before = serve(server, "node:20.2.0", "node:20.2.0-slim")
        first = await pin(config(root, server))
        locked = await dockerfiles(root, server)
        after = serve(server, "node:20.3.0", "node:20.3.0-slim")
        refreshed(root, "1.0", "2.0", "3.0")

        kept = await dockerfiles(root, server, FLEETPACKS_LOCKED="true")
        checked = await pin(config(root, server), ask=False)
        completed = await pin(config(root, server))
        seen = await pin(config(root, server), save=False, anew=())
        untouched = lock.read(root)
        updated = await pin(config(root, server), anew=())

    assert versions_of(first) == [("web", "nodejs", "20.2.0", None)]
    assert kept == locked
    assert "FROM node:20.2.0@sha256:" in kept["web"]
    assert not checked.outdated
    assert not completed.outdated
    assert untouched == Lock(images=before, versions={"web": {"nodejs": "20.2.0"}})
    assert versions_of(seen) == versions_of(updated) == [("web", "nodejs", "20.3.0", "20.2.0")]
    assert images_of(updated) == [
        ("node:20.2.0", None, before["node:20.2.0"]),
        ("node:20.2.0-slim", None, before["node:20.2.0-slim"]),
        ("node:20.3.0", after["node:20.3.0"], None),
        ("node:20.3.0-slim", after["node:20.3.0-slim"], None),
    ]
    assert lock.read(root) == Lock(images=after, versions={"web": {"nodejs": "20.3.0"}})


async def test_a_range_that_does_not_allow_what_is_locked_is_chosen_anew_and_with_locked_an_error(
    tmp_path: Path,
) -> None:
    root = monorepo(tmp_path, {"web": RANGE})
    refreshed(root, "1.0", "2.0")
    async with running(Server()) as server:
        serve(server, *(f"node:20.{minor}.0{kind}" for minor in (2, 5) for kind in ("", "-slim")))
        await pin(config(root, server))
        refreshed(root, "1.0", "2.0", "5.0")
        (root / "web/package.json").write_text('{"engines": {"node": "^20.4"}}')

        plan = await application.make_plan(config(root, server), Request())
        with pytest.raises(ConfigError) as caught:
            await dockerfiles(root, server, FLEETPACKS_LOCKED="true")
        completed = await pin(config(root, server))
        await dockerfiles(root, server, FLEETPACKS_LOCKED="true")

    [web] = plan.apps
    assert "FROM node:20.5.0 AS " in web.build.dockerfile
    stale = "has nodejs 20.2.0, which package.json engines.node does not allow, so that 20.5.0 is taken"
    assert f"fleetpacks.lock {stale}: run `fleetpacks lock`" in web.build.warnings
    assert f"it {stale} (web)" in caught.value.message
    assert versions_of(completed) == [("web", "nodejs", "20.5.0", "20.2.0")]


async def test_one_app_or_one_image_is_chosen_anew_and_the_others_stay(tmp_path: Path) -> None:
    root = monorepo(tmp_path, {"web": RANGE, "shop/api": RANGE, "go": GO})
    refreshed(root, "1.0")
    async with running(Server()) as server:
        before = serve(server, "node:20.1.0", "node:20.1.0-slim", *IMAGES)
        await pin(config(root, server))
        refreshed(root, "1.0", "2.0")
        new = serve(server, "node:20.2.0", "node:20.2.0-slim")
        moved = server.add_manifest("library/debian", "bookworm-slim", b"a newer one")
        server.add_manifest("library/golang", "1.25", b"a newer one")

        app = await pin(config(root, server), anew=("shop/api",))
        after_app = lock.read(root)
        image = await pin(config(root, server), anew=("debian",))

    versions = {"web": {"nodejs": "20.1.0"}, "shop/api": {"nodejs": "20.2.0"}}
    assert after_app == Lock(images={**before, **new}, versions=versions)
    assert [each.name for each in app.images if each.changed] == ["node:20.2.0", "node:20.2.0-slim"]
    assert [each.name for each in image.images if each.changed] == ["debian:bookworm-slim"]
    assert lock.read(root) == Lock(images={**before, **new, "debian:bookworm-slim": moved}, versions=versions)


async def test_a_tag_that_moved_moves_the_lock_only_when_it_is_updated(tmp_path: Path) -> None:
    root = monorepo(tmp_path)
    async with running(Server()) as server:
        before = serve(server)
        await pin(config(root, server))
        moved = server.add_manifest("library/golang", "1.25", b"a newer one")
        asked = len(server.seen)

        checked = await pin(config(root, server), ask=False)
        completed = await pin(config(root, server))
        questions = len(server.seen) - asked
        updated = await pin(config(root, server), anew=())

    assert (checked.outdated, completed.outdated, questions) == (False, False, 0)
    assert images_of(updated)[1] == ("golang:1.25", moved, before["golang:1.25"])
    assert lock.read(root) == Lock(images={**before, "golang:1.25": moved})


async def test_what_no_app_needs_is_dropped(tmp_path: Path) -> None:
    root = monorepo(tmp_path)
    digest = "sha256:" + "0" * 64
    (root / lock.FILE).write_text(lock.text(Lock(images={"node:22": digest}, versions={"gone": {"nodejs": "22.1.0"}})))
    async with running(Server()) as server:
        digests = serve(server)

        outcome = await pin(config(root, server))

    assert [(each.name, each.before) for each in outcome.images if not each.needed] == [("node:22", digest)]
    assert versions_of(outcome) == [("gone", "nodejs", None, "22.1.0")]
    assert lock.read(root) == Lock(images=digests)


async def test_a_file_without_versions_is_told_of_once_and_completed(tmp_path: Path) -> None:
    root = monorepo(tmp_path, {"web": RANGE, "api": RANGE})
    refreshed(root, "1.0")
    async with running(Server()) as server:
        digests = serve(server, "node:20.1.0", "node:20.1.0-slim")
        old = "\n".join(f'"{name}" = "{digest}"' for name, digest in digests.items())
        (root / lock.FILE).write_text(f"format = 1\n\n[images]\n{old}\n")

        plan = await application.make_plan(config(root, server), Request())
        with pytest.raises(ConfigError, match="its format had no versions"):
            await dockerfiles(root, server, FLEETPACKS_LOCKED="true")
        outcome = await pin(config(root, server))
        await dockerfiles(root, server, FLEETPACKS_LOCKED="true")

    assert plan.warnings == ("fleetpacks.lock is of a format that had no versions: run `fleetpacks lock`",)
    assert [word for app in plan.apps for word in app.build.warnings if "fleetpacks.lock" in word] == []
    assert outcome.outdated
    versions = {path: {"nodejs": "20.1.0"} for path in ("web", "api")}
    assert lock.read(root) == Lock(images=digests, versions=versions)


async def test_nothing_is_written_when_an_image_is_not_there(tmp_path: Path) -> None:
    root = monorepo(tmp_path)
    async with running(Server()) as server:
        registry = f'images.golang = "{server.host}/golang"\nimages.debian = "{server.host}/debian"\n'
        (root / "fleetpacks.toml").write_text(registry)
        server.add_manifest("debian", "bookworm-slim", b"x")

        with pytest.raises(ImageNotFoundError, match=f"{server.host}/golang:1.25"):
            await pin(config(root, server))

    assert lock.read(root) is None


@pytest.mark.parametrize(
    ("problems", "code", "said", "hint"),
    [
        ([("a:1: there is none", False)], 1, "a:1: there is none", "log in"),
        ([("a:1: away", True), ("b:1: away", True)], 75, "a:1: away; b:1: away", "Try again later"),
        ([("a:1: away", True), ("b:1: there is none", False)], 1, "b:1: there is none", "log in"),
    ],
)
def test_registries_that_are_away_end_with_75_and_images_that_are_not_there_with_1(
    problems: list[tuple[str, bool]], code: int, said: str, hint: str
) -> None:
    error = unknown([UnknownBaseError(message, transient=transient) for message, transient in problems])

    assert (error.exit_code, error.message) == (code, said)
    assert isinstance(error, RegistryUnavailableError) == (code == 75)
    assert hint in error.hint


async def test_a_registry_that_does_not_serve_is_told_so_and_nothing_is_written(tmp_path: Path) -> None:
    root = monorepo(tmp_path)
    async with running(Server()) as server:
        (root / "fleetpacks.toml").write_text(
            f'images.golang = "{server.host}/golang"\nimages.debian = "{server.host}/debian"\n'
        )
        # So long that no other attempt is made.
        busy = Answer(status=503, headers=(("Retry-After", "3600"),))
        server.faults += [Fault(answer=busy)] * 9

        with pytest.raises(RegistryUnavailableError, match="HTTP 503"):
            await pin(config(root, server))

    assert lock.read(root) is None


async def test_a_name_that_means_nothing_writes_nothing(tmp_path: Path) -> None:
    root = monorepo(tmp_path)
    async with running(Server()) as server:
        serve(server)

        with pytest.raises(UsageError, match="'nothing': no app"):
            await pin(config(root, server), anew=("api", "nothing"))

    assert lock.read(root) is None


async def test_what_the_lock_does_not_have_is_a_warning(tmp_path: Path) -> None:
    root = monorepo(tmp_path)
    async with running(Server()) as server:
        digests = serve(server)
        (root / lock.FILE).write_text(lock.text(Lock(images={"golang:1.25": digests["golang:1.25"]})))

        plan = await application.make_plan(config(root, server), Request())

    warned = {app.app.path: app.build.warnings for app in plan.apps}
    assert warned == {"api": ("fleetpacks.lock does not have debian:bookworm-slim: run `fleetpacks lock`",), "own": ()}


def test_plan_and_build_end_with_2_when_something_would_be_chosen(run: Run, tmp_path: Path) -> None:
    root = monorepo(tmp_path / "source", {"web": RANGE})
    missing = run("plan", "-C", root, "--locked")
    digest = "sha256:" + "1" * 64
    digests = {"node:20.9.0": digest, "node:20.9.0-slim": digest}
    (root / lock.FILE).write_text(lock.text(Lock(images=digests, versions={"web": {"nodejs": "20.9.0"}})))

    planned = run("plan", "-C", root, "--locked")
    (root / lock.FILE).write_text(lock.text(Lock(versions={"web": {"nodejs": "20.9.0"}})))
    lacking = {
        command: run(command, *words, variables=said)
        for command, words, said in (
            ("plan", ["-C", root, "--locked"], None),
            ("build", ["-C", root, "--locked", "--host", "unix:///nowhere"], None),
            ("apps", [root], {"FLEETPACKS_LOCKED": "true"}),
        )
    }

    assert missing.code == 2
    assert missing.err.splitlines() == [
        "error: fleetpacks.lock: there is none, and --locked was said",
        "hint: Run `fleetpacks lock`, and commit it.",
    ]
    assert planned.code == 0
    assert planned.out.split()[:5] == ["web", "nodejs", "20.9.0", "(package.json", "engines.node,"]
    assert "engines.node, fleetpacks.lock)" in planned.out
    for command in ("plan", "build"):
        assert lacking[command].code == 2
        assert "it does not have node:20.9.0 (web)" in lacking[command].err
        assert "hint: Run `fleetpacks lock`" in lacking[command].err
    # Nothing is chosen there.
    assert lacking["apps"].code == 0


def test_the_plan_says_what_was_chosen(run: Run, tmp_path: Path) -> None:
    root = monorepo(tmp_path / "source", {"web": RANGE})
    (root / lock.FILE).write_text(lock.text(Lock(versions={"web": {"nodejs": "20.9.0"}})))

    planned = run("plan", "-C", root, "--json")

    chosen = {"tool": "nodejs", "value": "20.9.0", "source": "package.json engines.node", "locked": True}
    assert json.loads(planned.out)["chosen"] == [chosen]


@pytest.mark.real
def test_the_commands_lock_check_and_update_and_say_what_changed(run: Run, lab: Lab, tmp_path: Path) -> None:
    root = monorepo(tmp_path, {"api": {**GO, "go.mod": "module a\n"}, "own": {"Dockerfile": OWN}})
    said = variables(root, lab.registry)
    names = ("debian:bookworm-slim", "golang:1.25.0")

    unlocked = run("lock", "-C", root, "--check", variables=said)
    locked = run("lock", "-C", root, variables=said)
    checked = run("lock", "-C", root, "--check", "--json", variables=said)
    written = (root / lock.FILE).read_text()
    before = "sha256:" + "1" * 64
    (root / lock.FILE).write_text(lock.text(Lock(images=dict.fromkeys(names, before), versions={})))
    outdated = run("lock", "-C", root, "--check", variables=said)
    dry = run("update", "-C", root, "--dry-run", variables=said)
    some = run("update", "-C", root, "--json", "golang", variables=said)
    updated = run("update", "-C", root, variables=said)
    same = run("update", "-C", root, variables=said)

    codes = [ran.code for ran in (unlocked, locked, checked, outdated, dry, some, updated, same)]
    assert codes == [1, 0, 0, 1, 0, 0, 0, 0]
    assert "run `fleetpacks lock`" in unlocked.err
    assert [line.split()[:-1] for line in locked.out.splitlines()[:2]] == [[name, "new:"] for name in names]
    assert locked.out.splitlines()[2:] == [
        "api                   go  new: 1.25.0 (default)",
        "fleetpacks.lock: 3 changed, 0 unchanged, written",
    ]
    document = json.loads(checked.out)
    assert (document["file"], document["outdated"], document["written"]) == (lock.FILE, False, False)
    assert [(each["name"], each["digest"] == each["before"]) for each in document["images"]] == [
        (name, True) for name in names
    ]
    assert [each["version"] for each in document["versions"]] == ["1.25.0"]
    assert [line.split()[0] for line in dry.out.splitlines()] == [*names, "api", "fleetpacks.lock:"]
    assert f"{before[:19]} -> sha256:" in dry.out
    assert dry.out.endswith("3 changed, 0 unchanged, not written\n")
    assert [each["name"] for each in json.loads(some.out)["images"] if each["digest"] != before] == ["golang:1.25.0"]
    assert updated.out.endswith("1 changed, 2 unchanged, written\n")
    assert same.out == "fleetpacks.lock: 0 changed, 3 unchanged\n"
    assert (root / lock.FILE).read_text() == written
