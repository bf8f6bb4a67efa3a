"""The result file: migetpacks' schema and ours, written as one step."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from langs.model import Addon, Formation, Process, Release, Script, Version
from orchestrator.errors import UsageError
from orchestrator.events import AppCancelled, AppCompleted, AppFailed
from orchestrator.model import Plan
from orchestrator.report import result as room
from tests.planned import build_of, planned

_DIGEST = "sha256:" + "a" * 64
_WHEN = "2026-11-21T12:00:00Z"


def _plan(*names: str, processes: tuple[Process, ...] = (Process(name="web", command="./x"),)) -> Plan:
    return Plan(
        root=Path("/shop"),
        push=True,
        apps=tuple(
            planned(
                f"services/{name}",
                build_of(
                    version=Version(value="1.25.0", source="go.mod"),
                    package_manager="go",
                    start_command="./x",
                    processes=processes,
                ),
                root=Path("/shop"),
                repository=f"r.example/{name}",
                tags=("v1", "latest"),
            )
            for name in names
        ),
    )


def _completed(name: str, *, pushed: bool = True) -> AppCompleted:
    return AppCompleted(
        time=1.0,
        app=name,
        image=f"r.example/{name}",
        tags=(f"r.example/{name}:v1", f"r.example/{name}:latest") if pushed else (),
        digest=_DIGEST,
        seconds=2.5,
        steps=9,
        cached=4,
        sent_bytes=100,
        platforms=("linux/amd64", "linux/arm64"),
    )


_FAILED = AppFailed(
    time=1.0,
    app="b",
    kind="build",
    message="exit 1",
    hint="Read the log.",
    transient=False,
    seconds=1.5,
    file="Dockerfile",
    line=7,
    command="go build ./...",
    exit_code=1,
)


def _document(
    plan: Plan, outcomes: Mapping[str, room.Outcome], *, exit_code: int = 0, error: str | None = None
) -> dict[str, Any]:
    made = room.result(plan, outcomes, exit_code=exit_code, seconds=12.4, timestamp=_WHEN, error=error)
    document: dict[str, Any] = json.loads(msgspec.json.encode(made))
    return document


def test_one_app_that_succeeded_is_described_as_migetpacks_does() -> None:
    processes = (
        Process(name="web", command="./x serve"),
        Process(name="release", command="./x migrate"),
        Process(name="web-admin", command="./x admin"),
        Process(name="clock", command="./x clock"),
    )

    document = _document(_plan("a", processes=processes), {"a": _completed("a")})

    described = {
        "web": "./x serve",
        "release": "./x migrate",
        "workers": [{"name": "web-admin", "command": "./x admin"}, {"name": "clock", "command": "./x clock"}],
    }
    assert document == {
        "format": 1,
        "status": "success",
        "exit_code": 0,
        "images": [{"name": "r.example/a:v1", "ports": ["5000/tcp"]}],
        "processes": described,
        "env": {},
        "formation": [],
        "scripts": [],
        "addons": [],
        "build_time": 12,
        "language": "go",
        "timestamp": _WHEN,
        "_shell": True,
        "apps": [
            {
                "name": "a",
                "path": "services/a",
                "status": "success",
                "image": "r.example/a",
                "tags": ["r.example/a:v1", "r.example/a:latest"],
                "digest": _DIGEST,
                "language": "go",
                "version": "1.25.0",
                "processes": described,
                "env": {},
                "formation": [],
                "scripts": [],
                "addons": [],
                "seconds": 2.5,
                "steps": 9,
                "cached": 4,
                "skipped": False,
                "revision": None,
                "parts": [],
                "platforms": ["linux/amd64", "linux/arm64"],
                "error": None,
            }
        ],
    }


def test_several_apps_list_the_images_that_exist_and_every_error() -> None:
    outcomes: dict[str, room.Outcome] = {
        "a": _completed("a"),
        "b": _FAILED,
        "c": AppCancelled(time=1.0, app="c", reason="fail-fast"),
    }

    document = _document(_plan("a", "b", "c", "d"), outcomes, exit_code=1)

    assert (document["status"], document["exit_code"], document["error"]) == ("failed", 1, "b: exit 1")
    assert [image["name"] for image in document["images"]] == ["r.example/a:v1"]
    assert (document["processes"], document["language"]) == ({}, None)
    assert [app["status"] for app in document["apps"]] == ["success", "failed", "cancelled", "cancelled"]
    assert document["apps"][1]["error"] == {
        "kind": "build",
        "message": "exit 1",
        "hint": "Read the log.",
        "transient": False,
        "file": "Dockerfile",
        "line": 7,
        "command": "go build ./...",
        "exit_code": 1,
    }
    assert [document["apps"][3][key] for key in ("digest", "seconds", "steps", "cached", "error")] == [None] * 5


@pytest.mark.parametrize(
    ("outcomes", "exit_code", "reason", "error"),
    [
        ({}, 130, None, "the run was interrupted"),
        ({}, 75, "no builder", "no builder"),
        ({"b": _FAILED}, 1, "no builder", "no builder; b: exit 1"),
    ],
)
def test_a_failure_always_says_why(
    outcomes: dict[str, room.Outcome], exit_code: int, reason: str | None, error: str
) -> None:
    assert _document(_plan("a", "b"), outcomes, exit_code=exit_code, error=reason)["error"] == error


def test_success_has_no_error() -> None:
    assert "error" not in _document(_plan("a"), {"a": _completed("a", pushed=False)})


def test_what_is_written_can_be_read_for_more_tags(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    document = room.result(
        _plan("a", "b"), {"a": _completed("a"), "b": _FAILED}, exit_code=1, seconds=1, timestamp=_WHEN
    )

    room.write(file, document)

    assert json.loads(file.read_text())["format"] == 1
    assert file.stat().st_mode & 0o777 == 0o644
    assert room.read_published(file) == (f"r.example/a@{_DIGEST}",)
    assert os.listdir(tmp_path) == ["result.json"]  # noqa: PTH208 -- hidden leftovers too


@pytest.mark.parametrize("occupied", [False, True])
def test_a_file_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path, *, occupied: bool) -> None:
    target = tmp_path / "absent/result.json"
    if occupied:
        target = tmp_path / "result.json"
        target.mkdir()

    with pytest.raises(UsageError) as caught:
        room.write(target, room.result(_plan("a"), {}, exit_code=1, seconds=1, timestamp=_WHEN))

    assert caught.value.message.startswith(f"{target}: the result file cannot be written")
    assert [path for path in tmp_path.iterdir() if path != target] == []


def test_an_old_result_is_replaced_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    file.write_text("x" * 100_000)
    with file.open() as reader:
        room.write(file, room.result(_plan("a"), {}, exit_code=1, seconds=1, timestamp=_WHEN))

        assert reader.read() == "x" * 100_000
    assert json.loads(file.read_text())["status"] == "failed"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "cannot be read"),
        (b"{", "is no result file of fleetpacks"),
        (b'{"apps": []}', "is no result file of fleetpacks"),
        (b"\xff", "is no result file of fleetpacks"),
    ],
)
def test_a_foreign_file_is_no_result(tmp_path: Path, data: bytes | None, message: str) -> None:
    file = tmp_path / "result.json"
    if data is not None:
        file.write_bytes(data)

    with pytest.raises(UsageError) as caught:
        room.read_published(file)

    assert message in caught.value.message


def test_a_result_of_another_format_is_refused_before_its_fields_are_understood(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    file.write_text('{"format": 99, "apps": "elsewhere"}')

    with pytest.raises(UsageError, match="has the format 99; only 1 is understood") as caught:
        room.read_published(file)

    assert "release of fleetpacks" in caught.value.hint


def test_a_run_that_published_nothing_cannot_be_tagged(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    document = room.result(_plan("a"), {"a": _completed("a", pushed=False)}, exit_code=0, seconds=1, timestamp=_WHEN)
    room.write(file, document)

    with pytest.raises(UsageError, match="published nothing"):
        room.read_published(file)


def test_a_path_that_is_no_text_is_escaped() -> None:
    plan = _plan("cafe")
    app = msgspec.structs.replace(plan.apps[0].app, path=os.fsdecode(b"caf\xe9"))
    plan = msgspec.structs.replace(plan, apps=(msgspec.structs.replace(plan.apps[0], app=app),))

    document = room.encode(room.result(plan, {}, exit_code=1, seconds=0, timestamp=_WHEN))

    assert json.loads(document)["apps"][0]["path"] == r"caf\xe9"


def test_what_cannot_be_seen_is_escaped_for_whoever_prints_the_file() -> None:
    plan = _plan("x")
    app = msgspec.structs.replace(plan.apps[0].app, path="a\x9b31m\u202eb")
    plan = msgspec.structs.replace(plan, apps=(msgspec.structs.replace(plan.apps[0], app=app),))

    document = room.encode(room.result(plan, {}, exit_code=1, seconds=0, timestamp=_WHEN)).decode()

    assert r'"path": "a\u009b31m\u202eb"' in document
    assert json.loads(document)["apps"][0]["path"] == "a\x9b31m\u202eb"


def test_what_app_json_says_is_handed_on_without_credentials() -> None:
    said = Release(
        env={"MODE": "fast", "API_TOKEN": "x", "DATABASE": "postgres://a:b@c/d", "NEEDED": None},
        formation=(Formation(name="web", quantity=2),),
        scripts=(Script(name="postdeploy", command="./migrate"),),
        addons=(Addon(plan="redis", attached_as="CACHE"),),
    )
    plan = _plan("api")
    app = msgspec.structs.replace(plan.apps[0], build=msgspec.structs.replace(plan.apps[0].build, release=said))
    plan = msgspec.structs.replace(plan, apps=(app,))

    document = room.result(plan, {"api": _completed("api")}, exit_code=0, seconds=1, timestamp=_WHEN)

    decoded: Any = json.loads(room.encode(document))
    for place in (decoded, decoded["apps"][0]):
        assert place["env"] == {"MODE": "fast", "API_TOKEN": None, "DATABASE": None, "NEEDED": None}
        assert place["formation"] == [{"name": "web", "quantity": 2, "size": None}]
        assert place["scripts"] == [{"name": "postdeploy", "command": "./migrate"}]
        assert place["addons"] == [{"plan": "redis", "as": "CACHE", "options": None}]


def test_an_image_without_a_shell_is_said_to_have_none() -> None:
    plan = _plan("api")
    app = msgspec.structs.replace(plan.apps[0], build=msgspec.structs.replace(plan.apps[0].build, shell=False))

    document = room.result(msgspec.structs.replace(plan, apps=(app,)), {}, exit_code=0, seconds=1, timestamp=_WHEN)

    assert json.loads(room.encode(document))["_shell"] is False


def test_an_app_that_serves_nobody_has_no_web() -> None:
    processes = (Process(name="worker", command="./x"), Process(name="beat", command="./x beat"))

    [document] = _document(_plan("a", processes=processes), {"a": _completed("a")})["apps"]

    assert document["processes"] == {
        "workers": [{"name": "worker", "command": "./x"}, {"name": "beat", "command": "./x beat"}]
    }
