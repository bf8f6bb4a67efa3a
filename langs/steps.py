"""The steps that the Dockerfiles of all languages share: `step` in their templates.

What an app is told of, its variables, secrets and indexes, is known here; a template says only where a step stands.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from langs import health
from langs.indexes import Index
from langs.model import SECRETS_VERSION, CacheMount
from langs.network import Network
from langs.render import copied_to, copy_words, exec_form, mount_options, quoted

_MANY: Final = 40
"""Every COPY is a layer, and 127 are the most that an image of an old engine may have."""
_TRACES: Final = "/var/log/apt /var/log/alternatives.log /var/log/dpkg.log /var/cache/ldconfig/aux-cache"
"""What apt, dpkg and ldconfig write of when and where they ran; nothing reads it in an image."""
_LABEL: Final = "LABEL org.opencontainers.image"


class Steps:
    """The shared steps of one app.

    Args:
        values: those of the template: `env`, `passed`, `arguments`, `reproducible`, `secrets`, `invalidating`,
            `network`, `indexes`, `distribution`, `apt`, `apt_run`, `apt_mounts`, `port`, `listens`, `user`, `cmd`,
            `healthcheck` and `origin` are read, and `front_end`, `tools`, `manifests` and `builder` where they are.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def run(self, mounts: Sequence[CacheMount]) -> str:
        """`RUN` with all that the step sees; the command follows."""
        # It counts from here to the end of the stage, and which step is a stage's first differs from app to app. No
        # such step is in the last stage, so that the image's history has nothing of it.
        version = f"ARG {SECRETS_VERSION}\n" if self._values["invalidating"] else ""
        return f"{version}RUN {mount_options(mounts, self._values['secrets'], self._around())}"

    def exports(self) -> str:
        """What the command line of such a step begins with."""
        secrets = [f'export {name}="$(cat /run/secrets/{name})" && ' for name in self._values["secrets"]]
        return "".join((*secrets, *(each.exports for each in self._around())))

    def installing(self, mounts: Sequence[CacheMount]) -> str:
        """A step that installs packages of the distribution, up to its command; it sees nothing of the app's."""
        return self._apart(mounts, (*self._values["network"], *self._values["distribution"]))

    def building(self) -> str:
        """Installs the packages that the build needs: the first step of its first stage, which no change reaches."""
        return self._packages(self._values["apt"])

    def running(self) -> str:
        """Installs those that the app needs when it runs: the first step of the last stage."""
        return self._packages(self._values["apt_run"])

    def _packages(self, names: Sequence[str]) -> str:
        if not names:
            return ""
        # The image's own rule would empty the cache. What may ask questions, such as tzdata, is told to ask none.
        step = self.installing(self._values["apt_mounts"])
        return (
            f"{step}rm -f /etc/apt/apt.conf.d/docker-clean && apt-get update \\\n"
            f"    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends {' '.join(names)}"
            f"{self.traceless()}\n"
        )

    def traceless(self) -> str:
        """What such a step ends with: nothing tells of the day on which it took place where none may be told."""
        return f" && rm -rf {_TRACES}" if self._values["reproducible"] else ""

    def fetching(self) -> str:
        """A step that fetches something of a toolchain's own, up to its command; it sees nothing of the app's."""
        return self._apart((), self._values["network"])

    def _apart(self, mounts: Sequence[CacheMount], around: Sequence[Network | Index]) -> str:
        return f"RUN {mount_options(mounts, (), around)}{''.join(each.exports for each in around)}"

    def _around(self) -> tuple[Network | Index, ...]:
        return (*self._values["network"], *self._values["indexes"])

    def user_command(self, mounts: Sequence[CacheMount], command: str) -> str:
        """A step with a command line that somebody wrote."""
        return self.run(mounts) + exec_form(("/bin/sh", "-c", self.exports() + command))

    def variables(self) -> str:
        """The app's variables."""
        return _variables(self._values["env"]) + self._arguments()

    def _arguments(self) -> str:
        # A stage that stands on another has its variables, and of an older daemon not its arguments.
        return "".join(f"ARG {name}\n" for name in self._values["arguments"])

    def _late(self) -> str:
        """What stands behind the installation of dependencies, and is changed by the copy of sources in no way."""
        text = self._arguments() + _variables(self._values["passed"])
        return f"\n{text.rstrip()}" if text else ""

    def all_variables(self) -> str:
        """The same, for a stage in which nothing is installed."""
        return self.variables() + _variables(self._values["passed"])

    def tool_variables(self) -> str:
        """What only build tools read: it stands in the stages that have them."""
        return _variables(self._values["tools"])

    def copies(self, groups: Sequence[tuple[str, Sequence[str]]]) -> str:
        """Files into directories, each with what is copied to it."""
        if len(groups) > _MANY:
            return "COPY --from=manifests /manifests/ ./\n"
        origin = self._values["origin"]
        return "".join(f"COPY {copy_words(sources, target, origin)}\n" for target, sources in groups)

    def stages(self) -> str:
        """Stands before the first FROM: the stages whose output `source` and `copies` take."""
        front_end, manifests = self._values["front_end"], self._values.get("manifests", ())
        text = f"{front_end.text}\n\n" if front_end else ""
        if len(manifests) > _MANY:
            text += (
                "# What the next stage copies of this one is the same, whatever has changed beside it: "
                "a change of source ends here.\n"
                f"FROM {self._values['builder']} AS manifests\nWORKDIR /manifests\nWORKDIR /context\n{self.own()}\n"
                f"RUN {exec_form(copied_to(manifests, '/manifests/'))}\n\n"
            )
        return text

    def source(self) -> str:
        """The app's sources, and what other languages made of them before."""
        front_end = self._values["front_end"]
        if not front_end:
            return self.own() + self._late()
        made = f"/app/{front_end.origin}/" if front_end.origin else "/app/"
        words = (made, f"./{front_end.place}/" if front_end.place else "./")
        copied = exec_form(words) if " " in "".join(words) else " ".join(words)
        return f"{self.own()}\nCOPY --from=assets {copied}{self._late()}"

    def own(self, owner: str = "") -> str:
        """The app's sources: all that the build sees, or the app's directory in that; `owner` is `UID:GID`."""
        origin = self._values["origin"]
        copy = f"COPY --chown={owner}" if owner else "COPY"
        return f"{copy} {copy_words((origin,), './')}" if origin else f"{copy} . ."

    def ending(self, title: str | None, base: str) -> str:
        """The end of the last stage, which stands on the image `base`."""
        port, user, command = (self._values[name] for name in ("port", "user", "cmd"))
        name, _, digest = base.partition("@")
        lines = [f"ENV PORT={port}", *([f"EXPOSE {port}"] if self._values["listens"] else [])]
        lines += [f"{_LABEL}.title={quoted(title)}"] if title else []
        lines += [f"{_LABEL}.base.name={quoted(name)}"]
        lines += [f"{_LABEL}.base.digest={quoted(digest)}"] if digest else []
        check = self._values["healthcheck"]
        lines += [health.instruction(exec_form(check))] if check else []
        said = _variables(self._values["env"]) + _variables(self._values["passed"])
        return said + "\n".join((*lines, f"USER {user}", f"CMD {exec_form(command)}", ""))


def _variables(said: Mapping[str, str]) -> str:
    return "".join(f"ENV {name}={quoted(value)}\n" for name, value in said.items())
