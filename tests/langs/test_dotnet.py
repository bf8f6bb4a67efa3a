""".NET: which project is published, by which SDK, on which runtime."""

import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import langs
from langs import dotnet
from langs.errors import LangError
from langs.files import AppFiles
from langs.model import Settings, Version
from tests.langs import splitter
from tests.langs.conftest import Write
from tests.langs.test_msbuild import group, project

WEB = project(group(TargetFramework="net8.0"))
CONSOLE = project(group(OutputType="Exe", TargetFramework="net8.0"), "Microsoft.NET.Sdk")
LIBRARY = project(group(TargetFramework="net8.0"), "Microsoft.NET.Sdk")
APP: Mapping[str, str] = {"Api.csproj": WEB, "Program.cs": ""}


def sdk(version: str, roll_forward: str | None = None) -> dict[str, str]:
    said = {"version": version, **({"rollForward": roll_forward} if roll_forward else {})}
    return {"global.json": json.dumps({"sdk": said})}


def forced(value: str) -> Settings:
    return Settings(versions={"dotnet": Version(value=value, source="$DOTNET_VERSION")})


@pytest.mark.parametrize(
    ("files", "settings", "expected", "images"),
    [
        pytest.param(
            {},
            Settings(),
            Version(value="8.0", source="Api.csproj TargetFramework"),
            ("8.0", "8.0"),
            id="target framework",
        ),
        pytest.param(
            {"Api.csproj": project("")},
            Settings(),
            Version(value="8.0", source="default"),
            ("8.0", "8.0"),
            id="nothing",
        ),
        pytest.param(
            {"Api.csproj": project(group(TargetFrameworks="net8.0;net9.0"))},
            Settings(),
            Version(value="9.0", source="Api.csproj TargetFramework"),
            ("9.0", "9.0"),
            id="the highest of several",
        ),
        pytest.param(
            sdk("8.0.303"),
            Settings(),
            Version(value="8.0", source="global.json sdk.version"),
            ("8.0.303", "8.0"),
            id="a band of its own",
        ),
        pytest.param(
            sdk("8.0.303", "latestFeature"),
            Settings(),
            Version(value="8.0", source="global.json sdk.version"),
            ("8.0", "8.0"),
            id="any band",
        ),
        pytest.param(
            sdk("9.0.100", "latestMinor"),
            Settings(),
            Version(value="9.0", source="global.json sdk.version"),
            ("9.0", "8.0"),
            id="an SDK builds for older lines, which their own runtime runs",
        ),
        pytest.param({}, forced("9.0"), Version(value="9.0", source="$DOTNET_VERSION"), ("9.0", "9.0"), id="forced"),
        pytest.param({}, forced("8"), Version(value="8.0", source="$DOTNET_VERSION"), ("8.0", "8.0"), id="forced line"),
        pytest.param(
            {},
            forced("8.0.11"),
            Version(value="8.0.11", source="$DOTNET_VERSION"),
            ("8.0", "8.0.11"),
            id="forced runtime",
        ),
        pytest.param(
            {}, forced("8.0.404"), Version(value="8.0", source="$DOTNET_VERSION"), ("8.0.404", "8.0"), id="forced SDK"
        ),
        pytest.param(
            {"Api.csproj": project(""), ".tool-versions": "dotnet 9.0.100\n"},
            Settings(),
            Version(value="9.0", source=".tool-versions"),
            ("9.0.100", "9.0"),
            id=".tool-versions",
        ),
    ],
)
def test_versions_are_taken_from_every_source(
    write: Write, files: Mapping[str, str], settings: Settings, expected: Version, images: tuple[str, str]
) -> None:
    built = langs.build(write({**APP, **files}), settings)

    assert built.version == expected
    assert f"FROM mcr.microsoft.com/dotnet/sdk:{images[0]} AS builder" in built.dockerfile
    assert f"FROM mcr.microsoft.com/dotnet/aspnet:{images[1]} AS runtime" in built.dockerfile


