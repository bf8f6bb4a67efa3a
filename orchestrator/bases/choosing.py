"""Which images are meant by the names of languages and of images."""

from collections.abc import Collection

from orchestrator.bases.recipes import load
from orchestrator.errors import UsageError


def repositories(words: Collection[str]) -> frozenset[str]:
    """The repositories that are meant: `java` are those of a language, `oven/bun` is an image; without words, all.

    Raises:
        UsageError: a word is neither.
    """
    from langs.registry import LANGUAGES  # noqa: PLC0415 -- every language: only where names are asked for

    known = frozenset(recipe.name for recipe in load().images)
    if not words:
        return known
    languages = {language.NAME: language.IMAGES for language in LANGUAGES}
    unknown = sorted(word for word in words if word not in languages and word not in known)
    if unknown:
        raise UsageError(
            f"there is no language and no base image {', '.join(unknown)}", hint="`fleetpacks bases ls` lists them."
        )
    return frozenset(name for word in words for name in languages.get(word, (word,))) & known
