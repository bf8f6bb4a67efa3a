"""What looks like a credential, and therefore never becomes a variable of an image, and is masked in records.

Variables of `[env]` and `--env` are written into a Dockerfile, and so into layers and image history. A known shape of
a value beats everything; a public prefix of the name, which says that the value is served to browsers anyway, beats
the patterns of names. Settings of ours whose names look alike are no credentials.
"""

import re

# Patterns are text here: start-up counts, and `re` compiles each when it is first needed, and keeps it.
# Texts are foreign, and may be long: whatever begins often has an end that is near.
_SCHEME = r"(?i:\b[a-z][a-z0-9+.-]{0,60}://)"
_SLASHED = (
    r"""(?::[^@\s"']{1,1024}|[^/@\s:\["'?#,;]+:(?!\d{1,5}[/?#,;"'\\]|\$\{|\$[A-Za-z_]\w*/|\{\w*\})[^@\s"']{1,1024})@"""
)
"""A password with a slash in it, which nobody has quoted. Behind a host's port, or what stands for it, it is a path."""
_ASSIGNED = (
    r"(?i:password|passwd|accountkey|sharedaccesskey|[;?&]pwd) ?= ?"
    r"""(?!["']*+(?:\$[({A-Za-z_$]|\{|[\s;&]|$|%s|%\(|<|\*{3}))"""
)
"""What follows is no name of something that holds the password."""
_HARMLESS = "true|false|yes|no|none|null|0|1|changeit"
"""The last is that of every Java's own trust store."""
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
    (rf"{_SCHEME}[^/@\s:]*:[^/@\s]+@", "a URL with a password"),
    (f"{_SCHEME}{_SLASHED}", "a URL with a password"),
    (r"^[^:/@\s]+:[^@\s]+@(tcp|unix)\(", "an address with a password"),
    (r'\\?"auth\\?"\s*:\s*\\?"(?=[a-z/]*[A-Z0-9+=])[A-Za-z0-9+/]{11,}={0,2}\\?"', "a registry's login"),
    (
        rf"""{_ASSIGNED}(?!(?i:{_HARMLESS})(?:$|[\s;&,"']))[^\s;&]""",
        "text with a password",
    ),
)
_UNMASKED = frozenset({"a private key", "a URL with a password", "an address with a password", "text with a password"})
"""Shapes that are no whole tokens: two of them are masked in ways of their own, and all of them in known values."""
MASK = "***"
_REST = r"[A-Za-z0-9_.~+/=-]*"
"""What may follow the part of a token by which it is known."""
_KEY_SIGN = "-----BEGIN "
_KEY = r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
_BEHIND = rf"(?:[^/@\s]*:[^/@\s]+@|{_SLASHED})"
_LOGIN_SIGN = rf"://{_BEHIND}"
"""Begins with what is found at once, where the name of a scheme would be tried at every letter."""
_LOGIN = rf"({_SCHEME}){_BEHIND}"
_TOKEN = "|".join(f"(?:{shape}){_REST}" for shape, what in _SHAPES if what not in _UNMASKED)
_TOKEN_SIGNS = (
    *("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "AKIA", "ASIA", "npm_", "pypi-", "xox"),
    *("k_live_", "eyJ", 'auth"', 'auth\\"'),
)
"""Each token holds one of these: megabytes of output are searched for them much faster than for the shapes."""
_PUBLIC = ("VITE_", "NEXT_PUBLIC_", "NUXT_PUBLIC_", "REACT_APP_", "GATSBY_", "PUBLIC_", "EXPO_PUBLIC_", "STORYBOOK_")
_SETTINGS = frozenset({"CACHE_KEY"})
_PLACES = frozenset(
    {"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "DHI_MIRROR", "DOCKER_CONFIG", "SSH_AUTH_SOCK"}
    | {"AWS_DEFAULT_OUTPUT", "AWS_PAGER", "AWS_RETRY_MODE", "AWS_STS_REGIONAL_ENDPOINTS", "SSH_AGENT_PID", "SSH_TTY"}
)
"""Variables of credentials that say where, how or as whom, in words that are found everywhere."""
_PREFIXES = ("AWS_", "DHI_", "KUBERNETES_", "SSH_")
_SUFFIXES = ("KEY", "CREDENTIALS")
"""Words that are a name, or the last part of one: MONKEY is none."""
_ENDINGS = ("TOKEN", "PASSWORD", "PASSWD", "SECRET", "APIKEY", "PASSPHRASE", "SECRET_KEY_BASE")
"""As in PGPASSWORD. No other word ends so."""
_SHORT = ("_AUTH", "_PASS", "_PWD", "_PAT", "_DSN")
"""Last parts of names which mean something else as a word (PWD), or as the end of one (BYPASS)."""
_SWITCHES = frozenset(
    {"", "0", "1", "true", "false", "yes", "no", "on", "off", "enabled", "disabled", "required", "optional", "none"}
    | {"default", "login", "plain", "sasl_plain", "basic", "digest", "md5", "oauth2", "jwt", "saml", "oidc"}
)
"""What variables such as ENABLE_AUTH and SMTP_AUTH hold, and no credential is."""
_PLACE = r"(?i)(?:[a-z][a-z0-9+.-]{0,60}:/|\.{0,2}/)[^@]*"
"""An address with nobody's name in it, or a path: NGINX_PROXY_PASS and BUILD_PWD hold such."""
_NAMED = frozenset(
    {"DOCKER_CONFIG", "DOCKER_AUTH_CONFIG", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"}
)
_BUNDLER = r"BUNDLE_(?!(?:BUILD|MIRROR|LOCAL)__|PATH__SYSTEM$|GITHUB__HTTPS$|GEM__(?!.*__)).*__.+"
"""Bundler's login at a host, whose dots are `__`, and none of its other settings with parts."""


def reason(name: str, value: str) -> str | None:
    """Why a variable looks like a credential, without its value; None when it does not."""
    for shape, what in _SHAPES:
        if re.search(shape, value):
            return f"its value looks like {what}"
    upper = name.upper()
    if upper.startswith(_PUBLIC) or upper in _SETTINGS:
        return None
    if (
        upper in _NAMED
        or upper.startswith(_PREFIXES)
        or upper.endswith(_ENDINGS)
        or any(upper == suffix or upper.endswith(f"_{suffix}") for suffix in _SUFFIXES)
        or (upper.endswith(_SHORT) and value.strip().lower() not in _SWITCHES and not re.fullmatch(_PLACE, value))
        or re.fullmatch(_BUNDLER, upper)
    ):
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
    if _KEY_SIGN in text:
        text = re.sub(_KEY, MASK, text)
    if "://" in text and "@" in text and re.search(_LOGIN_SIGN, text):
        text = re.sub(_LOGIN, rf"\1{MASK}@", text)
    if any(map(text.__contains__, _TOKEN_SIGNS)):
        text = re.sub(_TOKEN, MASK, text)
    return text
