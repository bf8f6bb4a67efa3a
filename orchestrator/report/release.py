"""What app.json says of an app, as plans, results and reports show it."""

import msgspec

from langs.model import AppBuild, Release
from orchestrator.config import credentials


def release(build: AppBuild | None) -> Release:
    """What app.json says, without values that look like credentials."""
    said = (build.release if build else None) or Release()
    env = {
        name: None if value is not None and credentials.reason(name, value) else value
        for name, value in said.env.items()
    }
    return msgspec.structs.replace(said, env=env)
