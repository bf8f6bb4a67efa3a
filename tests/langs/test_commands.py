import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langs import commands, procfile
from langs.errors import LangError

LINES = st.one_of(st.text(), st.text("ab=1 \t'\"\\$`;&|<>()#*~\n{}!-"))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("node server.js", ["node", "server.js"]),
        ("node dist/admin.js --title 'the admin'", ["node", "dist/admin.js", "--title", "the admin"]),
        ("PORT=1 node x", ["env", "PORT=1", "node", "x"]),
        ("gunicorn -b 0.0.0.0:$PORT a:b", ["/bin/sh", "-c", "exec gunicorn -b 0.0.0.0:$PORT a:b"]),
        ("echo '$PORT'", ["echo", "$PORT"]),
        ("migrate && serve", ["/bin/sh", "-c", "migrate && exec serve"]),
        ("cd src && A=1 node x", ["/bin/sh", "-c", "cd src && exec env A=1 node x"]),
        ("serve > log 2>&1", ["/bin/sh", "-c", "exec serve > log 2>&1"]),
        ("a | b", ["/bin/sh", "-c", "a | b"]),
        ("a || b", ["/bin/sh", "-c", "a || b"]),
        ("a & b", ["/bin/sh", "-c", "a & b"]),
        ("if true; then a; fi", ["/bin/sh", "-c", "if true; then a; fi"]),
        ("(a; b)", ["/bin/sh", "-c", "(a; b)"]),
        ("exec a $X", ["/bin/sh", "-c", "exec a $X"]),
        ("exec a", ["/bin/sh", "-c", "exec a"]),
        ("a && cd b", ["/bin/sh", "-c", "a && cd b"]),
    ],
)
def test_the_first_process_gets_the_signals(command: str, words: list[str]) -> None:
    assert list(commands.exec_form(commands.check(command, key="x"))) == words


@pytest.mark.parametrize(
    "command", ["", "  ", "a 'b", 'a "b', "a\\", "'' a", "a\nb", "a\x00b", "a\u2028b", "\x1b[31m", "a" * 99_999]
)
def test_what_is_no_command_line_is_an_error(command: str) -> None:
    with pytest.raises(LangError):
        commands.check(command, key="web", file="Procfile")


@given(LINES)
def test_plain_commands_are_split_as_the_standard_library_splits_them(text: str) -> None:
    try:
        command = commands.check(text, key="x")
    except LangError:
        return
    seen = commands.scan(command)
    assert seen is not None

    words = commands.exec_form(command)

    if not seen.operators and not seen.special:
        expected = shlex.split(command)
        assert list(words) in ([*expected], ["env", *expected], ["/bin/sh", "-c", command])
    else:
        assert words[:2] == ("/bin/sh", "-c")
        assert _bare(words[2]) == _bare(command)


def _bare(command: str) -> str:
    return re.sub(r"exec |env |[ \t]", "", command)


@pytest.mark.parametrize(
    ("command", "name"),
    [("A=1 exec npm start", "npm"), ("./bin/api -x", "api"), ("env A=1 node x", "node"), ("", ""), ("'", "'")],
)
def test_the_program_is_the_first_word_that_is_no_setting(command: str, name: str) -> None:
    assert commands.program(command) == name


def test_a_procfile_keeps_names_order_and_quotes() -> None:
    text = "# c\n\nweb: node a.js --x 'b c'\nweb-admin: node b\nrelease:  migrate  \n"

    processes = procfile.parse(text)

    assert [(process.name, process.command) for process in processes] == [
        ("web", "node a.js --x 'b c'"),
        ("web-admin", "node b"),
        ("release", "migrate"),
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("web node", 1),
        ("web:", 1),
        ("\nweb: a\nweb: b", 3),
        ("we b: x", 1),
        ("web: a\x1bb", 1),
        ("web: a\u2028RUN b", 1),
    ],
)
def test_a_broken_procfile_names_its_line(text: str, line: int) -> None:
    with pytest.raises(LangError) as caught:
        procfile.parse(text)
    assert (caught.value.file, caught.value.line) == ("Procfile", line)


@given(st.text())
def test_any_procfile_is_processes_or_an_error(text: str) -> None:
    try:
        processes = procfile.parse(text)
    except LangError:
        return

    assert len({process.name for process in processes}) == len(processes)
    assert all(process.command and "\n" not in process.command for process in processes)