def test_a_newer_runtime_that_somebody_asks_for_runs_what_targets_an_older_one(write: Write) -> None:
    newer = langs.build(write(APP), forced("9.0"))
    same = langs.build(write(APP), forced("8.0"))

    assert "DOTNET_ROLL_FORWARD=Major" in newer.dockerfile
    assert "DOTNET_ROLL_FORWARD" not in same.dockerfile


@pytest.mark.parametrize(("files", "settings"), [(sdk("6.0.400"), Settings()), ({}, forced("7.0"))])
def test_an_sdk_that_is_too_old_is_an_error(write: Write, files: Mapping[str, str], settings: Settings) -> None:
    with pytest.raises(LangError, match=r"cannot build 8\.0"):
        langs.build(write({**APP, **files}), settings)


def test_of_several_frameworks_one_is_published(write: Write) -> None:
    text = langs.build(write({"Api.csproj": project(group(TargetFrameworks="net8.0;net9.0"))}), Settings()).dockerfile

    assert "--framework net9.0" in text


@pytest.mark.parametrize(
    ("files", "start"),
    [
        pytest.param(APP, 'ASPNETCORE_HTTP_PORTS="$PORT" dotnet Api.dll', id="ASP.NET Core"),
        pytest.param(
            {"Api.csproj": project(group(TargetFramework="net6.0"))},
            'ASPNETCORE_URLS="http://+:$PORT" dotnet Api.dll',
            id="before 8.0",
        ),
        pytest.param(
            {**APP, "Procfile": "web: dotnet Api.dll --urls http://+:$PORT\n"},
            "dotnet Api.dll --urls http://+:$PORT",
            id="its own address",
        ),
        pytest.param(
            {**APP, "Procfile": "web: dotnet Api.dll --verbose\n"},
            'ASPNETCORE_HTTP_PORTS="$PORT" dotnet Api.dll --verbose',
            id="the Procfile's words",
        ),
        pytest.param(
            {"App.sln": "", "src/Api/Api.csproj": WEB, "src/Cli/Cli.csproj": CONSOLE},
            'ASPNETCORE_HTTP_PORTS="$PORT" dotnet Api.dll',
            id="what serves before what does not",
        ),
        pytest.param(
            {"App.slnx": "", "src/Api/Api.csproj": WEB, "src/Web/Web.fsproj": WEB, "Procfile": "web: dotnet Web.dll\n"},
            'ASPNETCORE_HTTP_PORTS="$PORT" dotnet Web.dll',
            id="of several the one that is started",
        ),
        pytest.param(
            {"Host.vbproj": CONSOLE, "tools/Gen/Gen.csproj": CONSOLE},
            'ASPNETCORE_HTTP_PORTS="$PORT" dotnet Host.dll',
            id="what lies in the directory itself",
        ),
    ],
)
def test_the_project_is_found_and_listens_on_the_port(write: Write, files: Mapping[str, str], start: str) -> None:
    built = langs.build(write(files), Settings())

    assert built.start_command == start
    assert built.language == "dotnet"


def test_a_console_program_runs_on_the_plain_runtime(write: Write) -> None:
    text = langs.build(write({"Host.csproj": CONSOLE}), Settings()).dockerfile

    assert "FROM mcr.microsoft.com/dotnet/runtime:8.0 AS runtime" in text


