"""The table of native libraries against Debian: all that it names can be installed where the lab's images stand."""

import secrets

import pytest

from langs import natives
from tests.buildkit.real import Watched, client, request
from tests.conftest import RealCount
from tests.lab import Lab
from tests.tiers import FULL

pytestmark = pytest.mark.real


async def test_debian_has_every_package_of_the_table(lab: Lab, real_count: RealCount) -> None:
    rows = [row for table in natives.TABLES.values() for row in table.values()]
    groups = sorted({" ".join(packages) for row in rows for packages in (row.run, row.build) if packages})
    # One by one to tell of each whether it can be had alone; all at once takes a few seconds.
    groups = groups if FULL else [" ".join(sorted({word for group in groups for word in group.split()}))]
    install = "apt-get install --simulate --yes --no-install-recommends"
    steps = "".join(f"RUN {install} {packages} > /dev/null || echo missing: {packages}\n" for packages in groups)
    watched = Watched()

    async with client(lab.buildkitd) as builder:
        text = f"FROM node:22.16.0-slim\nENV RUN={secrets.token_hex(4)}\nRUN apt-get update\n{steps}"
        await builder.solve(request(text, context={}), on_status=watched)
    real_count.record("build")

    assert [line for line in watched.log(1).decode().splitlines() if line.startswith("missing:")] == []
