"""The strategy: the definitions of Shipwright itself have nothing to say, and its step builds and publishes."""

import json
import re
import secrets
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any, cast

import anyio
import jsonschema
import kubernetes_validate
import pytest
import yaml

from orchestrator.config import environment
from orchestrator.init.kubernetes import manifests
from orchestrator.init.project import AppFacts, Project
from orchestrator.init.shipwright import strategy
from tests.conftest import RealCount
from tests.init import jobs
from tests.init.checkers import loaded
from tests.init.projects import full, project
from tests.lab import Lab
from tests.lab.state import layout

MODULE = "github.com/shipwright-io/build@v0.15.0"


def documents(made: Project) -> dict[str, dict[str, Any]]:
    [file] = strategy(made).files
    return {each["kind"]: each for each in loaded(file.text)}


@pytest.mark.full
@pytest.mark.skipif(shutil.which("go") is None, reason="the definitions come from the Go module proxy")
async def test_shipwrights_own_definitions_have_nothing_to_say() -> None:
    folder = layout().root / "cache/go/modules"
    variables = {**environment.read(), "GOMODCACHE": str(folder), "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local"}
    told = await anyio.run_process(["go", "mod", "download", "-json", MODULE], env=variables)
    crds = Path(json.loads(told.stdout)["Dir"]) / "deploy/crds"

    for kind, file in {"BuildStrategy": "buildstrategies", "Build": "builds"}.items():
        definition = yaml.safe_load((crds / f"shipwright.io_{file}.yaml").read_text())
        [version] = [each for each in definition["spec"]["versions"] if each["name"] == "v1beta1"]
        schema = _strict(version["schema"]["openAPIV3Schema"])
        found = documents(full())[kind]

        jsonschema.validate(found, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**found, "spec": {**found["spec"], "step": []}}, schema)


def _strict(schema: Any) -> Any:  # noqa: ANN401 -- a document
    """A schema that allows no other fields than those it names."""
    if isinstance(schema, list):
        return list(map(_strict, cast("list[object]", schema)))
    if not isinstance(schema, dict):
        return schema
    found = {key: _strict(value) for key, value in cast("dict[str, Any]", schema).items()}
    return {"additionalProperties": False, **found} if isinstance(found.get("properties"), dict) else found


def test_no_parameter_is_a_part_of_the_script() -> None:
    [step] = documents(full())["BuildStrategy"]["spec"]["steps"]

    assert "$(" not in step["args"][0]
    assert {each["name"]: each.get("value") for each in step["env"]}["APPS"] == "$(params.apps)"


def test_the_operators_file_names_the_builders_that_are_reached_from_a_cluster() -> None:
    far, own = (
        tomllib.loads(documents(made)["ConfigMap"]["data"]["config.toml"])
        for made in (full(), project(tool="t", repository="https://g/shop", image="r.example/x"))
    )

    assert [each["url"] for each in far["hosts"]] == ["ssh://deploy@one.example?slots=8"]
    assert [each["url"] for each in own["hosts"]] == ["tcp://buildkitd.shop-builders.svc.cluster.local:1234"]
    assert "image" not in far
    kubernetes_validate.validate(documents(full())["ConfigMap"], "1.30", strict=True)


def test_all_of_it_is_the_namespaces_own_and_takes_nothing_from_what_is_there() -> None:
    found = documents(full())
    [there] = [each for each in loaded(manifests(full()).files[0].text) if "config.toml" in each.get("data", {})]

    assert {each["metadata"]["namespace"] for each in found.values()} == {"shop"}
    assert found["Build"]["spec"]["strategy"] == {"kind": "BuildStrategy", "name": "fleetpacks"}
    name = found["ConfigMap"]["metadata"]["name"]
    assert found["BuildStrategy"]["spec"]["volumes"][0]["configMap"] == {"name": name}
    assert (there["metadata"]["namespace"], there["metadata"]["name"]) != ("shop", name)


ONE = (AppFacts(name="api", path="api"),)
TWO = (*ONE, AppFacts(name="web", path="web"))


@pytest.mark.parametrize(
    ("image", "apps", "output", "told"),
    [
        ("r.example:5000/team/{app}", ONE, "r.example:5000/team/api", False),
        ("r.example:5000/team/{app}", TWO, "r.example:5000/team", False),
        ("r.example/team", TWO, "r.example/team", False),
        ("r.example/team/x-{app}:{sha}", ONE, "r.example/team/x-api", True),
        ("r.example/{branch}/{app}", TWO, "r.example", True),
    ],
)
def test_an_only_image_goes_where_it_is_said(
    image: str, apps: tuple[AppFacts, ...], output: str, *, told: bool
) -> None:
    made = strategy(full(image=image, apps=apps, cache=None, cache_from=()))

    assert {each["kind"]: each for each in loaded(made.files[0].text)}["Build"]["spec"]["output"]["image"] == output
    assert any("takes no placeholders" in each for each in made.warnings) is told


def test_the_secret_that_the_step_reads_is_asked_for() -> None:
    assert any("`build-values`" in each and "NPM_TOKEN" in each for each in strategy(full()).warnings)
    assert not any("`build-values`" in each for each in strategy(full(secrets=(), mirrors=(), hardened=False)).warnings)


@pytest.mark.real
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_step_publishes_and_tells_the_digest_of_an_only_image(
    lab: Lab, tmp_path: Path, real_count: RealCount
) -> None:
    [step] = documents(full(hub=None, dhi=None, hardened=False))["BuildStrategy"]["spec"]["steps"]
    source = tmp_path / "source"
    await jobs.repository(source)
    shutil.rmtree(source / "web")
    name = f"init-{secrets.token_hex(4)}"
    parameters = {
        "params.shp-source-context": str(source),
        "params.shp-output-image": f"{lab.registry}/{name}",
        "params.cache-mode": "max",
        "params.trust-scope": "refs/heads/main",
        "params.apps": ".",
        "params.tag": "1.2",
        "results.shp-image-digest.path": str(tmp_path / "digest"),
    }
    variables = {each["name"]: each["value"] for each in step["env"] if "value" in each}
    for name_, value in parameters.items():
        variables = {key: text.replace(f"$({name_})", value) for key, text in variables.items()}
    config = tmp_path / "config.toml"
    config.write_text(f'[[hosts]]\nurl = "{lab.buildkit_host}"\n')
    variables |= {
        "PATH": f"{Path(sys.executable).parent}:{environment.read()['PATH']}",
        "FLEETPACKS_CONFIG": str(config),
        "HOME": str(tmp_path),
        "DOCKER_CONFIG": str(tmp_path / "docker"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }
    script = step["args"][0].replace("/tmp", str(tmp_path))  # noqa: S108 -- of a container

    ran = await anyio.run_process(["sh", "-ec", f"exec 2>&1\n{script}"], cwd=source, env=variables, check=False)

    real_count.record("build")
    assert ran.returncode == 0, ran.stdout.decode()
    assert "1.2" in await jobs.tags(lab.registry, name)
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", (tmp_path / "digest").read_text())
