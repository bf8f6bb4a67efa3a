"""Members of workspaces of npm, Yarn and pnpm: what their builds see, what is installed, and what is never asked."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

import langs
from langs import Reader, packagejson
from langs.errors import LangError
from langs.model import AppBuild, Settings
from tests.langs import splitter
from tests.langs.conftest import Write

SERVER = "require('http').createServer().listen(5000)"
NPM: Mapping[str, str] = {"package.json": '{"workspaces": ["apps/*", "packages/*"]}', "package-lock.json": "{}"}
YARN: Mapping[str, str] = {"package.json": NPM["package.json"], "yarn.lock": "# yarn lockfile v1\n"}
BERRY: Mapping[str, str] = {
    "package.json": '{"workspaces": ["apps/*", "packages/*"], "packageManager": "yarn@4.6.0"}',
    "yarn.lock": "__metadata:\n  version: 8\n",
    ".yarnrc.yml": "nodeLinker: node-modules\n",
}
PNPM: Mapping[str, str] = {
    "package.json": "{}",
    "pnpm-workspace.yaml": "packages: [apps/*, packages/*]\n",
    "pnpm-lock.yaml": "lockfileVersion: '9.0'\n",
}
PLAIN = Settings()


def manifest(name: str, *needs: str, **more: object) -> str:
    return json.dumps({"name": name, "dependencies": dict.fromkeys(needs, "*"), **more})


def app(name: str, *needs: str, **more: object) -> str:
    return manifest(name, *needs, scripts={"start": "node server.js"}, **more)


def monorepo(write: Write, above: Mapping[str, str] = NPM, /, **more: str) -> Path:
    return write(
        {
            "apps/web/package.json": app("web", "ui"),
            "apps/web/server.js": SERVER,
            "apps/api/package.json": app("api", "words"),
            "apps/api/server.js": SERVER,
            "packages/ui/package.json": manifest("ui", "words", scripts={"build": "tsc"}),
            "packages/words/package.json": manifest("words", scripts={"build": "tsc"}),
            "packages/unused/package.json": manifest("unused"),
            **above,
            **more,
        }
    )


def built(root: Path, path: str = "apps/web", settings: Settings = PLAIN) -> AppBuild:
    return langs.build(root / path, settings, within=root)


def before_install(text: str) -> list[tuple[str, str]]:
    """The instructions of the stage that installs."""
    instructions = splitter.split(text)
    first = [index for index, (keyword, _) in enumerate(instructions) if keyword == "FROM"]
    return instructions[: first[1]]


def allowed(app: AppBuild) -> set[str]:
    """What the ignore rules let in."""
    return {line[1:] for line in (app.dockerignore or "").splitlines() if line.startswith("!")}


@pytest.mark.parametrize("above", [NPM, YARN, BERRY, PNPM], ids=["npm", "yarn", "berry", "pnpm"])
def test_a_member_is_built_from_the_root_with_its_packages_and_no_others(
    write: Write, above: Mapping[str, str]
) -> None:
    root = monorepo(write, above)

    detection = langs.detect(root / "apps/web", PLAIN, within=root)
    app = built(root)

    assert detection is not None
    assert detection.is_app
    assert detection.packages == ("packages/ui", "packages/words")
    assert app.context == "../.."
    assert (app.dockerignore or "").splitlines()[0] == "*"
    assert allowed(app) == {
        "apps/web",
        "packages/ui",
        "packages/words",
        *above,
        *(f"{place}/package.json" for place in ("apps/api", "apps/web")),
        *(f"packages/{name}/package.json" for name in ("ui", "unused", "words")),
    }
    assert app.warnings == ()


@pytest.mark.parametrize("above", [NPM, YARN, BERRY, PNPM], ids=["npm", "yarn", "berry", "pnpm"])
def test_apps_of_one_workspace_have_their_installation_in_common(write: Write, above: Mapping[str, str]) -> None:
    root = monorepo(write, above)

    web, api = (before_install(built(root, path).dockerfile) for path in ("apps/web", "apps/api"))

    assert web == api


def test_packages_are_built_before_those_that_depend_on_them_and_the_app_last(write: Write) -> None:
    root = monorepo(write, **{"apps/web/package.json": app("web", "ui", "words", devDependencies={"typescript": "5"})})

    text = built(root, settings=Settings(build_command="./build")).dockerfile

    places = [rest for keyword, rest in splitter.split(text) if keyword == "WORKDIR"]
    assert places[1:4] == ["/app/packages/words", "/app/packages/ui", "/app/apps/web"]
    assert text.index("./build") > text.index("WORKDIR /app/apps/web")


@pytest.mark.parametrize(
    "wanted", ["*", "^1.0.0", "workspace:*", "workspace:^", "workspace:packages/ui", "file:../../packages/ui"]
)
def test_a_neighbour_is_recognised_however_it_is_asked_for(write: Write, wanted: str) -> None:
    web = json.dumps({"name": "web", "dependencies": {"ui": wanted}, "scripts": {"start": "node server.js"}})
    root = monorepo(write, **{"apps/web/package.json": web})

    detection = langs.detect(root / "apps/web", PLAIN, within=root)

    assert detection is not None
    assert detection.packages == ("packages/ui", "packages/words")


@pytest.mark.parametrize("wanted", ["npm:ui@1", "https://example.org/ui.tgz", "somebody/ui", "github:somebody/ui"])
def test_a_package_of_somebody_else_is_no_neighbour_of_that_name(write: Write, wanted: str) -> None:
    web = json.dumps({"name": "web", "dependencies": {"ui": wanted}, "scripts": {"start": "node server.js"}})
    root = monorepo(write, **{"apps/web/package.json": web})

    detection = langs.detect(root / "apps/web", PLAIN, within=root)

    assert detection is not None
    assert detection.packages == ()


def test_what_development_and_peers_need_of_the_workspace_is_there_and_what_the_root_needs(write: Write) -> None:
    root = monorepo(
        write,
        {
            **NPM,
            "package.json": '{"workspaces": ["apps/*", "packages/*"], "devDependencies": {"unused": "*"}}',
            "packages/types/package.json": manifest("types"),
        },
        **{
            "apps/web/package.json": app("web", devDependencies={"words": "*"}),
            "packages/words/package.json": manifest("words", peerDependencies={"types": "*"}),
        },
    )

    detection = langs.detect(root / "apps/web", PLAIN, within=root)

    assert detection is not None
    assert detection.packages == ("packages/types", "packages/unused", "packages/words")


def test_packages_that_depend_on_each_other_in_a_circle_are_built_once_each(write: Write) -> None:
    root = monorepo(write, **{"packages/words/package.json": manifest("words", "ui", scripts={"build": "tsc"})})

    text = built(root).dockerfile

    assert text.count("npm run build") == 2


def test_a_neighbour_that_nobody_has_is_an_error_and_not_a_question_to_the_registry(write: Write) -> None:
    web = json.dumps({"name": "web", "dependencies": {"uii": "workspace:*"}, "scripts": {"start": "node server.js"}})
    root = monorepo(write, **{"apps/web/package.json": web})

    with pytest.raises(LangError, match="'uii' is asked of the workspace"):
        built(root)


@pytest.mark.parametrize(("above", "left_out"), [(NPM, True), (YARN, True), (PNPM, True), (BERRY, False)])
def test_a_script_of_another_member_does_not_run_without_its_sources(
    write: Write, above: Mapping[str, str], *, left_out: bool
) -> None:
    scripts = {"start": "node server.js", "postinstall": "node setup.js"}
    root = monorepo(write, above, **{"apps/api/package.json": manifest("api", scripts=scripts)})

    web = built(root)
    api = built(root, "apps/api")

    assert ("apps/api/package.json" not in allowed(web)) == left_out
    # Yarn of today bears no missing member, and is told whose scripts to run.
    assert left_out or "cd apps/web && yarn workspaces focus && cd /app" in web.dockerfile
    assert any("installs again" in warning for warning in api.warnings)


def test_who_has_a_lockfile_of_its_own_is_built_alone(write: Write) -> None:
    root = monorepo(write, **{"apps/web/package-lock.json": "{}"})

    app = built(root)

    assert app.context == "."
    assert app.package_manager == "npm"


@pytest.mark.parametrize(
    ("above", "member"),
    [
        ({"package.json": '{"workspaces": ["apps/*"]}'}, True),
        ({"package.json": '{"workspaces": {"packages": ["./apps/**"]}}'}, True),
        ({"package.json": '{"workspaces": ["{apps,packages}/*"]}'}, True),
        ({"package.json": '{"workspaces": ["apps/web"]}'}, True),
        ({"pnpm-workspace.yaml": "packages: ['**']"}, True),
        ({"package.json": '{"workspaces": ["packages/*"]}'}, False),
        ({"package.json": '{"workspaces": ["apps/*", "!apps/web"]}'}, False),
        ({"package.json": '{"workspaces": ["apps/*", "!**/web"]}'}, False),
        ({"package.json": '{"name": "tools"}'}, False),
    ],
)
def test_who_is_a_member_is_said_by_patterns(write: Write, above: Mapping[str, str], *, member: bool) -> None:
    root = monorepo(write, above)

    assert (built(root).context == "../..") == member


def test_a_workspace_need_not_begin_at_the_monorepos_root(write: Write) -> None:
    root = monorepo(write, {}, **{"apps/package.json": '{"workspaces": ["*"]}', "apps/web/package.json": app("web")})

    assert built(root).context == ".."


def test_what_lies_above_the_monorepo_is_not_looked_at(write: Write) -> None:
    root = monorepo(write)

    app = langs.build(root / "apps/web", PLAIN, within=root / "apps")

    assert app.context == "."


def test_the_ignore_rules_of_the_app_hold_in_its_directory(write: Write) -> None:
    root = monorepo(write, **{"apps/web/.dockerignore": "# mine\n/docs\n**/*.md\n!README.md\n!../api/server.js\n"})

    lines = (built(root).dockerignore or "").splitlines()

    assert lines[-5:] == [
        "# mine",
        "apps/web/docs",
        "apps/web/**/*.md",
        "!apps/web/README.md",
        "!apps/web/api/server.js",
    ]


def test_another_member_inside_of_the_app_stays_out(write: Write) -> None:
    above = {**NPM, "package.json": '{"workspaces": ["apps/*", "apps/web/*", "packages/*"]}'}
    root = monorepo(write, above, **{"apps/web/stories/package.json": manifest("stories")})

    lines = (built(root).dockerignore or "").splitlines()

    assert lines.index("!apps/web") < lines.index("apps/web/stories") < lines.index("!apps/web/stories/package.json")


@pytest.mark.parametrize("name", ["$(touch x)", "a\nRUN x", "a b;c", "{{ x }}"])
def test_a_member_with_a_hostile_name_is_nobodys_neighbour(write: Write, name: str) -> None:
    root = monorepo(write, **{f"packages/{name}/package.json": manifest("evil")})

    app = built(root)

    assert name not in app.dockerfile
    assert name not in (app.dockerignore or "")


def test_the_manifests_of_a_workspace_are_read_once_for_all_its_apps(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = monorepo(write)
    parsed: list[str] = []
    parse = packagejson.parse

    def counted(text: str) -> packagejson.PackageJson:
        parsed.append(text)
        return parse(text)

    monkeypatch.setattr(packagejson, "parse", counted)
    reader = Reader()

    for path in ("apps/web", "apps/api", "packages/ui"):
        detection = reader.detect(root / path, PLAIN, within=root)
        if detection and detection.is_app:
            reader.build(root / path, PLAIN, within=root, detection=detection)

    assert len(parsed) == 6 + 3  # the root's and those of five members, and each one's own


def test_a_large_workspace_has_its_manifests_in_one_layer(write: Write) -> None:
    members = {f"packages/p{number}/package.json": manifest(f"p{number}") for number in range(50)}
    root = monorepo(write, **members)

    text = built(root).dockerfile
    api = built(root, "apps/api").dockerfile

    instructions = splitter.split(text)
    first = text.index("AS manifests")
    assert first < text.index("AS install")
    assert sum(keyword == "COPY" for keyword, _ in instructions) == 5
    assert '["cp", "-r", "--parents", "package.json", "package-lock.json", "apps/api/package.json"' in text
    assert "COPY --from=manifests /manifests/ ./\nRUN" in text
    assert text.partition("AS builder")[0].partition("AS modules")[0] == api.partition("AS modules")[0]


def test_another_member_around_one_that_is_needed_does_not_take_it_away(write: Write) -> None:
    above = {**NPM, "package.json": '{"workspaces": ["apps/*", "packages/*", "packages/unused/*"]}'}
    inner = {
        "packages/unused/inner/package.json": manifest("inner"),
        "apps/web/package.json": app("web", "inner"),
    }
    root = monorepo(write, above, **inner)

    text = built(root).dockerfile

    removed = next(line for line in text.splitlines() if line.startswith("RUN rm -rf")).split()
    assert "packages/unused" not in removed
    assert {"packages/unused/package.json", "packages/unused/node_modules", "apps/api"} <= set(removed)


def test_a_package_that_brings_programs_is_there_before_they_are_linked(write: Write) -> None:
    root = monorepo(write, **{"packages/words/package.json": manifest("words", bin={"words": "cli.js"})})

    web = built(root)

    assert web.dockerfile.index("COPY . .") < web.dockerfile.index("npm ci")
    assert any("packages/words brings programs" in warning for warning in web.warnings)


def test_what_the_root_runs_at_installation_comes_with_it(write: Write) -> None:
    scripts = {"postinstall": "node ./scripts/setup.js && ./patch.sh", "prepare": "husky"}
    above = {**NPM, "package.json": json.dumps({"workspaces": ["apps/*", "packages/*"], "scripts": scripts})}
    root = monorepo(write, above, **{"scripts/setup.js": "", "patch.sh": "", "tools/other.js": ""})

    web = built(root)

    assert {"scripts", "patch.sh"} <= allowed(web)
    assert "tools" not in allowed(web)
    assert web.dockerfile.index("COPY . .") < web.dockerfile.index("npm ci")


def test_a_site_that_a_member_makes_is_served_from_its_directory(write: Write) -> None:
    scripts = {"build": "vite build"}
    root = monorepo(
        write,
        PNPM,
        **{"apps/web/package.json": manifest("web", "ui", scripts=scripts), "apps/web/index.html": "<p>"},
    )
    (root / "apps/web/server.js").unlink()

    detection = langs.detect(root / "apps/web", PLAIN, within=root)
    site = built(root)

    assert detection is not None
    assert (detection.language, detection.packages) == ("static", ("packages/ui", "packages/words"))
    assert site.context == "../.."
    assert {"apps/web", "packages/ui", "packages/words", "pnpm-lock.yaml"} <= allowed(site)
    assert "FROM assets AS site\nWORKDIR /app/apps/web\n" in site.dockerfile
    assert "apps/web/Staticfile" in (site.dockerignore or "").splitlines()
