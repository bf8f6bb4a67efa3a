"""Which package manager builds an app of Node.js, in which version, and what it is told."""

import json
import re
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs import nodemanagers, packagejson
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import AppBuild, Settings
from tests.langs.conftest import Write

SHA512 = (
    "a6b2f7906b721bba3d67d4aff083df04dad64c399707841b7acf00f6b133b7ac"
    "24255f2652fa22ae3534329dc6180534e98d17432037ff6fd140556e2bb3137e"
)
PLAIN = Settings()
LOCKS = {
    "yarn": {"yarn.lock": "# yarn lockfile v1\n"},
    "berry": {"yarn.lock": "__metadata:\n  version: 8\n", ".yarnrc.yml": "nodeLinker: node-modules\n"},
    "pnpm": {"pnpm-lock.yaml": "lockfileVersion: '9.0'\n"},
    "npm": {"package-lock.json": "{}"},
}


def package(**more: object) -> str:
    return json.dumps({"scripts": {"start": "node server.js", "build": "tsc"}, "dependencies": {"a": "1"}, **more})


def built(write: Write, files: Mapping[str, str], settings: Settings = PLAIN, /, **more: object) -> AppBuild:
    return langs.build(write({"package.json": package(**more), **files}), settings)


def installed(app: AppBuild) -> str | None:
    """What npm installs to install with."""
    words = [word for line in app.dockerfile.splitlines() if "npm install --global" in line for word in line.split()]
    return next((word for word in words if word.startswith(("npm@", "yarn@", "pnpm@", "@yarnpkg/"))), None)


@pytest.mark.parametrize(
    ("said", "files", "manager", "tool"),
    [
        ({}, LOCKS["npm"], "npm", None),
        ({}, LOCKS["yarn"], "yarn", "yarn@1."),
        ({}, LOCKS["berry"], "yarn", "@yarnpkg/cli-dist@4."),
        ({}, {"yarn.lock": "# x\n\n__metadata:\n  version: 8\n"}, "yarn", "@yarnpkg/cli-dist@4."),
        ({}, LOCKS["pnpm"], "pnpm", "pnpm@9."),
        ({}, {"pnpm-lock.yaml": "lockfileVersion: '6.0'\n"}, "pnpm", "pnpm@8."),
        ({}, {"pnpm-lock.yaml": "lockfileVersion: 5.4\n"}, "pnpm", "pnpm@7."),
        ({}, {**LOCKS["pnpm"], "pnpm-workspace.yaml": "onlyBuiltDependencies: []\n"}, "pnpm", "pnpm@10."),
        ({"engines": {"pnpm": ">=9"}}, LOCKS["pnpm"], "pnpm", "pnpm@9."),
        ({"engines": {"pnpm": "10"}}, LOCKS["pnpm"], "pnpm", "pnpm@10"),
        ({"engines": {"yarn": "please-use-npm"}}, LOCKS["npm"], "npm", None),
        ({"volta": {"yarn": "1.22.19"}}, LOCKS["yarn"], "yarn", "yarn@1.22.19"),
        ({"devEngines": {"packageManager": {"name": "pnpm", "version": "9.1.0"}}}, LOCKS["pnpm"], "pnpm", "pnpm@9.1.0"),
        ({"packageManager": "pnpm@10.1.0"}, LOCKS["npm"], "pnpm", "pnpm@10.1.0"),
        ({"packageManager": "npm@10.9.2"}, LOCKS["npm"], "npm", "npm@10.9.2"),
        ({"packageManager": "yarn@4.6.0"}, LOCKS["berry"], "yarn", "@yarnpkg/cli-dist@4.6.0"),
        ({"packageManager": "yarn@1.22.22"}, LOCKS["berry"], "yarn", "yarn@1.22.22"),
        ({"packageManager": f"yarn@1.22.22+sha512.{SHA512}"}, LOCKS["yarn"], "yarn", "yarn@1.22.22"),
        ({"packageManager": "cnpm@9.0.0"}, LOCKS["npm"], "npm", None),
    ],
)
def test_a_pin_decides_then_the_lockfile(
    write: Write, said: Mapping[str, object], files: Mapping[str, str], manager: str, tool: str | None
) -> None:
    app = built(write, files, **said)

    assert app.package_manager == manager
    assert (installed(app) or "").startswith(tool or "")
    assert (installed(app) is None) == (tool is None)


