"""How large something is."""

import humanize


def in_words(count: int) -> str:
    return humanize.naturalsize(count)
