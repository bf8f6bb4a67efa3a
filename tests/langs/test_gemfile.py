"""Gemfiles and their lockfiles: what they state, and that nothing in them is worse than an error with a hint."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langs import gemfile
from langs.errors import LangError

_LOCK = """\
GIT
  remote: https://github.com/example/tool.git
  revision: 0123456789
  specs:
    tool (0.1.0)

PATH
  remote: vendor/money
  specs:
    money (1.2.0)
      rack (>= 3)

GEM
  remote: https://rubygems.org/
  specs:
    nokogiri (1.18.8-arm64-darwin)
      racc (~> 1.4)
    nokogiri (1.18.8-x86_64-linux-gnu)
    puma (6.6.0)
    rack (3.1.16)

PLATFORMS
  arm64-darwin-24
  x86_64-linux

DEPENDENCIES
  money!
  puma (~> 6.0)
  tool!

RUBY VERSION
   ruby 3.4.4p34

BUNDLED WITH
   2.6.9
"""


def test_a_gemfile_states_gems_paths_and_ruby() -> None:
    text = """
    source "https://rubygems.org"
    ruby ">= 3.2", "< 3.5", engine: 'ruby'
    # gem "no"
    gem "rails", "~> 8.0"
    gem 'money', path: 'vendor/money'
    gem "audit", :path => "vendor/audit"
    path "gems" do
      gem "one"
    end
    group :test do gem "capybara" end
    eval_gemfile "gems/extra.rb"
    """

    found = gemfile.parse(text, "Gemfile")

    assert found.gems == {"rails", "money", "audit", "one", "capybara"}
    assert found.ruby == ">= 3.2, < 3.5"
    assert found.engine == "ruby"
    assert found.paths == ("vendor/money", "vendor/audit", "gems")
    assert found.includes == ("gems/extra.rb",)
    assert not found.everything


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('ruby file: ".ruby-version"', ".ruby-version"),
        ('ruby File.read(".ruby-version").strip', ".ruby-version"),
        ('ruby File.read(File.join(__dir__, ".tool")).chomp', ".tool"),
        ("ruby RUBY_VERSION", None),
        ('ruby "3.4.4"', None),
    ],
)
def test_the_version_of_ruby_may_stand_in_another_file(text: str, expected: str | None) -> None:
    assert gemfile.parse(text, "Gemfile").ruby_file == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('ruby [">= 3.1", "<3.3"]', ">= 3.1, <3.3"),
        ('ruby([">= 3.1"], "<3.3")', ">= 3.1, <3.3"),
        ("ruby %w[>=3.1 <3.3]", ">=3.1, <3.3"),
        ('VERSION = "3.2.1"\nruby VERSION', "3.2.1"),
    ],
)
def test_requirements_of_ruby_may_stand_in_a_list_or_have_a_name(text: str, expected: str) -> None:
    found = gemfile.parse(text, "Gemfile")

    assert (found.ruby, found.ruby_computed) == (expected, False)


@pytest.mark.parametrize(
    ("text", "computed"),
    [
        ('ruby ENV["X"] || "3.2.1"', True),
        ('ruby ENV.fetch("X", "3.2.1")', True),
        ('ruby "3.2.1" if x', True),
        ('ruby "~> 3.1", ENV["X"]', True),
        ('ruby ["3.2", ENV["X"]]', True),
        ("ruby file: x", True),
        ('ruby file: ".ruby-version"', False),
        ('ruby = "3.2.1"', False),
        ('gem "a"', False),
    ],
)
def test_a_computed_requirement_of_ruby_is_known_to_be_one(text: str, *, computed: bool) -> None:
    found = gemfile.parse(text, "Gemfile")

    assert (found.ruby, found.ruby_computed) == (None, computed)


@pytest.mark.parametrize(
    "text",
    [
        "gemspec",
        "gemspec name: 'a'",
        "gem 'a', path: File.join('b', 'c')",
        "eval_gemfile File.join(__dir__, 'Gemfile.local')",
        'path "#{dir}/gems" do\ngem "a"\nend',
        "require_relative 'lib/version'",
    ],
)
def test_what_may_read_any_file_is_known(text: str) -> None:
    assert gemfile.parse(text, "Gemfile").everything


def test_a_lockfile_settles_versions_platforms_ruby_and_bundler() -> None:
    found = gemfile.parse_lock(_LOCK, "Gemfile.lock")

    assert found.versions == {
        "tool": "0.1.0",
        "money": "1.2.0",
        "nokogiri": "1.18.8",
        "puma": "6.6.0",
        "rack": "3.1.16",
    }
    assert found.platforms == ("arm64-darwin-24", "x86_64-linux")
    assert found.paths == ("vendor/money",)
    assert (found.ruby, found.bundler) == ("3.4.4p34", "2.6.9")


def test_a_lockfile_with_marks_of_a_conflict_is_an_error_with_its_line() -> None:
    with pytest.raises(LangError) as caught:
        gemfile.parse_lock("GEM\n  specs:\n<<<<<<< HEAD\n", "Gemfile.lock")

    assert (caught.value.file, caught.value.line) == ("Gemfile.lock", 3)


@pytest.mark.parametrize("path", ["../money", "/opt/money", "a/../../b", "~/gems"])
def test_a_gem_outside_of_the_app_is_an_error(path: str) -> None:
    with pytest.raises(LangError, match="outside"):
        gemfile.inside(path, "Gemfile")


@given(st.text())
def test_no_gemfile_is_an_error(text: str) -> None:
    found = gemfile.parse(text, "Gemfile")

    assert found.file == "Gemfile"


@given(
    st.lists(
        st.sampled_from(
            [
                "GEM",
                "PATH",
                "  specs:",
                "    a (1)",
                "      b",
                "BUNDLED WITH",
                "   2",
                "RUBY VERSION",
                "   ruby 3",
                "\t",
            ]
        )
    )
)
def test_no_order_of_a_lockfiles_lines_is_an_error(lines: list[str]) -> None:
    found = gemfile.parse_lock("\n".join(lines), "Gemfile.lock")

    assert set(found.versions) <= {"a"}


@given(st.text())
def test_no_lockfile_is_more_than_an_error_with_a_hint(text: str) -> None:
    merged = any(line.startswith(("<<<<<<<", "=======", ">>>>>>>")) for line in text.split("\n"))

    if merged:
        with pytest.raises(LangError):
            gemfile.parse_lock(text, "Gemfile.lock")
    else:
        assert all("\n" not in name for name in gemfile.parse_lock(text, "Gemfile.lock").versions)
