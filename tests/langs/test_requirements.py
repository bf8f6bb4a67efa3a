"""Requirements, read as `packaging` reads them: plain ones without it."""

from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from langs import requirements
from langs.errors import LangError

PIECES = st.one_of(
    st.sampled_from(["fastapi", "Flask-Login", "a.b_c", "0", "[all]", "[standard, all]", "[a-b]", "[]", "[-]"]),
    st.sampled_from([">=", "<", "==", "===", "~=", "!=", "1", "1.2", "2.*", "1.2.3.4", "1.", "1rc1", "1!2", "1+a"]),
    st.sampled_from([",", ";", "(", ")", " ", "\t", "\n", ".", "-", "; os_name < '3'", "@ https://example.com/a.whl"]),
)
TEXTS = st.one_of(st.lists(PIECES, max_size=9).map("".join), st.text("aZ09._-[]<>=!~*, \t", max_size=20))


@given(text=TEXTS)
def test_a_requirement_has_the_name_and_the_extras_that_packaging_sees(text: str) -> None:
    try:
        required = Requirement(text)
    except InvalidRequirement:
        required = None

    try:
        found = requirements.named([text], file="pyproject.toml", key="project.dependencies")
    except LangError:
        assert required is None
        return

    assert required is not None
    bundled = required.extras & {"all", "standard"} and canonicalize_name(required.name) == "fastapi"
    assert found == {canonicalize_name(required.name), *(["uvicorn"] if bundled else [])}
