"""The lab is a tool of the tests, and no product: one event loop is enough for it."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Replaces that of all tests, which has both."""
    return "asyncio"