def test_a_pin_is_held_against_engines_and_against_nothing_else(write: Write) -> None:
    lock = {"pnpm-lock.yaml": "lockfileVersion: '6.0'\n"}

    agreed = built(write, lock, packageManager="pnpm@12.1.0", engines={"pnpm": ">=12"})
    contradicted = built(write, lock, packageManager="pnpm@12.1.0", engines={"pnpm": "<12"})

    assert agreed.warnings == ()
    assert len(contradicted.warnings) == 1
    assert "engines.pnpm asks for `<12`, which does not allow it" in contradicted.warnings[0]


@pytest.mark.parametrize(
    ("pin", "checked"),
    [
        (f"yarn@1.22.22+sha512.{SHA512}", f'echo "{SHA512}  /tmp/yarn-1.22.22.tgz" | sha512sum --check'),
        (f"pnpm@10.1.0+sha1.{'a' * 40}", f'echo "{"a" * 40}  /tmp/pnpm-10.1.0.tgz" | sha1sum --check'),
        (
            f"yarn@4.6.0+sha224.{'b' * 56}",
            f'echo "{"b" * 56}  /opt/yarn/lib/node_modules/@yarnpkg/cli-dist/bin/yarn.js" | sha224sum --check',
        ),
    ],
)
def test_the_hash_of_a_pin_is_checked(write: Write, pin: str, checked: str) -> None:
    files = LOCKS["berry"] if pin.startswith("yarn@4") else {}

    assert checked in built(write, files, packageManager=pin).dockerfile


@pytest.mark.parametrize(
    ("files", "steps"),
    [
        (LOCKS["npm"], ("npm ci ", "npm run build", "npm prune --omit=dev")),
        (LOCKS["yarn"], ("yarn install --frozen-lockfile", "yarn run build", "yarn install --production")),
        (LOCKS["berry"], ("yarn install --immutable", "yarn run build", "yarn workspaces focus --all --production")),
        (LOCKS["pnpm"], ("pnpm install --frozen-lockfile", "pnpm run build", "pnpm prune --prod")),
    ],
)
def test_development_dependencies_are_there_for_the_build_and_gone_afterwards(
    write: Write, files: Mapping[str, str], steps: tuple[str, str, str]
) -> None:
    settings = Settings(env={"NODE_ENV": "production"})

    text = built(write, files, settings, devDependencies={"typescript": "5"}).dockerfile

    install, build, prune = (text.index(step) for step in steps)
    assert max(install, build, prune) < text.index("FROM node:22.16.0-slim")
    assert install < min(build, prune)
    assert f"NODE_ENV=development {steps[0]}" in text.replace("CI=true ", "")
    assert "COPY . ." not in text[:install]


@pytest.mark.parametrize("manager", ["yarn", "berry", "pnpm"])
def test_without_a_lockfile_nothing_is_frozen_and_that_is_said(write: Write, manager: str) -> None:
    pins = {"yarn": "yarn@1.22.22", "berry": "yarn@4.6.0", "pnpm": "pnpm@9.15.0"}
    files = {".yarnrc.yml": "nodeLinker: node-modules\n"} if manager == "berry" else {}

    app = built(write, files, packageManager=pins[manager])

    assert "install --frozen" not in app.dockerfile
    assert "--immutable" not in app.dockerfile
    assert any("there is no" in warning for warning in app.warnings)


