"""What a CI platform does with a job, as far as shells are concerned: its steps' commands, in order, in one directory.

The platform's expressions are not evaluated here: a test says what each of them is, and one that it does not know is
an error.
"""

import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import anyio
import msgspec

from orchestrator.registry.http import httpx

_EXPRESSION = re.compile(r"\$\{\{ (.*?) \}\}")


class Stepped(msgspec.Struct, frozen=True):
    """How a step ended."""

    name: str
    code: int
    out: str


def filled(text: str, expressions: Mapping[str, str]) -> str:
    """A text with the values of its expressions."""
    return _EXPRESSION.sub(lambda match: expressions[match[1]], text)


async def github(
    job: Mapping[str, Any],
    *,
    source: Path,
    temporary: Path,
    environment: Mapping[str, str],
    expressions: Mapping[str, str],
    skip: Callable[[str], bool] = lambda _: False,
) -> list[Stepped]:
    """Run the steps of a job as GitHub's runner does; the first that fails is the last, but for those that always run.

    Args:
        job: of the workflow.
        source: the checkout.
        temporary: `$RUNNER_TEMP`.
        environment: the runner's.
        expressions: what each expression is, those of `if` among them: empty means no.
        skip: which steps are not run, by their names.
    """
    variables = {**environment, "RUNNER_TEMP": str(temporary), "GITHUB_ACTIONS": "true", "CI": "true"}
    variables |= {name: filled(str(value), expressions) for name, value in job["env"].items()}
    files = {name: temporary / name.lower() for name in ("GITHUB_ENV", "GITHUB_PATH", "GITHUB_STEP_SUMMARY")}
    done: list[Stepped] = []
    failed = False
    for step in job["steps"]:
        condition = step.get("if", "")
        if "run" not in step or skip(step["name"]) or (failed and condition != "always()"):
            continue
        if condition not in {"", "always()"} and not expressions[condition]:
            continue
        for file in files.values():
            file.touch()
        own = {name: filled(str(value), expressions) for name, value in step.get("env", {}).items()}
        script = temporary / "step.sh"
        script.write_text("exec 2>&1\n" + filled(step["run"], expressions))
        # `shell: bash` of a workflow (https://docs.github.com/actions/reference/workflow-syntax-for-github-actions).
        ran = await anyio.run_process(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=source,
            env={**variables, **own, **{name: str(file) for name, file in files.items()}},
            check=False,
        )
        done.append(Stepped(step["name"], ran.returncode, ran.stdout.decode()))
        failed = failed or ran.returncode != 0
        lines = files["GITHUB_ENV"].read_text().splitlines()
        variables |= dict(line.split("=", 1) for line in lines)
        for line in files["GITHUB_PATH"].read_text().splitlines():
            variables["PATH"] = f"{line}:{variables['PATH']}"
        for name in ("GITHUB_ENV", "GITHUB_PATH"):
            files[name].write_text("")
    return done


async def gitlab(
    job: Mapping[str, Any], *, source: Path, environment: Mapping[str, str], places: Mapping[str, str]
) -> Stepped:
    """Run the commands of a job as GitLab's runner does: all in one shell, each shown.

    Args:
        job: with what it extends.
        source: the checkout.
        environment: the runner's, in which the job's variables are put.
        places: directories of the job's container, and where they are here.
    """
    variables = dict(environment)
    for name, said in job["variables"].items():
        table = cast("dict[str, Any]", said) if isinstance(said, dict) else {"value": said, "expand": True}
        value, expands = str(table["value"]), table["expand"]
        variables[name] = re.sub(r"\$(\w+)", lambda match: variables[match[1]], value) if expands else value
    script = "\n".join(["exec 2>&1", *job["before_script"], *job["script"]])
    for inside, outside in places.items():
        script = script.replace(inside, outside)
        variables = {name: value.replace(inside, outside) for name, value in variables.items()}
    ran = await anyio.run_process(["bash", "-eo", "pipefail", "-c", script], cwd=source, env=variables, check=False)
    return Stepped("job", ran.returncode, ran.stdout.decode())


async def tags(registry: str, repository: str) -> set[str]:
    """The tags of a repository in a registry that speaks plain HTTP; empty where there is none."""
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://{registry}/v2/{repository}/tags/list")
    return set(answer.json().get("tags") or ())


async def repository(root: Path) -> str:
    """A source with two apps, under git, of which the last commit changes one; returns the commit before."""
    for name in ("api", "web"):
        (root / name).mkdir(parents=True)
        (root / name / "Dockerfile").write_text("FROM scratch\nCOPY said /\n")
        (root / name / "said").write_text(secrets.token_hex(8))
    git = ["git", "-C", str(root), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "one"]):
        await anyio.run_process([*git, *words])
    before = await anyio.run_process([*git, "rev-parse", "HEAD"])
    (root / "web/said").write_text(secrets.token_hex(8))
    await anyio.run_process([*git, "commit", "-q", "-a", "-m", "two"])
    return before.stdout.decode().strip()
