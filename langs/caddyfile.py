"""What Caddy is told of a site: compression, what a browser may keep and for how long, and the page of a path.

A file whose name has a hash of its content, as bundlers write them, never changes: it is kept for a year. All else is
asked for again each time, which costs an answer without a body while nothing has changed. The hash is known by the
directories that frameworks keep for such files alone, and else by its shape; a word and a number have that shape, too,
and are passed over. Where such a file is missing, the answer is that, and not the page of a single-page application,
which a browser would then keep in its place.
"""

from typing import Final

_FILE: Final = r"(css|[cm]?js|gif|ico|jpe?g|otf|png|svg|ttf|avif|wasm|webp|woff2?)$"
_OWN: Final = r"^/(_app/immutable|_astro|_next/static)/|^/_nuxt/[^/]+$"
"""SvelteKit's, Astro's, Next.js's and Nuxt's; what lies below the last one's directory is asked for again."""
_SHAPED: Final = rf"(\.|-)([0-9a-f]{{8,}}|[0-9A-Z]{{8}})(\.chunk)?\.{_FILE}"
"""Webpack's and its like, esbuild's."""
_VITE: Final = rf"^/assets/.*[.-][0-9A-Za-z_-]{{8}}(\.lean)?\.{_FILE}"
NO_HASH: Final = rf"(\.|-)([a-z]{{8,}}|[0-9]{{8,}})(\.chunk|\.lean)?\.{_FILE}"
HASHED: Final = f"{_OWN}|{_SHAPED}|{_VITE}"

HEAD: Final = (
    *("{", "admin off", "auto_https off", "}", ":{$PORT}", "root * /app", "encode zstd gzip"),
    *("@hashed {", f"path_regexp `{HASHED}`", f"not path_regexp `{NO_HASH}`", "file", "}"),
    'header @hashed Cache-Control "public, max-age=31536000, immutable"',
    "header ?Cache-Control no-cache",
)
FALLBACK: Final = (
    *("@page {", f"not path_regexp `{HASHED}`"),
    *("file {path} {path}.html {path}/index.html /200.html /__spa-fallback.html /index.html", "}"),
    "rewrite @page {http.matchers.file.relative}",
)
"""The page of a path, or of the application that does its routing in the browser: Nuxt's, React Router's, and any."""
PAGES: Final = ("try_files {path} {path}.html",)
"""The page of a path, as builds write them that know all paths."""
MISSING: Final = ("handle_errors {", "rewrite * /404.html", "file_server", "}")