def test_what_an_installation_reads_is_copied_before_it_and_nothing_else(write: Write) -> None:
    files = {
        **LOCKS["pnpm"],
        ".npmrc": "//npm.example/:_authToken=${NPM_TOKEN}\n",
        ".pnpmfile.cjs": "",
        "pnpm-workspace.yaml": "patchedDependencies:\n  b: fixes/b.patch\n",
        "fixes/b.patch": "",
        "changes/a.patch": "",
        "patches/c.patch": "",
        "prisma/schema.prisma": "",
        "server.js": "",
    }
    settings = Settings(secrets=("NPM_TOKEN",))

    app = built(
        write,
        files,
        settings,
        dependencies={"@prisma/client": "6"},
        pnpm={"patchedDependencies": {"a@1": "changes/a.patch", "x": "../../etc/passwd"}},
    )

    before = app.dockerfile[: app.dockerfile.index("pnpm install --frozen")]
    assert [line for line in before.splitlines() if line.startswith("COPY")] == [
        "COPY package.json pnpm-lock.yaml .npmrc pnpm-workspace.yaml .pnpmfile.cjs ./",
        "COPY prisma/schema.prisma ./prisma/",
        "COPY changes/a.patch ./changes/",
        "COPY fixes/b.patch ./fixes/",
        "COPY patches ./patches/",
    ]


def test_prismas_schema_stands_where_package_json_says(write: Write) -> None:
    files = {**LOCKS["npm"], "db/my.prisma": "", "prisma/schema.prisma": "", "prisma.config.ts": ""}

    text = built(write, files, devDependencies={"prisma": "6"}, prisma={"schema": "./db/my.prisma"}).dockerfile

    assert "COPY db/my.prisma ./db/\n" in text
    assert "COPY package.json package-lock.json prisma.config.ts ./\n" in text
    assert "COPY prisma/" not in text


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (".npmrc", "//registry.example/:_authToken=npm_abc\n"),
        (".npmrc", "_auth = aGVsbG8=\n"),
        (".yarnrc", '"//registry.example/:_authToken" npm_abc\n'),
        (".yarnrc.yml", "npmAuthToken: npm_abc\n"),
        (".yarnrc.yml", "npmScopes:\n  acme:\n    npmAuthIdent: 'me:pw'\n"),
        (".npmrc", "registry=https://me:npm_abc@registry.example/\n"),
        ("bunfig.toml", '[install.scopes]\nacme = { token = "npm_abc", url = "https://registry.example/" }\n'),
        ("bunfig.toml", '[install]\nregistry = "https://me:npm_abc@registry.example/"\n'),
    ],
)
def test_a_credential_in_plain_text_is_refused_and_never_told(write: Write, file: str, text: str) -> None:
    with pytest.raises(LangError, match="credential") as caught:
        built(write, {**LOCKS["yarn"], file: text})

    assert caught.value.file == file
    assert "NPM_TOKEN" in caught.value.hint
    assert "npm_abc" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (".npmrc", "//registry.example/:_authToken=${NPM_TOKEN}\n# _auth=x\nalways-auth=true\n"),
        (".yarnrc", '"//registry.example/:_authToken" "${NPM_TOKEN}"\nregistry "https://registry.npmjs.org"\n'),
        (".yarnrc.yml", 'nodeLinker: node-modules\nnpmAuthToken: "${NPM_TOKEN:-}"\n'),
        ("bunfig.toml", '[install.scopes]\nacme = { token = "$NPM_TOKEN", url = "https://registry.example/" }\n'),
    ],
)
def test_a_variable_stands_for_a_credential(write: Write, file: str, text: str) -> None:
    assert built(write, {**LOCKS["yarn"], file: text}).package_manager == "yarn"


def test_an_address_of_a_dependency_with_a_password_is_refused(write: Write) -> None:
    with pytest.raises(LangError, match="password") as caught:
        built(write, LOCKS["npm"], dependencies={"a": "git+https://me:hunter2@git.example/a.git"})

    assert "hunter2" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("start", "served"),
    [
        ("react-scripts start", "react-scripts"),
        ("vite --host", "vite"),
        ("next dev -p $PORT", "next"),
        ("vite preview --host", None),
        ("next start", None),
        ("node next dev", None),
    ],
)
def test_a_server_for_development_is_a_warning(write: Write, start: str, served: str | None) -> None:
    app = built(write, LOCKS["npm"], scripts={"start": start})

    said = [warning for warning in app.warnings if "for development" in warning]
    assert [f"runs {served}," in warning for warning in said] == ([True] if served else [])


