"""Where package registries serve an archive: public ones, or the mirrors that stand in for them. Pure.

The addresses are those of each registry's own protocol: PyPI's simple index (PEP 503), Go's module proxy
(go.dev/ref/mod#goproxy-protocol), npm's tarballs, Maven's repository layout. What is served there is checked by its
digest, so that any mirror will do.
"""

import re
from html.parser import HTMLParser
from urllib.parse import urljoin

from langs.indexes import ORIGINS
from orchestrator.bases.recipes import Archive


def index_of(archive: Archive) -> str:
    """The name of the registry that has an archive."""
    return next(name for name in ORIGINS if getattr(archive, name, None) is not None)


def npm_url(package: str, registry: str) -> str:
    """Where a registry of npm's kind serves a package's tarball.

    Args:
        package: `@scope/name@version` or `name@version`.
        registry: the registry's address.
    """
    name, _, version = package.rpartition("@")
    return f"{registry.rstrip('/')}/{name}/-/{name.rpartition('/')[2]}-{version}.tgz"


def maven_url(artifact: str, repository: str) -> str:
    """Where a repository of Maven's kind serves an artifact.

    Args:
        artifact: `group:artifact:version:packaging[:classifier]`.
        repository: the repository's address.
    """
    group, name, version, packaging, *classifier = artifact.split(":")
    file = "-".join([name, version, *classifier])
    return f"{repository.rstrip('/')}/{group.replace('.', '/')}/{name}/{version}/{file}.{packaging}"


def go_url(module: str, proxy: str) -> str:
    """Where a module proxy serves a module's zip file; capitals are escaped, for file systems that know none.

    Args:
        module: `path@version`.
        proxy: the proxy's address.
    """
    path, _, version = module.partition("@")
    escaped = [re.sub(r"[A-Z]", lambda capital: f"!{capital[0].lower()}", part) for part in (path, version)]
    return f"{proxy.rstrip('/')}/{escaped[0]}/@v/{escaped[1]}.zip"


def pypi_page(requirement: str, index: str) -> str:
    """The page of a simple index that lists a project's files.

    Args:
        requirement: `name==version`.
        index: the index's address.
    """
    name = re.sub(r"[-_.]+", "-", requirement.partition("==")[0]).lower()
    return f"{index.rstrip('/')}/{name}/"


def on_page(page: str, address: str, sha256: str) -> str | None:
    """The file of a simple index's page that has a digest; None when there is none.

    Args:
        page: HTML.
        address: the page's own, which links are relative to.
        sha256: what the link says in its fragment.
    """
    links = _Links()
    links.feed(page)
    fragment = f"#sha256={sha256}"
    found = next((link for link in links.found if link.endswith(fragment)), None)
    return urljoin(address, found.removesuffix(fragment)) if found else None


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]