def test_restoring_sees_project_files_in_their_places_and_nothing_else(write: Write) -> None:
    files = {
        "App.sln": "",
        "global.json": '// one\n{"sdk": {"version": "8.0.404", /* two */ "rollForward": "latestFeature"}}',
        "nuget.config": '<c><packageSources><add key="l" value="./feed" /></packageSources></c>',
        "feed/x.nupkg": "",
        "Directory.Packages.props": "<Project/>",
        "src/Directory.Build.props": f"<Project>{group(TargetFramework='net8.0')}</Project>",
        "src/Api/Api.csproj": project('<ItemGroup><ProjectReference Include="..\\Core\\Core.csproj" /></ItemGroup>'),
        "src/Api/packages.lock.json": "{}",
        "src/Core/Core.csproj": LIBRARY,
        "src/Unrelated/Unrelated.csproj": LIBRARY,
        "src/Api/Program.cs": "",
    }

    text = langs.build(write(files), Settings()).dockerfile

    before, _, after = text.partition("COPY . .")
    for line in (
        "COPY App.sln global.json nuget.config Directory.Packages.props ./",
        "COPY src/Directory.Build.props ./src/",
        "COPY src/Api/Api.csproj src/Api/packages.lock.json ./src/Api/",
        "COPY src/Core/Core.csproj ./src/Core/",
        "COPY feed ./feed/",
        "dotnet restore src/Api/Api.csproj --locked-mode",
    ):
        assert line in before
    assert "Unrelated" not in text
    assert "Program.cs" not in text
    assert "dotnet publish src/Api/Api.csproj -c Release --no-restore -o /out" in after


@pytest.mark.parametrize(
    ("files", "is_app"),
    [
        (APP, True),
        ({"Api.fsproj": WEB}, True),
        ({"Lib.csproj": LIBRARY}, False),
        ({"Tests.csproj": project(group(IsTestProject="true"))}, False),
        ({"App.sln": "", "src/A/A.csproj": WEB}, True),
        ({"global.json": "{}", "src/A/A.csproj": WEB}, True),
        ({"src/A/A.csproj": WEB}, False),
        ({"App.sln": "", "src/A/A.csproj": WEB, "src/B/B.csproj": WEB}, False),
        ({"App.sln": ""}, False),
    ],
)
def test_an_app_has_one_program_to_start(write: Write, files: Mapping[str, str], *, is_app: bool) -> None:
    detection = langs.detect(write(files), Settings())

    assert detection is not None
    assert (detection.language, detection.is_app) == ("dotnet", is_app)


@pytest.mark.parametrize(
    ("others", "is_app"), [({}, False), ({"src/B/B.csproj": WEB}, True), ({"App.sln": "", "src/B/B.csproj": WEB}, True)]
)
def test_a_project_is_a_part_of_the_solution_that_starts_it(
    write: Write, others: Mapping[str, str], *, is_app: bool
) -> None:
    root = write({**({"App.sln": ""} if "src/B/B.csproj" not in others else {}), "src/A/A.csproj": WEB, **others})

    detection = dotnet.detect(AppFiles(root / "src/A", within=root))

    assert detection is not None
    assert detection.is_app == is_app


def test_a_project_that_nobody_can_read_hides_no_other(write: Write) -> None:
    files = {
        **APP,
        "App.sln": "",
        "templates/{{name}}.csproj": "{{ junk }}",
        "old/Old.csproj": "<!DOCTYPE x><Project/>",
    }

    root = write(files)

    detection = langs.detect(root, Settings())
    built = langs.build(root, Settings())

    assert detection is not None
    assert (detection.language, detection.is_app) == ("dotnet", True)
    assert "dotnet publish Api.csproj" in built.dockerfile


def test_several_programs_are_an_error_that_names_them(write: Write) -> None:
    files = {"App.sln": "", "src/A/A.csproj": WEB, "src/B/B.csproj": WEB}

    with pytest.raises(LangError, match=r"src/A/A\.csproj, src/B/B\.csproj") as raised:
        langs.build(write(files), Settings())

    assert "dotnet NAME.dll" in raised.value.hint


def test_what_is_published_is_for_the_runtime_of_the_image(write: Write) -> None:
    built = langs.build(write({"Api.csproj": project(group(PublishAot="true", TargetFramework="net8.0"))}), Settings())

    assert built.dockerfile.count("-p:PublishAot=false") == 2
    assert any("native" in warning for warning in built.warnings)


