"""The site has a place for every document, and all that a document links to. `.ci/full` makes it."""

import re
import tomllib
from pathlib import Path

from tests import site
from tests.docs.console import DOCUMENTS, ROOT

_TARGET = re.compile(r"\]\(([^)\s#]+)")


def test_every_document_stands_in_the_navigation_once() -> None:
    assert sorted(site.documents()) == sorted(document.relative_to(ROOT).as_posix() for document in DOCUMENTS)


def test_what_is_handed_to_the_generator_is_complete_and_nothing_else(tmp_path: Path) -> None:
    site.stage(tmp_path)

    source = tmp_path / "source"
    project = tomllib.loads((tmp_path / "zensical.toml").read_text())["project"]
    missing = {
        f"{document.relative_to(source)}: {target}"
        for document in source.rglob("*.md")
        for target in _TARGET.findall(document.read_text(encoding="utf-8"))
        if "://" not in target and not (document.parent / target).is_file()
    }
    assert missing == set()
    assert project["docs_dir"] == source.name
    assert project["nav"][0] == {"fleetpacks": "README.md"}
    assert not [file for file in source.rglob("*") if file.suffix in {".py", ".pem", ".env"}]
