"""Filters: names, paths, patterns, dependents, dependencies, exclusions."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langs.model import Detection, Settings
from orchestrator.errors import UsageError
from orchestrator.model import App
from orchestrator.workspace.selection import filtered, needed, parse


def app(
    path: str,
    *,
    name: str | None = None,
    depends_on: tuple[str, ...] = (),
    packages: tuple[str, ...] = (),
    contexts: Mapping[str, str] | None = None,
) -> App:
    return App(
        name=name or path.rpartition("/")[2],
        path=path,
        directory=Path("/shop") / path,
        detection=Detection(language="go", evidence=()),
        settings=Settings(),
        depends_on=depends_on,
        packages=packages,
        contexts=contexts or {},
    )


_APPS = (
    app("services/base"),
    app("services/gateway", depends_on=("base",), contexts={"b": "services/base"}),
    app("services/web-admin", name="web-admin", depends_on=("gateway",), packages=("libs/ui",)),
    app("services/web/shop", name="web-shop", packages=("libs/ui", "libs/cart")),
    app("tools/cron"),
)


def selected(*filters: str, named: Sequence[str] = (), apps: Sequence[App] = _APPS) -> list[str]:
    chosen = filtered(apps, [parse(text) for text in filters], dict.fromkeys(named, "requested"))
    return [each.name for each in apps if each.path in chosen]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        (["gateway"], ["gateway"]),
        (["web-*"], ["web-admin", "web-shop"]),
        (["*"], ["base", "gateway", "web-admin", "web-shop", "cron"]),
        (["cron", "base"], ["base", "cron"]),
        # Paths: the app there, else all below.
        (["./services/gateway"], ["gateway"]),
        (["services/gateway"], ["gateway"]),
        (["./tools"], ["cron"]),
        (["./services/web"], ["web-shop"]),
        (["."], ["base", "gateway", "web-admin", "web-shop", "cron"]),
        (["./services/*"], ["base", "gateway", "web-admin"]),
        (["./services/**"], ["base", "gateway", "web-admin", "web-shop"]),
        (["./**/web/*"], ["web-shop"]),
        (["./services/web*"], ["web-admin"]),
        # Around an app.
        (["...base"], ["base", "gateway", "web-admin"]),
        (["gateway..."], ["base", "gateway"]),
        (["web-admin..."], ["base", "gateway", "web-admin"]),
        (["...gateway..."], ["base", "gateway", "web-admin"]),
        (["..../services/base"], ["base", "gateway", "web-admin"]),
        (["...libs/cart"], ["web-shop"]),
        (["..../libs/**"], ["web-admin", "web-shop"]),
        # Exclusions.
        (["!web-*"], ["base", "gateway", "cron"]),
        (["./services/**", "!gateway"], ["base", "web-admin", "web-shop"]),
        (["!...base"], ["web-shop", "cron"]),
        (["*", "!none-*"], ["base", "gateway", "web-admin", "web-shop", "cron"]),
    ],
)
def test_what_filters_mean(filters: list[str], names: list[str]) -> None:
    assert selected(*filters) == names


def test_paths_of_the_command_line_and_filters_add_up_and_exclusions_take_from_both() -> None:
    assert selected("gateway", named=["tools/cron"]) == ["gateway", "cron"]
    assert selected("!gateway", named=["services/gateway", "tools/cron"]) == ["cron"]


def test_the_reason_is_the_first_filter_that_meant_the_app() -> None:
    chosen = filtered(_APPS, [parse("gateway..."), parse("base")], {"tools/cron": "requested"})

    assert chosen == {
        "tools/cron": "requested",
        "services/base": "filter gateway...",
        "services/gateway": "filter gateway...",
    }


def test_what_an_image_needs_is_selected_with_it() -> None:
    assert needed(_APPS, {"services/gateway": "requested"}) == {
        "services/base": "needed by gateway",
        "services/gateway": "requested",
    }
    # A dependency alone is no image.
    assert needed(_APPS, {"services/web-admin": "requested"}) == {"services/web-admin": "requested"}
    assert needed(_APPS, {"services/base": "x", "services/gateway": "y"})["services/base"] == "x"


@pytest.mark.parametrize(
    ("filters", "complaint", "hint"),
    [
        (["gatewy"], "--filter: 'gatewy': there is no app", "Did you mean 'gateway'?"),
        (["./services/gatewey"], "there is no app", "Did you mean 'services/gateway'?"),
        (["zzz"], "there is no app", "fleetpacks apps"),
        (["services"], "there is no app", "'./services/**'"),
        (["libs/ui"], "there is no app", "--filter '...libs/ui'"),
        (["zzz-*"], "there is no app", "fleetpacks apps"),
        (["!gatewy"], "there is no app", "Did you mean"),
        (["!*"], "--filter '!*': no app is left", "fleetpacks apps"),
        (["gateway", "!gateway"], "no app is left", ""),
        ([""], "'' names nothing", "--filter api"),
        (["..."], "'...' names nothing", "--filter api"),
        (["!"], "'!' names nothing", "--filter api"),
        (["../x"], "'../x' is no path below the source", ""),
        (["/etc"], "'/etc' is no path below", ""),
        (["a\x1b/b"], "x1b", ""),
    ],
)
def test_a_filter_that_means_nothing_is_an_error(filters: list[str], complaint: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        selected(*filters)

    assert complaint in caught.value.message
    assert hint in caught.value.hint


@given(st.text(alphabet="abw-*?[]!./^{}\\", max_size=12))
def test_any_filter_is_understood_or_refused(text: str) -> None:
    try:
        names = selected(text)
    except UsageError:
        return
    assert names


@given(st.sampled_from([each.name for each in _APPS]))
def test_what_is_around_an_app_holds_the_app(name: str) -> None:
    both = set(selected(f"...{name}...")) - {name}

    assert both == (set(selected(f"...{name}")) | set(selected(f"{name}..."))) - {name}
