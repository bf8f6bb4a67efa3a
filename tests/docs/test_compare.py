"""What is said of other tools has a source."""

from tests.docs.test_lists import section

_WITHOUT_LINK = {"what your Dockerfile says"}


def test_every_claim_about_another_tool_says_where_it_is_from() -> None:
    table = [line for line in section("docs/compare.md", "## What each can do").splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    head, _, *facts = rows

    unsourced = {
        (fact, tool): said
        for fact, _, *others in facts
        for tool, said in zip(head[2:], others, strict=True)
        if "](" not in said and said not in _WITHOUT_LINK
    }

    assert unsourced == {}
    assert {len(row) for row in rows} == {len(head)}
