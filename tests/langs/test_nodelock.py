"""What lockfiles say of Node.js: which version the packages that an app asks for need, and what nobody can read."""

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs import nodelock
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import AppBuild, Settings
from tests.langs.conftest import Write
from tests.langs.test_untrusted import NASTY, counts
from tests.langs.test_untrusted import build as built_of

PLAIN = Settings()
DEFAULT = "22.16.0"
ANGULAR = "^22.22.3 || ^24.15.0 || >=26.0.0"
PNPM = """lockfileVersion: '9.0'

importers:

  .:
    dependencies:
      fastify:
        specifier: ^5.4.0
        version: 5.12.8(typescript@5.8.3)
    devDependencies:
      '@sveltejs/kit':
        specifier: ^3
        version: 3.0.1
      short:
        specifier: npm:string-width@^9
        version: string-width@9.0.0

  apps/web:
    devDependencies:
      vite:
        specifier: ^9
        version: 9.0.0

packages:

  '@sveltejs/kit@3.0.1':
    resolution: {integrity: sha512-a}
    engines: {node: '>=22.17'}

  fastify@5.12.8:
    resolution: {integrity: sha512-b}

  string-width@9.0.0:
    engines: {node: '>=20'}

  vite@9.0.0:
    engines: {node: ^22.20.0 || >=24}
    hasBin: true

snapshots:

  vite@9.0.0: {}
"""
PNPM_6 = """lockfileVersion: '6.0'

devDependencies:
  '@sveltejs/kit':
    specifier: ^3
    version: 3.0.1(vite@9.0.0)

packages:

  /@sveltejs/kit@3.0.1(vite@9.0.0):
    resolution: {integrity: sha512-a}
    engines: {node: '>=22.17'}
    dev: true
"""


def package(*names: str, **more: object) -> str:
    scripts = {"start": "node server.js"}
    return json.dumps({"scripts": scripts, "devDependencies": dict.fromkeys(names, "*"), **more})


def locked(needs: Mapping[str, object], **more: object) -> str:
    """npm's lockfile: by the places of packages what they need of Node.js."""
    packages = {place: {"version": "1.0.0", "engines": {"node": text}} for place, text in needs.items()}
    return json.dumps({"lockfileVersion": 3, "packages": {"": {"name": "shop"}, **packages}, **more}, indent=2)


def app(write: Write, needs: Mapping[str, object], settings: Settings = PLAIN, /, **files: str) -> AppBuild:
    """An app that asks for all that its lockfile has at the top."""
    names = [place.removeprefix("node_modules/") for place in needs]
    lock = locked({f"node_modules/{name}": text for name, text in zip(names, needs.values(), strict=True)})
    return langs.build(write({"package.json": package(*names), "package-lock.json": lock, **files}), settings)


def version_of(built: AppBuild) -> tuple[str, str]:
    assert built.version is not None
    return built.version.value, built.version.source


@pytest.mark.parametrize(
    ("needs", "value", "name"),
    [
        ({"@angular/cli": ANGULAR}, "22.23.3", "@angular/cli"),
        ({"react-router": ">=22.22.0"}, "22.23.3", "react-router"),
        ({"express": ">= 18", "nuxt": "^22.19.0 || >=24"}, "22.23.3", "nuxt"),
        ({"nuxt": "^22.19.0 || >=24", "kit": ">=24"}, "24.21.0", "nuxt"),
        # The next of those in long-term support, and none of those between.
        ({"kit": ">=23"}, "24.21.0", "kit"),
        ({"kit": ">24"}, "26.10.0", "kit"),
        ({"kit": "^23.1.0"}, "23.11.1", "kit"),
        ({"strapi": ">=18.0.0 <=20.x.x"}, "20.20.2", "strapi"),
        # No release that we know, and it lies inside all the same.
        ({"kit": ">=30"}, "30", "kit"),
        ({"kit": "24.2.0"}, "24.2.0", "kit"),
    ],
)
def test_what_the_default_is_not_enough_for_gets_the_nearest_line(
    write: Write, needs: Mapping[str, object], value: str, name: str
) -> None:
    built = app(write, needs)

    assert version_of(built) == (value, f"package-lock.json: {name} needs {needs[name]}")
    assert f"FROM node:{value} AS" in built.dockerfile
    assert built.warnings == ()
    assert [(choice.tool, choice.value) for choice in built.chosen] == [("nodejs", value)]


@pytest.mark.parametrize(
    "needs",
    [
        {},
        {"vite": "^20.19.0 || ^22.12.0 || >=24.0.0"},
        {"a": "*", "b": "", "c": ">= 0.4", "d": 22},
        {"a": "whatever you like", "b": "x" * 1000},
    ],
)
def test_the_default_stays_where_it_is_enough(write: Write, needs: Mapping[str, object]) -> None:
    built = app(write, needs)

    assert version_of(built) == (DEFAULT, "default")
    assert built.warnings == ()


