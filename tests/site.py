"""`poe site`: the documentation as static pages, by Zensical; strictly: a link that leads nowhere ends it with 1.

    python -m tests.site

The documents are written for whoever reads the repository, and stay where they are. They are copied, in their places,
with the files that they link to, to a directory that holds nothing else; Zensical makes pages of that. Nothing comes
from the network, neither now nor when somebody reads: no fonts, no scripts of others. The pages may be opened from a
disk.

Needs the extra `docs`. What it makes is in `site`, which git ignores.
"""

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import anyio
import msgspec

from tests.docs.console import DOCUMENTS, PAGES, ROOT
from tests.e2e.pages import title

SITE = ROOT / "site"
Entry = tuple[str, "str | tuple[Entry, ...]"]

NAVIGATION: tuple[Entry, ...] = (
    ("fleetpacks", "README.md"),
    (
        "Use",
        (
            ("Commands", "docs/usage.md"),
            ("Configuration", "docs/configuration.md"),
            ("Options", "docs/options.md"),
            ("Reproducible images", "docs/reproducible.md"),
            ("Reports", "docs/report.md"),
            ("From Python", "docs/library.md"),
            ("An example", "examples/monorepo/README.md"),
        ),
    ),
    (
        "Languages",
        (
            ("In words", "docs/languages.md"),
            *((title(page.stem), page.relative_to(ROOT).as_posix()) for page in PAGES),
        ),
    ),
    ("Caching", "docs/caching.md"),
    ("Monorepo", "docs/monorepo.md"),
    (
        "Builders",
        (
            ("Builders", "docs/builders.md"),
            ("A daemon of one's own", "docs/daemon.md"),
            ("Mirrors", "docs/mirrors.md"),
            ("From Python: BuildKit", "docs/buildkit.md"),
            ("From Python: Docker", "docs/docker.md"),
        ),
    ),
    ("CI and clusters", (("CI and clusters", "docs/ci.md"), ("Drop-in", "docs/dropin.md"))),
    (
        "Figures",
        (
            ("How it compares", "docs/compare.md"),
            ("Figures", "docs/figures.md"),
            ("Storage", "docs/bench.md"),
        ),
    ),
    (
        "Project",
        (
            ("Changelog", "CHANGELOG.md"),
            ("Security", "SECURITY.md"),
            ("Contributing", "CONTRIBUTING.md"),
            ("Architecture", "docs/design/architecture.md"),
            ("The BuildKit client", "docs/design/buildkit.md"),
            ("Scale", "docs/design/scale.md"),
        ),
    ),
)
"""What stands beside the pages: titles and documents. A test holds that all documents are in it."""

_LINK = re.compile(r"\]\(([^)\s#]+)[^)\s]*\)")
_CONFIGURATION = """\
[project]
site_name = "fleetpacks"
site_description = "Every app of a monorepo as a container image, in parallel, through BuildKit"
docs_dir = "source"
site_dir = "site"
use_directory_urls = false
nav = {navigation}

[project.theme]
font = false
features = ["navigation.sections", "navigation.top", "navigation.footer", "content.code.copy", "search.highlight"]

[project.markdown_extensions.tables]
[project.markdown_extensions.md_in_html]
[project.markdown_extensions.sane_lists]
[project.markdown_extensions.pymdownx.highlight]
[project.markdown_extensions.pymdownx.superfences]
[project.markdown_extensions.toc]
permalink = true
toc_depth = 3
# GitHub's anchors, which the documents' links use.
slugify = {{ object = "pymdownx.slugs.slugify", kwds = {{ case = "lower" }} }}
"""


def documents(entries: Sequence[Entry] = NAVIGATION) -> Iterator[str]:
    """All documents of the navigation."""
    for _, place in entries:
        if isinstance(place, str):
            yield place
        else:
            yield from documents(place)


def stage(directory: Path) -> None:
    """Copy the documents, and what they link to, and write the generator's configuration beside them."""
    source = directory / "source"
    for document in DOCUMENTS:
        for file in (document, *_linked(document)):
            copy = source / file.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
    configuration = _CONFIGURATION.format(navigation=_toml(NAVIGATION))
    (directory / "zensical.toml").write_text(configuration, encoding="utf-8")


def _linked(document: Path) -> Iterator[Path]:
    """Files that a document links to, and that are none themselves."""
    for target in _LINK.findall(document.read_text(encoding="utf-8")):
        file = (document.parent / target).resolve()
        if "://" not in target and file.suffix != ".md" and file.is_file():
            yield file


def _toml(entries: Sequence[Entry]) -> str:
    return f"[{', '.join(_entry(entry) for entry in entries)}]"


def _entry(entry: Entry) -> str:
    name, place = entry
    value = _quoted(place) if isinstance(place, str) else _toml(place)
    return f"{{ {_quoted(name)} = {value} }}"


def _quoted(text: str) -> str:
    """As TOML and JSON both write it."""
    return msgspec.json.encode(text).decode()


async def build() -> int:
    """Make the site anew; returns Zensical's exit code."""
    with tempfile.TemporaryDirectory(prefix="fleetpacks-site-") as name:
        stage(Path(name))
        done = await anyio.run_process(
            [sys.executable, "-m", "zensical", "build", "--strict"], cwd=name, stdout=None, stderr=None, check=False
        )
        if done.returncode == 0:
            shutil.rmtree(SITE, ignore_errors=True)
            shutil.copytree(Path(name) / "site", SITE)
    return done.returncode


if __name__ == "__main__":
    sys.exit(anyio.run(build))
