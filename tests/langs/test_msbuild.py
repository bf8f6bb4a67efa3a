"""MSBuild's project files: what they say without being run."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langs import msbuild
from langs.errors import LangError
from langs.files import AppFiles
from langs.msbuild import Project
from tests.langs.conftest import Write


def project(body: str, sdk: str = "Microsoft.NET.Sdk.Web") -> str:
    return f'<Project Sdk="{sdk}">{body}</Project>'


def group(**properties: str) -> str:
    return f"<PropertyGroup>{''.join(f'<{name}>{text}</{name}>' for name, text in properties.items())}</PropertyGroup>"


def read(root: Path, file: str = "src/Api/Api.csproj") -> Project:
    found = msbuild.read(AppFiles(root), file)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "program", "web"),
    [
        (project(""), True, True),
        (project("", "Microsoft.NET.Sdk.Worker"), True, False),
        (project("", "Microsoft.NET.Sdk"), False, False),
        (project(group(OutputType="Exe"), "Microsoft.NET.Sdk"), True, False),
        (project(group(outputtype="exe"), "Microsoft.NET.Sdk"), True, False),
        (project(group(OutputType="WinExe"), "Microsoft.NET.Sdk"), False, False),
        (project(group(OutputType="Library")), False, True),
        (project(group(OutputType="Exe", TargetFramework="net48"), "Microsoft.NET.Sdk"), False, False),
        (project(group(OutputType="Exe", TargetFramework="net8.0-windows"), "Microsoft.NET.Sdk"), False, False),
        (project("", "Microsoft.NET.Sdk.BlazorWebAssembly"), False, False),
        (project("", "Microsoft.NET.Sdk.Web/8.0.1"), True, True),
        ('<Project><Sdk Name="Microsoft.NET.Sdk.Web" /></Project>', True, True),
        (
            project(
                group(OutputType="Exe")
                + '<ItemGroup><FrameworkReference Include="Microsoft.AspNetCore.App"/></ItemGroup>',
                "Microsoft.NET.Sdk",
            ),
            True,
            True,
        ),
        ('<Project xmlns="http://schemas.microsoft.com/developer/msbuild/2003" ToolsVersion="15.0"/>', False, False),
    ],
)
def test_what_comes_of_a_project(write: Write, text: str, *, program: bool, web: bool) -> None:
    found = read(write({"src/Api/Api.csproj": text}))

    assert (found.program, found.web) == (program, web)


@pytest.mark.parametrize(
    ("own", "above", "lines"),
    [
        (group(TargetFramework="net8.0"), "", ((8, 0),)),
        (group(TargetFrameworks="net6.0; net9.0;netstandard2.0"), "", ((9, 0), (6, 0))),
        (group(TargetFramework="netcoreapp3.1"), "", ((3, 1),)),
        (group(TargetFramework="$(Shared)"), group(Shared="net9.0"), ((9, 0),)),
        ("", group(TargetFramework="net8.0"), ((8, 0),)),
        (group(TargetFramework="net9.0"), group(TargetFramework="net8.0"), ((9, 0),)),
        (group(TargetFramework="$(A)", A="$(B)", B="$(A)"), "", ()),
        (
            "<PropertyGroup><TargetFramework Condition=\"'$(X)' == ''\">net7.0</TargetFramework></PropertyGroup>",
            "",
            ((7, 0),),
        ),
    ],
)
def test_target_frameworks_are_resolved(write: Write, own: str, above: str, lines: tuple[tuple[int, int], ...]) -> None:
    root = write({"src/Api/Api.csproj": project(own), "Directory.Build.props": f"<Project>{above}</Project>"})

    assert read(root).frameworks == lines


def test_the_assembly_is_called_as_properties_say(write: Write) -> None:
    files = {
        "src/Api/Api.csproj": project(group(AssemblyName="$(Company).$(MSBuildProjectName)")),
        "src/Directory.Build.props": f"<Project>{group(Company='Acme')}</Project>",
        "src/Web/Web.csproj": project(""),
    }
    root = write(files)

    assert read(root).assembly == "Acme.Api"
    assert read(root, "src/Web/Web.csproj").assembly == "Web"


def test_tests_are_known(write: Write) -> None:
    by_package = project('<ItemGroup><PackageReference Include="Microsoft.NET.Test.Sdk" /></ItemGroup>')
    root = write({"src/Api/Api.csproj": by_package, "b.csproj": project(group(IsTestProject="true"))})

    assert read(root).test
    assert read(root, "b.csproj").test


def test_references_and_imports_are_followed(write: Write) -> None:
    files = {
        "src/Api/Api.csproj": project(
            '<Import Project="..\\common.props" /><Import Project="$(Gone)/x.props" />'
            '<ItemGroup><ProjectReference Include="..\\Core\\Core.fsproj" /></ItemGroup>'
        ),
        "src/common.props": "<Project/>",
        "src/Core/Core.fsproj": project(
            '<ItemGroup><ProjectReference Include="../Api/Api.csproj;../Leaf/Leaf.vbproj" /></ItemGroup>'
        ),
        "src/Leaf/Leaf.vbproj": project("", "Microsoft.NET.Sdk"),
        "src/Other/Other.csproj": project(""),
        "Directory.Packages.props": "<Project/>",
    }
    app = AppFiles(write(files))
    api = read(app.root)

    found = msbuild.closure(app, api)

    assert {each.file for each in found} == {"src/Api/Api.csproj", "src/Core/Core.fsproj", "src/Leaf/Leaf.vbproj"}
    assert api.imports == ("Directory.Packages.props", "src/common.props")


def test_a_computed_reference_may_be_any_project(write: Write) -> None:
    files = {
        "src/Api/Api.csproj": project('<ItemGroup><ProjectReference Include="../**/*.csproj" /></ItemGroup>'),
        "src/Other/Other.csproj": project(""),
    }
    app = AppFiles(write(files))

    assert len(msbuild.closure(app, read(app.root))) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid XML"),
        ("<Solution/>", "is no project"),
        ("<!DOCTYPE p [<!ENTITY a 'x'>]><Project>&a;</Project>", "document type"),
    ],
)
def test_what_is_wrong_is_said_with_its_file(write: Write, text: str, message: str) -> None:
    root = write({"src/Api/Api.csproj": text})

    with pytest.raises(LangError, match=message) as raised:
        read(root)

    assert raised.value.file == "src/Api/Api.csproj"


@pytest.mark.parametrize(
    "body",
    [
        '<ItemGroup><ProjectReference Include="..\\..\\..\\x.csproj" /></ItemGroup>',
        '<ItemGroup><ProjectReference Include="/x.csproj" /></ItemGroup>',
        '<Import Project="/etc/passwd" />',
    ],
)
def test_what_leads_out_of_the_app_is_the_builds_business(write: Write, body: str) -> None:
    app = AppFiles(write({"src/Api/Api.csproj": project(body)}))
    found = read(app.root)

    with pytest.raises(LangError, match="outside of the app") as raised:
        msbuild.closure(app, found)

    assert found.program
    assert raised.value.file == "src/Api/Api.csproj"


def test_a_missing_project_is_named_by_the_one_that_refers_to_it(write: Write) -> None:
    text = project('<ItemGroup><ProjectReference Include="../core/Core.csproj" /></ItemGroup>')
    app = AppFiles(write({"src/Api/Api.csproj": text}))

    with pytest.raises(LangError, match=r"src/core/Core\.csproj"):
        msbuild.closure(app, read(app.root))


NAMES = st.sampled_from(
    ["PropertyGroup", "TargetFramework", "AssemblyName", "ItemGroup", "ProjectReference", "Import", "A"]
)
VALUES = st.text("net8.0;$()AB/\\.*", max_size=20)


@st.composite
def elements(draw: st.DrawFn, depth: int = 3) -> str:
    name = draw(NAMES)
    attributes = draw(st.dictionaries(st.sampled_from(["Include", "Project", "Condition", "Sdk"]), VALUES, max_size=2))
    words = "".join(f' {key}="{value}"' for key, value in attributes.items())
    inner = draw(VALUES) if depth == 0 else "".join(draw(st.lists(elements(depth=depth - 1), max_size=3)))
    return f"<{name}{words}>{inner}</{name}>"


@given(body=elements(), above=elements())
def test_whatever_a_project_says_there_is_an_answer_or_a_clear_error(body: str, above: str) -> None:
    files = {"a/b.csproj": project(body), "Directory.Build.props": f"<Project>{above}</Project>"}
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, "a").mkdir()
        for name, text in files.items():
            Path(directory, name).write_text(text, encoding="utf-8")
        try:
            found = msbuild.read(AppFiles(Path(directory)), "a/b.csproj")
        except LangError as error:
            refused = error
            assert refused.file in files
        else:
            assert found is not None
            leads_out = any(path.startswith("..") for path in (*found.imports, *(found.references or ())))
            assert leads_out == (found.broken is not None)