@pytest.mark.parametrize(
    "entry",
    ['{"engines": ["node >= 24"]}', '{"engines": "node >= 24"}', '{"engines": null}', '{"link": true}', "{}"],
)
def test_what_ancient_packages_and_links_say_is_nothing(write: Write, entry: str) -> None:
    lock = f'{{"packages": {{"node_modules/a": {entry}}}}}'

    built = langs.build(write({"package.json": package("a"), "package-lock.json": lock}), PLAIN)

    assert version_of(built) == (DEFAULT, "default")


def test_what_lies_deeper_does_not_decide(write: Write) -> None:
    lock = locked({"node_modules/a": ">=18", "node_modules/a/node_modules/b": ">=24", "node_modules/c": ">=24"})

    built = langs.build(write({"package.json": package("a", "b"), "package-lock.json": lock}), PLAIN)

    assert version_of(built) == (DEFAULT, "default")


@pytest.mark.parametrize(
    ("files", "source"),
    [
        ({".nvmrc": "22.17.0"}, ".nvmrc"),
        ({".tool-versions": "nodejs 22.17.0"}, ".tool-versions"),
        ({"package.json": package("kit", engines={"node": "22.17.0"})}, "package.json engines.node"),
    ],
)
def test_whatever_the_app_states_comes_first(write: Write, files: Mapping[str, str], source: str) -> None:
    built = app(write, {"kit": ">=24"}, PLAIN, **files)

    assert version_of(built) == ("22.17.0", source)


@pytest.mark.parametrize(
    ("locked_before", "value"), [("24.3.0", "24.3.0"), ("22.22.3", "22.22.3"), (DEFAULT, "22.23.3")]
)
def test_a_choice_is_kept_as_long_as_it_is_enough(write: Write, locked_before: str, value: str) -> None:
    built = app(write, {"@angular/cli": "^22.22.3 || ^24.1.0"}, Settings(locked={"nodejs": locked_before}))

    assert version_of(built)[0] == value


@pytest.mark.parametrize(
    ("needs", "said"),
    [
        ({"new": ">=24", "old": "<23"}, ("new needs >=24", "old needs <23")),
        ({"new": ">=24", "fine": ">=18", "old": "^22"}, ("new needs >=24", "old needs ^22")),
        ({"ancient": ">=6 <11"}, ("ancient needs >=6 <11",)),
    ],
)
def test_where_nothing_is_good_for_all_the_default_stays_and_that_is_said(
    write: Write, needs: Mapping[str, object], said: tuple[str, ...]
) -> None:
    built = app(write, needs)

    [warning] = built.warnings
    assert version_of(built) == (DEFAULT, "default")
    assert all(f"package-lock.json: {each}" in warning for each in said)
    assert "fine" not in warning
    assert "engines.node" in warning


@pytest.mark.parametrize("lock", [PNPM, PNPM_6])
def test_pnpms_lockfile_says_so_too(write: Write, lock: str) -> None:
    root = write({"package.json": package("fastify", "@sveltejs/kit", "short"), "pnpm-lock.yaml": lock})

    built = langs.build(root, PLAIN)

    assert version_of(built) == ("22.23.3", "pnpm-lock.yaml: @sveltejs/kit needs >=22.17")


@pytest.mark.parametrize(
    "lock",
    [
        "lockfileVersion: 5.4\n\ndevDependencies:\n  kit: 3.0.1\npackages:\n\n  /kit/3.0.1:\n    engines: {node: 24}\n",
        PNPM.replace("  '@sveltejs/kit@3.0.1':\n", "  '@sveltejs/kit@3.0.1':\n    - x: [\n"),
        PNPM.replace("version: 3.0.1", "version: link:../kit"),
        "importers:\n\n  .: {}\n",
        "\0",
        "",
    ],
)
def test_what_is_not_found_in_pnpms_lockfile_decides_nothing(write: Write, lock: str) -> None:
    root = write({"package.json": package("fastify", "@sveltejs/kit", "kit"), "pnpm-lock.yaml": lock})

    assert nodelock.needed(
        AppFiles(root), "pnpm-lock.yaml", place=".", names=("fastify", "@sveltejs/kit", "kit"), default=DEFAULT
    ) == (None, ())


def test_a_member_of_a_workspace_gets_what_it_asks_for_itself(write: Write) -> None:
    lock = locked(
        {
            "node_modules/kit": ">=24",
            "apps/web/node_modules/kit": ">=22.17",
            "node_modules/vite": ">=26",
            "node_modules/fine": ">=18",
        }
    )
    root = write(
        {
            "package.json": json.dumps({"workspaces": ["apps/*"], "devDependencies": {"vite": "9"}}),
            "package-lock.json": lock,
            "apps/web/package.json": package("kit", "fine"),
            "apps/api/package.json": package("kit"),
            "apps/jobs/package.json": package("fine"),
        }
    )

    found = {name: langs.build(root / f"apps/{name}", PLAIN, within=root) for name in ("web", "api", "jobs")}

    assert {name: version_of(built) for name, built in found.items()} == {
        "web": ("22.23.3", "package-lock.json: kit needs >=22.17"),
        "api": ("24.21.0", "package-lock.json: kit needs >=24"),
        "jobs": (DEFAULT, "default"),
    }


