"""The documents that are made of the example apps: `poe languages` writes them.

python -m tests.e2e.documents
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.e2e import pages
from tests.e2e.languages import ROOT, Case, cases, claim, filled, table

CLAIM = ROOT / "README.md"
WORDS = ROOT / "docs/languages.md"
PAGES = ROOT / "docs/languages"


def documents(known: Sequence[Case]) -> Mapping[Path, str]:
    """The documents as they have to be."""
    words = filled(WORDS.read_text(encoding="utf-8"), "languages", table(known))
    words = filled(words, "frameworks", pages.table(known))
    made = {PAGES / f"{language}.md": page for language, page in pages.pages(known, words).items()}
    return {CLAIM: filled(CLAIM.read_text(encoding="utf-8"), "languages", claim(known)), WORDS: words, **made}


def main() -> None:
    """Write the documents anew; a page of a language that has no apps any more goes."""
    wanted = documents(cases())
    for file in set(PAGES.glob("*.md")) - set(wanted):
        file.unlink()
    PAGES.mkdir(exist_ok=True)
    for file, text in wanted.items():
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