def test_with_plug_and_play_node_js_loads_what_finds_its_packages(write: Write) -> None:
    files = {"yarn.lock": LOCKS["berry"]["yarn.lock"], "Procfile": "worker: NODE_ENV=x node worker.js\n"}

    app = built(write, files, type="module", devDependencies={"typescript": "5"})

    options = "--require ./.pnp.cjs --experimental-loader ./.pnp.loader.mjs"
    assert [each.command for each in app.processes] == [
        f"node {options} server.js",
        f"NODE_ENV=x node {options} worker.js",
    ]
    assert "ENV YARN_ENABLE_GLOBAL_CACHE=false" in app.dockerfile


def test_with_plug_and_play_a_packages_program_cannot_be_started(write: Write) -> None:
    files = {"yarn.lock": LOCKS["berry"]["yarn.lock"]}

    with pytest.raises(LangError, match="Plug'n'Play") as caught:
        built(write, files, scripts={"start": "next start"}, dependencies={"next": "15"})

    assert caught.value.file == ".yarnrc.yml"


@pytest.mark.parametrize(
    ("files", "kept"),
    [({}, True), ({".yarn/plugins/@yarnpkg/plugin-workspace-tools.cjs": ""}, False)],
)
def test_yarn_3_needs_its_plugin_to_remove_development_dependencies(
    write: Write, files: Mapping[str, str], *, kept: bool
) -> None:
    app = built(write, {**LOCKS["berry"], **files}, packageManager="yarn@3.8.7", devDependencies={"typescript": "5"})

    assert ("workspaces focus" not in app.dockerfile) == kept
    assert any("devDependencies stay" in warning for warning in app.warnings) == kept


def test_a_manager_that_the_start_command_needs_comes_along(write: Write) -> None:
    app = built(write, LOCKS["pnpm"], scripts={"start": "pnpm run a | cat", "a": "node a.js"})

    runtime = app.dockerfile[app.dockerfile.index("AS runtime") :]
    assert "COPY --from=install /opt/pnpm /opt/pnpm\n" in runtime
    assert 'ENV PATH="/opt/pnpm/bin:$PATH"\n' in runtime


def test_a_dependency_in_the_apps_directory_needs_the_sources(write: Write) -> None:
    text = built(write, {**LOCKS["npm"], "lib/package.json": "{}"}, dependencies={"lib": "file:./lib"}).dockerfile

    assert text.index("COPY . .") < text.index("npm ci")


@pytest.mark.parametrize("wanted", ["file:../lib", "link:../lib", "portal:/lib", "../lib", "/lib"])
def test_a_dependency_outside_is_refused(write: Write, wanted: str) -> None:
    with pytest.raises(LangError, match="outside"):
        built(write, LOCKS["yarn"], dependencies={"lib": wanted})


@pytest.mark.parametrize(
    ("workspace", "is_app"),
    [
        ("packages: [apps/*]\n", False),
        ("packages: ['.']\n", True),
        ("onlyBuiltDependencies: [esbuild]\n", True),
        ("", True),
    ],
)
def test_settings_of_pnpm_alone_make_no_workspace(write: Write, workspace: str, *, is_app: bool) -> None:
    root = write({"package.json": package(), **LOCKS["pnpm"], "pnpm-workspace.yaml": workspace})

    detection = langs.detect(root, Settings())

    assert detection is not None
    assert detection.is_app == is_app


@pytest.mark.parametrize(
    "text",
    [
        "packages: [apps/*]\nx: &a [" + "*a, " * 100_000 + "]\n",
        "packages: " + "[" * 10_000,
        "packages:\n  - a\n packages: b\n\t",
    ],
)
def test_yaml_made_to_be_large_deep_or_wrong_is_an_error(write: Write, text: str) -> None:
    with pytest.raises(LangError) as caught:
        built(write, {**LOCKS["pnpm"], "pnpm-workspace.yaml": text})

    assert caught.value.file == "pnpm-workspace.yaml"


