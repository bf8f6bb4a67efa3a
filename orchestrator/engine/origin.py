"""What an image says of the source that it was built from. Pure.

The frontend sets labels on the finished configuration: no step sees them, and none is executed again for another
revision (a test on every kind of builder shows it). They are no inputs either: an image that is skipped keeps those of
the revision that it was built from, which its record says, too.
"""

from collections.abc import Mapping
from typing import Final

from langs.model import EPOCH
from orchestrator.model import AppPlan, Attestations

_LABEL: Final = "org.opencontainers.image"
_SCHEMES: Final = ("https://", "http://", "ssh://", "git://")
"""Of addresses that mean something elsewhere: a directory of this machine is nobody's business."""


def labels(plan: AppPlan, said: Attestations) -> Mapping[str, str]:
    """The revision, and where the repository is: of images whose Dockerfile is generated. Who writes one labels it.

    Args:
        plan: the app's.
        said: what is known of the source.
    """
    generated = plan.build.dockerfile_path is None and plan.app.settings.service is None
    if not generated or not said.revision or EPOCH in plan.build.args:
        return {}
    is_public = said.source is not None and said.source.startswith(_SCHEMES)
    source = {f"{_LABEL}.source": said.source} if said.source is not None and is_public else {}
    return {f"{_LABEL}.revision": said.revision, **source}