def test_a_password_in_nuget_config_is_refused_and_a_variable_is_not(write: Write) -> None:
    text = (
        "<configuration>\n<packageSourceCredentials><feed>"
        '<add key="Username" value="u" /><add key="ClearTextPassword" value="{}" />'
        "</feed></packageSourceCredentials></configuration>"
    )

    with pytest.raises(LangError, match="credential in plain text") as raised:
        langs.build(write({**APP, "nuget.config": text.format("hunter2")}), Settings())
    built = langs.build(write({**APP, "nuget.config": text.format("%NUGET_TOKEN%")}), Settings())

    assert (raised.value.file, raised.value.line) == ("nuget.config", 2)
    assert "hunter2" not in str(raised.value)
    assert built.language == "dotnet"


@pytest.mark.parametrize(
    "files",
    [
        {"Api.csproj": project(group(AssemblyName="a b"))},
        {"Api.csproj": project(group(AssemblyName="$(id)"))},
        {"Api.csproj": project(group(AssemblyName="a&#10;RUN evil"))},
        {"global.json": "[]"},
        {"global.json": "{" * 5000},
        {"global.json": '{"sdk": {"version": "8.0.100\\nRUN evil"}}'},
        {"global.json": '{"sdk": {"version": "8.0.100", "rollForward": "$(id)"}}'},
        {"global.json": '{"sdk": {"version": 8}}'},
        {"Api.csproj": project(group(TargetFramework="net48"))},
        {"Api.csproj": "<Project/>"},
        {"Api.csproj": project("", "Microsoft.NET.Sdk.BlazorWebAssembly")},
        {"nuget.config": "<!DOCTYPE x><configuration/>"},
    ],
)
def test_hostile_manifests_and_what_cannot_run_here_are_clear_errors(write: Write, files: Mapping[str, str]) -> None:
    with pytest.raises(LangError) as raised:
        langs.build(write({**APP, **files}), Settings(language="dotnet"))

    assert raised.value.hint


@given(text=st.one_of(st.text(), st.from_regex(r"(net|v)?[0-9]{1,2}(\.[0-9xX*]{1,3}){0,2}", fullmatch=True)))
def test_whatever_a_version_says_it_becomes_tags_or_an_error(text: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "Api.csproj").write_text(project(""), encoding="utf-8")
        try:
            built = langs.build(Path(directory), forced(text))
        except LangError as error:
            refused = error
            assert refused.hint
        else:
            tags = [
                rest.partition(" AS ")[0].rpartition(":")[2]
                for keyword, rest in splitter.split(built.dockerfile)
                if keyword == "FROM"
            ]
            assert all(re.fullmatch(r"[0-9]+\.[0-9]+(\.[0-9]+)?", tag) for tag in tags)


def test_a_target_framework_that_is_computed_is_a_warning_where_nothing_else_says_the_version(write: Write) -> None:
    computed = {"Api.csproj": project(group(TargetFramework="$(Unknown)"))}

    guessed = langs.build(write(computed), Settings())
    told = langs.build(write(sdk("9.0.100")), Settings())

    assert guessed.version == Version(value="8.0", source="default")
    assert guessed.warnings == ("Api.csproj: TargetFramework '$(Unknown)' is not understood; .NET 8.0 is taken",)
    assert not any("not understood" in warning for warning in told.warnings)


