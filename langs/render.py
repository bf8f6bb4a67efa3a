"""Values into Dockerfile text: one jinja2 environment, and quoting for every place a value may stand in.

Templates insert untrusted values through a filter of this module or not at all; what is inserted without one has been
checked against a closed alphabet before (`base.py`). Generated text keeps to Dockerfile 1.2 syntax and names no
`# syntax=` frontend, so that every daemon builds it without fetching one.

Compiled templates are kept in `templates/__pycache__`, as Python keeps compiled modules and under its rules: where this
package may be written to, for whoever may change it anyway, and not under `-B`. To compile them all takes as long as to
plan a hundred apps.
"""

import functools
import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from langs.errors import LangError
from langs.files import require_plain_name
from langs.indexes import Index
from langs.model import CacheMount
from langs.network import Network

if TYPE_CHECKING:
    import jinja2

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def render(template: str, values: Mapping[str, object]) -> str:
    """The Dockerfile that `template` of this package makes of `values`.

    Raises:
        LangError: a value cannot be written into a Dockerfile.
    """
    return _environment().get_template(template).render(values)


def exec_form(words: Sequence[str]) -> str:
    """`["a", "b"]`: the form of RUN, CMD and COPY that no shell, variable or here-document is looked for in."""
    return json.dumps(list(words))


def quoted(value: str) -> str:
    """A value of ENV or LABEL in double quotes: `$`, `"` and a backslash mean themselves.

    Raises:
        LangError: it holds a line break or another control character.
    """
    if _CONTROL.search(value):
        raise LangError(
            "a value of `env` holds a line break or a control character",
            hint="Give such a value as a secret, or write it into a file.",
        )
    return '"' + re.sub(r'([\\"$])', r"\\\1", value) + '"'


def copy_words(sources: Sequence[str], target: str, origin: str = "") -> str:
    """What follows COPY: the words themselves, or JSON when a name holds a blank.

    Args:
        sources: what is copied.
        target: where to.
        origin: the directory that the sources are in.

    Raises:
        LangError: a name could be read as something else.
    """
    below = f"{origin}/" if origin else ""
    words = [*(require_plain_name(f"{below}{source}") for source in sources), target]
    return exec_form(words) if any(" " in word for word in words) else " ".join(words)


def copied_to(groups: Sequence[tuple[str, Sequence[str]]], target: str) -> tuple[str, ...]:
    """The command that copies the sources of all groups below `target`, in their places.

    Raises:
        LangError: a name could be read as something else.
    """
    return ("cp", "-r", "--parents", *(require_plain_name(each) for _, sources in groups for each in sources), target)


def shell(word: str) -> str:
    """One word for sh, quoted where it must be.

    Raises:
        LangError: it holds a control character, or `<<`, which newer frontends read as a here-document even in quotes.
    """
    if _CONTROL.search(word) or "<<" in word:
        raise LangError(f"{word[:80]!r} cannot stand in a RUN step", hint="Use a plain name.")
    return shlex.quote(word)


def words(said: Sequence[str]) -> str:
    """Words for sh, each quoted where it must be.

    Raises:
        LangError: as `shell`.
    """
    return " ".join(map(shell, said))


def mount_options(mounts: Sequence[CacheMount], secrets: Sequence[str], around: Sequence[Index | Network]) -> str:
    """The options of a RUN that sees `mounts`, the secrets by these names, and the mirrors and the network around it.

    Each has the blank that follows it.
    """
    options = [
        f"--mount=type=cache,id={mount.id},target={mount.target}"
        + ("" if mount.sharing == "shared" else f",sharing={mount.sharing}")
        for mount in mounts
    ]
    options += [f"--mount=type=secret,id={name},required=true" for name in secrets]
    options += [option for each in around for option in each.mounts]
    return "".join(f"{option} \\\n    " for option in options)


def pip_install(requirements: Sequence[str]) -> str:
    """The command line that installs PEP 508 requirements into the app's environment."""
    words = " ".join(shlex.quote(requirement) for requirement in requirements)
    return f"pip --python /app/.venv/bin/python install --no-compile -- {words}"


@functools.cache
def _environment() -> "jinja2.Environment":
    import jinja2  # noqa: PLC0415  (start-up counts: only a command that renders pays for jinja2)

    compiled = Path(__file__).parent / "templates" / "__pycache__"
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("langs"),
        auto_reload=False,  # templates do not change while this runs
        bytecode_cache=_kept(compiled),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701  (Dockerfiles, not HTML: the filters below quote)
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # Each rendering would copy them, and no template asks for one.
    environment.globals.clear()
    environment.context_class = _context_class()
    # jinja2 does not say what a filter is: its own table's inferred type fits only its own filters.
    filters: Any = environment.filters
    filters.update(
        copy_words=copy_words,
        exec_form=exec_form,
        mount_options=mount_options,
        pip_install=pip_install,
        quoted=quoted,
        shell=shell,
    )
    return environment


def _context_class() -> "type[jinja2.runtime.Context]":
    import jinja2.runtime  # noqa: PLC0415  (as above)

    class Context(jinja2.runtime.Context):
        """Calls what templates call as it is: nothing that they know asks for the context."""

        def call(self, called: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- whatever is called
            kwargs.pop("_block_vars", None)
            kwargs.pop("_loop_vars", None)
            return called(*args, **kwargs)

    return Context


def _kept(directory: Path) -> "jinja2.BytecodeCache | None":
    """Where compiled templates are kept; None where nothing may be kept."""
    import jinja2  # noqa: PLC0415  (as above)

    if sys.dont_write_bytecode:
        return None
    with suppress(OSError):
        directory.mkdir(exist_ok=True)
    # jinja2 knows by checksums what was compiled of another text or by another version.
    return jinja2.FileSystemBytecodeCache(str(directory), "%s.j2c") if os.access(directory, os.W_OK) else None
