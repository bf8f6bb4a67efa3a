"""Words that cannot be: exit code 2, what is wrong, and what to do."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["biuld"], "No such command 'biuld'"),
        (["build", "--output", "type=oci"], "--output 'type=oci': dest is missing"),
        (["build", "--output", "type=tar,dest=all.tar"], "--output: "),
        (["build", "--since", "main"], "No such option '--since'"),
        (["build", "--progress", "fancy"], "Invalid value for '--progress'"),
        (["build", "--progress", "tty"], "--progress tty: standard error is no terminal"),
        (["build", "--jobs", "0"], "Invalid value for '--jobs'"),
        (["build", "--timeout", "99999999999h"], "Invalid value for '--timeout': '99999999999h': this is too long"),
        (["build", "--timeout", "1h30m"], "Invalid value for '--timeout': '1h30m': expected a number"),
        (["build", "--env", "1=2"], "--env: expected NAME[=VALUE], got '1=2'"),
        (["build", "--host", "unix:///a", "--host", "unix:///a"], "--host: unix:///a is named twice"),
        (["build", "--push"], "--push: no image name was given"),
        (["build", "absent"], "'absent': no such directory"),
        (["build", "--filter", "ap"], "--filter: 'ap': there is no app"),
        (["plan", "--filter", "!**"], "--filter '!**': no app is left"),
        (["apps", "--filter", "..."], "--filter: '...' names nothing"),
        (["apps", "--affected-since", "no/such"], "--affected-since: 'no/such' names no commit"),
        (["plan", "--affected-since", "--exec=x"], "--affected-since: '--exec=x' names no commit"),
        (["build", "--image", "r.example/{ap}"], "--image: unknown placeholder '{ap}'"),
        (["build", "--tag", "a b", "--image", "r.example/x"], "--tag: 'a b' is not a tag"),
        (["plan", "--tag", "a b"], "--tag: 'a b' is not a tag"),
        (["plan", "--tag", f"a@sha256:{'0' * 64}"], "--tag: 'a@sha256:0"),
        (["plan", "--image", "r.example/x:a b"], "--image: 'r.example/x"),
        (["plan", "--image", "R.example/X", "--tag", "v1"], "--image: "),
        (
            [
                "plan",
                "..",
            ],
            "'..' is outside of the source",
        ),
        (["detect"], "Missing argument 'DIR...'"),
        (["tag"], "Missing argument '[SOURCE] TAG...'"),
        (["tag", "r.example/x:1"], "tag: no TAG was given"),
        (["tag", "r.example/x:1", "not a tag"], "'r.example/x:not a tag' is not an image reference"),
        (["tag", "R.example/X:1", "v2"], "'R.example/X:1' is not an image reference"),
        (["tag", "--result", "absent.json", "v2"], "absent.json: cannot be read"),
    ],
)
def test_a_mistake_ends_with_2_an_error_and_a_hint(
    run: Run, monorepo: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], error: str
) -> None:
    monkeypatch.chdir(monorepo)

    ran = run(*words)

    assert (ran.code, ran.out) == (2, "")
    assert re.fullmatch(r"error: (.+\n)+hint: (.+\n)+", ran.err)
    assert ran.err.startswith(f"error: {error}")


def test_a_mistake_in_a_file_ends_with_2_and_its_place(run: Run, tmp_path: Path) -> None:
    (tmp_path / "fleetpacks.toml").write_text('image = "evil.example/x"\n')

    ran = run("plan", "-C", tmp_path)

    assert ran.code == 2
    assert ran.err.startswith("error: fleetpacks.toml:1: image: unknown key\nhint: This is the operator's to say")


def test_a_message_from_a_file_cannot_reach_the_terminal_raw(run: Run, tmp_path: Path) -> None:
    (tmp_path / "fleetpacks.toml").write_text('"\\u001b]0;x\\u0007" = 1\n')

    ran = run("apps", tmp_path)

    assert ran.code == 2
    assert "\x1b" not in ran.err
    assert "\x07" not in ran.err


@pytest.mark.parametrize("command", ["build", "plan", "apps", "detect", "tag"])
def test_every_command_explains_itself(run: Run, command: str) -> None:
    ran = run(command, "--help")

    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"Usage: fleetpacks {command}")


def test_help_lists_every_command_and_imports_none(run: Run) -> None:
    ran = run("--help")

    assert ran.code == 0
    assert all(f"\n  {name} " in ran.out for name in ("build", "plan", "apps", "detect", "tag"))


@pytest.mark.parametrize("words", [[], ["cache"]])
def test_without_words_a_group_shows_its_help_and_ends_with_2(run: Run, words: list[str]) -> None:
    ran, asked = run(*words), run(*words, "--help")

    assert (ran.code, ran.out) == (2, "")
    assert ran.err == asked.out


@pytest.mark.parametrize(
    ("words", "told"),
    [(["detect", "-dash"], True), (["detect", "--jsno"], False), (["cache", "ls", "-x"], False), (["-x"], False)],
)
def test_a_name_that_looks_like_an_option_is_told_where_to_stand(run: Run, words: list[str], *, told: bool) -> None:
    ran = run(*words)

    assert ran.code == 2
    assert ("stands behind `--`" in ran.err) == told


@pytest.mark.parametrize("command", [["apps"], ["plan"]])
def test_a_project_path_that_is_not_there_is_named(run: Run, tmp_path: Path, command: list[str]) -> None:
    ran = run(*command, variables={"SOURCE_DIR": str(tmp_path), "PROJECT_PATH": "nope"})

    assert ran.code == 2
    assert ran.err.startswith(f"error: $PROJECT_PATH: 'nope': no such directory in {tmp_path}\n")
