"""mix.exs: what it states, of one application and of an umbrella."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langs import mixfile
from langs.errors import LangError
from langs.files import AppFiles
from tests.langs.conftest import Write

_MIX = """
defmodule Shop.MixProject do
  use Mix.Project

  @version "1.0.0"

  def project do
    [
      app: :shop,
      version: @version,
      elixir: "~> 1.17",
      # elixir: "~> 1.2"
      start_permanent: Mix.env() == :prod,
      aliases: aliases(),
      deps: deps(),
      releases: releases()
    ]
  end

  def application do
    [mod: {Shop.Application, []}, extra_applications: [:logger]]
  end

  defp releases do
    [
      shop: [include_executables_for: [:unix], steps: [:assemble, :tar]],
      worker: [applications: [shop: :permanent]]
    ]
  end

  defp deps do
    [
      {:phoenix, "~> 1.7.21"},
      {:money, path: "vendor/money", env: :prod},
      {:postgrex, ">= 0.0.0", only: [:dev, :prod]},
      {:credo, "~> 1.7", only: [:dev, :test], runtime: false},
      {:local_tool, path: "../tool", only: :test},
      {:gettext, github: "elixir-gettext/gettext"},
      {:core, in_umbrella: true}
    ]
  end

  defp aliases do
    [setup: ["deps.get"], "assets.deploy": ["tailwind shop --minify", "phx.digest"]]
  end
end
"""


def test_a_project_states_name_version_releases_and_dependencies() -> None:
    found = mixfile.parse(_MIX)

    assert (found.app, found.elixir, found.releases) == ("shop", "~> 1.17", ("shop", "worker"))
    assert found.names == {"phoenix", "money", "postgrex", "gettext", "core"}
    assert [each.path for each in found.dependencies if each.path] == ["vendor/money"]
    assert [each.name for each in found.dependencies if each.in_umbrella] == ["core"]
    assert found.starts
    assert found.deploys_assets
    assert not found.member
    assert not found.cookie


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[app: :a, releases: [b: [cookie: x()]]]", ("b",)),
        ("[app: :a, releases: [b: [], c: []]]", ("b", "c")),
        ("[app: :a, releases: []]", ()),
        ("[app: :a, releases: releases()]", ()),
        ("[app: :a]", ()),
    ],
)
def test_releases_are_found_where_they_are_listed(text: str, expected: tuple[str, ...]) -> None:
    assert mixfile.parse(f"def project do\n{text}\nend").releases == expected


def test_an_umbrella_is_read_with_its_applications(write: Write) -> None:
    root = write(
        {
            "mix.exs": 'def project do\n[apps_path: "apps", releases: [shop: []]]\nend',
            "apps/core/mix.exs": '[app: :core, lockfile: "../../mix.lock", deps: [{:a, path: "../../vendor/a"}]]',
            "apps/web/mix.exs": '[app: :web, mod: {W, []}, deps: [{:core, in_umbrella: true}, {:b, path: "../core"}]]',
        }
    )

    project = mixfile.read(AppFiles(root))

    assert project is not None
    assert [child.directory for child in project.children] == ["apps/core", "apps/web"]
    assert project.starts
    assert project.paths() == ("vendor/a",)
    assert project.children[0].member


@pytest.mark.parametrize("path", ["../money", "/opt/money", "vendor/../../money", "."])
def test_a_dependency_outside_of_the_app_is_an_error(write: Write, path: str) -> None:
    project = mixfile.read(AppFiles(write({"mix.exs": f'[app: :a, deps: [{{:b, path: "{path}"}}]]'})))

    assert project is not None
    with pytest.raises(LangError) as caught:
        project.paths()
    assert caught.value.file == "mix.exs"


@given(st.text())
def test_no_text_is_an_error(text: str) -> None:
    assert mixfile.parse(text).directory == ""


@given(
    st.lists(
        st.sampled_from(
            [
                "{",
                "}",
                "[",
                "]",
                ":a",
                ",",
                " ",
                '"x"',
                "path: ",
                "only: ",
                "releases: ",
                "app: ",
                "def a do\n",
                "end\n",
            ]
        ),
        max_size=40,
    )
)
def test_no_order_of_pieces_is_an_error(pieces: list[str]) -> None:
    found = mixfile.parse("".join(pieces))

    assert found.names <= {"a"}