@pytest.mark.parametrize(
    "pin", ["yarn@six", "pnpm@9.0.0+sha512.xyz", "pnpm@`id`", "npm@1.0.0;id", "yarn@https://x/y.js"]
)
def test_a_pin_that_is_none_is_an_error(write: Write, pin: str) -> None:
    with pytest.raises(LangError) as caught:
        built(write, LOCKS["npm"], packageManager=pin)

    assert caught.value.file == "package.json"
    assert caught.value.hint


@given(st.text("npmyarn@0123456789.+sha512-x \n`$'\"") | st.text())
def test_any_pin_is_understood_or_an_error(tmp_path_factory: pytest.TempPathFactory, pin: str) -> None:
    files = AppFiles(tmp_path_factory.getbasetemp())
    said = packagejson.parse(json.dumps({"packageManager": pin}))

    try:
        chosen = nodemanagers.choose(files, said)
        version = nodemanagers.version(files, Settings(), said, chosen)[0] if chosen else None
    except LangError:
        return

    assert version is None or re.fullmatch(r"[0-9A-Za-z.-]+", version, re.ASCII)


def test_what_only_bun_locks_is_not_installed_by_npm(write: Write) -> None:
    root = write({"package.json": package(), "bun.lock": ""})

    with pytest.raises(LangError, match="Bun") as caught:
        langs.build(root, Settings(language="nodejs"))

    assert 'language = "bun"' in caught.value.hint


@pytest.mark.parametrize(
    ("files", "used", "other", "say"),
    [
        ((*LOCKS["npm"], *LOCKS["pnpm"]), "package-lock.json", "pnpm-lock.yaml", "pnpm@"),
        ((*LOCKS["yarn"], *LOCKS["pnpm"]), "yarn.lock", "pnpm-lock.yaml", "pnpm@"),
        ((*LOCKS["npm"], "bun.lock"), "package-lock.json", "bun.lock", "bun@"),
        ((*LOCKS["npm"], *LOCKS["yarn"], *LOCKS["pnpm"]), "package-lock.json", "yarn.lock, pnpm-lock.yaml", "yarn@"),
    ],
)
def test_of_several_lockfiles_one_is_used_and_that_is_said(
    write: Write, files: tuple[str, ...], used: str, other: str, say: str
) -> None:
    texts = {"bun.lock": "", **LOCKS["npm"], **LOCKS["yarn"], **LOCKS["pnpm"]}

    app = built(write, {file: texts[file] for file in files})

    [warning] = app.warnings
    assert f"installs what {used} says; {other} beside it counts for nothing" in warning
    assert f'"packageManager": "{say}VERSION"' in warning


@pytest.mark.parametrize(
    ("said", "files"),
    [
        ({"packageManager": "pnpm@10.1.0"}, {**LOCKS["npm"], **LOCKS["pnpm"]}),
        ({}, {**LOCKS["npm"], "npm-shrinkwrap.json": "{}"}),
        ({}, LOCKS["berry"]),
    ],
)
def test_who_says_which_manager_it_is_has_no_such_warning(
    write: Write, said: Mapping[str, object], files: Mapping[str, str]
) -> None:
    assert built(write, files, **said).warnings == ()


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("[]", "The whole file must be of that shape: `{...}`."),
        ('"a"', "The whole file must be of that shape: `{...}`."),
        ('{"scripts": []}', "Correct this key."),
        ('{"scripts": {"start": 1}}', "Correct this key."),
    ],
)
def test_a_manifest_of_another_shape_is_an_error_that_says_what_to_correct(write: Write, text: str, hint: str) -> None:
    with pytest.raises(LangError, match="has another shape than expected") as raised:
        langs.build(write({"package.json": text}), PLAIN)

    assert (raised.value.file, raised.value.hint) == ("package.json", hint)
