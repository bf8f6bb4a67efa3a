"""What each app of `examples/monorepo` answers to `GET /`, and which third-party package computed it.

An answer is deterministic and cannot be given without the package: whoever gets it knows that the dependencies were
installed, that the start command was right, and that the app runs as the image's user.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

MONOREPO = Path(__file__).parents[2] / "examples" / "monorepo"


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One app and its answer."""

    path: str
    """Relative to the monorepo's root, with `/`."""
    language: str
    """As `fleetpacks detect` names it."""
    package_manager: str | None
    lockfile: str
    """Relative to the app's directory."""
    answer: Mapping[str, object]
    """The whole JSON document; its `computed_by` is a package of the lockfile."""
    port: int = 5000
    """Where the image listens when nobody sets $PORT."""

    @property
    def name(self) -> str:
        """The app's name in plans and image names."""
        return self.path.rsplit("/", maxsplit=1)[-1]

    @property
    def directory(self) -> Path:
        """Where the app lies on this machine."""
        return MONOREPO / self.path


EXAMPLES = (
    Example(
        path="apps/api",
        language="nodejs",
        package_manager="npm",
        lockfile="package-lock.json",
        answer={"app": "api", "computed_by": "currency.js", "total": "£93.80"},
    ),
    Example(
        path="apps/storefront",
        language="nodejs",
        package_manager="npm",
        lockfile="package-lock.json",
        answer={
            "app": "storefront",
            "computed_by": "slugify",
            "paths": ["creme-brulee-torch", "smorgasbord-and-cheese-board"],
        },
    ),
    Example(
        path="services/billing",
        language="python",
        package_manager="uv",
        lockfile="uv.lock",
        answer={"app": "billing", "computed_by": "python-stdnum", "reference": "RF03 2026 INV0 042"},
    ),
    Example(
        path="services/gateway",
        language="go",
        package_manager="go",
        lockfile="go.sum",
        answer={
            "app": "gateway",
            "computed_by": "github.com/google/uuid",
            "route": "b2639a3a-6e2a-58d5-a93f-f64ee58653c7",
        },
        port=8080,
    ),
    Example(
        path="services/ledger",
        language="go",
        package_manager="go",
        lockfile="go.sum",
        answer={"app": "ledger", "computed_by": "github.com/shopspring/decimal", "balance": "98.75"},
    ),
    Example(
        path="services/reports",
        language="python",
        package_manager="pip",
        lockfile="requirements.txt",
        answer={"app": "reports", "computed_by": "humanize", "turnover": "1.3 million pounds"},
    ),
    Example(
        path="tools/legacy-cron",
        language="dockerfile",
        package_manager=None,
        lockfile="src/locked.txt",
        answer={
            "app": "legacy-cron",
            "computed_by": "croniter",
            "next_runs": ["2028-02-29T04:30:00", "2032-02-29T04:30:00"],
        },
    ),
)
"""Every app, in the order of its path."""

NOT_APPS = ("apps/api/test/fixtures/checkout-app", "packages/money")
"""Directories with a manifest which discovery must leave out: a fixture and a library."""