def test_pnpms_importers_are_the_members(write: Write) -> None:
    root = write(
        {
            "package.json": package("@sveltejs/kit"),
            "pnpm-workspace.yaml": "packages: [apps/*]\n",
            "pnpm-lock.yaml": PNPM,
            "apps/web/package.json": package("vite"),
        }
    )

    built = langs.build(root / "apps/web", PLAIN, within=root)

    assert version_of(built) == ("22.23.3", "pnpm-lock.yaml: vite needs ^22.20.0 || >=24")


@pytest.mark.parametrize(
    ("file", "text"), [("package-lock.json", locked({"node_modules/kit": ">=24"})), ("pnpm-lock.yaml", PNPM)]
)
def test_a_lockfile_is_read_once_for_all_members(write: Write, file: str, text: str) -> None:
    root = AppFiles(write({file: text}))

    def ask() -> object:
        return nodelock.needed(root, file, place=".", names=("kit", "@sveltejs/kit"), default=DEFAULT)

    first = ask()
    (root.root / file).unlink()

    assert first != (None, ())
    assert ask() == first


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("package-lock.json", '{\n<<<<<<< HEAD\n  "a": 1\n=======\n', "package-lock.json, line 2: git's marks"),
        ("package-lock.json", "<<<<<<< HEAD\n{}\n", "package-lock.json, line 1: git's marks"),
        ("package-lock.json", '{\n  "packages": {\n    oops\n', "package-lock.json, line 3: this is no JSON"),
        ("package-lock.json", '{\n  "packages": {', "package-lock.json, line 2: this is no JSON"),
        ("package-lock.json", "", "package-lock.json, line 1: this is no JSON"),
        ("package-lock.json", "[]", "package-lock.json is not shaped like a lockfile"),
        ("npm-shrinkwrap.json", "[]", "npm-shrinkwrap.json is not shaped like a lockfile"),
        ("yarn.lock", "# yarn lockfile v1\n\n<<<<<<< HEAD\n", "yarn.lock, line 3: git's marks"),
        ("pnpm-lock.yaml", "lockfileVersion: '9.0'\n<<<<<<< HEAD\n", "pnpm-lock.yaml, line 2: git's marks"),
    ],
)
@pytest.mark.parametrize("more", [{}, {".nvmrc": "22"}])
def test_a_lockfile_that_nobody_can_read_is_a_warning(
    write: Write, file: str, text: str, said: str, more: Mapping[str, str]
) -> None:
    built = langs.build(write({"package.json": package("kit"), file: text, **more}), PLAIN)

    [warning] = built.warnings
    assert warning.startswith(said)


def test_a_lockfile_of_bun_with_marks_is_a_warning_too(write: Write) -> None:
    root = write({"package.json": package("a", scripts={"start": "bun a.ts"}), "bun.lock": "{\n<<<<<<< HEAD\n"})

    assert any("bun.lock, line 2" in warning for warning in langs.build(root, PLAIN).warnings)


def test_a_byte_order_mark_is_no_mistake(write: Write) -> None:
    root = write({"package.json": package("kit"), "package-lock.json": "\ufeff" + locked({"node_modules/kit": ">=24"})})

    assert version_of(langs.build(root, PLAIN))[0] == "24.21.0"


@pytest.mark.parametrize("file", ["package-lock.json", "pnpm-lock.yaml"])
def test_of_a_lockfile_that_is_too_long_nothing_is_known_and_nothing_said(write: Write, file: str) -> None:
    root = AppFiles(write({file: "x" * ((16 << 20) + 1)}))

    assert nodelock.problem(root, file) is None
    assert nodelock.needed(root, file, place=".", names=("kit",), default=DEFAULT) == (None, ())


def test_ranges_that_multiply_do_not(write: Write) -> None:
    needs = {f"a{n}": "||".join(f">={n + m} <{90 - m}" for m in range(40)) for n in range(200)}

    built = app(write, {**needs, "kit": ">=24"})

    assert built.version is not None


@given(text=NASTY, name=NASTY)
def test_whatever_packages_say_the_instructions_stay(text: str, name: str) -> None:
    files = {"package.json": package(name), "package-lock.json": locked({f"node_modules/{name}": text})}

    built = built_of(files, PLAIN)

    if built is not None:
        found = counts(built)
        assert (found["FROM"], found["CMD"], found["USER"], found["EXPOSE"]) == (4, 1, 1, 1)


@given(st.text())
def test_any_text_is_a_lockfile_or_none(text: str) -> None:
    for file in ("package-lock.json", "pnpm-lock.yaml"):
        try:
            built = built_of({"package.json": package("a"), file: text}, PLAIN)
        except LangError:
            continue
        assert built is None or built.version is not None
