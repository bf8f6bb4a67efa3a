"""What looks like a credential, and therefore never becomes a variable of an image, and is masked in records.

Variables of `[env]` and `--env` are written into a Dockerfile, and so into layers and image history. A known shape of
a value beats everything; a public prefix of the name, which says that the value is served to browsers anyway, beats
the patterns of names. Settings of ours whose names look alike are no credentials.
"""

import re

# Patterns are text here: start-up counts, and `re` compiles each when it is first needed, and keeps it.
_SHAPES = (
    (r"\b(gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22})", "a GitHub token"),
    (r"\bglpat-[A-Za-z0-9_-]{20}", "a GitLab token"),
    (r"\b(AKIA|ASIA)[0-9A-Z]{16}\b", "an AWS access key"),
    (r"\bnpm_[A-Za-z0-9]{36}\b", "an npm token"),
    (r"\bpypi-[A-Za-z0-9_-]{50}", "a PyPI token"),
    (r"\bxox[abeoprs]-[A-Za-z0-9-]{10}", "a Slack token"),
    (r"\b[rs]k_live_[A-Za-z0-9]{16}", "a Stripe key"),
    (r"-----BEGIN [A-Z ]*PRIVATE KEY-----", "a private key"),
    (r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.", "a JSON web token"),
    (r"(?i)\b[a-z][a-z0-9+.-]*://[^/@\s:]*:[^/@\s]+@", "a URL with a password"),
)
MASK = "***"
_REST = r"[A-Za-z0-9_.~+/=-]*"
"""What may follow the part of a token by which it is known."""
_KEY = r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
_LOGIN = r"(?i)\b([a-z][a-z0-9+.-]*://)[^/@\s]*:[^/@\s]+@"
_TOKEN = "|".join(
    f"(?:{shape}){_REST}" for shape, what in _SHAPES if what not in {"a private key", "a URL with a password"}
)
_PUBLIC = ("VITE_", "NEXT_PUBLIC_", "NUXT_PUBLIC_", "REACT_APP_", "GATSBY_", "PUBLIC_", "EXPO_PUBLIC_", "STORYBOOK_")
_SETTINGS = frozenset({"CACHE_KEY"})
_PLACES = frozenset({"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "DHI_MIRROR", "DOCKER_CONFIG", "SSH_AUTH_SOCK"})
"""Variables of credentials that say where or as whom, in words that are found everywhere."""
_PREFIXES = ("AWS_", "DHI_", "KUBERNETES_", "SSH_")
_SUFFIXES = ("TOKEN", "PASSWORD", "PASSWD", "SECRET", "KEY", "CREDENTIALS")


def reason(name: str, value: str) -> str | None:
    """Why a variable looks like a credential, without its value; None when it does not."""
    for shape, what in _SHAPES:
        if re.search(shape, value):
            return f"its value looks like {what}"
    upper = name.upper()
    if upper.startswith(_PUBLIC) or upper in _SETTINGS:
        return None
    named = upper == "DOCKER_CONFIG" or upper.startswith(_PREFIXES)
    if named or any(upper == suffix or upper.endswith(f"_{suffix}") for suffix in _SUFFIXES):
        return "its name is one of a credential"
    return None


def is_masked(name: str, value: str) -> bool:
    """Whether the value of a variable that looks like a credential must not be read in a record.

    What only says where credentials are is in too many harmless texts, and tells nobody anything.
    """
    upper = name.upper()
    return not (upper in _PLACES or upper.startswith("KUBERNETES_SERVICE") or value.startswith("/etc/"))


def masked(text: str) -> str:
    """A text with a mask in place of all that has the shape of a credential."""
    return re.sub(_TOKEN, MASK, re.sub(_LOGIN, rf"\1{MASK}@", re.sub(_KEY, MASK, text)))
