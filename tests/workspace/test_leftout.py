"""What is said of directories that are no apps."""

from langs.model import Detection, Evidence
from orchestrator.workspace.leftout import LeftOut, nothing_found, warnings_of


def left_out(path: str, *obstacles: tuple[str, str]) -> LeftOut:
    said = tuple(Evidence(file=file, reason=reason) for file, reason in obstacles)
    evidence = (Evidence(file="requirements.txt", reason="x"),)
    return LeftOut(path=path, detection=Detection(language="python", evidence=evidence, is_app=False, obstacles=said))


def test_beside_apps_only_what_tells_nothing_is_a_warning() -> None:
    found = [
        left_out("lib"),
        left_out("api", ("app.py", "cannot be parsed")),
        left_out(".", ("Procfile", "has no `web`")),
    ]

    assert warnings_of(found) == ("api is left out: api/app.py: cannot be parsed",)


def test_many_of_them_are_counted() -> None:
    warned = warnings_of([left_out(f"a{number}", ("app.py", "x")) for number in range(12)])

    assert (len(warned), warned[-1]) == (11, "2 more directories are left out for such reasons")


def test_without_any_app_all_that_was_seen_is_named() -> None:
    found = [left_out("."), left_out("api", ("app.py", "cannot be parsed")), left_out("a\nb")]

    error = nothing_found("/shop", found)

    assert error.message.splitlines() == [
        "no app was found in /shop; nothing that is started was found in",
        ". (python, by requirements.txt)",
        "api/app.py: cannot be parsed",
        r"a\nb (python, by requirements.txt)",
    ]
    assert '`run` below [apps."."] in fleetpacks.toml' in error.hint


def test_of_very_many_some_are_named() -> None:
    error = nothing_found("/shop", [left_out(f"a{number}") for number in range(30)])

    assert len(error.message.splitlines()) == 12
    assert error.message.endswith("and 20 more")


def test_where_nothing_was_recognised_the_hint_says_how_to_look() -> None:
    assert "fleetpacks detect DIR" in nothing_found("/shop", []).hint
