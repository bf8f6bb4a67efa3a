"""What a layer cache of images' own layers costs (`CACHE_MODE=min`): said before builds, of what earlier ones took."""

from orchestrator.app.learning import Learning
from orchestrator.app.skipping import memory_of
from orchestrator.config import Config
from orchestrator.model import Plan
from orchestrator.text import duration

_LONG = 10.0
"""Seconds that a first build takes more than a later one, to be worth a word."""


def is_minimal(config: Config) -> bool:
    """Whether caches are written that hold no more than that."""
    said = config.cache
    return said.mode == "min" and said.export != "off" and bool(said.image or said.local.directory)


def costs(config: Config, plan: Plan) -> str | None:
    """What is to be said of a plan, if it costs something; about the app for which it costs most."""
    if not is_minimal(config):
        return None
    learning = Learning(plan, memory_of(config))
    last = learning.seconds
    more = {app: seconds - last[app] for app, seconds in learning.cold.items() if app in last}
    app = max(more, key=more.__getitem__, default=None)
    if app is None or more[app] < _LONG:
        return None
    return (
        f"CACHE_MODE=min keeps images' own layers only: on a builder that has nothing, {app} takes up to "
        f"{duration(learning.cold[app])}, and {duration(last[app])} on one that has built it; CACHE_MODE=max keeps "
        "what is installed, too"
    )