def test_a_project_of_a_solution_is_built_with_those_that_it_refers_to_and_what_governs_it(write: Write) -> None:
    web = '<Project Sdk="Microsoft.NET.Sdk.Web"><ItemGroup>{}</ItemGroup></Project>'
    reference = '<ProjectReference Include="..\\..\\lib\\{0}\\{0}.csproj" />'
    library = '<Project Sdk="Microsoft.NET.Sdk"><ItemGroup>{}</ItemGroup></Project>'
    root = write(
        {
            "All.sln": "",
            "global.json": '{"sdk": {"version": "9.0.100"}}',
            "Directory.Build.props": "<Project><PropertyGroup><TargetFramework>net9.0</TargetFramework>"
            "</PropertyGroup></Project>",
            "src/Api/Api.csproj": web.format(reference.format("Core")),
            "src/Web/Web.csproj": web.format(""),
            "lib/Core/Core.csproj": library.format('<ProjectReference Include="../Text/Text.csproj" />'),
            "lib/Text/Text.csproj": library.format(""),
            "lib/Unused/Unused.csproj": library.format(""),
        }
    )

    detection = langs.detect(root / "src/Api", Settings(), within=root)
    api, web_app = (langs.build(root / path, Settings(), within=root) for path in ("src/Api", "src/Web"))

    assert detection is not None
    assert detection.is_app
    assert detection.packages == ("lib/Core", "lib/Text")
    assert (api.context, web_app.context) == ("../..", "../..")
    assert api.version is not None
    assert api.version.source.startswith("global.json")
    allowed = {line[1:] for line in (api.dockerignore or "").splitlines() if line.startswith("!")}
    assert {"src/Api", "lib/Core", "lib/Text", "All.sln", "global.json", "Directory.Build.props"} <= allowed
    assert allowed.isdisjoint({"src/Web", "lib/Unused", "lib/Unused/Unused.csproj"})
    assert "dotnet restore src/Api/Api.csproj" in api.dockerfile
    assert "dotnet publish src/Api/Api.csproj -c Release --no-restore -o /out" in api.dockerfile


@pytest.mark.parametrize(
    ("item", "allowed"),
    [
        (r'<Compile Include="..\..\shared\**\*.cs" />', {"shared/**/*.cs"}),
        (r'<Compile Include="../../shared/A.cs;../Common/B?.cs" Link="A.cs" />', {"shared/A.cs", "src/Common/B?.cs"}),
        (r'<Reference Include="Old"><HintPath>..\..\libs\Old.dll</HintPath></Reference>', {"libs/Old.dll"}),
        ('<None Include="$(MSBuildThisFileDirectory)../../notes.txt" />', {"notes.txt"}),
    ],
)
def test_files_elsewhere_that_a_project_names_are_sent(write: Write, item: str, allowed: set[str]) -> None:
    root = write({"src/Api/Api.csproj": project(f"<ItemGroup>{item}</ItemGroup>")})

    built = langs.build(root / "src/Api", Settings(), within=root)

    lines = (built.dockerignore or "").splitlines()
    assert {line[1:] for line in lines if line.startswith("!")} - {"src/Api", "src/Api/Api.csproj"} == allowed
    assert built.warnings == ()


def test_items_of_what_a_project_imports_are_sent_too(write: Write) -> None:
    root = write(
        {
            "src/Api/Api.csproj": project('<Import Project="../Shared/Shared.projitems" />'),
            "src/Shared/Shared.projitems": "<Project><ItemGroup>"
            '<Compile Include="$(MSBuildThisFileDirectory)Money.cs" /></ItemGroup></Project>',
        }
    )

    built = langs.build(root / "src/Api", Settings(), within=root)

    assert "!Shared/Money.cs" in (built.dockerignore or "").splitlines()


@pytest.mark.parametrize(
    ("path", "warning"),
    [
        ("../$(Where)/x.cs", "src/Api/Api.csproj: '../$(Where)/x.cs' leads out of the project's directory"),
        ("../[a]/x.cs", "src/Api/Api.csproj: '../[a]/x.cs' leads out of the project's directory"),
        ("../../../x.cs", "src/Api/Api.csproj: '../x.cs' lies outside of what the build sees"),
    ],
)
def test_files_elsewhere_that_are_not_sent_are_warned_of(write: Write, path: str, warning: str) -> None:
    root = write({"src/Api/Api.csproj": project(f'<ItemGroup><Compile Include="{path}" /></ItemGroup>'), "All.sln": ""})

    built = langs.build(root / "src/Api", Settings(), within=root)

    assert len(built.warnings) == 1
    assert built.warnings[0].startswith(warning)


def test_a_project_without_anything_around_it_is_built_alone(write: Write) -> None:
    root = write({"src/Api/Api.csproj": '<Project Sdk="Microsoft.NET.Sdk.Web"/>', "README.md": ""})

    assert langs.build(root / "src/Api", Settings(), within=root).context == "."
