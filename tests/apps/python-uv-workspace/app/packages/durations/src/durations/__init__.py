"""How long something takes."""

from sizes import in_words as sized


def in_words(text: str) -> str:
    hours = int(text.removesuffix("h"))
    return f"{sized(hours * 3600)} of seconds"
