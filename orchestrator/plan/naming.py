"""Where each app's image goes: pure.

A template such as `registry.example/team/{app}:{branch}-{sha}` is filled in for each app. What is written in the
template must be legal as it stands; what is filled in is made legal by fixed rules for its place:

- in the name, as an app's name is (`workspace.names.legal`), `{path}` part by part;
- in the tag, everything but `[A-Za-z0-9_.-]` becomes `-`, with no `.` or `-` in front; a tag longer than 128
  characters is cut to 119 and ends in `-` and 8 digits of its SHA-256.

`{sha}` has 12 digits. When neither `{app}` nor `{path}` is in it and several apps were *discovered*, `/<app>` is
appended to the name: what is selected for one run never changes an app's image.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence

import msgspec

from orchestrator.config import Image
from orchestrator.config.decode import did_you_mean
from orchestrator.errors import UsageError
from orchestrator.model import App
from orchestrator.registry import reference
from orchestrator.workspace.names import legal

PLACEHOLDERS = ("app", "path", "branch", "sha")
DEFAULT_TAG = "latest"
SHA_DIGITS = 12
_LONGEST_TAG = 128
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_LEGAL_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_NOT_IN_TAGS = re.compile(r"[^A-Za-z0-9_.-]+")


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """The name of an app's image, and its tags."""

    repository: str
    tags: tuple[str, ...]

    @property
    def references(self) -> tuple[str, ...]:
        """All full names."""
        return tuple(f"{self.repository}:{tag}" for tag in self.tags)


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What placeholders can mean besides the app."""

    root_name: str
    branch: str | None = None
    revision: str | None = None


def needs_revision(image: Image | None, tags: Sequence[str]) -> bool:
    """Whether a branch or a revision will be filled in."""
    texts = [*tags, *([image.template] if image else [])]
    return any(name in {"branch", "sha"} for text in texts for name in _PLACEHOLDER.findall(text))


def name_all(
    apps: Sequence[App], image: Image | None, facts: Facts, *, tags: Sequence[str] = (), tag_latest: bool = False
) -> Mapping[str, Names]:
    """Path -> names, for all apps that were discovered.

    Args:
        apps: all discovered apps, not only the selected.
        image: what was said; None derives `<root's name>/<app>`, which has no registry.
        facts: what placeholders mean.
        tags: more tags, as templates; they replace the default tag.
        tag_latest: add `latest`.

    Raises:
        UsageError: an illegal template, an unknown placeholder or one without value, two apps with one image.
    """
    named = {app.path: _name(app, image, facts, tags, tag_latest=tag_latest, several=len(apps) > 1) for app in apps}
    taken: dict[str, str] = {}
    for path, names in named.items():
        for full in names.references:
            if full in taken:
                raise UsageError(
                    f"{taken[full]!r} and {path!r} would both become the image {full}",
                    hint="Put {app} or {path} into the image's name, or give one of the apps another name.",
                )
            taken[full] = path
    return named


def legal_tag(text: str) -> str:
    """`text` as (a part of) a tag; empty when nothing of it is legal in front."""
    return _NOT_IN_TAGS.sub("-", text).lstrip(".-")


def _name(
    app: App, image: Image | None, facts: Facts, tags: Sequence[str], *, tag_latest: bool, several: bool
) -> Names:
    if image is None:
        root = legal(facts.root_name)
        name, tag = root if app.path == "." else f"{root}/{app.name}", None
        source = "the derived name"
    else:
        source = image.source
        template, tag = _split(image)
        name = _fill(template, app, facts, source, in_tag=False)
        if several and not {"app", "path"}.intersection(_PLACEHOLDER.findall(image.template)):
            name = f"{name}/{app.name}"
    found = [_tag(tag, app, facts, source)] if tag is not None else []
    for each in found or [DEFAULT_TAG]:
        _check(f"{name}:{each}", source)
    found += [_flag(text, app, facts) for text in tags]
    found = found or [DEFAULT_TAG]
    if tag_latest:
        found.append(DEFAULT_TAG)
    # A derived name is shown and never published, so it keeps its short form.
    repository = name if image is None else reference.parse(name).repository
    return Names(repository=repository, tags=tuple(dict.fromkeys(found)))


def _split(image: Image) -> tuple[str, str | None]:
    if "@" in image.template:
        raise UsageError(f"{image.source}: a digest cannot be asked for: {image.template!r}", hint="Leave out @...")
    head, slash, last = image.template.rpartition("/")
    name, colon, tag = last.partition(":")
    return f"{head}{slash}{name}", tag if colon else None


def _tag(text: str, app: App, facts: Facts, source: str) -> str:
    tag = _fill(text, app, facts, source, in_tag=True)
    if len(tag) <= _LONGEST_TAG:
        return tag
    return f"{tag[: _LONGEST_TAG - 9]}-{hashlib.sha256(tag.encode()).hexdigest()[:8]}"


def _flag(text: str, app: App, facts: Facts) -> str:
    tag = _tag(text, app, facts, "--tag")
    if not _LEGAL_TAG.fullmatch(tag):
        raise UsageError(
            f"--tag: {text!r} is not a tag",
            hint="A tag is 1 to 128 of [A-Za-z0-9_.-], and begins with neither `.` nor `-`.",
        )
    return tag


def _fill(text: str, app: App, facts: Facts, source: str, *, in_tag: bool) -> str:
    make: Callable[[str], str] = legal_tag if in_tag else legal
    path = facts.root_name if app.path == "." else app.path

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name == "app":
            return app.name
        if name == "path":
            return make(path) if in_tag else "/".join(legal(part) for part in path.split("/"))
        if name == "branch":
            return make(_known(facts.branch, name, source))
        if name == "sha":
            return make(_known(facts.revision, name, source))[:SHA_DIGITS]
        near = did_you_mean(name, PLACEHOLDERS)
        hint = f"Did you mean {{{near}}}?" if near else "Known: {app}, {path}, {branch}, {sha}."
        raise UsageError(f"{source}: unknown placeholder {match[0]!r} in {text!r}", hint=hint)

    filled = _PLACEHOLDER.sub(value, text)
    # Only what was written can hold a brace now: everything filled in is legal.
    if "{" in filled or "}" in filled:
        raise UsageError(f"{source}: a brace without its partner in {text!r}", hint="Placeholders look like {app}.")
    return filled


def _known(value: str | None, name: str, source: str) -> str:
    if value is None:
        raise UsageError(
            f"{source}: there is no value for {{{name}}}: the source has no git checkout, or is not on a branch",
            hint=f"Write the value in place of {{{name}}}.",
        )
    return value


def _check(full: str, source: str) -> None:
    try:
        reference.parse(full)
    except reference.InvalidReferenceError as error:
        raise UsageError(f"{source}: {error.message}", hint=error.hint) from error
